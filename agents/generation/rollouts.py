"""Pieces of a trained agent, and of random legal play as its baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.dynamics import random_legal_actions
from toccata.envs.pieces import Piece


def generate_pieces(model: ComposerPPO | None, count: int, seed: int, environment: dict[str, Any]) -> list[Piece]:
    """Generate pieces in one batch of environments.

    Args:
        model: the agent, whose policy is sampled; None plays uniformly at random among the legal actions.
        count: number of pieces.
        seed: equal seeds give equal pieces.
        environment: arguments of `PianoEnv`.
    """
    env = PianoVecEnv(count, **{**environment, "reward_at": "piece"})
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    env.seed(seed)
    observations: Any = env.reset()
    state: Any = None
    pieces: dict[int, Piece] = {}
    while len(pieces) < count:
        masks = env.action_masks()
        if model is None:
            actions = random_legal_actions(masks, env.core.piano.nvec[0], rng)
        else:
            actions, state = model.predict(observations, state, action_masks=masks)
        observations, _, _, infos = env.step(actions)
        for i, info in enumerate(infos):
            if "piece" in info:
                pieces.setdefault(i, info["piece"])
    return [pieces[i] for i in range(count)]
