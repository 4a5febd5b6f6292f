from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.tunes import encoded, tune
from toccata.envs.pieces import Pieces
from toccata.music.score import Score
from toccata.reward_models.judges.ensemble import FeatureEnsemble
from toccata.reward_models.judges.features import FEATURE_COUNT
from toccata.reward_models.judges.note_judges import GoldRating, HeldOutRealism, NoteJudge


@pytest.fixture(params=[GoldRating, HeldOutRealism])
def judge(request: pytest.FixtureRequest) -> NoteJudge:
    torch.manual_seed(0)
    return request.param(FeatureEnsemble(FEATURE_COUNT))


def test_scores_are_means_over_windows(judge: NoteJudge) -> None:
    score = tune(16)
    windows = judge.windows_of(score)
    assert [window.length_ticks for window in windows] == [judge.beats * 24] * (64 // judge.beats)
    single = [float(judge.score(Pieces([window]))[0]) for window in windows]
    assert judge.score(Pieces([score]))[0] == pytest.approx(np.mean(single), abs=1e-5)


def test_every_score_is_judged(judge: NoteJudge) -> None:
    scores = [Score(), Score(length_ticks=96), Score([(0, 24, 60, 80)]), tune(1), tune(11)]
    values = judge.score(Pieces(scores))
    assert values.shape == (5,)
    assert np.isfinite(values).all()
    assert judge.score(Pieces([])).shape == (0,)


def test_a_short_rest_of_a_piece_is_no_window(judge: NoteJudge) -> None:
    beats = judge.beats
    assert len(judge.windows_of(Score(length_ticks=(beats + 1) * 24))) == 1
    assert len(judge.windows_of(Score(length_ticks=(2 * beats - 1) * 24))) == 2


def test_only_what_the_agent_wrote_is_judged(judge: NoteJudge) -> None:
    piece = encoded(tune(4, seed=1))
    other = encoded(tune(4, seed=1))
    other.start_tick = 96
    assert judge.score(Pieces([other]))[0] != judge.score(Pieces([piece]))[0]
    rest = piece.score.slice(96, piece.score.length_ticks)
    assert judge.score(Pieces([other]))[0] == pytest.approx(judge.score(Pieces([rest]))[0], abs=1e-5)


def test_the_gold_rating_hears_the_melody_alone() -> None:
    torch.manual_seed(0)
    gold = GoldRating(FeatureEnsemble(FEATURE_COUNT))
    melody = Score([(24 * i, 24, 72 + step, 80) for i, step in enumerate((0, 2, 4, 5, 7, 5, 4, 2))])
    notes = [*melody.notes.tolist(), *((24 * i, 24, 48 + i % 3, 80) for i in range(8))]
    assert gold.score(Pieces([Score(notes)]))[0] == pytest.approx(gold.score(Pieces([melody]))[0], abs=1e-5)


def test_saved_and_loaded_it_is_the_same(judge: NoteJudge, tmp_path: Path) -> None:
    judge.save(tmp_path, {})
    pieces = Pieces([tune(4)])
    assert np.array_equal(type(judge).load(tmp_path).score(pieces), judge.score(pieces))
