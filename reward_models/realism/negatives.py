"""What people did not write: real pieces spoilt in one way each, and play that was never music."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from toccata.envs.codec import encode
from toccata.envs.dynamics import random_legal_actions
from toccata.envs.vector import PianoVectorEnv
from toccata.music.score import NOTE_DTYPE, Score

MOVED_SHARE = 0.3  # of the notes that wrong notes and loose timing touch


def shuffled_pitches(score: Score, rng: np.random.Generator) -> Score:
    """The same rhythm and the same pitches, each at another note."""
    return _with(score, pitch=rng.permutation(score.notes["pitch"]))


def wrong_notes(score: Score, rng: np.random.Generator) -> Score:
    """Some notes up to half an octave too high or too low."""
    off = rng.integers(1, 7, len(score)) * rng.choice([-1, 1], len(score))
    return _with(score, pitch=score.notes["pitch"] + off * (rng.random(len(score)) < MOVED_SHARE))


def clashing_hands(score: Score, rng: np.random.Generator) -> Score:
    """What lies above the middle of the keys that are used in another key than what lies below."""
    pitch = score.notes["pitch"].copy()
    pitch[pitch > np.median(pitch)] += rng.choice([-6, -4, -3, -1, 1, 3, 4, 6])
    return _with(score, pitch=pitch)


def shuffled_durations(score: Score, rng: np.random.Generator) -> Score:
    """The same gaps between strikes and the same durations in another order."""
    onsets, index = np.unique(score.notes["onset_tick"], return_inverse=True)
    gaps = rng.permutation(np.diff(onsets))
    moved = onsets[:1].sum() + np.concatenate(([0], np.cumsum(gaps)))
    return _with(score, onset_tick=moved[index], duration_ticks=rng.permutation(score.notes["duration_ticks"]))


def loose_timing(score: Score, rng: np.random.Generator) -> Score:
    """Some strikes up to five ticks, a fifth of a beat, too early or too late."""
    onsets, index = np.unique(score.notes["onset_tick"], return_inverse=True)
    off = rng.integers(1, 6, len(onsets)) * rng.choice([-1, 1], len(onsets)) * (rng.random(len(onsets)) < MOVED_SHARE)
    return _with(score, onset_tick=(onsets + off)[index])


def shuffled_bars(score: Score, rng: np.random.Generator) -> Score:
    """The same bars in another order; what is held over a bar line ends there."""
    bar = score.ticks_per_bar
    pieces = []
    for place, source in enumerate(rng.permutation(score.length_ticks // bar).tolist()):
        notes = score.slice(source * bar, (source + 1) * bar).notes.copy()
        notes["onset_tick"] += place * bar
        pieces.append(notes)
    return replace(score, notes=np.concatenate([np.empty(0, NOTE_DTYPE), *pieces]))


def stuck(score: Score, rng: np.random.Generator) -> Score:
    """The rhythm of the piece with a figure of one to four of its strikes from beginning to end."""
    onsets = np.unique(score.notes["onset_tick"])
    first, period = int(rng.integers(len(onsets))), int(rng.integers(1, 5))
    figure = [score.notes[score.notes["onset_tick"] == onset] for onset in onsets[first : first + period]]
    strikes = [figure[i % len(figure)].copy() for i in range(len(onsets))]
    for onset, strike in zip(onsets, strikes, strict=True):
        strike["onset_tick"] = onset
    return _with_notes(score, np.concatenate(strikes))


def thinned(score: Score, rng: np.random.Generator) -> Score:
    """Most notes left out, often nearly all of them."""
    return _with_notes(score, score.notes[rng.random(len(score)) < 0.4 * rng.random() ** 2])


def thickened(score: Score, rng: np.random.Generator) -> Score:
    """Every note with up to four more, close by, that belong to no chord."""
    notes = [score.notes]
    for _ in range(int(rng.integers(1, 5))):
        more = score.notes.copy()
        more["pitch"] = np.clip(more["pitch"] + rng.integers(-8, 9, len(more)), 21, 108)
        notes.append(more)
    return _with_notes(score, np.concatenate(notes))


CORRUPTIONS: dict[str, Callable[[Score, np.random.Generator], Score]] = {
    corruption.__name__: corruption
    for corruption in (
        shuffled_pitches,
        wrong_notes,
        clashing_hands,
        shuffled_durations,
        loose_timing,
        shuffled_bars,
        stuck,
        thinned,
        thickened,
    )
}
"""Every corruption by its name: a score with notes and a source of chance in, a score of the same length out."""


def corrupt(name: str, scores: Sequence[Score], rng: np.random.Generator) -> list[Score]:
    """Each score spoilt in the way `name`, as the instrument plays it; scores without notes are left out."""
    return [encode(CORRUPTIONS[name](score, rng))[1].score for score in scores if len(score)]


def random_pieces(count: int, bars: int, rng: np.random.Generator) -> list[Score]:
    """Pieces of random legal actions, in 2/4, 3/4 and 4/4 by turns."""
    return _improvised(count, bars, rng, {})


def markov_pieces(count: int, bars: int, learned_from: Sequence[Score], rng: np.random.Generator) -> list[Score]:
    """Pieces in which each action follows the one before as somewhere in `learned_from`."""
    follows = defaultdict(list)
    for score in learned_from:
        actions = [tuple(action) for action in encode(score)[0].tolist()]
        for action, following in zip([None, *actions], actions, strict=False):
            follows[action].append(following)
    return _improvised(count, bars, rng, follows)


def _improvised(count: int, bars: int, rng: np.random.Generator, follows: dict) -> list[Score]:
    """Pieces whose actions are drawn from what follows the last one; random legal ones where that is not legal."""
    scores: list[Score] = []
    for beats_per_bar in (2, 3, 4):
        players = -(-count // 3)
        env = PianoVectorEnv(
            players, bars=bars, beats_per_bar=beats_per_bar, observation="actions", max_steps=1000 * bars
        )
        env.reset(seed=int(rng.integers(2**31)))
        whats = env.core.piano.nvec[0]
        last: list[tuple[int, int] | None] = [None] * players
        pieces: dict[int, Score] = {}
        while len(pieces) < players:
            masks = env.action_masks()
            actions = random_legal_actions(masks, whats, rng)
            for i, choices in enumerate([follows.get(action, ()) for action in last]):
                if choices:
                    what, value = choices[rng.integers(len(choices))]
                    if masks[i, what] and masks[i, whats + value]:
                        actions[i] = what, value
            last = [tuple(action) for action in actions.tolist()]
            infos = env.step(actions)[-1]
            for i, info in enumerate(infos.get("final_info", {}).get("piece", ())):
                if info is not None:
                    pieces.setdefault(i, info.score)
                    last[i] = None
        scores += pieces.values()
    return scores[:count]


def _with(score: Score, **fields: np.ndarray) -> Score:
    """The score with some fields of its notes changed."""
    notes = score.notes.copy()
    for name, values in fields.items():
        notes[name] = values
    return _with_notes(score, notes)


def _with_notes(score: Score, notes: np.ndarray) -> Score:
    """The score with other notes, kept on the keyboard and inside the piece."""
    notes = notes.copy()
    notes["onset_tick"] = np.clip(notes["onset_tick"], 0, score.length_ticks - 1)
    notes["duration_ticks"] = np.minimum(notes["duration_ticks"], score.length_ticks - notes["onset_tick"])
    notes["pitch"] = np.clip(notes["pitch"], 21, 108)
    return replace(score, notes=notes)
