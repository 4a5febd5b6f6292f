"""Which note-on and note-off events make which notes."""

import pytest

from helpers.midi_bytes import END, smf

ON, OFF = "90 3c 50", "80 3c 40"  # middle C


@pytest.mark.parametrize(
    ("track", "notes"),
    [
        # Struck, released within one tick of the grid, struck again: the long note counts, in any order of the offs.
        (f"00 {ON} 00 {OFF} 00 {ON} 83 60 {OFF}", [(0, 24)]),
        (f"00 {ON} 04 {OFF} 04 {ON} 83 58 {OFF}", [(0, 24)]),
        (f"00 {ON} 00 {ON} 04 {OFF} 83 5c {OFF}", [(0, 24)]),
        (f"00 {ON} 83 60 {ON} 1e {OFF} 83 42 {OFF}", [(0, 24), (24, 24)]),  # struck again while it sounds: legato
        (f"00 {ON} 83 60 {ON} 83 60 {ON} 1e {OFF} 83 42 {OFF} 83 60 {OFF}", [(0, 24), (24, 24), (48, 48)]),
        (f"00 {ON} 83 60 90 3c 00", [(0, 24)]),  # a note-on of velocity 0 is a note-off
        (f"00 {ON} 00 {OFF}", [(0, 1)]),
        (f"00 {OFF} 00 {ON} 83 60 {OFF} 83 60 {OFF}", [(0, 24)]),  # note-offs of keys that are up
        (f"00 {ON} 83 60 {OFF} 00 {ON} 87 40", [(0, 24), (24, 48)]),  # no note-off: until the track ends
        # One note-off for a unison: the notes after it are not moved by one.
        (f"00 {ON} 00 {ON} 83 60 {OFF} 83 60 {ON} 83 60 {OFF} 83 60", [(0, 24), (48, 24)]),
        # The note-off before the note-on of a note without length, as music21 writes it.
        (f"00 {OFF} 00 {ON} 83 60 {ON} 83 60 {OFF} 83 60 {ON} 83 60 {OFF}", [(0, 1), (24, 24), (72, 24)]),
        (f"00 {OFF} 00 {ON} 83 60 {OFF} 00 {OFF} 00 {ON} 83 60 {OFF}", [(0, 24), (24, 24)]),  # a note-off for safety
    ],
)
def test_pairs(notes_of, track, notes):
    track += f" {END}" if not track.endswith(("87 40", "83 60")) else " ff 2f 00"
    assert [row[:2] for row in notes_of(smf(track))] == notes


def test_many_notes_of_one_key_without_an_end(notes_of):
    track = bytes.fromhex("00 90 3c 50") + bytes.fromhex("14 3c 50") * 20_000
    assert len(notes_of(smf(track))) == 20_001


@pytest.mark.parametrize(
    ("tracks", "notes"),
    [
        # Two hands on one channel: each ends its own notes.
        ([f"00 {ON} 87 40 {OFF}", f"83 60 {ON} 1e {OFF}"], [(0, 24), (24, 2)]),
        ([f"00 {ON} 83 60 {OFF}", f"00 {ON} 87 40 {OFF}"], [(0, 48)]),
        # A note that begins in one track and ends in the other.
        ([f"00 {ON} 8f 00 ff 2f 00", f"83 60 {OFF}"], [(0, 24)]),
        ([f"83 60 {OFF}", f"00 {ON} 8f 00 ff 2f 00"], [(0, 24)]),
        # A note-off too many in one track ends no note of the other.
        ([f"00 {ON} 87 40 {OFF}", f"83 60 {OFF}"], [(0, 48)]),
        # Channels are apart.
        ([f"00 {ON} 00 91 3c 50 83 60 {OFF} 83 60 81 3c 40"], [(0, 48)]),
    ],
)
def test_tracks_and_channels(notes_of, tracks, notes):
    assert [row[:2] for row in notes_of(smf(*tracks))] == notes


@pytest.mark.parametrize(
    ("tracks", "pitches"),
    [
        (["00 c3 7d", "00 93 5a 50 60 83 5a 40"], []),  # a sound effect, set by another track
        (["00 93 5a 50 60 83 5a 40", "00 c3 7d"], []),  # by a later one, at the same tick
        (["60 93 5a 50 60 83 5a 40", "30 c3 7d"], []),
        (["00 c3 7d", "00 93 5a 50 60 83 5a 40 00 c3 00 00 93 5b 50 60 83 5b 40"], [0x5B]),
        (["00 c3 7d 00 c3 00", "00 93 5a 50 60 83 5a 40"], [0x5A]),  # the last one counts
        (["00 c3 7d", "00 90 3c 50 60 80 3c 40"], [60]),  # another channel
        ([f"00 {ON} 00 c0 7d 60 {OFF}"], [60]),  # after its note-on
        ([f"00 {ON} 30 c0 7d 30 {OFF} 00 {ON} 60 {OFF}"], [60]),  # while it sounds
        (["00 c0 7d 00 90 3c 50 00 c0 00 60 80 3c 40"], []),
        (["00 99 3c 50 60 89 3c 40"], []),  # drums
        (["00 ff 21 01 01 00 c3 7d", "00 93 5a 50 60 83 5a 40"], [0x5A]),  # another port has other channels
        (["00 ff 21 01 01 00 c3 7d", "00 ff 21 01 01 00 93 5a 50 60 83 5a 40"], []),
        (["00 ff 21 01 01 00 99 3c 50 60 89 3c 40"], []),  # and drums of its own
        (["00 c0 6f 00 90 3c 50 60 80 3c 40"], [60]),
        (["00 c0 70 00 90 3c 50 60 80 3c 40"], []),
    ],
)
def test_the_program_is_that_of_the_channel_at_note_on(notes_of, tracks, pitches):
    assert [row[2] for row in notes_of(smf(*tracks))] == pitches
