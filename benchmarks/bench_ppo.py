"""Where the time of PPO goes: in the policy's own forward and backward passes, or elsewhere.

`python benchmarks/bench_ppo.py` prints the breakdown; `rows()` returns what `run.py` collects. The training is the
default one of `train.py` with every reward model, over a few rollouts. Counted as the policy's: forward passes in
rollouts and updates, loss and gradients, clipping and the optimizer's step. Counted as the rest: the environments,
each of the reward models, the discriminator's training, the rollout buffer, logging. A second row compares the rating,
the most expensive reward model, with the policy's update alone.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.logger import Logger

from toccata.agents.policies.sequence_network import SequenceNetwork
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.runs.builders import build_agent, build_envs, excerpt_dataset
from toccata.agents.runs.callbacks.rollouts import MetricsCallback, UpdateRewardsCallback
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.training import set_reference
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModel
from toccata.reward_models import WeightedSum, parse_rewards
from toccata.reward_models.learning import learns
from toccata.reward_models.rating.model import RatingModel
from toccata.reward_models.realism.model import Realism

WARM_ROLLOUTS = 2  # compiled loops are loaded, notes are rendered
ROLLOUTS = 4
TARGET = 0.25  # greatest share of the time outside the policy
RATING_TARGET = 1  # greatest cost of the rating, in updates of the policy

UPDATE = ("update forward", "update backward", "optimizer")
INSIDE = ("rollout forward", *UPDATE)
REWARDS = ("rating", "realism", "rules", "pieces", "adding rewards")  # pieces: their scores, made when first read
OUTSIDE = ("environments", *REWARDS, "discriminator", "metrics", "rollout buffer", "masks")


class Clock:
    """Seconds spent in named functions, each without the named functions it calls."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner: list[float] = []

    def wrap(self, owner: Any, name: str, part: str | Callable[[], str]) -> Callable[[], None]:
        """Time `owner.name` as `part`; returns a function that undoes it."""
        usual = getattr(owner, name)
        own = vars(owner).get(name)

        def timed(*arguments: Any, **named: Any) -> Any:
            label = part if isinstance(part, str) else part()
            self._inner.append(0.0)
            started = time.perf_counter()
            try:
                return usual(*arguments, **named)
            finally:
                seconds = time.perf_counter() - started
                self.seconds[label] += seconds - self._inner.pop()
                if self._inner:
                    self._inner[-1] += seconds

        setattr(owner, name, timed)
        return lambda: delattr(owner, name) if own is None else setattr(owner, name, own)


def part_of(model: RewardModel) -> str:
    """The part that the time of a reward model is counted as."""
    return "rating" if isinstance(model, RatingModel) else "realism" if isinstance(model, Realism) else "rules"


@contextmanager
def measured(model: ComposerPPO, clock: Clock) -> Iterator[None]:
    """Time the parts of `model.learn` on `clock`."""
    policy, buffer, rewards = model.policy, model.rollout_buffer, model.reward_model
    assert isinstance(rewards, WeightedSum)
    training = {"now": False}

    def forward_part() -> str:
        return "update forward" if training["now"] else "rollout forward"

    def train() -> None:
        training["now"] = True
        usual_train()
        training["now"] = False

    undo = [
        clock.wrap(type(policy), "__call__", forward_part),
        clock.wrap(policy, "predict_values", forward_part),
        clock.wrap(policy, "evaluate_actions", forward_part),
        clock.wrap(SequenceNetwork, "prefill", forward_part),
        clock.wrap(SequenceComposerPPO, "kl_penalty", forward_part),
        clock.wrap(torch.Tensor, "backward", "update backward"),
        clock.wrap(torch.nn.utils, "clip_grad_norm_", "optimizer"),
        clock.wrap(policy.optimizer, "step", "optimizer"),
        clock.wrap(policy.optimizer, "zero_grad", "optimizer"),
        clock.wrap(PianoVecEnv, "step", "environments"),
        clock.wrap(PianoVecEnv, "env_method", "masks"),
        clock.wrap(model, "piece_rewards", "adding rewards"),
        clock.wrap(vars(Pieces)["scores"], "func", "pieces"),  # a cached_property
        *(clock.wrap(type(each), "score", part_of(each)) for each in rewards.models.values()),
        clock.wrap(RatingModel, "diagnostics", "rating"),
        clock.wrap(buffer, "add", "rollout buffer"),
        clock.wrap(buffer, "reset", "rollout buffer"),
        clock.wrap(buffer, "compute_returns_and_advantage", "rollout buffer"),
        clock.wrap(UpdateRewardsCallback, "_on_rollout_end", "discriminator"),
        clock.wrap(MetricsCallback, "_on_rollout_end", "metrics"),
    ]
    usual_train, model.train = model.train, train  # type: ignore[method-assign]  # to time it
    try:
        yield
    finally:
        del model.train
        for each in undo:
            each()


