"""The sustain pedal."""

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.music import Score
from toccata.music.midi import MidiError, read_midi
from toccata.music.midi.pedal import PedalEvent, pedal_spans, sounding_end


def played(path, *events, resolution=24):
    """The path of a file of one track of (tick, message), sorted by tick; the track ends with the last."""
    midi, track, now = mido.MidiFile(ticks_per_beat=resolution), mido.MidiTrack(), 0
    for tick, message in sorted(events, key=lambda event: event[0]):
        track.append(message.copy(time=tick - now))
        now = tick
    midi.tracks.append(track)
    midi.save(path)
    return path


def note(start, end, pitch=60, channel=0):
    return (
        (start, mido.Message("note_on", note=pitch, velocity=80, channel=channel)),
        (end, mido.Message("note_off", note=pitch, channel=channel)),
    )


def control(tick, value, number=64, channel=0):
    return tick, mido.Message("control_change", control=number, value=value, channel=channel)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([*note(0, 24), control(12, 127), control(72, 0)], [(0, 72, 60)]),
        ([*note(0, 24), control(12, 64), control(72, 63)], [(0, 72, 60)]),  # half pedal
        ([*note(0, 24), control(12, 63)], [(0, 24, 60)]),
        ([*note(0, 24), control(12, 127), control(24, 0)], [(0, 24, 60)]),  # goes up with the key
        ([*note(0, 24), control(24, 127), control(72, 0)], [(0, 24, 60)]),  # goes down with the key's release
        ([*note(0, 24), control(0, 127), control(12, 127), control(72, 0)], [(0, 72, 60)]),  # down twice
        ([*note(0, 24), control(0, 127), *note(48, 60, 62)], [(0, 60, 60), (48, 12, 62)]),  # never up: end of the track
        ([*note(0, 24), *note(48, 60), control(0, 127), control(96, 0)], [(0, 48, 60), (48, 48, 60)]),  # struck again
        (
            [*note(0, 24), *note(0, 24, 64, 1), control(0, 127), control(96, 0)],
            [(0, 96, 60), (0, 24, 64)],
        ),  # by channel
        ([*note(0, 24), control(0, 127), control(48, 0, 121)], [(0, 48, 60)]),  # reset all controllers
        ([*note(0, 24), control(0, 127), control(48, 0, 123)], [(0, 48, 60)]),  # all notes off
        ([*note(0, 24), control(0, 127, 66), control(96, 0, 66)], [(0, 24, 60)]),  # the sostenuto pedal
    ],
)
def test_the_pedal_extends_notes(tmp_path, events, expected):
    path = played(tmp_path / "a.mid", *events)
    assert [row[:3] for row in Score.from_midi(path, pedal="extend").notes.tolist()] == expected
    ignored = {(start, pitch): duration for start, duration, pitch, _ in Score.from_midi(path).notes.tolist()}
    assert all(ignored[start, pitch] <= duration for start, duration, pitch in expected)


def test_pedals_of_several_tracks(tmp_path):
    path = tmp_path / "a.mid"
    midi = mido.MidiFile(ticks_per_beat=24)
    midi.tracks += [mido.MidiTrack([message for _, message in note(0, 0)]), mido.MidiTrack([control(0, 127)[1]])]
    midi.tracks[0][1].time = 24
    midi.tracks[1].append(control(0, 0)[1].copy(time=60))
    midi.save(path)
    assert read_midi(path, pedal="extend").notes["duration_ticks"].tolist() == [60]


def test_other_values_are_an_error(tmp_path):
    with pytest.raises(MidiError, match=r"a\.mid: pedal must be ignore or extend, got 'on'"):
        read_midi(played(tmp_path / "a.mid", *note(0, 24)), pedal="on")


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans())), st.integers(0, 60))
def test_a_note_ends_when_key_and_pedal_are_up(moves, end):
    events = [PedalEvent(tick, 1, order, down) for order, (tick, down) in enumerate(sorted(moves, key=lambda m: m[0]))]
    spans = pedal_spans(events, 60)
    assert spans == sorted(spans)
    sounding = sounding_end(end, spans)
    is_down = [any(down < tick < up for down, up in spans) for tick in range(62)]
    assert sounding == next(tick for tick in range(end, 62) if not is_down[tick])
