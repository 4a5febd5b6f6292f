"""A reader of bytes for the tests of MIDI files."""

from pathlib import Path

import pytest

from toccata.music.midi import read_midi


@pytest.fixture
def notes_of(tmp_path):
    """Onset tick, duration in ticks and pitch of the notes that are read from the bytes of a file."""

    def notes_of(data):
        path = Path(tmp_path / "file.mid")
        path.write_bytes(data)
        return [row[:3] for row in read_midi(path).notes.tolist()]

    return notes_of


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("midi")
