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
from toccata.reward_models.judges.note_judges import (
    MARGIN,
    PASSAGE_FEATURES,
    GoldRating,
    HeldOutRealism,
    NoteJudge,
    passage_features,
    windows_of,
)
from toccata.reward_models.negatives.rules import RULES, repeated_note


def gold_rating(log_odds: float | None = None) -> GoldRating:
    """With random weights; with these log-odds of every melody."""
    torch.manual_seed(0)
    support = FeatureEnsemble(PASSAGE_FEATURES)
    if log_odds is not None:
        for member in support.members:
            for parameter in member.parameters():
                torch.nn.init.zeros_(parameter)
            torch.nn.init.constant_(member[3].bias, log_odds)  # type: ignore[index]  # members are Sequential
    return GoldRating(FeatureEnsemble(FEATURE_COUNT), support)


@pytest.fixture(params=[gold_rating, lambda: HeldOutRealism(FeatureEnsemble(FEATURE_COUNT))], ids=["gold", "realism"])
def judge(request: pytest.FixtureRequest) -> NoteJudge:
    torch.manual_seed(0)
    return request.param()


def test_scores_are_means_over_windows() -> None:
    for judge in (gold_rating(0.5), HeldOutRealism(FeatureEnsemble(FEATURE_COUNT))):
        score = tune(16)
        windows = windows_of(score, judge.beats)
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
    assert len(windows_of(Score(length_ticks=(beats + 1) * 24), beats)) == 1
    assert len(windows_of(Score(length_ticks=(2 * beats - 1) * 24), beats)) == 2


def test_only_what_the_agent_wrote_is_judged(judge: NoteJudge) -> None:
    piece = encoded(tune(4, seed=1))
    other = encoded(tune(4, seed=1))
    other.start_tick = 96
    assert judge.score(Pieces([other]))[0] != judge.score(Pieces([piece]))[0]
    rest = piece.score.slice(96, piece.score.length_ticks)
    assert judge.score(Pieces([other]))[0] == pytest.approx(judge.score(Pieces([rest]))[0], abs=1e-5)


def test_the_gold_rating_hears_the_melody_alone() -> None:
    gold = gold_rating()
    melody = Score([(24 * i, 24, 72 + step, 80) for i, step in enumerate((0, 2, 4, 5, 7, 5, 4, 2))])
    notes = [*melody.notes.tolist(), *((24 * i, 24, 48 + i % 3, 80) for i in range(8))]
    assert gold.score(Pieces([Score(notes)]))[0] == pytest.approx(gold.score(Pieces([melody]))[0], abs=1e-5)


def test_saved_and_loaded_it_is_the_same(judge: NoteJudge, tmp_path: Path) -> None:
    judge.save(tmp_path, {})
    pieces = Pieces([tune(4)])
    assert np.array_equal(type(judge).load(tmp_path).score(pieces), judge.score(pieces))


def test_the_gold_rating_falls_to_that_of_nothing_without_support() -> None:
    pieces = Pieces([tune(4), tune(9, seed=1)])
    popularity = np.array([each.mean() for each in NoteJudge.window_scores(gold_rating(), pieces)])
    assert gold_rating(50).score(pieces) == pytest.approx(popularity, abs=1e-6)
    assert gold_rating(-50).score(pieces) == pytest.approx([-3, -3], abs=1e-6)
    assert gold_rating(-MARGIN).score(pieces) == pytest.approx((popularity - 3) / 2, abs=1e-6)


def test_windows_have_the_support_of_their_passage() -> None:
    gold = gold_rating()
    support = gold.support_of_windows(tune(13), 7)  # 52 beats: passages of 32 and 20, windows of 8 and a half one
    assert (support[:4] == support[0]).all()
    assert (support[4:] == support[4]).all()
    assert support[0] != support[4]
    assert ((support >= 0) & (support <= 1)).all()
    first, rest = windows_of(tune(13), 32)
    assert gold.support_of_windows(first, 4) == pytest.approx(support[:4], abs=1e-6)
    assert gold.support_of_windows(rest, 3) == pytest.approx(support[4:], abs=1e-6)


def test_features_of_a_passage_tell_its_length() -> None:
    assert [passage_features(tune(bars))[-1] for bars in (2, 4, 8)] == [0, 1, 2]
    assert passage_features(Score()).shape == (PASSAGE_FEATURES,)
    assert np.isfinite(passage_features(Score())).all()


def test_the_shipped_gold_rating_places_tunes_above_loops() -> None:
    """Of eight bars; what is repeated for two bars is a melody that people entered."""
    gold = GoldRating.load()
    ode, end = [64, 64, 65, 67, 67, 65, 64, 62, 60, 60, 62, 64], [(24, 64), (24, 62), (48, 62)]
    jacques = [60, 62, 64, 60, 60, 62, 64, 60, 64, 65, 67, 67, 64, 65, 67, 67]
    jacques += [67, 69, 67, 65, 64, 60, 67, 69, 67, 65, 64, 60]
    tunes = [[*((24, pitch) for pitch in ode), *end] * 2, [(24, pitch) for pitch in jacques]]
    scores = []
    for tune_ in tunes:
        onsets = np.cumsum([0, *(ticks for ticks, _ in tune_)])
        scores.append(Score([(onset, *note, 80) for onset, note in zip(onsets.tolist(), tune_, strict=False)]))
    assert gold.score(Pieces(scores)).min() > -0.5
    rng = np.random.default_rng(0)
    for rule in (RULES["alternating_notes"], RULES["scale_runs"], RULES["ostinato"], repeated_note):
        assert gold.score(Pieces([rule(8, rng) for _ in range(12)])).mean() < -2
