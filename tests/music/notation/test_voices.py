"""Two voices of a staff."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.notation.voices import VoiceNote, two_voices


def notes(*rows):
    ordered = sorted(rows, key=lambda row: (row[0], row[2]))
    return [VoiceNote(onset, onset + ticks, pitch, index) for index, (onset, ticks, pitch) in enumerate(ordered)]


def spans(voice):
    return [(sound.start, sound.end, sound.notes) for sound in voice]


def test_a_line_is_the_upper_voice():
    upper, lower = two_voices(notes((0, 24, 60), (24, 24, 62), (96, 24, 64)))
    assert spans(upper) == [(0, 24, (0,)), (24, 48, (1,)), (96, 120, (2,))]
    assert not lower
    assert not any(sound.shared for sound in upper)


def test_a_chord_is_one_sound():
    assert spans(two_voices(notes((0, 24, 60), (0, 24, 64), (0, 24, 67)))[0]) == [(0, 24, (0, 1, 2))]


def test_a_half_note_below_quarters():
    upper, lower = two_voices(notes((0, 48, 60), (0, 24, 72), (24, 24, 74)))
    assert spans(upper) == [(0, 24, (1,)), (24, 48, (2,))]
    assert spans(lower) == [(0, 48, (0,))]
    assert all(sound.shared for sound in upper + lower)


def test_a_half_note_above_quarters():
    upper, lower = two_voices(notes((0, 48, 79), (0, 24, 60), (24, 24, 62)))
    assert spans(upper) == [(0, 48, (1,))]
    assert spans(lower) == [(0, 24, (0,)), (24, 48, (2,))]


def test_a_held_note_waits_for_what_comes_below_it():
    upper, lower = two_voices(notes((0, 48, 72), (24, 24, 60)))
    assert spans(upper) == [(0, 48, (0,))]
    assert spans(lower) == [(0, 24, ()), (24, 48, (1,))]
    upper, lower = two_voices(notes((0, 48, 60), (24, 24, 72)))
    assert spans(lower) == [(0, 48, (0,))]
    assert spans(upper) == [(0, 24, ()), (24, 48, (1,))]


def test_suspensions_need_no_ties():
    rows = [(24 * i, 48, 72 - i % 2 * 7 - i // 2) for i in range(12)]
    for voice in two_voices(notes(*rows)):
        assert sum(len(sound.notes) for sound in voice) == 6


def test_the_moving_line_of_three_is_alone():
    rows = [(0, 96, 48), (0, 48, 55), (48, 48, 57), *((12 * i, 12, 72 + i) for i in range(8))]
    upper, _ = two_voices(notes(*rows))
    assert [sound.end - sound.start for sound in upper] == [12] * 8


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 40), st.integers(40, 50)), max_size=14))
def test_every_note_sounds_from_its_onset_to_its_end(rows):
    given_notes = notes(*rows)
    heard = {}
    for voice in two_voices(given_notes):
        assert all(before.end <= after.start for before, after in pairwise(voice))
        for sound in voice:
            for index in sound.notes:
                heard.setdefault(index, []).append((sound.start, sound.end))
    for note in given_notes:
        parts = sorted(heard[note.number])
        assert (parts[0][0], parts[-1][1]) == (note.start, note.end)
        assert all(before[1] == after[0] for before, after in pairwise(parts))
