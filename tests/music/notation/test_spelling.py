"""Names of pitches."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from music21 import corpus

from toccata.music.musicxml import score_from_stream
from toccata.music.notation.keys import Key, keys
from toccata.music.notation.spelling import HIGHEST, LOWEST, key_alter, spelled, step_alter_octave
from toccata.music.score import Score

SIGNS = {-2: "bb", -1: "b", 0: "", 1: "#", 2: "##"}


def names(pitches, fifths, minor=False):
    score = Score([(24 * index, 24, pitch, 80) for index, pitch in enumerate(pitches)])
    found = spelled(score, [Key(0, fifths, minor)]).tolist()
    named = [step_alter_octave(pitch, position) for pitch, position in zip(pitches, found, strict=True)]
    return " ".join(step + SIGNS[alter] for step, alter, _ in named)


@pytest.mark.parametrize(
    ("pitches", "fifths", "expected"),
    [
        ((68, 70, 72, 73, 75, 77, 79, 80), -4, "Ab Bb C Db Eb F G Ab"),
        ((66, 68, 70, 71, 73, 75, 77, 78), 6, "F# G# A# B C# D# E# F#"),
        ((57, 59, 60, 62, 64, 65, 68, 69), 0, "A B C D E F G# A"),  # A minor: its leading tone is raised
        ((60, 62, 63, 65, 67, 68, 71, 72), -3, "C D Eb F G Ab B C"),
        ((60, 64, 67, 66, 67, 64, 60), 0, "C E G F# G E C"),
        ((60, 64, 67, 70, 69, 65, 60), 0, "C E G Bb A F C"),
    ],
)
def test_scales(pitches, fifths, expected):
    assert names(pitches, fifths) == expected


def test_octaves():
    assert step_alter_octave(60, 0) == ("C", 0, 4)
    assert step_alter_octave(60, 12) == ("B", 1, 3)
    assert step_alter_octave(59, -7) == ("C", -1, 4)
    with pytest.raises(ValueError, match="MIDI pitch 61"):
        step_alter_octave(61, 0)


def test_alterations_of_a_signature():
    assert [key_alter(step, 2) for step in "FCGDAEB"] == [1, 1, 0, 0, 0, 0, 0]
    assert [key_alter(step, -3) for step in "FCGDAEB"] == [0, 0, 0, 0, -1, -1, -1]
    assert {key_alter(step, 7) for step in "FCGDAEB"} == {1}
    assert {key_alter(step, -7) for step in "FCGDAEB"} == {-1}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 2), st.integers(0, 127)), max_size=30), st.integers(-7, 7))
def test_every_name_is_the_pitch(pitches, fifths):
    score = Score([(index, 1, pitch, 80) for index, pitch in enumerate(pitches)])
    for (_, _, pitch, _), position in zip(
        score.notes.tolist(), spelled(score, [Key(0, fifths, False)]).tolist(), strict=True
    ):
        assert LOWEST <= position <= HIGHEST
        assert -1 <= step_alter_octave(pitch, position)[2] <= 9


@pytest.mark.parametrize("name", ["bach/bwv66.6", "bach/bwv227.7"])
def test_chorales_are_spelled_as_their_source(name):
    stream = corpus.parse(name)
    score = score_from_stream(stream)
    source = {}
    for note in stream.flatten().notes:
        source.setdefault(note.pitch.midi, set()).add((note.pitch.step, int(note.pitch.alter)))
    positions = spelled(score, keys(score)).tolist()
    found = [
        step_alter_octave(p, at)[:2] in source[p]
        for p, at in zip(score.notes["pitch"].tolist(), positions, strict=True)
    ]
    assert sum(found) >= 0.98 * len(found)
