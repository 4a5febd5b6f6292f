"""The text events of our own files."""

import pytest

from toccata.music.midi import MidiError
from toccata.music.midi.own_text import header_text, parse_header


@pytest.mark.parametrize("fields", [(24, None), (960, 1 / 960), (1, 1200.0), (480, 1 / 3)])
def test_parsing_inverts_writing(fields):
    assert parse_header(header_text(*fields)) == fields


@pytest.mark.parametrize(
    "text",
    [
        "toccata ticks_per_beat=",
        "toccata ticks_per_beat=1.5",
        "toccata ticks_per_beat=24 beats_per_bar=1.2.3",
        "toccata ticks_per_beat=24 beats_per_bar=nan",
        "toccata ticks_per_beat=24\n",
        "toccata ticks_per_beat=²",
        "toccata ticks_per_beat=" + "9" * 5000,
    ],
)
def test_other_texts_are_named(text):
    with pytest.raises(MidiError, match=r"^text event 'toccata ticks_per_beat=[^\n]{0,100}, expected") as error:
        parse_header(text)
    assert len(str(error.value)) < 200
