"""Agents: policies, PPO for whole pieces, priors, generation, training runs.

The names below are imported when they are asked for, so that `--help` needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toccata.agents.evaluation.evaluate import evaluate
    from toccata.agents.policies.feedforward_policy import FeedforwardPolicy
    from toccata.agents.policies.sequence_policy import SequencePolicy
    from toccata.agents.ppo.composer_ppo import ComposerPPO
    from toccata.agents.ppo.model_file import load_model, save_model
    from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
    from toccata.agents.ppo.whole_pieces import WholePiecePPO
    from toccata.agents.prior.prior import Prior
    from toccata.agents.runs.config import TrainConfig
    from toccata.agents.runs.training import train
    from toccata.agents.vec_env import PianoVecEnv

__all__ = [
    "ComposerPPO",
    "FeedforwardPolicy",
    "PianoVecEnv",
    "Prior",
    "SequenceComposerPPO",
    "SequencePolicy",
    "TrainConfig",
    "WholePiecePPO",
    "evaluate",
    "load_model",
    "save_model",
    "train",
]

_MODULES = {
    "ComposerPPO": "toccata.agents.ppo.composer_ppo",
    "FeedforwardPolicy": "toccata.agents.policies.feedforward_policy",
    "PianoVecEnv": "toccata.agents.vec_env",
    "Prior": "toccata.agents.prior.prior",
    "SequenceComposerPPO": "toccata.agents.ppo.sequence_ppo",
    "SequencePolicy": "toccata.agents.policies.sequence_policy",
    "TrainConfig": "toccata.agents.runs.config",
    "WholePiecePPO": "toccata.agents.ppo.whole_pieces",
    "evaluate": "toccata.agents.evaluation.evaluate",
    "load_model": "toccata.agents.ppo.model_file",
    "save_model": "toccata.agents.ppo.model_file",
    "train": "toccata.agents.runs.training",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
