"""The walk through the events of a track."""

import pytest

from helpers.midi_bytes import END, NOTE, OFF, ON, smf
from toccata.music.midi import MidiError
from toccata.music.midi.events import META, read_events


def events(track):
    return [(event.tick, event.status, event.data) for event in read_events(bytes.fromhex(track), 1)]


def test_running_status_goes_on_after_meta_and_system_events():
    track = "00 90 3c 50 60 3c 00 00 ff 01 01 41 00 40 50 00 f0 03 7e 09 f7 00 40 00 00 f8 00 41 50"
    assert [data[0] for _, status, data in events(track) if status == 0x90] == [0x3C, 0x3C, 0x40, 0x40, 0x41]


def test_ticks_are_sums_of_numbers_of_one_to_four_bytes():
    track = "00 f6 7f f6 81 00 f6 ff 7f f6 81 80 00 f6 ff ff 7f f6 81 80 80 00 f6 ff ff ff 7f f6 80 80 80 01 f6"
    deltas = [0, 2**7 - 1, 2**7, 2**14 - 1, 2**14, 2**21 - 1, 2**21, 2**28 - 1, 1]
    assert [tick for tick, _, _ in events(track)] == [sum(deltas[: n + 1]) for n in range(9)]


def test_nothing_is_read_after_the_end_of_the_track():
    assert events("00 ff 2f 00 de ad be ef") == [(0, META, b"\x2f")]
    assert events("00 ff 2f 01 55 00 90 3c 50") == [(0, META, b"\x2f\x55")]
    assert events("") == []


@pytest.mark.parametrize(
    "skipped",
    [
        "00 ff 00 01 01",  # sequence number of 1 byte instead of 2
        "00 ff 54 05 98 00 00 00 00",  # SMPTE offset with an impossible hour
        "00 ff 54 01 00",
        "00 ff 59 02 55 09",  # key signatures that do not exist
        "00 ff 59 00",
        "00 ff 59 05 00 00 00 00 00",
        "00 ff 20 00",
        "00 ff 21 00",
        "00 ff 2e 81 00" + " ff" * 128,
        "00 ff 03 04 ff fe 80 00",  # a name that is no text
        "00 ff 58 02 04 02",  # a time signature without what only metronomes need
        "00 ff 58 06 04 02 18 08 00 00",
        "00 f0 05 ff 59 02 90 f7",  # bytes of events in a system exclusive message
        "00 f0 02 43 12 81 00 f7 02 ff 2f 00 f7 01 f7",  # its continuation
        "00 f7 03 f3 01 00",
        "00 f1 00",
        "00 f2 00 00",
        "00 f3 00 00 f6 00 f8 00 f9 00 fe",
        "00 b0 07 64 00 a0 3c 10 00 d0 10 00 e0 00 40",
    ],
)
def test_events_that_nothing_needs_are_skipped(notes_of, skipped):
    data = smf(f"{skipped} {NOTE}")
    assert [row[1:] for row in notes_of(data)] == [(24, 60)]


def test_bytes_of_a_key_signature_in_a_delta_time(notes_of):
    track = f"{ON} {OFF} 00 b0 02 10 ff 59 02 20 00 90 40 50 83 60 80 40 40 {END}"
    assert notes_of(smf(track, kind=0)) == [(0, 24, 60), (841, 24, 64)]


def test_a_track_without_end_of_track(notes_of):
    assert notes_of(smf(f"{ON} {OFF}")) == [(0, 24, 60)]


@pytest.mark.parametrize(
    ("track", "reason"),
    [
        ("83 60 ff 51 02 07 a1", "track 2, tick 480: tempo event of 2 bytes, expected 3"),
        ("00 ff 51 04 07 a1 20 00", "track 2, tick 0: tempo event of 4 bytes, expected 3"),
        ("00 ff 51 03 00 00 00", "track 2, tick 0: has a tempo of 0 microseconds a beat"),
        ("00 ff 58 01 04", "track 2, tick 0: time signature of 1 bytes, expected 4"),
        ("00 3c 50", "track 2, tick 0: byte 0x3C where an event must begin"),
        ("00 f4", "track 2, tick 0: event 0xF4 is not defined"),
        ("00 90 3c d0", "track 2, tick 0: event 0x90 has the data bytes 3c d0, expected 00..7f"),
        ("00 c0 80", "track 2, tick 0: event 0xC0 has the data bytes 80, expected 00..7f"),
        ("00 90 3c", "track 2, tick 0: event 0x90 is longer than its track by 1 bytes"),
        ("00 ff 01 05 41", "track 2, tick 0: event 0xFF is longer than its track by 4 bytes"),
        ("00 f0 05 41", "track 2, tick 0: event 0xF0 is longer than its track by 4 bytes"),
        ("00 f6 60", "track 2, tick 96: its track ends within an event"),
        ("00 ff 01", "track 2, tick 0: its track ends within an event"),
        ("81", "track 2, tick 0: its track ends within an event"),
        ("80 80 80 80 00 f6", "track 2, tick 0: a number of more than 4 bytes"),
        ("00 ff 01 ff ff ff ff 7f", "track 2, tick 0: a number of more than 4 bytes"),
    ],
)
def test_damaged_events_are_named(notes_of, track, reason):
    with pytest.raises(MidiError) as error:
        notes_of(smf(NOTE, track))
    assert str(error.value).endswith(f"file.mid: is damaged: {reason}")


def test_a_time_signature_with_an_absurd_denominator_is_ignored(notes_of):
    assert notes_of(smf(f"00 ff 58 04 04 ff 18 08 {NOTE}")) == [(0, 24, 60)]
