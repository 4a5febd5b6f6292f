"""Damaged files: each is a score or one clear error."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.midi_bytes import NOTE, OTHER_NOTE, smf
from toccata.music.midi import MidiError, read_midi, write_midi
from toccata.music.score import Score

CONDUCTOR = (
    "00 ff 51 03 0a 2c 2a 00 ff 58 04 01 02 18 08 83 60 ff 58 04 03 02 18 08 8f 00 ff 51 03 0c b7 35 00 ff 2f 00"
)
PIANO = (
    "00 ff 21 01 00 00 c0 00 00 90 3c 50 00 40 50 30 3c 00 30 3c 50 60 40 00 00 f0 03 7e 09 f7 00 b0 40 7f 60 80 3c 40"
)
PARTS = [bytes.fromhex(text) for text in ("ff 51", "ff 58", "ff 2f", "ff ff ff ff", "f0", "90", "c0", "00 00 00 00")]
PARTS += [b"MTrk", b"MThd", b"toccata ticks_per_beat=", b"toccata end"]


def mutant(data, source):
    """The data with bytes changed, inserted, deleted or repeated."""
    data = bytearray(data)
    for _ in range(source.choice((1, 1, 2, 3, 6))):
        at, length = source.randrange(len(data) + 1), source.choice((1, 2, 4, 30))
        end = at + length
        kind = source.randrange(6)
        if kind == 0:
            data[at : at + 1] = source.randbytes(1)
        elif kind == 1:
            data[at:at] = source.randbytes(length)
        elif kind == 2:
            del data[at:end]
        elif kind == 3:
            data[at:at] = data[at:end]
        elif kind == 4:
            data[at:end] = data[: end - at]
        else:
            data[at:at] = source.choice(PARTS)
    return bytes(data)


def mutated_files(count, seed):
    """Files damaged anywhere, and files with whole chunks whose events are damaged."""
    source = random.Random(seed)
    tracks = [bytes.fromhex(track) for track in (CONDUCTOR, PIANO, NOTE, OTHER_NOTE)]
    whole = smf(*tracks)
    riff = b"RIFF\0\0\0\0RMIDdata" + len(whole).to_bytes(4, "little") + whole
    for _ in range(count):
        yield mutant(source.choice((whole, riff)), source)
        damaged = source.randrange(len(tracks))
        yield smf(*[mutant(track, source) if n == damaged else track for n, track in enumerate(tracks)])


@pytest.mark.parametrize("count", [250, pytest.param(3_000, marks=pytest.mark.slow)])
def test_mutated_files_are_scores_or_midi_errors(tmp_path, count):
    path = tmp_path / "mutant.mid"
    read = 0
    for index, data in enumerate(mutated_files(count, seed=count)):
        path.write_bytes(data)
        options = {"pedal": "extend", "beats": "track"} if index % 4 == 0 else {}
        try:
            assert isinstance(read_midi(path, **options), Score)
            read += 1
        except MidiError as error:
            assert str(error).startswith(f"{path}: ")
            assert len(str(error)) < len(str(path)) + 200
            assert "\n" not in str(error)
    assert read > count / 4  # the mutations leave some files readable


def test_mutated_files_of_ours(tmp_path):
    path, source = tmp_path / "ours.mid", random.Random(0)
    write_midi(Score([(8 * n, 12, 40 + n, 80) for n in range(20)], beats_per_bar=1 / 3, length_ticks=1000), path)
    data = path.read_bytes()
    for _ in range(200):
        path.write_bytes(mutant(data, source))
        try:
            read_midi(path)
        except MidiError as error:
            assert str(error).startswith(f"{path}: ")


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_random_bytes_in_a_track(folder, data):
    path = folder / "bytes.mid"
    path.write_bytes(smf(data, kind=0))
    try:
        read_midi(path)
    except MidiError as error:
        assert str(path) in str(error)
