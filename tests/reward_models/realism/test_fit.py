import json
from pathlib import Path

import numpy as np
import pytest

from toccata.music.corpus import Corpus, Work
from toccata.music.score import Score
from toccata.reward_models import load_reward
from toccata.reward_models.negatives import pools as pools_module
from toccata.reward_models.negatives.corruptions import CORRUPTIONS
from toccata.reward_models.negatives.pools import Pools, synthetic_families
from toccata.reward_models.negatives.rules import RULES
from toccata.reward_models.realism import fit
from toccata.reward_models.realism.fit import fit_discriminator, held_out_metrics

DOTTED = [(48 * (i // 2) + 36 * (i % 2), 12 if i % 2 else 36) for i in range(32)]  # onset, duration
SCALE = Score([(*timing, 60 + i, 80) for i, timing in enumerate(DOTTED)])
CHORDS = Score([(*timing, 40 + i // 2 + step, 80) for i, timing in enumerate(DOTTED) for step in (0, 12, 16, 19)])
KINDS = {*CORRUPTIONS, *RULES, "markov_play", "random_notes", "random_play"}


def test_fitting_uses_every_kind_and_is_reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "BATCH", 16)
    rng = np.random.default_rng(0)
    real = {"scales": [SCALE.transpose(int(by)) for by in rng.integers(-12, 12, 8)], "chords": [CHORDS] * 4}
    pools = Pools(real, synthetic_families(real, 4, 2, rng))
    realism = fit_discriminator(pools, steps=2, seed=0)
    metrics = held_out_metrics(realism, pools, rng)
    assert set(metrics["mean_reward"]) == {*real, *KINDS}
    assert set(metrics["auc"]) == KINDS
    assert all(low <= estimate <= high for estimate, low, high in metrics["auc"].values())
    assert fit_discriminator(pools, steps=2, seed=0).weights_hash() == realism.weights_hash()
    before = realism.weights_hash()
    assert fit_discriminator(pools, steps=1, seed=0, start=realism) is realism
    assert realism.weights_hash() != before


def test_the_command_writes_weights_that_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def small_corpus(source: object, genre: str | None = None) -> Corpus:
        works = tuple(
            Work(f"{source}/{i}", "folk", score, licence="Public Domain", group=f"{i}")
            for i, score in enumerate([SCALE, CHORDS] * 20)
        )
        return Corpus(str(source), works)

    monkeypatch.setattr(pools_module, "load_corpus", small_corpus)
    monkeypatch.setattr(fit, "BATCH", 16)
    monkeypatch.setattr(fit, "PER_KIND", 8)
    monkeypatch.setattr(fit, "HELD_OUT", 4)
    options = ["--steps", "1", "--real", "bach", "more", "--licence", "Public Domain", "--fake", "networks=hard"]
    fit.main([str(tmp_path), *options, "--leave-out", "random"])
    realism = load_reward(f"realism:{tmp_path}")
    notes = json.loads((tmp_path / "config.json").read_text())["fit"]
    assert realism.weights_hash() == json.loads((tmp_path / "config.json").read_text())["sha256"]["realism.safetensors"]
    assert set(notes["pieces"]["fitted"]) == {"bach", "more", "hard", *KINDS}
    assert set(notes["held_out"]["auc"]) == {*KINDS, "hard"}
    assert notes["left_out"] == ["random"]
