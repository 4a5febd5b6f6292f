"""Pieces of chance: random legal actions, Markov chains of the actions of real pieces, and random notes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from toccata.envs.codec import encode
from toccata.envs.dynamics import random_legal_actions
from toccata.envs.vector import PianoVectorEnv
from toccata.music.score import TICKS_PER_BEAT, Score

BAR_TICKS = 4 * TICKS_PER_BEAT  # of random notes
GRID = TICKS_PER_BEAT // 4  # a sixteenth
LOWEST_KEY, HIGHEST_KEY = 21, 108


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


def random_notes(count: int, bars: int, rng: np.random.Generator) -> list[Score]:
    """Random keys at random times, from a few notes to most keys at once, and clusters of neighbouring keys.

    No hands could play most of them, but a discriminator may be asked about any file.
    """
    return [_clusters(bars, rng) if rng.random() < 0.5 else _scattered(bars, rng) for _ in range(count)]


def _scattered(bars: int, rng: np.random.Generator) -> Score:
    """Notes of random keys and values, 4 to 1,000 a bar."""
    length = bars * BAR_TICKS
    notes = int(bars * np.exp(rng.uniform(np.log(4), np.log(1000))))
    onsets = rng.integers(length // GRID, size=notes) * GRID
    values = np.minimum(rng.choice([GRID, 2 * GRID, 4 * GRID, 8 * GRID], notes), length - onsets)
    pitches = rng.integers(LOWEST_KEY, HIGHEST_KEY + 1, notes)
    return Score([(*note, 80) for note in zip(onsets, values, pitches, strict=True)], length_ticks=length)


def _clusters(bars: int, rng: np.random.Generator) -> Score:
    """Six to 88 neighbouring keys, struck together again and again, or once."""
    length, width = bars * BAR_TICKS, int(rng.integers(6, 89))
    value = int(rng.choice([GRID, 4 * GRID, 16 * GRID, length]))
    onsets = [onset for onset in range(0, length, value) if rng.random() < 0.7 or not onset]
    lowest = [int(rng.integers(LOWEST_KEY, HIGHEST_KEY + 2 - width)) for _ in onsets]
    if rng.random() < 0.5:
        lowest = lowest[:1] * len(onsets)
    notes = [
        (onset, min(value, length - onset), low + key, 80)
        for onset, low in zip(onsets, lowest, strict=True)
        for key in range(width)
    ]
    return Score(notes, length_ticks=length)


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
