"""Augmentation of scores: which properties vary, and that the melody is kept."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.music.score import Score
from toccata.reward_models.rating.fitting.augmentation import (
    HIGHEST,
    LOWEST,
    TEMPO_RATIOS,
    VELOCITIES,
    add_accompaniment,
    augment,
    delay,
    repeat,
    transpose_into_range,
)
from toccata.reward_models.rating.fitting.sanity_probes import parse_melody, sanity_probes
from toccata.reward_models.rating.fitting.synthetic import random_melody

TUNE = parse_melody("C4 E4 G4 C5 B4 G4 F4 D4")
SEEDS = st.integers(0, 10_000)


def melody_of(score):
    """Intervals and gaps of the highest notes: the melody up to transposition and accompaniment."""
    onsets, last = np.unique(score.notes["onset_tick"][::-1], return_index=True)
    top = score.notes[::-1][last]  # sorted by onset, then pitch: the last of an onset is highest
    return np.diff(top["pitch"]).tolist(), np.diff(onsets).tolist()


def has_melody(score, tune):
    """Whether a piece contains this melody, perhaps transposed, delayed and accompanied."""
    intervals, gaps = melody_of(tune)
    notes = set(zip(score.notes["onset_tick"].tolist(), score.notes["pitch"].tolist(), strict=True))
    rhythm = np.concatenate([[0], np.cumsum(gaps)])
    contour = np.concatenate([[0], np.cumsum(intervals)])
    starts = [(int(onset), int(pitch)) for onset, pitch in notes]
    return any(
        all((onset + int(o), pitch + int(p)) in notes for o, p in zip(rhythm, contour, strict=True))
        for onset, pitch in starts
    )


@given(SEEDS)
def test_an_augmented_copy_keeps_the_melody(seed):
    rng = np.random.default_rng(seed)
    tune = random_melody(rng)
    if not len(tune):
        return
    augmented = augment(tune, rng)
    assert has_melody(augmented, tune)
    assert LOWEST <= augmented.notes["pitch"].min() <= augmented.notes["pitch"].max() <= HIGHEST
    assert augmented.tempo_bpm / tune.tempo_bpm == pytest.approx(
        min(TEMPO_RATIOS, key=lambda ratio: abs(ratio - augmented.tempo_bpm / tune.tempo_bpm)), rel=1e-3
    )


def test_augmented_copies_are_diverse():
    rng = np.random.default_rng(0)
    augmented = [augment(TUNE, rng) for _ in range(300)]
    assert {score.tempo_bpm for score in augmented} == {120 * ratio for ratio in TEMPO_RATIOS}
    assert {v for score in augmented for v in score.notes["velocity"].tolist()} == set(VELOCITIES)
    assert len({int(score.notes["pitch"].max()) % 12 for score in augmented}) == 12
    longer = np.mean([score.length_seconds * score.tempo_bpm > 1.5 * 16 * 60 / 2 for score in augmented])
    thicker = np.mean([len(score) not in (8, 16) for score in augmented])
    later = np.mean([score.notes["onset_tick"].min() > 0 for score in augmented])
    assert 0.15 < longer < 0.35 and 0.35 < thicker < 0.65 and 0.2 < later < 0.4


def test_polyphony_is_only_transposed_delayed_and_changed_in_tempo():
    chorale = sanity_probes()["chorale in four parts"]
    for seed in range(20):
        augmented = augment(chorale, np.random.default_rng(seed))
        shift = int(augmented.notes["pitch"][0]) - int(chorale.notes["pitch"][0])
        later = int(augmented.notes["onset_tick"][0])
        np.testing.assert_array_equal(delay(chorale.transpose(shift), later / 24).notes, augmented.notes)


@pytest.mark.parametrize(
    "score", [Score(), Score(length_ticks=192), parse_melody("C4"), parse_melody("A0"), parse_melody("C8 C8")]
)
def test_degenerate_scores_can_be_augmented(score):
    for seed in range(20):
        augmented = augment(score, np.random.default_rng(seed))
        assert len(augmented) >= len(score)


@pytest.mark.parametrize("tempo_bpm", [4.0, 600.0])
def test_scores_at_the_tempo_limits_can_be_augmented(tempo_bpm):
    for seed in range(20):
        augment(replace(TUNE, tempo_bpm=tempo_bpm), np.random.default_rng(seed))


@pytest.mark.parametrize("pitches", [(0, 127), (10, 120), (0, 100), (20, 109)])
def test_scores_wider_than_the_piano_are_not_transposed(pitches):
    score = Score([(0, 24, pitches[0], 80), (0, 24, pitches[1], 80)])
    for semitones in range(-18, 19):
        assert transpose_into_range(score, semitones) == score
    for seed in range(5):
        augment(score, np.random.default_rng(seed))


def test_scores_as_wide_as_the_piano_can_be_transposed():
    for width in (76, 77, 82, 87):
        for lowest in range(128 - width):
            score = Score([(0, 24, lowest, 80), (0, 24, lowest + width, 80)])
            for semitones in range(-18, 19):
                assert len(transpose_into_range(score, semitones)) == 2


# Single transformations


def test_delay():
    later = delay(TUNE, 0.5)
    assert (later.notes["onset_tick"] - TUNE.notes["onset_tick"] == 12).all()
    assert later.length_ticks == TUNE.length_ticks + 12
    assert delay(TUNE, 0) == TUNE


@pytest.mark.parametrize("times", [1, 2, 5])
def test_repeat(times):
    repeated = repeat(TUNE, times)
    assert repeated.length_ticks == times * TUNE.length_ticks and len(repeated) == times * len(TUNE)
    for index in range(times):
        part = repeated.slice(index * TUNE.length_ticks, (index + 1) * TUNE.length_ticks)
        np.testing.assert_array_equal(part.notes, TUNE.notes)


@given(st.lists(st.integers(21, 108), min_size=1, max_size=5), st.integers(-60, 60))
def test_transposed_scores_are_in_the_range_of_the_piano(pitches, semitones):
    score = Score([(24 * beat, 24, pitch, 80) for beat, pitch in enumerate(pitches)])
    moved = transpose_into_range(score, semitones)
    if np.ptp(pitches) + 11 <= HIGHEST - LOWEST:
        assert LOWEST <= moved.notes["pitch"].min() <= moved.notes["pitch"].max() <= HIGHEST
    shift = moved.notes["pitch"].astype(int) - score.notes["pitch"]
    assert (shift == shift[0]).all() and (shift[0] - semitones) % 12 == 0


def test_octave_shifts_are_minimal():
    assert transpose_into_range(parse_melody("C4"), 3) == parse_melody("C4").transpose(3)
    assert transpose_into_range(parse_melody("C8"), 3) == parse_melody("C8").transpose(-9)
    assert transpose_into_range(parse_melody("A0"), -1) == parse_melody("A0").transpose(11)
    assert transpose_into_range(Score(length_ticks=9), 5) == Score(length_ticks=9)


@given(SEEDS, st.integers(0, 100))
def test_an_accompaniment_is_below_the_melody(seed, texture):
    tune = random_melody(np.random.default_rng(seed))
    accompanied = add_accompaniment(tune, np.random.default_rng(texture))
    assert set(tune.notes.tolist()) <= set(accompanied.notes.tolist())
    assert accompanied.length_ticks == tune.length_ticks
    for onset, duration, pitch, _ in set(accompanied.notes.tolist()) - set(tune.notes.tolist()):
        sounding = (tune.notes["onset_tick"] < onset + duration) & (tune.offset_ticks > onset)
        assert pitch >= LOWEST and (tune.notes["pitch"][sounding] > pitch).all()


def test_an_accompaniment_is_in_the_key_of_the_melody():
    scale = {0, 2, 4, 5, 7, 9, 11}
    for seed in range(30):
        accompanied = add_accompaniment(
            parse_melody("C4 D4 E4 F4 G4 A4 B4 C5 B4 G4 E4 C4"), np.random.default_rng(seed)
        )
        assert len(accompanied) > 12
        assert set((accompanied.notes["pitch"] % 12).tolist()) <= scale


@pytest.mark.parametrize("score", [Score(), Score(length_ticks=96), parse_melody("A0 A0"), parse_melody("C4:0.5")])
def test_degenerate_scores_can_be_accompanied(score):
    for seed in range(10):
        accompanied = add_accompaniment(score, np.random.default_rng(seed))
        assert set(score.notes.tolist()) <= set(accompanied.notes.tolist())
