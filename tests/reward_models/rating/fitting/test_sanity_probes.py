"""Sanity probes and invariances: the probes, their scores, and the change of scores under transformations."""

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from toccata.music.score import Score
from toccata.music.sound.spectrogram import SAMPLE_RATE
from toccata.reward_models.rating.fitting.sanity_probes import (
    BARS,
    TRANSPOSITIONS,
    invariance_errors,
    parse_melody,
    sanity_probes,
    score_probes,
    superpose,
)


@pytest.fixture(scope="module")
def probes():
    return sanity_probes()


def test_a_melody_from_note_names():
    assert parse_melody("C4 F#4:0.5 G4:2 A0 B5").notes.tolist() == [
        (0, 24, 60, 80),
        (24, 12, 66, 80),
        (36, 48, 67, 80),
        (84, 24, 21, 80),
        (108, 24, 83, 80),
    ]


def test_simultaneous_parts():
    both = superpose(parse_melody("C4 D4"), parse_melody("C3:8"))
    assert set(both.notes.tolist()) == {(0, 24, 60, 80), (24, 24, 62, 80), (0, 192, 48, 80)}
    assert both.length_ticks == 192


def test_probes_are_eight_bars(probes):
    for name, piece in probes.items():
        if isinstance(piece, Score):
            assert piece.bars == BARS, name
            assert not len(piece) or 21 <= piece.notes["pitch"].min() <= piece.notes["pitch"].max() <= 108
        else:
            assert piece.shape == (16 * SAMPLE_RATE,) and piece.dtype == np.float32 and np.abs(piece).max() <= 1


def test_each_kind_of_probe(probes):
    assert {"silence", "one note", "white noise", "cluster of all 88 keys", "random legal actions"} < set(probes)
    assert not len(probes["silence"]) and len(probes["one note"]) == 1
    assert len(probes["cluster of all 88 keys"].slice(0, 1)) == 88
    assert len(set(probes["one key, repeated"].notes["pitch"].tolist())) == 1
    onsets = np.bincount(probes["chorale in four parts"].notes["onset_tick"])
    assert set(onsets.tolist()) == {0, 4}
    assert (probes["Twinkle Twinkle, melody"].notes["pitch"][:4] == (60, 60, 67, 67)).all()


def test_probes_are_reproducible(probes):
    for first, second in zip(probes.values(), sanity_probes().values(), strict=True):
        np.testing.assert_array_equal(getattr(first, "notes", first), getattr(second, "notes", second))


def test_scores_and_recordings_have_scores(small_rating, probes):
    scores = score_probes(small_rating(), [probes["silence"], probes["white noise"], probes["one note"]])
    assert scores.shape == (3,) and np.isfinite(scores).all() and len(set(scores.tolist())) == 3


CHANGES = {f"transposed by {n:+d}" for n in TRANSPOSITIONS} | {"tempo +10 %", "tempo -10 %", "gain +6 dB", "gain -6 dB"}


def test_a_constant_rating_is_invariant(small_rating):
    model = small_rating()
    with torch.no_grad():
        for member in model.network:
            member.head.layers[-1].weight.fill_(0)
    changes = invariance_errors(model, [parse_melody("C4 E4 G4 C5"), Score(length_ticks=96)])
    assert set(changes) > CHANGES and len(changes) == len(CHANGES) + 2
    np.testing.assert_allclose(list(changes.values()), 0, atol=float32_rounding(64))


def test_changes_are_not_negative(small_rating):
    changes = invariance_errors(small_rating(), [parse_melody("C4 E4 G4 C5 A4 F4 D4 B3"), parse_melody("C4 D4:2 G4")])
    assert all(np.isfinite(value) and value >= 0 for value in changes.values())
    assert changes["transposed by +6"] > 1e-5 > changes["gain +6 dB"]


def test_padding_does_not_change_a_score(small_rating):
    changes = invariance_errors(small_rating(), [parse_melody("C4 E4 G4 C5 A4 F4 D4 B3")])
    assert changes["padding of the length of a window"] < 1e-4


@pytest.mark.parametrize("tempo_bpm", [4, 600])
def test_invariances_of_degenerate_scores(small_rating, tempo_bpm):
    wide = Score([(0, 24, 0, 80), (0, 24, 127, 80)], tempo_bpm=tempo_bpm)
    assert np.isfinite(list(invariance_errors(small_rating(), [wide]).values())).all()
