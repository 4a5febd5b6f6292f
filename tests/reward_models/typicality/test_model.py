"""The reward `typicality`: its range, its band, and its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from helpers.tunes import encoded, tune
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece, Pieces
from toccata.music.corpus.works import Work
from toccata.music.score import Score
from toccata.reward_models import RewardSpecError, load_reward
from toccata.reward_models.judges.fit_typicality import is_fitted, is_fitted_by_sibling
from toccata.reward_models.judges.typicality import Typicality
from toccata.reward_models.typicality.action_model import ActionModel
from toccata.reward_models.typicality.model import WORST, TypicalityReward
from toccata.weights import WeightsError

ROUNDING = float32_rounding(64, 20.0)


class Given(TypicalityReward):
    """Bits that are given."""

    def __init__(self, low: float, high: float, bits: list[float]) -> None:
        super().__init__(ActionModel(Piano(), width=8, layers=1), low, high)
        self.given = bits

    def bits(self, pieces: Pieces) -> np.ndarray:
        return np.array(self.given)


@pytest.fixture(scope="module")
def reward() -> TypicalityReward:
    torch.manual_seed(0)
    return TypicalityReward(ActionModel(Piano(), width=16, layers=1), 2.0, 4.0)


def test_the_score_is_minus_the_distance_in_widths() -> None:
    scores = Given(2.0, 4.0, [2.0, 3.0, 4.0, 5.0, 1.0, 12.0, 0.0]).score(Pieces([Score()] * 7))
    assert scores.dtype == np.float32
    assert scores.tolist() == [0, 0, 0, -0.5, -0.5, WORST, -1]


def test_degenerate_pieces_have_a_score(reward: TypicalityReward) -> None:
    nothing = Piece(Score(), actions=np.empty((0, 2), np.int16))
    silence, note = Score(length_ticks=96), Score([(0, 24, 60, 80)], length_ticks=96)
    scores = reward.score(Pieces([nothing, silence, note, encoded(tune(2))]))
    assert np.isfinite(scores).all()
    assert ((scores >= WORST) & (scores <= 0)).all()
    assert reward.score(Pieces([])).shape == (0,)


def test_the_band_of_real_pieces(reward: TypicalityReward) -> None:
    real = Pieces([encoded(tune(2, seed=seed)) for seed in range(20)])
    fitted = reward.with_band_of(real)
    low, high = np.percentile(reward.bits(real), [5, 95])
    assert (fitted.low, fitted.high) == (low, high)
    assert (fitted.score(real) == 0).mean() == pytest.approx(0.9)
    assert reward.with_band_of(real, low=1.0).low == 1.0
    assert reward.with_band_of(real, high=99.0).high == 99.0
    with pytest.raises(ValueError, match="at least one real piece"):
        reward.with_band_of(Pieces([]))
    with pytest.raises(ValueError, match="low must be less than high"):
        reward.with_band_of(real[:1])


def test_saved_and_loaded_it_is_the_same(reward: TypicalityReward, tmp_path: Path) -> None:
    reward.save(tmp_path / "once")
    once = TypicalityReward.load(tmp_path / "once")
    once.save(tmp_path / "twice")
    for name in ("typicality.safetensors", "config.json"):
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes()
    assert once.weights_hash() == reward.weights_hash() == TypicalityReward.load(tmp_path / "twice").weights_hash()
    assert (once.low, once.high) == (2.0, 4.0)
    assert TypicalityReward.load(tmp_path / "once", high=3.0).high == 3.0
    piece = Pieces([encoded(tune(2))])
    assert once.bits(piece) == pytest.approx(reward.bits(piece), abs=0.01), "in half precision"
    with pytest.raises(WeightsError):
        TypicalityReward.load(tmp_path)


@pytest.mark.parametrize("spec", ["typicality(low=9, high=3)", 'typicality(low="a")', "typicality(low=-1)"])
def test_a_band_that_is_none_is_refused(spec: str) -> None:
    with pytest.raises(RewardSpecError, match="low"):
        load_reward(spec)


def test_no_work_is_both_the_judges_and_the_rewards() -> None:
    works = [Work(f"work-{number}", "folk", Score([(0, 24, 60, 80)])) for number in range(400)]
    judged, paid = (sum(map(chosen, works)) for chosen in (is_fitted, is_fitted_by_sibling))
    assert not any(is_fitted(work) and is_fitted_by_sibling(work) for work in works)
    assert judged > paid > 40


def test_the_shipped_weights_are_not_those_of_the_judge() -> None:
    paid, judge = TypicalityReward.load(), Typicality.load()
    assert paid.network.gru.hidden_size != judge.network.gru.hidden_size
    assert paid.about["seed"] != 0
    pieces = Pieces([encoded(tune(4, seed=seed)) for seed in range(3)])
    assert abs(paid.bits(pieces) - judge.bits(pieces)).min() > ROUNDING
    assert load_reward("typicality").weights_hash() == paid.weights_hash()  # type: ignore[attr-defined]  # of that model
