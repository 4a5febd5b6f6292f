"""The vocabulary of the piano, names of its actions, and limits of its fields."""

from itertools import pairwise

import numpy as np
import pytest

from toccata.envs import Piano
from toccata.envs.instrument import QUALITIES, note_name

PIANO = Piano()


def test_the_default_vocabulary() -> None:
    assert PIANO.keys == 88
    assert PIANO.chord_pitches.shape == (22 * 12, 4)  # 22 shapes on each of C3-B3
    assert PIANO.nvec == (353, 13)


def test_chords_are_ascending_close_and_distinct() -> None:
    chords = [PIANO.pitches_of(what) for what in range(89, 353)]
    assert len(set(chords)) == 264
    assert all(a < b for chord in chords for a, b in pairwise(chord))
    assert {chord[0] for chord in chords} == set(range(48, 60))
    assert all(chord[-1] - chord[0] < 12 for chord in chords)
    c_major = {name: PIANO.chord_index[pitches] for name, pitches in {"root": (48, 52, 55)}.items()}
    assert PIANO.pitches_of(c_major["root"]) == (48, 52, 55)


@pytest.mark.parametrize("name", QUALITIES)
def test_every_quality_is_in_every_inversion(name: str) -> None:
    steps = QUALITIES[name]
    chords = {tuple((p - chord[0]) % 12 for p in chord) for chord in map(PIANO.pitches_of, range(89, 353))}
    for lowest in steps:
        assert tuple(sorted((step - lowest) % 12 for step in steps)) in chords


def test_keys_and_chords_are_inverses_of_their_pitches() -> None:
    for pitch in range(21, 109):
        assert PIANO.pitches_of(PIANO.key_of(pitch)) == (pitch,)
    for what in range(89, 353):
        assert PIANO.chord_index[PIANO.pitches_of(what)] == what
    assert PIANO.pitches_of(0) == ()


def test_descriptions_of_actions() -> None:
    assert PIANO.describe((0, 8)) == "rest 24"
    assert PIANO.describe(np.array([PIANO.key_of(60), 0])) == "C4 for 1"
    assert PIANO.describe((PIANO.chord_index[48, 52, 55], 10)) == "C3+E3+G3 for 48"
    assert [note_name(pitch) for pitch in (0, 21, 70, 127)] == ["C-1", "A0", "Bb4", "G9"]


def test_a_small_piano_has_the_chords_that_its_keys_and_hands_allow() -> None:
    assert Piano(lowest=60, highest=72).nvec == (14, 13)
    assert all(55 <= p <= 66 for row in Piano(lowest=55, highest=66).chord_pitches for p in row if p > 0)
    assert {len(Piano(fingers_per_hand=3).pitches_of(what)) for what in range(89, 89 + 12)} == {3}
    assert len(Piano(fingers_per_hand=3).chord_pitches) == len(Piano(max_sounding=3).chord_pitches) == 10 * 12
    assert len(Piano(hand_span=5).chord_pitches) == 0
    assert Piano(chords=[]).nvec == (89, 13)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("lowest", -1, "keys must satisfy 0 <= lowest"),
        ("highest", 21, "got 21 and 21"),
        ("highest", 128, "highest <= 127"),
        ("chords", ("maj", "sus4"), "unknown chord quality 'sus4'; there are maj, min"),
        ("values", (), "ascending positive ticks"),
        ("values", (0, 1), "ascending positive ticks"),
        ("values", (6, 6), "ascending positive ticks"),
        ("values", (4, 6), "multiples of the smallest, 4"),
        ("max_sounding", 0, "max_sounding must be in 1..32, got 0"),
        ("hand_span", -1, "hand_span must be in 0..127"),
        ("fingers_per_hand", 33, "fingers_per_hand must be in 1..32, got 33"),
        ("velocities", (), "velocities must be ascending and in 1..127, or None, got "),
        ("velocities", (0, 80), "velocities must be ascending and in 1..127"),
        ("velocities", (64, 128), r"got \(64, 128\)"),
        ("velocities", (80, 64), "velocities must be ascending"),
        ("velocities", (64, 64), "velocities must be ascending"),
        ("velocities", (64, 80.5), r"velocities must be whole numbers, got \(64, 80.5\)"),
        ("values", (1, 3.5), r"values must be whole numbers of ticks, got \(1, 3.5\)"),
    ],
)
def test_bad_fields_are_named(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Piano(**{field: value})


def test_bad_pitches_and_actions_are_named() -> None:
    with pytest.raises(ValueError, match=r"pitch must be in 21\.\.108, got 20"):
        PIANO.key_of(20)
    with pytest.raises(ValueError, match=r"what must be in 0\.\.352, got 353"):
        PIANO.pitches_of(353)


def test_velocities_are_a_third_dimension() -> None:
    piano = Piano(velocities=[40, 80])  # type: ignore[arg-type]  # a list becomes a tuple
    assert piano.nvec == (353, 13, 2)
    assert piano == Piano(velocities=(40, 80)) != PIANO
    assert piano.describe((piano.key_of(60), 8, 1)) == "C4 for 24 at 80"
    assert piano.describe((0, 8, 1)) == "rest 24"
    assert PIANO.velocities is None


def test_pianos_compare_by_value() -> None:
    assert Piano() == Piano(lowest=21) != Piano(lowest=22)
    assert len({Piano(), Piano(values=[1, 3, 4, 6, 8, 12, 16, 18, 24, 36, 48, 72, 96])}) == 1  # type: ignore[arg-type]