def breakdown(config: TrainConfig, rollouts: int = ROLLOUTS) -> dict[str, float]:
    """Seconds of each part, and `whole`, over `rollouts` rollouts and updates after a warm one."""
    torch.manual_seed(config.seed)
    rewards, music = parse_rewards(config.rewards), excerpt_dataset(config, "train")
    model = build_agent(config, build_envs(config), rewards, torch.device("cpu"))
    model.set_logger(Logger(None, []))
    rng = np.random.default_rng(config.seed)
    set_reference(config, model, model)
    callbacks = CallbackList(
        [
            UpdateRewardsCallback({term: each for term, each in rewards.models.items() if learns(each)}, music, rng),
            MetricsCallback(lambda step, values: None),
        ]
    )
    steps = config.num_envs * config.n_steps
    model.learn(WARM_ROLLOUTS * steps, callbacks)
    clock = Clock()
    with measured(model, clock):
        started = time.perf_counter()
        model.learn(rollouts * steps, callbacks, reset_num_timesteps=False)
        whole = time.perf_counter() - started
    return {**clock.seconds, "whole": whole}


def rows() -> list[dict]:
    """The share of the time outside the policy, and the rating's time in updates of the policy; about two minutes."""
    torch.set_num_threads(1)
    config = TrainConfig(algorithm="ppo")
    seconds = breakdown(config)
    inside = sum(seconds.get(part, 0.0) for part in INSIDE)
    update = sum(seconds.get(part, 0.0) for part in UPDATE)
    steps = config.num_envs * config.n_steps * ROLLOUTS
    share, rating_share = 1 - inside / seconds["whole"], seconds["rating"] / update
    return [
        {
            "name": "PPO's time outside the policy",
            "ours_per_second": steps / seconds["whole"],
            "peer": "the policy alone",
            "peer_per_second": steps / inside,
            "ratio": share,
            "target": TARGET,
            "ok": share <= TARGET,
            "breakdown": {part: value / seconds["whole"] for part, value in seconds.items() if part != "whole"},
        },
        {
            "name": "rating against the policy's update",
            "ours_per_second": steps / seconds["rating"],
            "peer": "the policy's update",
            "peer_per_second": steps / update,
            "ratio": rating_share,
            "target": RATING_TARGET,
            "ok": rating_share <= RATING_TARGET,
        },
    ]


def main() -> None:
    """Print the breakdown."""
    whole, rating = rows()
    print(f"{whole['ours_per_second']:.0f} steps a second; share of the time:")
    for part in (*INSIDE, *OUTSIDE):
        print(f"  {part:18}{whole['breakdown'].get(part, 0.0):7.1%}  {'policy' if part in INSIDE else 'rest'}")
    for row in (whole, rating):
        verdict = "ok" if row["ok"] else "MISSED"
        print(f"{row['name']} {row['ratio']:.1%}, target {row['target']:.0%}: {verdict}")


if __name__ == "__main__":
    main()
