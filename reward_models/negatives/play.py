"""Pieces of chance: random legal actions, and Markov chains of the actions of real pieces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from toccata.envs.codec import encode
from toccata.envs.dynamics import random_legal_actions
from toccata.envs.vector import PianoVectorEnv
from toccata.music.score import Score


def random_pieces(count: int, bars: int, rng: np.random.Generator) -> list[Score]:
    """Pieces of random legal actions, a third each in 2/4, 3/4 and 4/4."""
    return _sample_pieces(count, bars, rng, {})


def markov_pieces(count: int, bars: int, training_scores: Sequence[Score], rng: np.random.Generator) -> list[Score]:
    """Pieces of a first-order Markov chain of the actions of `training_scores`, in the metres of `random_pieces`."""
    transitions = defaultdict(list)
    for score in training_scores:
        actions = [tuple(action) for action in encode(score)[0].tolist()]
        for previous, action in zip([None, *actions], actions, strict=False):
            transitions[previous].append(action)
    return _sample_pieces(count, bars, rng, transitions)


def _sample_pieces(count: int, bars: int, rng: np.random.Generator, transitions: dict) -> list[Score]:
    """Pieces of actions drawn from `transitions[previous action]`; a random legal action where there is none."""
    scores: list[Score] = []
    for beats_per_bar in (2, 3, 4):
        num_envs = -(-count // 3)
        env = PianoVectorEnv(
            num_envs, bars=bars, beats_per_bar=beats_per_bar, observation="actions", max_steps=1000 * bars
        )
        env.reset(seed=int(rng.integers(2**31)))
        whats = env.core.piano.nvec[0]
        previous: list[tuple[int, int] | None] = [None] * num_envs
        pieces: dict[int, Score] = {}
        while len(pieces) < num_envs:
            masks = env.action_masks()
            actions = random_legal_actions(masks, whats, rng)
            for i, choices in enumerate([transitions.get(action, ()) for action in previous]):
                if choices:
                    what, value = choices[rng.integers(len(choices))]
                    if masks[i, what] and masks[i, whats + value]:
                        actions[i] = what, value
            previous = [tuple(action) for action in actions.tolist()]
            infos = env.step(actions)[-1]
            for i, info in enumerate(infos.get("final_info", {}).get("piece", ())):
                if info is not None:
                    pieces.setdefault(i, info.score)
                    previous[i] = None
        scores += pieces.values()
    return scores[:count]
