"""The Gymnasium environments of a single piano."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import TimeLimit

from toccata.envs.core import PianoCore, Step
from toccata.envs.instrument import VELOCITIES, Piano
from toccata.envs.pieces import Piece
from toccata.envs.reward_model import RewardModel
from toccata.music.score import Score


class PianoEnv(gym.Env[Any, Any]):
    """Compose on a piano, note by note and chord by chord.

    ## Description

    The agent writes a piece of a fixed number of bars. The piano limits it to what two hands can play: see
    `toccata.envs.Piano`. A key or chord action adds notes at the current tick and leaves the clock unchanged; a rest
    advances the clock. So any texture can be written. The notes of one tick are played in ascending order of pitch,
    which gives every piece one canonical encoding.

    ## Action Space

    `MultiDiscrete([353, 13])`, an action is `(what, value)`. `value` is an index into `Piano.values`, not a duration:

    | Num | Action | Min | Max |
    |-----|--------|-----|-----|
    | 0 | what: 0 rests, 1-88 plays a key (A0-C8), 89-352 a chord of `Piano.chord_pitches` | 0 | 352 |
    | 1 | value: index of the note value or rest in 1 3 4 6 8 12 16 18 24 36 48 72 96 ticks, 24 a beat | 0 | 12 |

    `info["action_mask"]` and `action_masks()` give the legal ones: (366,) bool, the two dimensions concatenated. An
    illegal action becomes a rest of its value, or of the longest value that is left, and is counted in
    `info["illegal_actions"]`.

    ## Observation Space

    A `Dict`:

    | Key | Space | Shape | Dtype | Min | Max | Meaning |
    |-----|-------|-------|-------|-----|-----|---------|
    | held | Box | (88,) | float32 | 0 | 4 | beats each key will still sound |
    | recent | Box | (2816,) | uint8 | 0 | 2 | the last 32 sixteenths by 88 keys, now last: 1 sounding, 2 onset |
    | clock | Box | (6,) | float32 | -1 | 1 | sine, cosine of position in bar and in beat; progress; silence so far |
    | last | MultiDiscrete | (2,) | int64 | 0 | [352, 12] | the last action, (0, 0) at the start |
    | genre | Discrete | () | int64 | 0 | 5 | index in `genres`: classical, folk, jazz, popular, rock, electronic |

    With `observation="actions"`, which is enough for a sequence policy and cheaper, `held`, `recent` and `clock` are
    replaced by:

    | Key | Space | Shape | Dtype | Min | Max | Meaning |
    |-----|-------|-------|-------|-----|-----|---------|
    | place | Box | (4,) | int32 | 0 | [32768, 32768, 10000, 10000] | tick in bar, its ticks; bars finished, left |
    | top | Discrete | () | int64 | 0 | 88 | `what` of the highest key of the latest onset; 0 before the first |

    With `observation_mask=True` the legal actions are in the observation too, for algorithms that keep no infos, such
    as those with a replay buffer. It equals `info["action_mask"]`:

    | Key | Space | Shape | Dtype | Min | Max | Meaning |
    |-----|-------|-------|-------|-----|-----|---------|
    | action_mask | Box | (366,) | int8 | 0 | 1 | 1 for a legal `what`, then for a legal value |

    With `lyrics` the words are in the observation. `syllables` has six columns for each of the next eight sung notes: 1
    (a row after the last is 0); stress, 1 primary, 0.5 secondary, 0 none, -1 unknown; 1 for a later note of a melisma;
    1 at the end of a line; beats until the note may begin, and until it must. `voice` has the `what` of the latest sung
    note / 88; beats that it still sounds / 16; of the sung notes that are left the share, and those of the line / 64;
    lines left / 64:

    | Key | Space | Shape | Dtype | Min | Max | Meaning |
    |-----|-------|-------|-------|-----|-----|---------|
    | syllables | Box | (8, 6) | float32 | -1 | 16 | the next sung notes |
    | voice | Box | (5,) | float32 | 0 | 1 | the sung line, and what is left |

    ## Rewards

    The score of the piece under `reward`, a `toccata.reward_models.RewardModel`: the whole score at the end
    (`reward_at="piece"`), or at every bar line its change (`reward_at="bar"`), which sums to the same. With
    `bars_per_reward` it is computed at every second bar line, or every fourth, for slow models.
    `info["reward_terms"]` holds the named terms, whose sum is the reward, among them `illegal`, which is minus
    `illegal_penalty` for an illegal action. Without a reward model there is no other term. `info["piece"]` is the
    `Piece` so far in every step that is rewarded for it.

    ## Starting State

    An empty score, or the end of `primer`. The genre is `genre`, or drawn uniformly from `genres` if that is None.

    ## Episode End

    Terminates at the last bar line; truncates after `max_steps` steps, or in the last step of a `TimeLimit` of
    Gymnasium around it, and is rewarded for the piece so far. Where a wrapper inside that limit plays several steps for
    one, the first of them truncates.

    ## Arguments

    | Argument | Default | Meaning |
    |----------|---------|---------|
    | bars | None | bars to write, after the primer; None is 8, with `lyrics` what the words need |
    | genre | "classical" | one of `genres`, or None to draw one for every piece |
    | primer | None | a `Score` or the path of a MIDI file to continue |
    | reward | None | a reward model; `gym.make` also takes the arguments of `load_reward`, such as "rating" |
    | observation | "full" | "full" or "actions" |
    | reward_at | "piece" | "piece" or "bar" |
    | bars_per_reward | 1 | with "bar": bars from one reward to the next |
    | piano | None | the instrument; None is `Piano()`. With `velocities` spaces are those of `PianoVelocityEnv` |
    | beats_per_bar | 4 | quarter notes in a bar; with a primer, those of the primer |
    | tempo_bpm | 120.0 | quarter notes a minute, 4 to 600; with a primer, those of the primer |
    | illegal_penalty | 0.0 | subtracted from the reward for each illegal action |
    | max_steps | None | steps until the episode is truncated; None is 128 a bar, with `lyrics` more in long ones |
    | genres | GENRES | the genre names |
    | observation_mask | False | put the legal actions into the observation, as `action_mask` |
    | lyrics | None | words for the highest line: a `Lyrics`, a text, or several, of which each piece draws one |
    | voice | "soprano" | who sings them: soprano, alto, tenor or bass |
    | render_mode | None | "rgb_array" (a piano roll), "human" (in a window, else as text) or "ansi" (text) |

    `reset(options=...)` takes `primer`, `genre` and `tempo_bpm` for the piece that begins.

    ## Version History

    - v0: first version.
    """

    flat = False  # one flat action, as in `PianoDiscreteEnv`
    core_type = PianoCore
    metadata = {"render_modes": ["rgb_array", "human", "ansi"], "render_fps": 8}  # noqa: RUF012  # as gym.Env types it

    def __init__(self, render_mode: str | None = None, **arguments: Any) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode must be one of {', '.join(self.metadata['render_modes'])}, got {render_mode!r}"
            )
        self.render_mode = render_mode
        self.core = self.core_type(1, flat=self.flat, **arguments)
        self.observation_space = self.core.observation_space
        self.action_space = self.core.action_space
        self._time_limits: list[TimeLimit] = []  # around this environment, since its last reset
        self._window: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin a piece; `options` may have `primer`, `genre` and `tempo_bpm` for it."""
        super().reset(seed=seed)
        self._time_limits = _time_limits(self, sys._getframe())
        self.core.reset([0], [self.np_random], options)
        if self.render_mode == "human":
            self.render()
        return self._observation(), self._info()

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Play one action."""
        step, info = self._play(action)
        return (
            self._observation(),
            float(step.rewards[0]),
            bool(step.terminated[0]),
            bool(step.truncated[0]),
            info,
        )

    def _play(self, action: np.ndarray) -> tuple[Step, dict[str, Any]]:
        """One step of the core, and its info."""
        is_last = any(each._elapsed_steps + 1 >= each._max_episode_steps for each in self._time_limits)  # type: ignore[operator]  # an int since its reset
        self.core.time_limit = 0 if is_last else np.inf
        step = self.core.step(self._as_batch(action))
        info = self._info()
        info["reward_terms"] = {name: float(term[0]) for name, term in step.terms.items()}
        if 0 in step.pieces:
            info["piece"] = step.pieces[0]
        if self.render_mode == "human":
            self.render()
        return step, info

    def _as_batch(self, action: np.ndarray) -> np.ndarray:
        """An action of this environment as (1, 2) or (1, 3), a flat one as (1,); the core checks its values."""
        action = np.asarray(action)
        if self.flat:
            return action.reshape(-1)
        names = ("what", "value", "velocity")[: len(self.core.piano.nvec)]
        if action.shape != (len(names),):
            raise ValueError(f"an action must be ({', '.join(names)}), got shape {action.shape}: {action}")
        return action[None]

    def action_masks(self) -> np.ndarray:
        """The legal actions, (whats + values,) bool: the two dimensions concatenated; flat ones (whats * values,)."""
        return self.core.action_masks()[0].copy()

    @property
    def reward_model(self) -> RewardModel | None:
        """The reward model of the environment; None without one."""
        return self.core.reward_model

    @reward_model.setter
    def reward_model(self, reward: RewardModel | None) -> None:
        self.core.reward_model = reward

    @property
    def illegal_penalty(self) -> float:
        """What is subtracted from the reward for an illegal action."""
        return self.core.illegal_penalty

    @illegal_penalty.setter
    def illegal_penalty(self, penalty: float) -> None:
        self.core.illegal_penalty = penalty

    @property
    def primer(self) -> Score | None:
        """What the piece began with, as the piano plays it; None without a primer."""
        return self.core.primer_of(0)

    @property
    def piece(self) -> Piece:
        """The piece so far, at its full length."""
        return self.core.piece(0)

    @property
    def score(self) -> Score:
        """The score so far, at its full length."""
        return self.piece.score

    def _observation(self) -> dict[str, np.ndarray]:
        return {key: value[0] for key, value in self.core.observe().items()}

    def _info(self) -> dict[str, Any]:
        illegal = int(self.core.dynamics.states["illegal_actions"][0])
        return {"action_mask": self.action_masks(), "illegal_actions": illegal, "reward_terms": {}}

    def render(self) -> np.ndarray | str | None:
        """Render the piece so far in the form of `render_mode`."""
        if self.render_mode is None:
            gym.logger.warn('render() needs a render_mode, such as gym.make(..., render_mode="rgb_array")')
            return None
        from toccata.envs.rendering import PianoRollWindow, picture, text

        now_tick = int(self.core.dynamics.states["clock"][0])
        if self.render_mode == "rgb_array":
            return picture(self.score, now_tick, self.core.piano)
        if self.render_mode == "ansi":
            return text(self.score, now_tick)
        if self._window is None:
            self._window = PianoRollWindow()
        self._window.show(self.score, now_tick, self.core.piano)
        return None

    def close(self) -> None:
        """Close the window of the "human" render mode, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None


