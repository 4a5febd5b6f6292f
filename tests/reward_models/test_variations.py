"""The same piece for the transcriber: what varies, and that its melody stays."""

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
    accompany,
    augment,
    delayed,
    repeated,
    transposed_into_range,
)
from toccata.reward_models.rating.fitting.sanity_probes import melody, sanity_probes
from toccata.reward_models.rating.fitting.synthetic import random_melody

TUNE = melody("C4 E4 G4 C5 B4 G4 F4 D4")
SEEDS = st.integers(0, 10_000)


def line(score):
    """Intervals and gaps of the highest notes: what a melody is in any key, with anything under it."""
    onsets, last = np.unique(score.notes["onset_tick"][::-1], return_index=True)
    top = score.notes[::-1][last]  # sorted by onset, then pitch: the last of an onset is the highest
    return np.diff(top["pitch"]).tolist(), np.diff(onsets).tolist()


def holds_the_melody(score, tune):
    """Whether a piece, perhaps transposed, delayed, repeated or accompanied, begins with this melody."""
    intervals, gaps = line(tune)
    notes = set(zip(score.notes["onset_tick"].tolist(), score.notes["pitch"].tolist(), strict=True))
    rhythm = np.concatenate([[0], np.cumsum(gaps)])
    contour = np.concatenate([[0], np.cumsum(intervals)])
    starts = [(int(onset), int(pitch)) for onset, pitch in notes]
    return any(
        all((onset + int(o), pitch + int(p)) in notes for o, p in zip(rhythm, contour, strict=True))
        for onset, pitch in starts
    )


@given(SEEDS)
def test_a_variation_keeps_the_melody(seed):
    rng = np.random.default_rng(seed)
    tune = random_melody(rng)
    if not len(tune):
        return
    varied = augment(tune, rng)
    assert holds_the_melody(varied, tune)
    assert LOWEST <= varied.notes["pitch"].min() <= varied.notes["pitch"].max() <= HIGHEST
    assert varied.tempo_bpm / tune.tempo_bpm == pytest.approx(
        min(TEMPO_RATIOS, key=lambda ratio: abs(ratio - varied.tempo_bpm / tune.tempo_bpm)), rel=1e-3
    )


def test_variations_vary():
    rng = np.random.default_rng(0)
    varied = [augment(TUNE, rng) for _ in range(300)]
    assert {score.tempo_bpm for score in varied} == {120 * ratio for ratio in TEMPO_RATIOS}
    assert {v for score in varied for v in score.notes["velocity"].tolist()} == set(VELOCITIES)
    assert len({int(score.notes["pitch"].max()) % 12 for score in varied}) == 12
    longer = np.mean([score.length_seconds * score.tempo_bpm > 1.5 * 16 * 60 / 2 for score in varied])
    thicker = np.mean([len(score) not in (8, 16) for score in varied])
    later = np.mean([score.notes["onset_tick"].min() > 0 for score in varied])
    assert 0.15 < longer < 0.35 and 0.35 < thicker < 0.65 and 0.2 < later < 0.4


def test_a_piece_of_many_voices_is_transposed_and_slowed_alone():
    chorale = sanity_probes()["chorale in four parts"]
    for seed in range(20):
        varied = augment(chorale, np.random.default_rng(seed))
        shift = int(varied.notes["pitch"][0]) - int(chorale.notes["pitch"][0])
        later = int(varied.notes["onset_tick"][0])
        np.testing.assert_array_equal(delayed(chorale.transpose(shift), later / 24).notes, varied.notes)


@pytest.mark.parametrize("score", [Score(), Score(length_ticks=192), melody("C4"), melody("A0"), melody("C8 C8")])
def test_hardly_anything_can_be_varied_too(score):
    for seed in range(20):
        varied = augment(score, np.random.default_rng(seed))
        assert len(varied) >= len(score)


@pytest.mark.parametrize("tempo_bpm", [4.0, 600.0])
def test_the_slowest_and_fastest_pieces_can_be_varied(tempo_bpm):
    for seed in range(20):
        augment(replace(TUNE, tempo_bpm=tempo_bpm), np.random.default_rng(seed))


