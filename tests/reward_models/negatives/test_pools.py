from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.tunes import tune
from toccata.envs.codec import encode
from toccata.music.corpus import Corpus, Work
from toccata.music.score import Score
from toccata.reward_models.negatives.corruptions import CORRUPTIONS
from toccata.reward_models.negatives.pools import (
    FEWEST_NOTES,
    excerpts,
    random_negatives,
    read_pools,
    synthetic_families,
)
from toccata.reward_models.negatives.rules import RULES


def corpus_of(*scores: Score) -> Corpus:
    return Corpus("mine", tuple(Work(f"mine/{i}", "folk", score) for i, score in enumerate(scores)))


def test_excerpts_begin_at_bars_do_not_overlap_and_are_as_many_as_asked_for() -> None:
    work = tune(9)
    found = excerpts(corpus_of(work), 2, 10, np.random.default_rng(0))
    assert len(found) == 4
    bars = [work.slice(start, start + 2 * 96) for start in range(0, 8 * 96, 96)]
    played = [encode(bar)[1].score for bar in bars]
    assert all(excerpt in played for excerpt in found)
    assert len(excerpts(corpus_of(work, work), 2, 10, np.random.default_rng(0), per_work=1)) == 2
    assert len(excerpts(corpus_of(work), 2, 3, np.random.default_rng(0))) == 3
    assert excerpts(corpus_of(tune(1), Score(length_ticks=960)), 2, 3, np.random.default_rng(0)) == []


def test_every_family_has_its_kinds() -> None:
    families = synthetic_families({"a": [tune(4)], "b": [tune(4, seed=1)] * 3}, 2, 2, np.random.default_rng(0))
    assert set(families) == {"corrupted", "random", "markov", "rules"}
    assert set(families["corrupted"]) == set(CORRUPTIONS)
    assert set(families["rules"]) == set(RULES)
    assert all(len(pieces) == 2 for kinds in families.values() for pieces in kinds.values())


@pytest.mark.parametrize("beats_per_bar", [3, 4])
def test_random_negatives_are_as_long_as_real_pieces(beats_per_bar: int) -> None:
    real = [Score(tune(4).notes, beats_per_bar=beats_per_bar, length_ticks=4 * 96)]
    negatives = random_negatives(real, 40, np.random.default_rng(0))
    assert len(negatives) == 40
    assert {piece.length_ticks for piece in negatives} == {4 * 96}
    assert negatives == random_negatives(real, 40, np.random.default_rng(0))
    assert random_negatives([Score()], 3, np.random.default_rng(1)) is not None


def test_pools_read_folders_and_leave_families_out(tmp_path: Path) -> None:
    for folder in ("real", "made"):
        (tmp_path / folder).mkdir()
        for seed in range(12):
            tune(4, seed=seed).to_midi(tmp_path / folder / f"{seed}.mid")
    pools = read_pools(
        [tmp_path / "real"],
        [f"networks={tmp_path / 'made'}"],
        ["train", "valid", "test"],
        bars=2,
        per_source=5,
        per_kind=3,
        rng=np.random.default_rng(0),
    )
    assert len(pools.real["real"]) == 5
    assert len(pools.fakes["networks"]["made"]) == 3
    assert pools.counts()["made"] == 3
    assert set(pools.without(["networks", "rules"]).fakes) == {"corrupted", "random", "markov"}
    assert all(len(piece) >= FEWEST_NOTES for piece in pools.real["real"])
