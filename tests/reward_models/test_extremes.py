"""Pieces on which any rating should be seen, and changes that should not change it."""

import numpy as np
import pytest
import torch

from toccata.music.score import Score
from toccata.music.sound.spectrogram import SAMPLE_RATE
from toccata.reward_models.rating.fitting.sanity_probes import (
    BARS,
    TRANSPOSITIONS,
    invariances,
    melody,
    ratings,
    sanity_probes,
    together,
)


@pytest.fixture(scope="module")
def pieces():
    return sanity_probes()


def test_a_melody_from_names():
    assert melody("C4 F#4:0.5 G4:2 A0 B5").notes.tolist() == [
        (0, 24, 60, 80),
        (24, 12, 66, 80),
        (36, 48, 67, 80),
        (84, 24, 21, 80),
        (108, 24, 83, 80),
    ]


def test_voices_together():
    both = together(melody("C4 D4"), melody("C3:8"))
    assert set(both.notes.tolist()) == {(0, 24, 60, 80), (24, 24, 62, 80), (0, 192, 48, 80)}
    assert both.length_ticks == 192


def test_extremes_are_eight_bars(pieces):
    for name, piece in pieces.items():
        if isinstance(piece, Score):
            assert piece.bars == BARS, name
            assert not len(piece) or 21 <= piece.notes["pitch"].min() <= piece.notes["pitch"].max() <= 108
        else:
            assert piece.shape == (16 * SAMPLE_RATE,) and piece.dtype == np.float32 and np.abs(piece).max() <= 1


def test_extremes_are_what_they_say(pieces):
    assert {"silence", "one note", "white noise", "wall of all 88 keys", "random legal play"} < set(pieces)
    assert not len(pieces["silence"]) and len(pieces["one note"]) == 1
    assert len(pieces["wall of all 88 keys"].slice(0, 1)) == 88
    assert len(set(pieces["one note, repeated"].notes["pitch"].tolist())) == 1
    onsets = np.bincount(pieces["chorale in four parts"].notes["onset_tick"])
    assert set(onsets.tolist()) == {0, 4}
    assert (pieces["Twinkle Twinkle, melody"].notes["pitch"][:4] == (60, 60, 67, 67)).all()


def test_extremes_are_always_the_same(pieces):
    for ours, theirs in zip(pieces.values(), sanity_probes().values(), strict=True):
        np.testing.assert_array_equal(getattr(ours, "notes", ours), getattr(theirs, "notes", theirs))


def test_scores_and_recordings_are_rated(small_rating, pieces):
    rated = ratings(small_rating(), [pieces["silence"], pieces["white noise"], pieces["one note"]])
    assert rated.shape == (3,) and np.isfinite(rated).all() and len(set(rated.tolist())) == 3


CHANGES = {f"transposed by {n:+d}" for n in TRANSPOSITIONS} | {"tempo +10 %", "tempo -10 %", "gain +6 dB", "gain -6 dB"}


def test_what_nothing_changes_is_invariant(small_rating):
    model = small_rating()
    with torch.no_grad():
        for member in model.network:
            member.head.layers[-1].weight.fill_(0)
    changes = invariances(model, [melody("C4 E4 G4 C5"), Score(length_ticks=96)])
    assert set(changes) > CHANGES and len(changes) == len(CHANGES) + 2
    np.testing.assert_allclose(list(changes.values()), 0, atol=1e-6)


def test_changes_are_mean_and_absolute(small_rating):
    changes = invariances(small_rating(), [melody("C4 E4 G4 C5 A4 F4 D4 B3"), melody("C4 D4:2 G4")])
    assert all(np.isfinite(value) and value >= 0 for value in changes.values())
    assert changes["gain +6 dB"] > 1e-5 and changes["transposed by +6"] > 1e-5


def test_padding_changes_nothing(small_rating):
    changes = invariances(small_rating(), [melody("C4 E4 G4 C5 A4 F4 D4 B3")])
    assert changes["padding of another window's length"] < 1e-4


@pytest.mark.parametrize("tempo_bpm", [4, 600])
def test_extreme_pieces_can_be_changed(small_rating, tempo_bpm):
    wide = Score([(0, 24, 0, 80), (0, 24, 127, 80)], tempo_bpm=tempo_bpm)
    assert np.isfinite(list(invariances(small_rating(), [wide]).values())).all()
