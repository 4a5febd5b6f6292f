from __future__ import annotations

import numpy as np
import pytest
import torch

from toccata.agents.rivals.dreaming.objective import rate_mel, scores_of_mel
from toccata.agents.rivals.dreaming.spectrum import log_mel
from toccata.envs.pieces import Pieces
from toccata.music.score import Score
from toccata.music.sound.spectrogram import SAMPLE_RATE
from toccata.reward_models.rating.model import RatingModel


@pytest.fixture(scope="module")
def rating() -> RatingModel:
    return RatingModel.load()


@pytest.mark.parametrize("seconds", [2.0, 6.5, 10.0])
def test_scores_are_those_of_the_rating(rating: RatingModel, seconds: float) -> None:
    notes = [(12 * cell, 12, 60 + cell * 5 % 13, 80) for cell in range(int(seconds * 4))]
    piano = Pieces([Score(notes)]).audio[0][: int(seconds * SAMPLE_RATE)]
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(piano)).astype(np.float32)
    scores = scores_of_mel(rating, log_mel(torch.from_numpy(np.stack([piano, noise]))))
    expected = [rating.score_audio(piano), rating.score_audio(noise)]
    np.testing.assert_allclose(
        scores["score"], expected, atol=0.02
    )  # rounding of the spectra moves the ranks of frames
    assert scores["popularity"][0] >= scores["score"][0] - 1e-3
    assert all(0 <= each <= 1 for each in scores["support"])


def test_sibling_is_that_of_the_rating_for_a_melody(rating: RatingModel) -> None:
    pieces = Pieces([Score([(24 * beat, 24, 60 + beat, 80) for beat in range(8)])])
    scores = scores_of_mel(rating, log_mel(torch.from_numpy(pieces.audio)))
    np.testing.assert_allclose(scores["sibling"], rating.sibling(pieces), atol=1e-2)


def test_noise_has_a_gradient_although_members_abstain(rating: RatingModel) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, 10 * SAMPLE_RATE)).astype(np.float32)
    mel = log_mel(torch.from_numpy(noise)).requires_grad_()
    said = rate_mel(rating, mel, [0])
    assert float(said.shortfall.detach().min()) > 1
    assert bool((said.ascended() < said.popularity).all())
    (gradient,) = torch.autograd.grad(said.ascended().sum(), mel)
    assert torch.isfinite(gradient).all()
    assert gradient.any()
