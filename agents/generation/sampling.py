"""Sampling pieces from a sequence network in one batch, unconditionally or continuing a primer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from toccata.agents.policies.cache import Cache
from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import NO_GENRE, OBSERVATION_KEYS, SequenceNetwork, tensors_of
from toccata.agents.prior.primer import PreparedPrimer
from toccata.agents.prior.trajectories import record_trajectories
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.core import STEPS_PER_BAR
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.lyrics import Lyrics
from toccata.music.score import Score
from toccata.settings.genres import genre_index


def sample_pieces(
    network: SequenceNetwork,
    piano: Piano,
    count: int,
    *,
    bars: int | None,
    seed: int,
    genre: str | None,
    primer: Score | None = None,
    lyrics: Lyrics | None = None,
    voice: str = "soprano",
    beats_per_bar: float = 4,
    tempo_bpm: float = 120.0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_steps: int | None = None,
    on_progress: Callable[[float], object] | None = None,
) -> list[Piece]:
    """Sample pieces from a network.

    The network's observations are those that `record_trajectories` gives for the finished piece: the actions of a
    primer are in the cache, and bars are counted from the first one of the primer to the last one of the piece.

    Args:
        network: on any device.
        piano: its instrument.
        count: number of pieces.
        bars: to sample, after the primer; with lyrics None: as many as they need.
        seed: equal seeds give equal pieces.
        genre: to condition on, one of the network's; None: unconditional.
        primer: a score to continue, in its metre and tempo, from the bar line at or after its end. The network is
            conditioned on its last 64 bars; the pieces contain all of it.
        lyrics: words that the highest line carries, see `docs/lyrics.md`; not with a primer. They act through the
            masks alone: the network does not observe them.
        voice: that sings them: soprano, alto, tenor or bass.
        beats_per_bar: quarter notes in a bar, without a primer.
        tempo_bpm: quarter notes a minute, without a primer.
        temperature: divisor of the logits of both heads, greater than 0; towards 0 the likeliest `what` is played with
            its likeliest value.
        top_p: in (0, 1]; each action is sampled from the smallest set with at least this probability (nucleus sampling,
            Holtzman et al. 2020, over `(what, value)`).
        max_steps: actions after which the rest of the piece is silent; by default 128 a bar, with lyrics 128 for each
            four beats of a longer bar.
        on_progress: called after every step with the fraction of the least finished piece that is done, in [0, 1].

    Returns:
        pieces that begin with the primer as the piano plays it; `start_tick` is its end, `actions` are those after it.

    Raises:
        ValueError: for a value outside its range, naming it, for a primer that the piano cannot play, and for both a
            primer and lyrics.
        LyricsError: for an unknown voice, and for too few bars.
    """
    if lyrics is None and bars is None:
        raise ValueError("bars must be given where there are no lyrics that they follow from")
    if lyrics is not None and primer is not None:
        raise ValueError("a piece has a primer or lyrics, not both")
    _check_arguments(count, bars, temperature, top_p, max_steps)
    genre_number = NO_GENRE if genre is None else genre_index(genre, network.config.genres)
    prepared = PreparedPrimer.from_score(primer, piano, beats_per_bar, tempo_bpm)
    context = prepared.context
    steps = max_steps  # None: those of a song
    if steps is None and bars is not None and lyrics is None:
        steps = STEPS_PER_BAR * bars
    env = PianoVecEnv(
        count,
        bars=None if bars is None else context.bars + bars,
        observation="actions",
        piano=piano,
        beats_per_bar=context.beats_per_bar,
        tempo_bpm=context.tempo_bpm,
        max_steps=None if steps is None else len(prepared.actions) + steps,
        lyrics=lyrics,
        voice=voice,
    )
    observations: Any = env.reset()
    for action in prepared.actions:
        observations, _, _, _ = env.step(np.tile(action, (count, 1)))
    states = env.core.dynamics.states
    start, end = context.length_ticks, int(states["end_tick"][0])

    device = next(network.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    cache = _prefilled_cache(network, piano, prepared, end, count, genre)
    pieces: dict[int, Piece] = {}
    active = np.arange(count)
    episode_starts = torch.full((count,), not len(prepared.actions), device=device)
    while len(active):
        tensors = tensors_of({key: observations[key][active] for key in OBSERVATION_KEYS}, device)
        tensors["genre"].fill_(genre_number)
        with torch.no_grad():
            logits, _, cache = network.step(tensors, episode_starts, cache)
        actions = np.zeros((count, 2), np.int64)  # finished pieces rest
        masks = env.action_masks()[active]
        actions[active] = sample_actions(JointDistribution(piano), logits, masks, temperature, top_p, generator)
        observations, _, dones, infos = env.step(actions)
        done = dones[active]
        for i in active[done].tolist():
            pieces[i] = _with_primer(prepared, infos[i]["piece"], genre)
        if done.any():
            active, cache = active[~done], cache[torch.as_tensor(np.flatnonzero(~done), device=device)]
        episode_starts = torch.zeros(len(active), dtype=torch.bool, device=device)
        if on_progress is not None:
            tick = states["clock"][active].min(initial=end)
            on_progress(float((tick - start) / (end - start)))
    return [pieces[i] for i in range(count)]


def sample_actions(
    distribution: JointDistribution,
    logits: torch.Tensor,
    masks: np.ndarray,
    temperature: float,
    top_p: float,
    generator: torch.Generator,
) -> np.ndarray:
    """(rows, 2) int64 actions sampled from logits (rows, whats + kinds * values) under masks (rows, whats + values)."""
    probs = joint_probs(distribution, logits, masks, temperature)
    if top_p < 1:
        probs = nucleus(probs, top_p)
    indices = torch.multinomial(probs, 1, generator=generator).squeeze(1).numpy()
    return np.stack([indices // distribution.values, indices % distribution.values], axis=1)


def joint_probs(
    distribution: JointDistribution, logits: torch.Tensor, masks: np.ndarray, temperature: float
) -> torch.Tensor:
    """(rows, whats * values) float64 probabilities of every action, on the CPU: exactly 0 where it is masked.

    Args:
        distribution: of the piano; its logits are replaced.
        logits: (rows, whats + kinds * values).
        masks: (rows, whats + values) bool, the legal actions.
        temperature: divisor of the logits; however small, nothing overflows.
    """
    legal = torch.as_tensor(masks)
    whats, kinds = distribution.whats, distribution.kinds
    legal = torch.cat([legal[:, :whats], legal[:, whats:].repeat(1, kinds)], dim=1)
    logits = logits.cpu().double().masked_fill(~legal, -torch.inf)
    heads = [logits[:, :whats], logits[:, whats:].unflatten(1, (kinds, distribution.values))]
    heads = [((head - head.amax(dim=-1, keepdim=True)) / temperature).flatten(1) for head in heads]
    return distribution.proba_distribution(torch.cat(heads, dim=1)).joint_log_probs().flatten(1).exp()


def nucleus(probs: torch.Tensor, top_p: float) -> torch.Tensor:
    """Probabilities (rows, n) with 0 outside the smallest set of the likeliest in a row that reaches `top_p`.

    They are not renormalised. Source: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", section
    3.1.
    """
    # All below (1 - top_p) / n together are less than what is left out, so columns of them need not be sorted
    columns = (probs >= (1 - top_p) / probs.shape[1]).any(dim=0).nonzero().squeeze(1)
    some = probs[:, columns]
    ordered, order = some.sort(dim=1, descending=True, stable=True)
    before = ordered.cumsum(dim=1) - ordered
    kept = torch.zeros_like(some).scatter(1, order, ordered.masked_fill(before >= top_p, 0.0))
    return torch.zeros_like(probs).index_copy(1, columns, kept)


def _check_arguments(count: int, bars: int | None, temperature: float, top_p: float, max_steps: int | None) -> None:
    """Raise ValueError naming the first value that is outside its range."""
    for name, value in (("count", count), ("bars", bars), ("max_steps", max_steps)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be greater than 0 and finite, got {temperature}")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be greater than 0 and at most 1, got {top_p}")


def _prefilled_cache(
    network: SequenceNetwork, piano: Piano, prepared: PreparedPrimer, end_tick: int, count: int, genre: str | None
) -> Cache:
    """The cache of `count` rows after the context of a primer, for pieces that end at `end_tick`."""
    if not len(prepared.actions):
        return network.empty_cache(count)
    piece = Piece(replace(prepared.context, length_ticks=end_tick), genre=genre, actions=prepared.actions)
    trajectories = record_trajectories([piece], piano, network.config.genres)
    device = next(network.parameters()).device
    with torch.no_grad():
        lengths = torch.as_tensor(trajectories.lengths, device=device)
        cache = network.prefill(tensors_of(trajectories.observations, device, time=True), lengths)
    return cache[torch.zeros(count, dtype=torch.int64, device=device)]


def _with_primer(prepared: PreparedPrimer, piece: Piece, genre: str | None) -> Piece:
    """The whole primer, and what follows its context in `piece`."""
    context_ticks, start_tick = prepared.context.length_ticks, prepared.score.length_ticks
    continuation = piece.score.slice(context_ticks, piece.score.length_ticks)
    notes = continuation.notes.copy()
    notes["onset_tick"] += start_tick
    score = replace(
        prepared.score,
        notes=np.concatenate([prepared.score.notes, notes]),
        length_ticks=start_tick + continuation.length_ticks,
    )
    assert piece.actions is not None  # an environment's pieces have them
    return Piece(score, genre, start_tick, piece.actions[len(prepared.actions) :], piece.lyrics, piece.voice)
