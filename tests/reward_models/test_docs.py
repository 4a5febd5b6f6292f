"""The examples and tables of docs/rewards.md."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.rounding import float32_rounding
from helpers.tunes import tune
from toccata.reward_models import RewardModel, is_builtin, load_reward, reward_names


@pytest.fixture
def page(repository: Path) -> str:
    return (repository / "docs" / "rewards.md").read_text(encoding="utf-8")


def test_the_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, module, spec, _, usage, combination, device = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "my_rewards.py").write_text(module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    names: dict = {}
    exec(spec, names)
    assert names["same"].unwrapped.reward_model.models["arch"].cycles == 1
    exec(usage, names)
    monkeypatch.delitem(sys.modules, "my_rewards")
    assert names["total"].weights == {"silence": 1.0, "repetition": 0.5, "arch": 0.2}
    assert isinstance(load_reward("my_rewards:Arch"), RewardModel)
    monkeypatch.delitem(sys.modules, "my_rewards")
    scores = names["total"].score(names["pieces"])
    np.testing.assert_allclose(scores[1], -1, rtol=float32_rounding(16))
    assert scores[0] > -0.1
    corpus = SimpleNamespace(split=lambda part: SimpleNamespace(scores=[tune(8, seed=seed) for seed in range(12)]))
    monkeypatch.setattr("toccata.music.corpus.load_corpus", lambda name: corpus)
    exec(combination, names)
    assert names["gate"].describe().startswith("typicality counts where realism >= ")
    assert all(len(term) == 12 for term in names["gate"].contributions(names["real"]).values())
    exec(device, names)
    assert set(names["rewards"].models) == {names["rating"].name, "realism"}


def test_the_table_has_every_reward_and_its_range(page: str) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (-?[\d.]+ to -?[\d.]+) \|", page, re.MULTILINE))
    shipped = {name: bounds for name, bounds in rows.items() if name in reward_names()}
    assert set(shipped) == {name for name in reward_names() if is_builtin(name)}
    assert shipped["realism"] == "{:.3f} to {:.3f}".format(*np.logaddexp(0, [-4, np.log(9)]))
