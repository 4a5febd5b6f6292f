"""Policy classes of a user's own: `--policy package.module:Class(argument=value)`."""

from __future__ import annotations

import json
import shutil
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from helpers.runs import Toy, agent_of, resumed_config, train_quietly
from toccata.agents import load_model
from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.evaluation.evaluate import evaluate_folder
from toccata.agents.policies import user_policy
from toccata.agents.ppo.model_file import ModelError
from toccata.agents.runs.run_folder import Run
from toccata.agents.runs.trust import SIGNATURE_FILE
from toccata.settings.options import ConfigError
from toccata.signatures import UntrustedError

POLICIES = """
from pathlib import Path

from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy, MaskableMultiInputActorCriticPolicy
from toccata.agents import SequencePolicy

Path("imported").touch()

class Small(MaskableMultiInputActorCriticPolicy):
    def __init__(self, *spaces, hidden=32, **arguments):
        super().__init__(*spaces, net_arch=[hidden], **arguments)

class Sequences(SequencePolicy):
    def __init__(self, *spaces, width=24, **arguments):
        super().__init__(*spaces, network_config={"width": width, "layers": 1, "heads": 2}, **arguments)

class Raises(MaskableMultiInputActorCriticPolicy):
    def __init__(self, *spaces, **arguments):
        raise KeyError("oh")

class Unpredictable(Small):
    def get_distribution(self, obs, action_masks=None):
        raise NotImplementedError("no distribution")

class Unclonable(Unpredictable):
    def _predict(self, observation, deterministic=False, action_masks=None):
        return self.forward(observation, deterministic, action_masks)[0]

class NoPolicy:
    pass
"""


@pytest.fixture
def mine(toy: Toy) -> Any:
    """`mine(name, policy, **changes)`: a configuration with a policy of policies_of_mine.py."""
    Path("policies_of_mine.py").write_text(POLICIES)
    changes = {"clone_epochs": 0, "total_timesteps": 256, "n_epochs": 1}
    return lambda name, policy, **more: toy(name, policy=f"policies_of_mine:{policy}", **{**changes, **more})


@pytest.mark.parametrize(
    ("policy", "algorithm"), [("Small(hidden=16)", "ppo"), ("Sequences", "ppo"), ("Sequences", "grpo")]
)
def test_it_trains_resumes_exactly_and_is_evaluated(mine: Any, policy: str, algorithm: str) -> None:
    uninterrupted = train_quietly(mine("uninterrupted", policy, algorithm=algorithm))
    half = train_quietly(mine("half", policy, algorithm=algorithm, total_timesteps=128))
    torch.manual_seed(99)
    train_quietly(resumed_config(half.folder, total_timesteps=256))
    ours, theirs = (
        load_model(run.model_path, policy_class=user_policy.import_policy(run.config.policy))
        for run in (uninterrupted, Run.open(half.folder))
    )
    states = [model.policy.state_dict() for model in (ours, theirs)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert (uninterrupted.folder / "model.zip").read_bytes() == (half.folder / "model.zip").read_bytes()
    if policy.startswith("Small"):
        assert states[0]["mlp_extractor.policy_net.0.weight"].shape[0] == 16
        summary = evaluate_folder(EvaluateConfig(half.folder, samples=2, pieces=1), Console(file=StringIO()))
        assert {"agent", "reference", "random", "real"} <= summary["composers"].keys()


def test_whole_pieces_need_a_sequence_policy(mine: Any) -> None:
    with pytest.raises(ConfigError, match=r"algorithm grpo needs a policy on sequences, which '.*Small' is not"):
        train_quietly(mine("run", "Small", algorithm="grpo"))
    assert not Path("run").exists()


def test_behaviour_cloning_of_it(mine: Any) -> None:
    run = train_quietly(mine("run", "Small", clone_epochs=1, total_timesteps=128))
    assert len(json.loads((run.folder / "cloning.json").read_text())["nats_per_action"]) == 1


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("NoPolicy", r"'policies_of_mine:NoPolicy': must be a subclass of sb3-contrib's MaskableActorCriticPolicy"),
        ("Raises", "'policies_of_mine:Raises': cannot be used: KeyError: 'oh'"),
        ("Smal", "'policies_of_mine:Smal': policies_of_mine has no 'Smal'; did you mean 'Small'"),
        ("Small(hiden=3)", r"cannot be used: TypeError: .*'hiden'"),
        ("Small(hidden=)", "policy: .*cannot read its arguments"),
        ("MaskableActorCriticPolicy", "cannot be used: "),
        ("Unpredictable", "cannot be used: NotImplementedError: no distribution"),
    ],
)
def test_a_wrong_one_is_one_line_before_anything_is_written(mine: Any, policy: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        train_quietly(mine("run", policy))
    assert "\n" not in str(caught.value)
    assert not Path("run").exists()


def test_cloning_needs_a_distribution(mine: Any) -> None:
    with pytest.raises(
        ConfigError, match="clone_epochs must be 0, as policy 'policies_of_mine:Unclonable' has no get_"
    ):
        train_quietly(mine("run", "Unclonable", clone_epochs=1))
    assert not Path("run").exists()


def test_the_code_of_a_stranger_is_not_imported(mine: Any) -> None:
    run = train_quietly(mine("run", "Small", total_timesteps=128))
    signature = run.folder / SIGNATURE_FILE
    assert "policy policies_of_mine:Small" in json.loads(signature.read_text())["modules"]
    signature.unlink()
    del sys.modules["policies_of_mine"]
    Path("imported").unlink()
    for use in (
        lambda: train_quietly(resumed_config(run.folder, total_timesteps=256)),
        lambda: evaluate_folder(EvaluateConfig(run.folder, samples=2, pieces=1), Console(file=StringIO())),
        lambda: agent_of(run.folder),
    ):
        with pytest.raises(UntrustedError, match=r"config\.json: its policy 'policies_of_mine:Small' is code that"):
            use()
    with pytest.raises(ModelError, match="its policy is a 'policies_of_mine:Small', which is not Toccata's"):
        load_model(run.model_path)
    assert not Path("imported").exists()
    train_quietly(resumed_config(run.folder, total_timesteps=256, trust=True))


def test_a_model_of_another_class_is_refused(mine: Any) -> None:
    run = train_quietly(mine("run", "Small", total_timesteps=128))
    other = train_quietly(mine("other", "Unclonable", total_timesteps=128, logger=("csv", "tensorboard")))
    shutil.copy(other.folder / "checkpoints/last/model.zip", run.folder / "copy.zip")
    with pytest.raises(ModelError, match=r"copy\.zip: .*its policy is a 'policies_of_mine:Unclonable', not a policies"):
        agent_of(run.folder, "copy.zip")


def test_a_policy_of_toccata_takes_no_class(toy: Toy) -> None:
    run = train_quietly(toy("run", clone_epochs=0, total_timesteps=128))
    with pytest.raises(ModelError, match="its policy is Toccata's own, not a"):
        load_model(run.model_path, policy_class=type(agent_of(run.folder).policy))