@pytest.mark.parametrize("pitches", [(0, 127), (10, 120), (0, 100), (20, 109)])
def test_pieces_wider_than_a_piano_stay_where_they_are(pitches):
    score = Score([(0, 24, pitches[0], 80), (0, 24, pitches[1], 80)])
    for semitones in range(-18, 19):
        assert transposed_into_range(score, semitones) == score
    for seed in range(5):
        augment(score, np.random.default_rng(seed))


def test_pieces_as_wide_as_a_piano_can_be_varied():
    for width in (76, 77, 82, 87):
        for lowest in range(128 - width):
            score = Score([(0, 24, lowest, 80), (0, 24, lowest + width, 80)])
            for semitones in range(-18, 19):
                assert len(transposed_into_range(score, semitones)) == 2


# What is done to a score


def test_a_rest_before_a_piece():
    later = delayed(TUNE, 0.5)
    assert (later.notes["onset_tick"] - TUNE.notes["onset_tick"] == 12).all()
    assert later.length_ticks == TUNE.length_ticks + 12
    assert delayed(TUNE, 0) == TUNE


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_piece_again_and_again(times):
    again = repeated(TUNE, times)
    assert again.length_ticks == times * TUNE.length_ticks and len(again) == times * len(TUNE)
    for index in range(times):
        part = again.slice(index * TUNE.length_ticks, (index + 1) * TUNE.length_ticks)
        np.testing.assert_array_equal(part.notes, TUNE.notes)


@given(st.lists(st.integers(21, 108), min_size=1, max_size=5), st.integers(-60, 60))
def test_transposed_pieces_are_on_the_piano(pitches, semitones):
    score = Score([(24 * beat, 24, pitch, 80) for beat, pitch in enumerate(pitches)])
    moved = transposed_into_range(score, semitones)
    if np.ptp(pitches) + 11 <= HIGHEST - LOWEST:
        assert LOWEST <= moved.notes["pitch"].min() <= moved.notes["pitch"].max() <= HIGHEST
    shift = moved.notes["pitch"].astype(int) - score.notes["pitch"]
    assert (shift == shift[0]).all() and (shift[0] - semitones) % 12 == 0


def test_no_more_octaves_than_needed():
    assert transposed_into_range(melody("C4"), 3) == melody("C4").transpose(3)
    assert transposed_into_range(melody("C8"), 3) == melody("C8").transpose(-9)
    assert transposed_into_range(melody("A0"), -1) == melody("A0").transpose(11)
    assert transposed_into_range(Score(length_ticks=9), 5) == Score(length_ticks=9)


@given(SEEDS, st.integers(0, 100))
def test_an_accompaniment_stays_under_the_melody(seed, texture):
    tune = random_melody(np.random.default_rng(seed))
    accompanied = accompany(tune, np.random.default_rng(texture))
    assert set(tune.notes.tolist()) <= set(accompanied.notes.tolist())
    assert accompanied.length_ticks == tune.length_ticks
    for onset, duration, pitch, _ in set(accompanied.notes.tolist()) - set(tune.notes.tolist()):
        sounding = (tune.notes["onset_tick"] < onset + duration) & (tune.offset_ticks > onset)
        assert pitch >= LOWEST and (tune.notes["pitch"][sounding] > pitch).all()


def test_an_accompaniment_is_in_the_key_of_the_melody():
    scale = {0, 2, 4, 5, 7, 9, 11}
    for seed in range(30):
        accompanied = accompany(melody("C4 D4 E4 F4 G4 A4 B4 C5 B4 G4 E4 C4"), np.random.default_rng(seed))
        assert len(accompanied) > 12
        assert set((accompanied.notes["pitch"] % 12).tolist()) <= scale


@pytest.mark.parametrize("score", [Score(), Score(length_ticks=96), melody("A0 A0"), melody("C4:0.5")])
def test_what_has_no_room_under_it_is_left_alone(score):
    for seed in range(10):
        accompanied = accompany(score, np.random.default_rng(seed))
        assert set(score.notes.tolist()) <= set(accompanied.notes.tolist())
