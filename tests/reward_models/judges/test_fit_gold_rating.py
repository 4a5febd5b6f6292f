from __future__ import annotations

import numpy as np
import pytest

from helpers.tunes import tune
from toccata.music.score import Score
from toccata.reward_models.judges import fit_gold_rating
from toccata.reward_models.judges.fit_gold_rating import LONG, SHORT, fit_support, passages_of, twice
from toccata.reward_models.judges.note_judges import PASSAGE_FEATURES


def test_twice_is_the_same_again() -> None:
    score = tune(2, 3)
    both = twice(score)
    assert both.length_ticks == 2 * score.length_ticks
    for part in (both.slice(0, score.length_ticks), both.slice(score.length_ticks, both.length_ticks)):
        assert part.notes.tolist() == score.notes.tolist()


def test_passages_are_of_scores_that_have_as_many_beats() -> None:
    scores = [tune(8), tune(6), tune(2), Score(length_ticks=8 * 96)]
    passages = passages_of(scores, np.random.default_rng(0))
    assert {beats: len(rows) for beats, rows in passages.items()} == {8: 3, 16: 2, 32: 2}
    assert passages[32][:, -1] == pytest.approx([2, np.log2(3)])
    assert passages_of([], np.random.default_rng(0))[8].shape == (0, PASSAGE_FEATURES)


def test_support_is_of_real_passages_and_not_of_negatives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of each class around another mean; a family that is left out is not known to be a negative."""
    monkeypatch.setattr(fit_gold_rating, "SUPPORT_STEPS", 200)
    rng = np.random.default_rng(0)

    def around(dimension: int) -> np.ndarray:
        rows = 0.3 * rng.normal(size=(60, PASSAGE_FEATURES))
        rows[:, dimension] += 3
        return rows

    def passages(dimension: int) -> dict[int, np.ndarray]:
        return {beats: around(dimension) for beats in (SHORT, *LONG)}

    negatives = {"one": {"alternating_notes": passages(1)}, "other": {"random_play": passages(2)}}
    judge = fit_support(around(0), around(0), {"corpus": passages(0)}, negatives, None, 0)
    assert (judge.predict(around(0)) > 0).mean() > 0.8
    assert all((judge.predict(around(dimension)) < 0).mean() > 0.8 for dimension in (1, 2))
    without = fit_support(around(0), around(0), {"corpus": passages(0)}, negatives, "other", 0)
    assert without.predict(around(2)).mean() > judge.predict(around(2)).mean() + 1
