"""Originality of composers, versus the works of a run."""

from pathlib import Path

import numpy as np
import pytest

from helpers.tunes import encoded, toy_corpus, tune
from toccata.agents.evaluation.measuring.originality import originality_of, training_works
from toccata.agents.runs.config import TrainConfig
from toccata.envs.pieces import Piece
from toccata.music.score import Score


def test_a_copy_is_found_and_a_primer_is_not_compared() -> None:
    works = toy_corpus(("one", "jazz", tune(4, seed=1)), ("two", "jazz", tune(4, seed=2))).works
    copy = encoded(tune(4, seed=2).transpose(-1))
    continued = Piece(copy.score, start_tick=4 * 96, actions=np.empty((0, 2), np.int16))  # all of it is a primer
    values, matches = originality_of({"agent": [copy, continued], "real": [encoded(tune(4, seed=3))]}, works)
    assert [match.nearest_work for match in matches["agent"]] == ["two", None]
    assert values["agent"]["longest_passage"].tolist() == [32 + 3 * 4, 0], "eighths, and three notes of each chord"
    assert values["agent"]["shared_ngram_share"].tolist() == [1, 0]
    assert values["agent"]["originality_score"].tolist() == [0, 1]
    assert {name: each.shape for name, each in values["real"].items()} == dict.fromkeys(values["agent"], (1,))


def test_the_works_of_a_run_are_those_of_its_training_split(tmp_path: Path) -> None:
    for seed in range(12):
        (tmp_path / "music" / "folk").mkdir(parents=True, exist_ok=True)
        tune(2, seed=seed).to_midi(tmp_path / "music" / "folk" / f"{seed}.mid")
    config = TrainConfig(policy="mlp", genre="folk", corpus=(str(tmp_path / "music"),))
    works = training_works(config)
    assert 1 <= len(works) <= 12
    assert len({work.id for work in works}) == len(works)


@pytest.mark.parametrize("score", [Score(), Score(length_ticks=96), Score([(0, 24, 60, 80)])])
def test_degenerate_pieces_are_original(score: Score) -> None:
    values, matches = originality_of({"agent": [Piece(score)]}, toy_corpus(("one", "jazz", tune(4))).works)
    assert [float(each[0]) for each in values["agent"].values()] == [0, 0, 1]
    assert matches["agent"][0].passage is None
