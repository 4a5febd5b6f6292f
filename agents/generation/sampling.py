"""Sampling pieces from a sequence network, several side by side, unconditionally or continuing a primer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch

from toccata.agents.generation.primer import PreparedPrimer
from toccata.agents.policies.cache import Cache
from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import NO_GENRE, OBSERVATION_KEYS, SequenceNetwork, tensors_of
from toccata.agents.prior.trajectories import trajectories_of
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.core import GENRES, STEPS_PER_BAR
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import Score


def sample_pieces(
    network: SequenceNetwork,
    piano: Piano,
    count: int,
    *,
    bars: int,
    seed: int,
    genre: str | None,
    primer: Score | None = None,
    beats_per_bar: float = 4,
    tempo_bpm: float = 120.0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_steps: int | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> list[Piece]:
    """Compose `count` pieces side by side.

    What the network sees is what `record` gives of the finished piece: a primer's actions are its past, and it counts
    its bars from the primer's first to its own last one.

    Args:
        network: on any device.
        piano: its instrument.
        count: pieces.
        bars: that the network writes in each.
        seed: one seed gives one set of pieces.
        genre: that it is asked for; None: it is asked for none.
        primer: a score to continue, in its metre and tempo, from the bar line at or after its end on. Of a primer of
            more than 64 bars the network is told the last 64; the piece holds all of it.
        beats_per_bar: quarter notes in a bar, without a primer.
        tempo_bpm: quarter notes a minute, without a primer.
        temperature: what the logits of both heads are divided by, greater than 0; towards 0 the likeliest `what` and
            then its likeliest value are all that is played.
        top_p: in (0, 1]; each action is drawn from the fewest that together have this probability (the nucleus of
            Holtzman et al. 2020, over `(what, value)`).
        max_steps: actions after which the network's part ends in silence; by default 128 a bar.
        on_progress: told after every step the share, in [0, 1], that is written of the piece that is least far.

    Returns:
        pieces with the primer at their beginning, as the piano plays it; `start_tick` is its end, `actions` what the
        network played after it.

    Raises:
        ValueError: for a value outside its range, naming it, and for a primer that the piano cannot play.
    """
    _check(count, bars, temperature, top_p, max_steps)
    asked_for = genre_index(genre)
    opening = PreparedPrimer.of(primer, piano, beats_per_bar, tempo_bpm)
    past = len(opening.actions)
    env = PianoVecEnv(
        count,
        bars=opening.heard.bars + bars,
        observation="actions",
        piano=piano,
        beats_per_bar=opening.heard.beats_per_bar,
        tempo_bpm=opening.heard.tempo_bpm,
        max_steps=past + (STEPS_PER_BAR * bars if max_steps is None else max_steps),
    )
    observations: Any = env.reset()
    for action in opening.actions:
        observations, _, _, _ = env.step(np.tile(action, (count, 1)))
    states = env.core.dynamics.states
    begun, end = opening.heard.length_ticks, int(states["end_tick"][0])

    device = next(network.parameters()).device
    chance = torch.Generator().manual_seed(seed)
    cache = _cache(network, piano, opening, end, count, genre)
    pieces: dict[int, Piece] = {}
    active = np.arange(count)
    begins = torch.full((count,), past == 0, device=device)
    while len(active):
        seen = tensors_of({key: observations[key][active] for key in OBSERVATION_KEYS}, device)
        seen["genre"].fill_(asked_for)
        with torch.no_grad():
            logits, _, cache = network.step(seen, begins, cache)
        actions = np.zeros((count, 2), np.int64)  # what is finished waits
        masks = env.action_masks()[active]
        actions[active] = draw(JointDistribution(piano), logits, masks, temperature, top_p, chance)
        observations, _, dones, infos = env.step(actions)
        done = dones[active]
        for i in active[done].tolist():
            pieces[i] = _piece(opening, infos[i]["piece"], genre)
        if done.any():
            active, cache = active[~done], cache[torch.as_tensor(np.flatnonzero(~done), device=device)]
        begins = torch.zeros(len(active), dtype=torch.bool, device=device)
        if on_progress is not None:
            least = states["clock"][active].min(initial=end)
            on_progress(float((least - begun) / (end - begun)))
    return [pieces[i] for i in range(count)]


def draw(
    distribution: JointDistribution,
    logits: torch.Tensor,
    masks: np.ndarray,
    temperature: float,
    top_p: float,
    chance: torch.Generator,
) -> np.ndarray:
    """Actions (rows, 2) int64 that are drawn from logits (rows, whats + kinds * values) under masks."""
    probs = joint_probs(distribution, logits, masks, temperature)
    if top_p < 1:
        probs = nucleus(probs, top_p)
    chosen = torch.multinomial(probs, 1, generator=chance).squeeze(1).numpy()
    return np.stack([chosen // distribution.values, chosen % distribution.values], axis=1)


def joint_probs(
    distribution: JointDistribution, logits: torch.Tensor, masks: np.ndarray, temperature: float
) -> torch.Tensor:
    """(rows, whats * values) float64 probabilities of every action, on the CPU: exactly 0 where it is masked.

    Args:
        distribution: of the piano; its logits are replaced.
        logits: (rows, whats + kinds * values).
        masks: (rows, whats + values) bool, the legal actions.
        temperature: what logits are divided by; however small, nothing overflows.
    """
    legal = torch.as_tensor(masks)
    whats, kinds = distribution.whats, distribution.kinds
    legal = torch.cat([legal[:, :whats], legal[:, whats:].repeat(1, kinds)], dim=1)
    logits = logits.cpu().double().masked_fill(~legal, -torch.inf)
    heads = [logits[:, :whats], logits[:, whats:].unflatten(1, (kinds, distribution.values))]
    heads = [((head - head.amax(dim=-1, keepdim=True)) / temperature).flatten(1) for head in heads]
    return distribution.proba_distribution(torch.cat(heads, dim=1)).joint_log_probs().flatten(1).exp()


def nucleus(probs: torch.Tensor, top_p: float) -> torch.Tensor:
    """Probabilities (rows, n) with 0 for all but the likeliest of a row that are needed to reach `top_p`.

    They are not made to add up to 1 again. Source: Holtzman et al. 2020, "The Curious Case of Neural Text
    Degeneration", section 3.1.
    """
    ordered, order = probs.sort(dim=1, descending=True, stable=True)
    before = ordered.cumsum(dim=1) - ordered
    return torch.zeros_like(probs).scatter(1, order, ordered.masked_fill(before >= top_p, 0.0))


def genre_index(genre: str | None) -> int:
    """The number by which a network is told a genre; that of no genre for None.

    Raises:
        ValueError: for an unknown one, with the nearest that there is.
    """
    if genre is None:
        return NO_GENRE
    if genre not in GENRES:
        near = get_close_matches(genre.lower(), GENRES, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown genre {genre!r}: it must be one of {', '.join(GENRES)}{hint}")
    return GENRES.index(genre)


def _check(count: int, bars: int, temperature: float, top_p: float, max_steps: int | None) -> None:
    """Raise ValueError naming the first value that is outside its range."""
    for name, value in (("count", count), ("bars", bars), ("max_steps", max_steps)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be greater than 0 and finite, got {temperature}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be greater than 0 and at most 1, got {top_p}")


def _cache(
    network: SequenceNetwork, piano: Piano, opening: PreparedPrimer, end_tick: int, count: int, genre: str | None
) -> Cache:
    """What each of `count` rows remembers of the opening of a piece that ends at `end_tick`."""
    if not len(opening.actions):
        return network.empty_cache(count)
    piece = Piece(replace(opening.heard, length_ticks=end_tick), genre=genre, actions=opening.actions)
    past = trajectories_of([piece], piano)
    device = next(network.parameters()).device
    with torch.no_grad():
        lengths = torch.as_tensor(past.lengths, device=device)
        cache = network.prefill(tensors_of(past.observations, device, time=True), lengths)
    return cache[torch.zeros(count, dtype=torch.int64, device=device)]


def _piece(opening: PreparedPrimer, written: Piece, genre: str | None) -> Piece:
    """The whole piece: the opening, and what was written after what was heard of it."""
    begun, start_tick = opening.heard.length_ticks, opening.score.length_ticks
    own = written.score.slice(begun, written.score.length_ticks)
    notes = own.notes.copy()
    notes["onset_tick"] += start_tick
    score = replace(
        opening.score,
        notes=np.concatenate([opening.score.notes, notes]),
        length_ticks=start_tick + own.length_ticks,
    )
    assert written.actions is not None  # an environment's pieces have them
    return Piece(score, genre, start_tick, written.actions[len(opening.actions) :])
