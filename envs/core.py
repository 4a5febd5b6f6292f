"""Episodes and rewards on top of the dynamics, shared by the single env and both vector envs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from os import PathLike
from typing import Any

import numpy as np
from gymnasium import spaces

from toccata.envs.codec import encode
from toccata.envs.dynamics import MAX_OBSERVED_BEATS, RECENT_FRAMES, Dynamics
from toccata.envs.dynamics.song import SongDynamics, bars_of_four_beats, most_bars, song_spaces, texts_of
from toccata.envs.flat_actions import flat_masks, flat_space, unflatten
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import RewardModel, check_model, contributions, total
from toccata.music.lyrics import Lyrics
from toccata.music.lyrics.voices import checked_voice
from toccata.music.score import Score
from toccata.settings.genres import GENRES, check_genres, genre_index
from toccata.settings.options import MAX_BARS

OBSERVATIONS = ("full", "actions")
REWARD_TIMES = ("piece", "bar")
DEFAULT_BARS = 8
STEPS_PER_BAR = 128  # limit of an episode: real keyboard music needs 30-40 steps a bar, the densest about 100
MAX_TICKS_PER_BAR = 2**15  # of at most MAX_BARS bars: ticks stay far inside 32 bits
REWARDED_PREFIX = "rewarded:"  # in the names of `PianoCore.state`, before the name of a reward term

Primer = Score | str | PathLike[str]


def genre_count(observation_space: spaces.Space) -> int | None:
    """How many genres the observations of an environment tell apart; None where they have none."""
    genre = observation_space.spaces.get("genre") if isinstance(observation_space, spaces.Dict) else None
    return int(genre.n) if isinstance(genre, spaces.Discrete) else None


def checked_penalty(penalty: float) -> float:
    """`penalty`; raises ValueError unless it is in [0, inf)."""
    if not 0 <= penalty < np.inf:
        raise ValueError(f"illegal_penalty must be finite and not negative, got {penalty}")
    return float(penalty)


@dataclass(frozen=True)
class Step:
    """The results of one step of every env; arrays have a leading env axis."""

    rewards: np.ndarray  # (n,) float64; of `MOPianoCore` (n, entries) float32
    terminated: np.ndarray  # (n,) bool, the last bar line is reached
    truncated: np.ndarray  # (n,) bool, `max_steps` or `time_limit` ended it before the last bar line
    terms: dict[str, np.ndarray]  # (n,) float64 each, their sum is `rewards`; of `MOPianoCore` its entries
    pieces: dict[int, Piece]  # by env: the piece so far, in the envs that are rewarded for it in this step


class PianoCore:
    """The episodes of `num_envs` pianos; see `PianoEnv` for the arguments, and `PianoDiscreteEnv` for `flat` actions.

    Attributes:
        time_limit: steps after which episodes are truncated besides `max_steps`; infinite unless set, 0 for the next.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        bars: int | None = None,
        genre: str | None = "classical",
        primer: Primer | None = None,
        reward: RewardModel | None = None,
        observation: str = "full",
        reward_at: str = "piece",
        bars_per_reward: int = 1,
        piano: Piano | None = None,
        beats_per_bar: float = 4,
        tempo_bpm: float = 120.0,
        illegal_penalty: float = 0.0,
        max_steps: int | None = None,
        genres: Sequence[str] = GENRES,
        observation_mask: bool = False,
        lyrics: Lyrics | str | Sequence[Lyrics | str] | None = None,
        voice: str = "soprano",
        flat: bool = False,
    ) -> None:
        if piano is not None and not isinstance(piano, Piano):
            raise TypeError(f"piano must be a Piano, got {piano!r}")
        if not isinstance(observation_mask, (bool, np.bool_)):
            raise TypeError(f"observation_mask must be True or False, got {observation_mask!r}")
        self.num_envs = _positive_int("num_envs", num_envs)
        self.piano = piano or Piano()
        self.lyrics = () if lyrics is None else texts_of(lyrics)
        self.voice = checked_voice(voice)
        self.ticks_per_bar = Score(beats_per_bar=beats_per_bar).ticks_per_bar
        self.bars = DEFAULT_BARS if bars is None else _positive_int("bars", bars)
        self.bars = most_bars(self.lyrics, self.piano, self.ticks_per_bar, bars) if self.lyrics else self.bars
        steps = STEPS_PER_BAR * (bars_of_four_beats(self.bars, self.ticks_per_bar) if self.lyrics else self.bars)
        self.max_steps = _positive_int("max_steps", steps if max_steps is None else max_steps)
        self.genres = check_genres(genres)
        self.genre = None if genre is None else self.genres[genre_index(genre, self.genres)]
        self.observation = OBSERVATIONS[_index("observation", observation, OBSERVATIONS)]
        self.bars_per_reward = _positive_int("bars_per_reward", bars_per_reward)
        self.reward_at = REWARD_TIMES[_index("reward_at", reward_at, REWARD_TIMES)]
        self.reward_model = reward
        self.illegal_penalty = illegal_penalty
        self.observation_mask = bool(observation_mask)
        self.flat = flat
        self.tempo_bpm = Score(tempo_bpm=tempo_bpm).tempo_bpm
        self._end_tick(self.ticks_per_bar, self.bars)
        self.primer = None if primer is None else self._read_primer(primer)

        kind = partial(SongDynamics, self.lyrics, voice, bars) if self.lyrics else Dynamics
        self.dynamics: Dynamics = kind(num_envs, self.piano, self.max_steps, keep_roll=observation == "full")
        self.time_limit: float = np.inf
        self.tempos_bpm = np.full(num_envs, self.tempo_bpm)
        self._rewarded: dict[str, np.ndarray] = {}  # (n,) by term: the sum of the rewards of this episode so far
        self._bars_rewarded = np.zeros(num_envs, np.int32)
        self._all = np.arange(num_envs)
        self.action_space: spaces.Space = (
            flat_space(self.piano) if flat else spaces.MultiDiscrete(list(self.piano.nvec))
        )
        self.observation_space = self._observation_space()

    @property
    def reward_model(self) -> RewardModel | None:
        """The reward model; None without one. Setting another raises TypeError for what is no reward model."""
        return self._reward_model

    @reward_model.setter
    def reward_model(self, reward: RewardModel | None) -> None:
        if reward is not None:
            check_model(reward)
        self._reward_model = reward

    @property
    def illegal_penalty(self) -> float:
        """Subtracted from the reward for each illegal action; setting it raises ValueError unless it is in [0, inf)."""
        return self._illegal_penalty

    @illegal_penalty.setter
    def illegal_penalty(self, penalty: float) -> None:
        self._illegal_penalty = checked_penalty(penalty)

    def _end_tick(self, ticks_per_bar: int, bars: int) -> int:
        """The last tick of a piece of `bars`, its primer included, in this metre.

        Raises:
            ValueError: when a bar is no multiple of the piano's shortest value, or the piece would be too long.
        """
        if bars > MAX_BARS or ticks_per_bar > MAX_TICKS_PER_BAR:
            raise ValueError(
                f"a piece has at most {MAX_BARS} bars, its primer included, of at most {MAX_TICKS_PER_BAR} ticks, "
                f"got {bars} of {ticks_per_bar}"
            )
        shortest = self.piano.values[0]
        if ticks_per_bar % shortest:
            raise ValueError(f"a bar of {ticks_per_bar} ticks is no multiple of the piano's shortest value, {shortest}")
        return bars * ticks_per_bar

    def _observation_space(self) -> spaces.Dict:
        keys = self.piano.keys
        shared: dict[str, spaces.Space] = {
            "last": spaces.MultiDiscrete(list(self.piano.nvec)),
            "genre": spaces.Discrete(len(self.genres)),
        }
        if self.observation_mask:
            size = int(np.prod(self.piano.nvec) if self.flat else np.sum(self.piano.nvec))
            shared["action_mask"] = spaces.Box(0, 1, (size,), np.int8)
        if self.lyrics:
            shared |= song_spaces()
        if self.observation == "actions":
            highest = np.array([MAX_TICKS_PER_BAR, MAX_TICKS_PER_BAR, MAX_BARS, MAX_BARS], np.int32)
            place = spaces.Box(np.zeros(4, np.int32), highest, dtype=np.int32)
            return spaces.Dict({"place": place, "top": spaces.Discrete(keys + 1), **shared})
        return spaces.Dict(
            {
                "held": spaces.Box(0, MAX_OBSERVED_BEATS, (keys,), np.float32),
                "recent": spaces.Box(0, 2, (RECENT_FRAMES * keys,), np.uint8),
                "clock": spaces.Box(-1, 1, (6,), np.float32),
                **shared,
            }
        )

    # Episodes

    def reset(
        self,
        rows: Sequence[int] | np.ndarray,
        rngs: Sequence[np.random.Generator],
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin a new piece in the envs `rows`; `rngs` has one random number generator for each of them."""
        options = dict(options or {})
        unknown = set(options) - {"primer", "genre", "tempo_bpm"}
        if unknown:
            raise ValueError(f"unknown reset option {min(map(str, unknown))!r}; there are primer, genre, tempo_bpm")
        primer = self.primer if options.get("primer") is None else self._read_primer(options["primer"])
        genre = options.get("genre", self.genre)
        number = None if genre is None else genre_index(genre, self.genres)
        tempo_bpm = self.tempo_bpm if primer is None else primer.tempo_bpm
        if "tempo_bpm" in options:
            tempo_bpm = Score(tempo_bpm=options["tempo_bpm"]).tempo_bpm

        ticks_per_bar = self.ticks_per_bar if primer is None else primer.ticks_per_bar
        if isinstance(self.dynamics, SongDynamics):
            self.dynamics.begin_songs(rows, rngs, ticks_per_bar=ticks_per_bar, primer=primer)
        else:
            end_tick = self._end_tick(ticks_per_bar, self.bars + (0 if primer is None else primer.bars))
            self.dynamics.begin(rows, ticks_per_bar=ticks_per_bar, end_tick=end_tick, primer=primer)
        self.dynamics.states["genre"][rows] = [
            rng.integers(len(self.genres)) if number is None else number for rng in rngs
        ]
        self.tempos_bpm[rows] = tempo_bpm
        self._bars_rewarded[rows] = 0
        for rewarded in self._rewarded.values():
            rewarded[rows] = 0

    def _read_primer(self, primer: Primer) -> Score:
        """The primer as the piano plays it, with silence up to a bar line."""
        if not isinstance(primer, (Score, str, PathLike)):
            raise TypeError(f"a primer must be a Score or the path of a MIDI file, got {primer!r}")
        score = primer if isinstance(primer, Score) else Score.from_midi(primer)
        score = encode(score, self.piano)[1].score
        if score.bars == 0:
            raise ValueError("a primer must have at least one bar, got an empty score")
        return replace(score, length_ticks=self._end_tick(score.ticks_per_bar, score.bars))

    def step(self, actions: np.ndarray, rows: np.ndarray | None = None) -> Step:
        """Play `actions`, and reward the envs whose piece, or next bars, are finished.

        Args:
            actions: (n, 2), with velocities (n, 3), flat ones (n,), one for each env; those of envs that do not play
                are ignored.
            rows: (k,) the envs that play; nothing happens in the others. None: all.

        Raises:
            ValueError: for an action outside the action space, naming it.
            RewardModelError: naming the reward model, when it fails, and for rewards that add up to no finite float32.
        """
        actions = np.asarray(actions)
        played = np.ones(self.num_envs, np.bool_)
        if rows is not None:
            played[:] = False
            played[rows] = True
            if actions.shape[:1] == played.shape:
                actions = actions.copy()
                actions[~played] = 0
        if self.flat:
            actions = unflatten(actions, self.num_envs, self.piano)
        shape = self.num_envs, len(self.piano.nvec)
        if actions.shape != shape or actions.dtype.kind not in "iu":
            raise ValueError(f"actions must be integers of shape {shape}, got {actions.dtype} {actions.shape}")
        outside = (actions < 0) | (actions >= self.piano.nvec)
        if outside.any():
            first = actions[outside.any(axis=1)][0].tolist()
            raise ValueError(f"action {first} is outside the action space {self.action_space}")
        legal = self.dynamics.step(actions.astype(np.int64), rows)
        states = self.dynamics.states
        terminated = played & (states["clock"] >= states["end_tick"])
        truncated = played & (states["steps"] >= np.minimum(self.max_steps, self.time_limit)) & ~terminated
        pieces = self._pieces_to_reward(terminated | truncated, played)
        terms = self._reward_terms(pieces) if self.reward_model is not None and pieces else {}
        if self._illegal_penalty:
            terms["illegal"] = np.where(legal, 0.0, -self._illegal_penalty)
        return Step(self._rewards(terms), terminated, truncated, terms, pieces)

    def _rewards(self, terms: dict[str, np.ndarray]) -> np.ndarray:
        """The rewards of a step, from its terms (n,) float64 each."""
        return total(terms) if terms else np.zeros(self.num_envs)

    def _scores(self, pieces: Pieces) -> dict[str, np.ndarray]:
        """What the reward model says of whole pieces, (n,) float32 by term."""
        assert self._reward_model is not None
        return contributions(self._reward_model, pieces)

    def _pieces_to_reward(self, done: np.ndarray, played: np.ndarray) -> dict[int, Piece]:
        """The piece so far of each env that is rewarded in this step, in which the envs `played` (n,) bool played."""
        if self.reward_at == "piece":
            return {i: self.piece(i) for i in np.flatnonzero(done).tolist()} if done.any() else {}
        states = self.dynamics.states
        bars = (states["clock"] - states["start_tick"]) // states["ticks_per_bar"]
        bars -= bars % self.bars_per_reward
        rewarded = played & (bars > self._bars_rewarded) | done
        self._bars_rewarded = np.maximum(self._bars_rewarded, bars)
        return {i: self.piece(i, None if done[i] else int(bars[i])) for i in np.flatnonzero(rewarded).tolist()}

    def _reward_terms(self, pieces: dict[int, Piece]) -> dict[str, np.ndarray]:
        """(n,) by term: the score of each piece less the rewards of its episode so far, 0 for the other envs."""
        rows = list(pieces)
        terms = {}
        for name, scores in self._scores(Pieces(pieces.values(), self.piano)).items():
            rewarded = self._rewarded.setdefault(name, np.zeros(self.num_envs))
            terms[name] = np.zeros(self.num_envs)
            terms[name][rows] = scores - rewarded[rows]
            rewarded[rows] = scores
        return terms

    # State, for exact resuming

    def state(self) -> dict[str, np.ndarray]:
        """Copies of every array that the next steps depend on, by name; random number generators are not included."""
        arrays = {"tempos_bpm": self.tempos_bpm, "bars_rewarded": self._bars_rewarded, **self.dynamics.arrays()}
        arrays |= {f"{REWARDED_PREFIX}{name}": rewarded for name, rewarded in self._rewarded.items()}
        return {name: array.copy() for name, array in arrays.items()}

    def set_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `state` returned.

        Raises:
            ValueError: when it comes from another number of envs, or from another piano.
        """
        arrays = {name: array.copy() for name, array in arrays.items()}
        self.dynamics.set_arrays(arrays)
        self.tempos_bpm = arrays["tempos_bpm"]
        self._bars_rewarded = arrays["bars_rewarded"]
        self._rewarded = {
            name[len(REWARDED_PREFIX) :]: rewarded
            for name, rewarded in arrays.items()
            if name.startswith(REWARDED_PREFIX)
        }

    # Pieces, masks and observations

    def piece(self, i: int, bars: int | None = None) -> Piece:
        """The piece of env `i` at its full length, or only its first `bars` after the primer."""
        state = self.dynamics.states[i]
        end_tick = state["end_tick"] if bars is None else state["start_tick"] + bars * state["ticks_per_bar"]
        return Piece(
            self.dynamics.lazy_score(i, int(end_tick), float(self.tempos_bpm[i])),
            genre=self.genres[state["genre"]],
            start_tick=int(state["start_tick"]),
            actions=self.dynamics.played[i, : state["steps"]].copy(),
            lyrics=self.lyrics[self.dynamics.text[i]] if isinstance(self.dynamics, SongDynamics) else None,
            voice=self.voice,
        )

    def primer_of(self, i: int) -> Score | None:
        """What the piece of env `i` began with, as the piano plays it, in the tempo of the piece; None without one."""
        start_tick = int(self.dynamics.states["start_tick"][i])
        return self.dynamics.score(i, start_tick, float(self.tempos_bpm[i])) if start_tick else None

    def action_masks(self, masks: np.ndarray | None = None) -> np.ndarray:
        """The legal actions of each env, (n, whats + values) bool, flat ones (n, whats * values).

        Later steps do not change the array. Velocities come last, all legal. `masks` are of other envs or steps,
        (k, whats + values) bool.
        """
        masks = self.dynamics.masks if masks is None else masks
        return flat_masks(masks, self.dynamics.whats) if self.flat else masks

    def observe(self, rows: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The observations of the envs `rows` (k,), by default all: new arrays with a leading env axis."""
        states = self.dynamics.states if rows is None else self.dynamics.states[rows]
        rows = self._all if rows is None else rows
        last = [states["what"], states["value"]]
        if self.piano.velocities is not None:
            last.append(self.dynamics.last_velocity(rows))
        shared = {"last": np.stack(last, axis=1, dtype=np.int64), "genre": states["genre"].astype(np.int64)}
        if self.observation_mask:
            shared["action_mask"] = self.action_masks()[rows].astype(np.int8)
        if isinstance(self.dynamics, SongDynamics):
            shared |= self.dynamics.observe(rows)
        if self.observation == "actions":
            return {"place": self.dynamics.place(rows), "top": self.dynamics.top(rows), **shared}
        return {
            "held": self.dynamics.held(rows),
            "recent": self.dynamics.recent(rows),
            "clock": self.dynamics.clock(rows),
            **shared,
        }


def _positive_int(name: str, value: int) -> int:
    """`value` as an int.

    Raises:
        ValueError: when it is no positive integer, naming it.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return int(value)


def _index(kind: str, name: str, names: Sequence[str]) -> int:
    """Index of `name` in `names`.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if name in names:
        return list(names).index(name)
    near = get_close_matches(str(name), names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown {kind} {name!r}: it must be one of {', '.join(names)}{hint}")