class PianoDiscreteEnv(PianoEnv):
    """`PianoEnv` with one flat action, for algorithms that need it.

    ## Description

    As `PianoEnv`, except for the action.

    ## Action Space

    `Discrete(4589)`: `what * 13 + value`, where `value` is an index into `Piano.values`. The mask is (4589,) bool.

    ## Observation Space

    As `PianoEnv`; the `action_mask` of `observation_mask=True` is (4589,) int8.

    ## Rewards

    As `PianoEnv`.

    ## Starting State

    As `PianoEnv`.

    ## Episode End

    As `PianoEnv`.

    ## Arguments

    As `PianoEnv`.

    ## Version History

    - v0: first version.
    """

    flat = True


class PianoVelocityEnv(PianoEnv):
    """`PianoEnv` whose actions have a velocity, so that agents compose dynamics.

    ## Description

    As `PianoEnv`, except for the third dimension of actions.

    ## Action Space

    `MultiDiscrete([353, 13, 6])`, an action is `(what, value, velocity)`. `value` is an index into `Piano.values`, and
    `velocity` one into `Piano.velocities`:

    | Num | Action | Min | Max |
    |-----|--------|-----|-----|
    | 0 | what: 0 rests, 1-88 plays a key (A0-C8), 89-352 a chord of `Piano.chord_pitches` | 0 | 352 |
    | 1 | value: index of the note value or rest in 1 3 4 6 8 12 16 18 24 36 48 72 96 ticks, 24 a beat | 0 | 12 |
    | 2 | velocity: index of the velocity of all its notes in 32 48 64 80 96 112 (pp p mp mf f ff) | 0 | 5 |

    A chord has one velocity; keys of the same tick can have others. Of a rest the velocity has no effect. The mask is
    (372,) bool, the three dimensions concatenated; every velocity is always legal.

    ## Observation Space

    As `PianoEnv`, except for the last action, and for the `action_mask` of `observation_mask=True`, which is (372,)
    int8:

    | Key | Space | Shape | Dtype | Min | Max | Meaning |
    |-----|-------|-------|-------|-----|-----|---------|
    | last | MultiDiscrete | (3,) | int64 | 0 | [352, 12, 5] | the last action, (0, 0, 0) at the start |

    `held` and `recent` do not show velocities.

    ## Rewards

    As `PianoEnv`.

    ## Starting State

    As `PianoEnv`. Each note of a primer gets the nearest of the velocities.

    ## Episode End

    As `PianoEnv`.

    ## Arguments

    As `PianoEnv`, but `piano=None` is `Piano(velocities=(32, 48, 64, 80, 96, 112))`; another one must have velocities.

    ## Version History

    - v0: first version.
    """

    def __init__(self, render_mode: str | None = None, **arguments: Any) -> None:
        super().__init__(render_mode, **with_velocities(arguments))


