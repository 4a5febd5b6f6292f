import json
from pathlib import Path

import numpy as np
import pytest

from toccata.music.corpus import Corpus, Work
from toccata.music.score import Score
from toccata.reward_models import load_reward
from toccata.reward_models.realism import fit
from toccata.reward_models.realism.fit import fit_discriminator, held_out_metrics, synthetic_negatives
from toccata.reward_models.realism.negatives import CORRUPTIONS

DOTTED = [(48 * (i // 2) + 36 * (i % 2), 12 if i % 2 else 36) for i in range(32)]  # onset, duration
SCALE = Score([(*timing, 60 + i, 80) for i, timing in enumerate(DOTTED)])
CHORDS = Score([(*timing, 40 + i // 2 + step, 80) for i, timing in enumerate(DOTTED) for step in (0, 12, 16, 19)])


def test_fitting_uses_every_kind_and_is_reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "BATCH", 16)
    rng = np.random.default_rng(0)
    real = {"scales": [SCALE.transpose(int(by)) for by in rng.integers(-12, 12, 8)], "chords": [CHORDS] * 4}
    negatives = synthetic_negatives(real, 8, rng)
    assert set(negatives) == {*CORRUPTIONS, "markov_play", "random_play"}
    realism = fit_discriminator(real, negatives, steps=2, seed=0)
    metrics = held_out_metrics(realism, real, negatives)
    assert set(metrics["mean_reward"]) == {*real, *negatives}
    assert set(metrics["auc"]) == set(negatives)
    assert fit_discriminator(real, negatives, steps=2, seed=0).weights_hash() == realism.weights_hash()


def test_the_command_writes_weights_that_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def small_corpus(source: object, genre: str | None = None) -> Corpus:
        works = tuple(
            Work(f"{source}/{i}", "folk", score, licence="Public Domain", group=f"{i}")
            for i, score in enumerate([SCALE, CHORDS] * 20)
        )
        return Corpus(str(source), works)

    monkeypatch.setattr(fit, "load_corpus", small_corpus)
    monkeypatch.setattr(fit, "BATCH", 16)
    monkeypatch.setattr(fit, "PER_KIND", 8)
    monkeypatch.setattr(fit, "HELD_OUT", 4)
    fit.main([str(tmp_path), "--steps", "1", "--real", "more", "--licence", "Public Domain", "--fake", "hard"])
    realism = load_reward(f"realism:{tmp_path}")
    notes = json.loads((tmp_path / "config.json").read_text())["fit"]
    assert realism.weights_hash() == json.loads((tmp_path / "config.json").read_text())["sha256"]["realism.safetensors"]
    assert set(notes["pieces"]["fit real"]) == {"chorales", "folk", "more"}
    assert set(notes["held_out"]["auc"]) == {*CORRUPTIONS, "markov_play", "random_play", "hard"}
    assert sum(notes["works"].values()) > 0
