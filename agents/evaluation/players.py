"""How each kind of agent plays: models with `predict`, policy functions, music that is there already, random play."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
from gymnasium import spaces

from toccata.agents.generation.rollouts import play_pieces
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.dynamics import random_legal_actions
from toccata.envs.dynamics.song import song_spaces
from toccata.envs.pieces import Piece
from toccata.errors import ToccataError
from toccata.settings.options import shown

PolicyFunction = Callable[[dict[str, np.ndarray], np.ndarray], Any]


class EvaluationError(ToccataError, ValueError):
    """Something that cannot be evaluated; the message names it, and what can be."""


@dataclass(frozen=True)
class Played:
    """Pieces of one composer.

    Attributes:
        pieces: as the piano plays them.
        counts: numbers for metrics.json: of actions, or of files and notes.
        names: of the files that the pieces are from, one a piece; empty for pieces that an agent played.
        left_out: a line for each file that gave no piece, with the reason.
    """

    pieces: list[Piece]
    counts: Mapping[str, int]
    names: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


Player = Callable[[int, int], Played]  # of the number of pieces and a seed


def random_player(environment: Mapping[str, Any]) -> Player:
    """Plays uniformly at random among the legal actions.

    Raises:
        EvaluationError: for environments that cannot be made.
    """
    _env(1, environment)

    def play(count: int, seed: int) -> Played:
        env = _env(count, environment)
        rng = np.random.default_rng(seed)
        whats, velocities = env.core.piano.nvec[0], len(env.core.piano.velocities or ())

        def act(_: Any, masks: np.ndarray, *__: Any) -> tuple[np.ndarray, None]:
            return random_legal_actions(masks, whats, rng, velocities=velocities), None

        return Played(*play_pieces(act, env, seed))

    return play


def player_of(agent: Any, environment: Mapping[str, Any], observation: str = "full", discrete: bool = False) -> Player:
    """The player of an agent.

    Args:
        agent: an object with the `predict` of Stable-Baselines3, or a function of one observation and its mask.
        environment: arguments of `PianoEnv`; the kinds of observation and action are replaced by the agent's.
        observation: of a function: "full" or "actions".
        discrete: of a function: it is given flat masks and returns flat actions.

    Raises:
        EvaluationError: for anything else, and for a model with other observations or actions than a piano has.
    """
    is_class = isinstance(agent, type)
    if callable(getattr(agent, "predict", None)) and not is_class:
        return _model_player(agent, environment)
    if callable(agent) and not is_class:
        return _function_player(agent, {**environment, "observation": observation, "flat": discrete})
    raise EvaluationError(
        f"cannot evaluate {shown(agent)}: it must be a model with predict, a function of observation and action mask, "
        "the path of a folder of music, or a list of scores or pieces"
    )


def name_of(agent: Any) -> str:
    """A name for files and reports: of a function its own, else that of the class."""
    name = str(getattr(agent, "__name__", type(agent).__name__))
    return name if name.isidentifier() else "policy"  # such as <lambda>


def _env(count: int, environment: Mapping[str, Any]) -> PianoVecEnv:
    """`count` pianos, which give a piece at its end."""
    try:
        return PianoVecEnv(count, **{**environment, "reward_at": "piece"})
    except ValueError as error:
        raise EvaluationError(str(error)) from error


def _model_player(model: Any, environment: Mapping[str, Any]) -> Player:
    """Plays what `model.predict` samples: with masks where it takes them, else illegal actions become rests."""
    observed = getattr(model.observation_space, "spaces", {}) if hasattr(model, "observation_space") else {}
    arguments = {
        **environment,
        "observation": "actions" if "place" in observed else "full",
        "flat": isinstance(getattr(model, "action_space", None), spaces.Discrete),
    }
    if "action_mask" in observed:
        arguments["observation_mask"] = True
    env = _env(1, arguments)
    unread = set(song_spaces()) - set(observed)  # of words: Toccata's own policies know them by the masks alone
    read = {key: space for key, space in env.core.observation_space.items() if key not in unread}
    for kind, space in (("action_space", env.action_space), ("observation_space", spaces.Dict(read))):
        if getattr(model, kind, None) != space:
            raise EvaluationError(
                f"{name_of(model)}: its {kind} is {shown(getattr(model, kind, None))}, not that of a piano, "
                f"{shown(space)}; wrap it in a function of observation and action mask"
            )
    takes_masks = "action_masks" in signature(model.predict).parameters

    def act(observations: Any, masks: np.ndarray, state: Any, starts: np.ndarray) -> tuple[np.ndarray, Any]:
        named = {"action_masks": masks} if takes_masks else {}
        observed = {key: observations[key] for key in read}
        return model.predict(observed, state, episode_start=starts, **named)

    def play(count: int, seed: int) -> Played:
        model.action_space.seed(seed)  # DQN explores with it
        return Played(*play_pieces(act, _env(count, arguments), seed))

    return play


def _function_player(function: PolicyFunction, arguments: Mapping[str, Any]) -> Player:
    """Plays one piece after the other, so that a function may keep what it has seen of the piece."""
    env = _env(1, arguments)

    def act(observations: Any, masks: np.ndarray, _: Any, __: np.ndarray) -> tuple[np.ndarray, Any]:
        action = np.asarray(function({key: value[0] for key, value in observations.items()}, masks[0].copy()))
        single = env.action_space
        if (
            action.shape != single.shape
            or action.dtype.kind not in "iu"
            or not single.contains(action.astype(np.int64))
        ):
            raise EvaluationError(f"{name_of(function)}: returned {shown(action)}, which is not in {single}")
        return action[None].astype(np.int64), None

    def play(count: int, seed: int) -> Played:
        played = [play_pieces(act, env, seed + i) for i in range(count)]
        counts = {name: sum(each[name] for _, each in played) for name in played[0][1]}
        return Played([pieces[0] for pieces, _ in played], counts)

    return play