def with_velocities(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an environment whose piano has velocities, by default `VELOCITIES`.

    Raises:
        ValueError: for a piano without velocities.
    """
    piano = arguments.get("piano")
    if isinstance(piano, Piano) and piano.velocities is None:
        raise ValueError(
            f"the piano must have velocities, such as Piano(velocities={VELOCITIES}), got None; "
            "toccata/Piano-v0 is for pianos without"
        )
    return {**arguments, "piano": Piano(velocities=VELOCITIES) if piano is None else piano}


def _time_limits(env: PianoEnv, frame: FrameType | None) -> list[TimeLimit]:
    """The wrappers `gymnasium.wrappers.TimeLimit` around `env`, whose own counters say which step is its last.

    An environment does not know its wrappers, and what a piece is paid must be known in its last step. But
    such a wrapper begins to count when its `reset` is called, which calls that of `env`: so it is on the call stack. A
    subclass whose `reset` does not call that of `TimeLimit` is not seen: it truncates a piece that is not paid.

    The wrappers count their own steps, which are not those of `env` where a wrapper between them repeats actions or
    plays some in its `reset`.

    Args:
        env: the environment, while its `reset` runs.
        frame: of that call.
    """
    found = []
    while frame is not None:
        if frame.f_code is TimeLimit.reset.__code__ and frame.f_locals["self"].unwrapped is env:
            found.append(frame.f_locals["self"])
        frame = frame.f_back
    return found
