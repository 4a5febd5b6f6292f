"""The sung line: known answers on scripted play, and what no play can break."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.songs import words
from toccata.envs.dynamics import random_legal_actions
from toccata.envs.dynamics.song import SongDynamics
from toccata.envs.instrument import Piano
from toccata.music.lyrics import Lyrics, LyricsError, underlay
from toccata.music.lyrics.underlay import is_sung
from toccata.music.lyrics.voices import LARGEST_LEAP, VOICES, voice_range
from toccata.music.reduction import fits_two_hands

PIANO = Piano()
BAR = 96
C3, E4, C5, D5, C4 = (PIANO.key_of(pitch) for pitch in (48, 64, 72, 74, 60))
REST = 0


def begun(
    text: Lyrics, voice: str = "soprano", piano: Piano = PIANO, bars: int | None = None, max_steps: int = 10_000
) -> SongDynamics:
    dynamics = SongDynamics([text], voice, bars, 1, piano, max_steps)
    dynamics.begin_songs([0], [np.random.default_rng(0)], ticks_per_bar=BAR)
    return dynamics


def act(dynamics: SongDynamics, what: int, ticks: int) -> bool:
    return bool(dynamics.step(np.array([[what, dynamics.piano.values.index(ticks)]]))[0])


def legal_whats(dynamics: SongDynamics) -> set[int]:
    return set(np.flatnonzero(dynamics.masks[0, : dynamics.whats]).tolist())


def legal_values(dynamics: SongDynamics) -> list[int]:
    return np.array(dynamics.piano.values)[dynamics.masks[0, dynamics.whats :]].tolist()


def legal_pitches(dynamics: SongDynamics) -> list[int]:
    return [PIANO.lowest + what - 1 for what in sorted(legal_whats(dynamics)) if 0 < what <= PIANO.keys]


def played_bass(dynamics: SongDynamics, ticks: int = BAR) -> None:
    """The accompaniment that the bar begins with."""
    assert max(legal_pitches(dynamics)) < 60
    assert REST not in legal_whats(dynamics)
    assert act(dynamics, C3, ticks)


def test_a_bar_begins_with_accompaniment_then_the_voice_sings() -> None:
    dynamics = begun(words("a b c d e f g"))
    played_bass(dynamics)
    sung = [pitch for pitch in legal_pitches(dynamics) if pitch >= 60]
    assert sung == list(range(60, 80))  # the soprano's range
    assert REST not in legal_whats(dynamics)  # it begins with the accompaniment
    assert act(dynamics, C5, 24)
    assert dynamics.voices["sung"][0] == 1
    assert legal_pitches(dynamics) == list(range(73, 80))  # a higher key takes its place
    assert act(dynamics, REST, 12)
    below = legal_pitches(dynamics)
    assert 71 in below  # accompaniment below the sung note, within the right hand
    assert max(below) == 71
    assert min(pitch for pitch in below if pitch >= 60) == 60


def test_no_leap_over_a_tenth_and_no_rest_inside_a_line() -> None:
    dynamics = begun(words("a b c d e f g"))
    played_bass(dynamics)
    act(dynamics, C4, 24)
    act(dynamics, REST, 96)  # is shortened to the end of the sung note
    assert dynamics.states["clock"][0] == 24
    assert dynamics.played[0, 2].tolist() == [REST, PIANO.values.index(24)]
    assert max(legal_pitches(dynamics)) == 60 + LARGEST_LEAP
    assert REST not in legal_whats(dynamics)


def test_a_chord_is_sung_by_its_highest_note() -> None:
    dynamics = begun(words("a b c d e f g"), "tenor")
    act(dynamics, PIANO.key_of(40), 96)
    chord = PIANO.chord_index[(52, 55, 60)]
    assert act(dynamics, chord, 24)
    assert dynamics.voices["pitch"][0] == 60
    score = dynamics.score(0, BAR, 120.0)
    assert score.notes["pitch"][is_sung(score, "tenor")].tolist() == [60]


def test_a_higher_key_of_the_same_tick_takes_the_place() -> None:
    dynamics = begun(words("a b c d e f g"))
    played_bass(dynamics)
    act(dynamics, E4, 24)
    act(dynamics, C5, 24)
    assert dynamics.voices["sung"][0] == 1
    assert dynamics.voices["pitch"][0] == 72
    act(dynamics, REST, 24)
    assert act(dynamics, D5, 24)
    score = dynamics.score(0, BAR, 120.0)
    assert score.notes["pitch"][is_sung(score)].tolist() == [72, 74]


def test_a_breath_between_lines_and_nothing_after_the_words() -> None:
    dynamics = begun(words("a / b"))
    played_bass(dynamics)
    act(dynamics, C5, 24)
    act(dynamics, REST, 24)
    assert all(pitch < 60 for pitch in legal_pitches(dynamics))  # b may not begin before its window
    while REST in legal_whats(dynamics):
        act(dynamics, REST, 96)
    played_bass(dynamics, 48)
    act(dynamics, C5, 24)
    clock = int(dynamics.states["clock"][0])
    act(dynamics, REST, 24)
    assert dynamics.states["clock"][0] == clock + 24
    assert legal_whats(dynamics) == {REST}
    assert len(underlay(dynamics.score(0, 2 * BAR, 120.0), words("a / b"))) == 2


def test_an_illegal_action_becomes_a_sung_note_where_a_rest_is_not_legal() -> None:
    dynamics = begun(words("a b c d e f g"))
    played_bass(dynamics)
    act(dynamics, C5, 24)
    act(dynamics, REST, 24)
    assert not act(dynamics, REST, 3)
    assert dynamics.voices["sung"][0] == 2
    assert dynamics.played[0, 3].tolist() == [C5, PIANO.values.index(12)]  # the nearest legal value
    assert dynamics.states["illegal_actions"][0] == 1
    assert (dynamics.states["what"][0], dynamics.states["value"][0]) == (REST, PIANO.values.index(3))  # as chosen


def test_when_few_steps_are_left_the_words_come_first() -> None:
    text = words("a b c d e f g")
    needed = 6 * 8 + 2
    with pytest.raises(
        LyricsError, match=f"max_steps must be at least {needed} for lyrics of 7 notes, got {needed - 1}"
    ):
        begun(text, max_steps=needed - 1)
    dynamics = begun(text, max_steps=needed)
    rng = np.random.default_rng(0)
    while dynamics.states["clock"][0] < 2 * BAR:
        assert dynamics.step(random_legal_actions(dynamics.masks, dynamics.whats, rng)).all()
    assert dynamics.states["steps"][0] <= needed
    assert len(underlay(dynamics.score(0, 2 * BAR, 120.0), text)) == 7


def test_when_few_steps_are_left_rests_are_long_whatever_is_played() -> None:
    """Illegal actions, and the rests after the words, cannot use up the steps before the piece ends."""
    text = words("a b c d e f g")
    needed = 6 * 8 + 4
    for always in ([REST, 0], [REST + 5, 0]):  # a rest of one tick, and a key below the voice
        dynamics = begun(text, bars=4, max_steps=needed)
        while dynamics.states["clock"][0] < 4 * BAR:
            dynamics.step(np.array([always]))
        assert dynamics.states["steps"][0] <= needed
        assert len(underlay(dynamics.score(0, 4 * BAR, 120.0), text)) == 7

    dynamics = begun(words("a"), bars=4, max_steps=60)
    played_bass(dynamics)
    act(dynamics, C5, 24)
    while dynamics.states["clock"][0] < 4 * BAR:  # the shortest value that is legal
        value = np.flatnonzero(dynamics.masks[0, dynamics.whats :])[0]
        assert dynamics.step(np.array([[REST, value]])).all()
    assert dynamics.states["steps"][0] <= 60


def test_a_piano_without_the_voice() -> None:
    with pytest.raises(LyricsError, match=r"the soprano sings 60\.\.79, the piano has the keys 21\.\.50"):
        begun(words("a"), piano=Piano(highest=50))


def test_begin_is_not_for_songs() -> None:
    with pytest.raises(TypeError, match="begin_songs"):
        begun(words("a")).begin([0], ticks_per_bar=BAR, end_tick=BAR)


PIANOS = [
    PIANO,
    Piano(lowest=48, highest=72, values=(12, 24)),
    Piano(lowest=60, max_sounding=1),
    Piano(hand_span=3, fingers_per_hand=1),
    Piano(max_sounding=2, values=(1, 48), chords=()),
    Piano(velocities=(40, 80)),
]


@settings(max_examples=30)
@given(
    st.lists(st.lists(st.sampled_from(["a", "B", "c_", "d-E"]), min_size=1, max_size=6), min_size=1, max_size=4),
    st.sampled_from(sorted(VOICES)),
    st.sampled_from(PIANOS),
    st.sampled_from([48, 72, 96]),
    st.integers(0, 3),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_random_play_sings_the_words_whatever_the_instrument(
    lines: list[list[str]], voice: str, piano: Piano, bar: int, more: int, seed: int, legal: bool
) -> None:
    """The mask is never empty, the words always end, and `underlay` gives them back; also of illegal actions."""
    text = words(" / ".join(" ".join(line) for line in lines))
    rng = np.random.default_rng(seed)
    least = SongDynamics([text], voice, None, 1, piano, 10_000).schedule(0, bar).bars
    dynamics = SongDynamics([text], voice, least + more, 2, piano, 10_000)
    dynamics.begin_songs([0, 1], [rng, rng], ticks_per_bar=bar)
    end = int(dynamics.states["end_tick"][0])
    assert end == (least + more) * bar
    ends = np.cumsum(piano.nvec)[:-1]
    while (dynamics.states["clock"] < end).any():
        assert all(part.any(axis=1).all() for part in np.split(dynamics.masks, ends, axis=1))
        if legal:
            actions = dynamics.random_legal_actions(rng)
        else:
            actions = np.stack([rng.integers(size, size=2) for size in piano.nvec], axis=1)
        was_legal = dynamics.step(actions)
        assert was_legal.all() or not legal
    for i in range(2):
        check_song(dynamics, i, text, voice, end)


def check_song(dynamics: SongDynamics, i: int, text: Lyrics, voice: str, end: int) -> None:
    """The promises of the sung line, on a finished song."""
    piano, windows = dynamics.piano, dynamics.schedule(0, int(dynamics.states["ticks_per_bar"][i]))
    score = dynamics.score(i, end, 120.0)
    sung = underlay(score, text, voice)
    low, high = voice_range(voice)
    assert ((sung.pitches >= low) & (sung.pitches <= high)).all()
    assert (np.abs(np.diff(sung.pitches)) <= LARGEST_LEAP).all()
    assert ((sung.onset_ticks >= windows.earliest) & (sung.onset_ticks <= windows.latest[:-1])).all()
    assert (sung.duration_ticks >= 12).all()
    offsets = sung.onset_ticks + sung.duration_ticks
    rests = sung.onset_ticks[1:] - offsets[:-1]
    assert (rests >= windows.rest_after[:-1]).all()
    inside = windows.rest_after[:-1] == 0
    assert (rests[inside] <= np.maximum(0, windows.earliest[1:] - offsets[:-1])[inside]).all()
    assert (score.notes["onset_tick"] < offsets[-1]).all()  # the piece ends with the words
    for tick in np.unique(score.notes["onset_tick"]):
        down = score.notes[(score.notes["onset_tick"] <= tick) & (tick < score.offset_ticks)]["pitch"]
        assert len(down) <= piano.max_sounding
        assert fits_two_hands(down.tolist(), piano.hand_span, piano.fingers_per_hand)
