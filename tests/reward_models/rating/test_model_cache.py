"""The cache of window ratings: what is computed, what is dropped, and that scores do not depend on it."""

import numpy as np
import pytest

import toccata.reward_models.rating.model as rating_module
from toccata.envs.pieces import Pieces
from toccata.music.score import Score
from toccata.music.sound.spectrogram import N_MELS
from toccata.reward_models.rating.audio_windows import score_windows
from toccata.reward_models.rating.fitting.augmentation import repeat
from toccata.reward_models.rating.fitting.sanity_probes import parse_melody
from toccata.reward_models.rating.fitting.synthetic import random_melody, synthetic_negative
from toccata.reward_models.rating.model import BATCH, RatingModel

TUNE = parse_melody("C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2")


def tunes(count, seed=0, bars=2):
    rng = np.random.default_rng(seed)
    return [random_melody(rng, bars) for _ in range(count)]


class WindowCounter:
    """Counts the windows that a model computes."""

    def __init__(self, model, patch):
        self.windows = 0
        window_outputs = model.window_outputs

        def counted(log_mel, valid, members=None):
            self.windows += len(log_mel)
            return window_outputs(log_mel, valid, members)

        patch.setattr(model, "window_outputs", counted)

    def pop(self):
        """The count since the last call."""
        windows, self.windows = self.windows, 0
        return windows


@pytest.fixture
def counted(small_rating, monkeypatch):
    model = small_rating()
    return model, WindowCounter(model, monkeypatch)


def test_no_window_is_computed_twice(counted):
    model, counter = counted
    first = model.score(Pieces(tunes(3)))
    assert counter.pop() == 3  # two bars are one window
    np.testing.assert_array_equal(model.score(Pieces(tunes(3))), first)
    np.testing.assert_array_equal(model.score(Pieces([*tunes(3), *tunes(3)[::-1]])), [*first, *first[::-1]])
    model.diagnostics(Pieces(tunes(3)))
    assert counter.pop() == 0
    model.sibling(Pieces(tunes(3)))  # the sibling member has a cache of its own
    assert counter.pop() == 3
    model.sibling(Pieces(tunes(3)))
    assert counter.pop() == 0


def test_equal_windows_in_a_batch_are_computed_once(counted):
    model, counter = counted
    scores = model.score(Pieces([TUNE] * 40))
    assert counter.pop() == len(score_windows(TUNE))
    assert (scores == scores[0]).all()
    model.score(Pieces([repeat(tunes(1)[0], 20)]))
    assert counter.pop() <= 3


def test_of_a_growing_piece_only_new_windows_are_computed(counted):
    model, counter = counted
    pitches = np.random.default_rng(0).integers(60, 80, 120)
    piece = Score([(24 * beat, 24, pitch, 80) for beat, pitch in enumerate(pitches)])  # 30 different bars
    counts = []
    for bars in range(16, 31, 2):
        part = piece.slice(0, 96 * bars)
        score = model.score(Pieces([part]))
        counts.append(counter.pop())
        np.testing.assert_array_equal(RatingModel(model.network, model.config).score(Pieces([part])), score)
    assert counts[0] == len(score_windows(piece.slice(0, 96 * 16))) == 8
    assert max(counts[1:]) <= 2


def test_the_oldest_windows_are_dropped_and_computed_again(counted, monkeypatch):
    monkeypatch.setattr(rating_module, "CACHED_WINDOWS", 5)
    model, counter = counted
    first = model.score(Pieces(tunes(12)))  # more than the cache holds
    assert counter.pop() == 12
    np.testing.assert_array_equal(model.score(Pieces(tunes(12)[-5:])), first[-5:])
    assert counter.pop() == 0
    np.testing.assert_array_equal(model.score(Pieces(tunes(12)[:5])), first[:5])
    assert counter.pop() == 5


def test_a_rating_does_not_depend_on_batch_or_cache(small_rating):
    rng = np.random.default_rng(5)
    pieces = [*tunes(8, 1), *tunes(2, 2, bars=7), *(synthetic_negative(rng) for _ in range(8)), Score()]
    model = small_rating()
    alone = np.concatenate(
        [RatingModel(model.network, model.config).member_ratings(Pieces([piece])) for piece in pieces]
    )
    for _ in range(4):
        index = rng.permutation(len(pieces))[: rng.integers(1, len(pieces))]
        empty_cache = RatingModel(model.network, model.config)
        np.testing.assert_array_equal(empty_cache.member_ratings(Pieces([pieces[i] for i in index])), alone[index])
        np.testing.assert_array_equal(model.member_ratings(Pieces([pieces[i] for i in index])), alone[index])


def test_every_forward_pass_has_the_same_batch_size(small_rating, monkeypatch):
    model = small_rating()
    shapes = set()
    for member in model.network:
        forward = member.forward
        monkeypatch.setattr(
            member, "forward", lambda mel, valid, forward=forward: (shapes.add(mel.shape), forward(mel, valid))[1]
        )
    model.score(Pieces(tunes(11)))
    model.score(Pieces([TUNE]))
    assert shapes == {(BATCH, N_MELS, 160)} and BATCH == 8
