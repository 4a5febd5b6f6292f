"""The watchdog of a run: notices when the agent's pieces leave the range of real music, and acts on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.ppo.model_file import load_model
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.runs.callbacks.user import CallbackStop
from toccata.agents.runs.run_folder import Run
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.pieces import Pieces
from toccata.music.metrics import measure
from toccata.music.metrics.sets import diversity
from toccata.reward_models.judges.bands import Band, band_of
from toccata.reward_models.judges.panel import BITS
from toccata.reward_models.judges.typicality import Typicality

REAL_PIECES = 128  # that the bands are taken from
FEWEST_PIECES = 8  # of a rollout that is judged: the mean of fewer says little
MOST_PIECES = 64  # of a rollout that are looked at, evenly spaced
MARGIN = 1.0  # widths of a band that a mean may lie beyond it
LEAST_WIDTH = 0.05  # of a band, as a share of its largest value: in some corpora all pieces have the same
SIGNALS = 3  # that are outside in an alarm
ROLLOUTS = 2  # in a row in which they are
RESTORES = 3  # of a run, before it is stopped
PAUSE = 3  # rollouts after a restore that are not judged: pieces end in them that the agent before it began
LEAST_KL_COEF = 0.01  # reward per nat after a restore
DIVERSITY = "diversity"
HEALTHY, COUNTS = "healthy", ("outside", "streak", "restores", "pause")  # attributes that are saved


class Watchdog:
    """Compares pieces with the range of real music.

    A signal is the mean of a metric, of the bits an action under a judge, or of the diversity, over the pieces of a
    rollout. It is watched once it has been inside the 5 to 95 % range of real pieces, so an agent that begins far from
    music raises no alarm. It is outside when it is more than `MARGIN` widths of the range beyond it; an alarm are
    `SIGNALS` of them outside in `ROLLOUTS` rollouts in a row.

    Args:
        bands: the range of real pieces, by signal.

    Attributes:
        watched: the signals that have been inside.
        outside: signals that were outside in the last rollout.
        streak: rollouts in a row, up to the last one, with `SIGNALS` outside.
        healthy: name of the last checkpoint at which none was; None before the first.
        restores: how often the agent was restored.
        pause: rollouts that will not be judged.
    """

    def __init__(self, bands: Mapping[str, Band]) -> None:
        self.bands = dict(bands)
        with torch.random.fork_rng(devices=[]):  # a watched run has the random numbers of an unwatched one
            self.typicality = Typicality.load()
        self.watched: set[str] = set()
        self.outside = 0
        self.streak = 0
        self.healthy: str | None = None
        self.restores = 0
        self.pause = 0

    @classmethod
    def of(cls, music: ExcerptDataset, seed: int) -> Watchdog:
        """A watchdog with the bands of real music."""
        watchdog = cls({})
        real = music.sample(REAL_PIECES, np.random.default_rng([seed, 4]), transpose=False)
        watchdog.bands = {name: band_of(values) for name, values in watchdog._values(Pieces(real)).items()}
        return watchdog

    def look(self, pieces: Pieces) -> list[str]:
        """What is outside in the pieces of a rollout, in words; nothing of fewer than `FEWEST_PIECES`."""
        if self.pause:
            self.pause -= 1
            return []
        if len(pieces) < FEWEST_PIECES:
            return []
        outside = []
        for name, values in self._values(pieces[:: -(-len(pieces) // MOST_PIECES)]).items():
            band, mean = self.bands[name], float(values.mean())
            if band.low <= mean <= band.high:
                self.watched.add(name)
            width = max(band.high - band.low, LEAST_WIDTH * max(abs(band.low), abs(band.high)), 1e-6)
            is_poor = name == DIVERSITY  # of which more is no fault
            if name in self.watched and not (
                band.low - MARGIN * width <= mean <= (np.inf if is_poor else band.high + MARGIN * width)
            ):
                label = name.removeprefix("judge/").replace("_", " ")
                outside.append(f"{label} {mean:.3g} (real {band.low:.3g} to {band.high:.3g})")
        self.outside = len(outside)
        self.streak = self.streak + 1 if self.outside >= SIGNALS else 0
        return outside

    @property
    def alarmed(self) -> bool:
        """Whether the last rollout was the last of `ROLLOUTS` in a row, or a later one."""
        return self.streak >= ROLLOUTS

    def _values(self, pieces: Pieces) -> dict[str, np.ndarray]:
        """(n,) of each signal."""
        rows = [measure(score) for score in pieces.own]
        values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return {**values, BITS: self.typicality.bits(pieces), DIVERSITY: diversity(pieces.own)}

    def state(self) -> dict[str, Any]:
        """What `restore` takes, as JSON."""
        return {
            "watched": sorted(self.watched),
            **{name: getattr(self, name) for name in COUNTS},
            HEALTHY: self.healthy,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Set what `state` returned.

        Raises:
            ValueError, KeyError, TypeError: for anything else.
        """
        self.watched = {str(name) for name in state["watched"]}
        self.healthy = None if state[HEALTHY] is None else str(state[HEALTHY])
        for name in COUNTS:
            setattr(self, name, int(state[name]))


class WatchdogCallback(BaseCallback):
    """Shows the pieces of each rollout to a watchdog, and acts on an alarm before the next rollout.

    Args:
        watchdog: judges the pieces.
        run: whose checkpoints are restored.
        action: "warn" only says so; "stop" ends training; "restore" goes back to the last checkpoint at which no signal
            was outside, with half the learning rate and twice the KL coefficient, `RESTORES` times, then stops.
        say: prints and logs a message.
    """

    model: ComposerPPO

    def __init__(self, watchdog: Watchdog, run: Run, action: str, say: Callable[[str], None]) -> None:
        super().__init__()
        self.watchdog = watchdog
        self.run = run
        self.action = action
        self.say = say

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        was_alarmed = self.watchdog.alarmed
        outside = self.watchdog.look(self.model.finished)
        self.logger.record("watchdog/outside", len(outside))
        if self.watchdog.alarmed and not was_alarmed:
            self.say(f"watchdog: at step {self.num_timesteps:,} the pieces are unlike real music: {'; '.join(outside)}")

    def _on_rollout_start(self) -> None:
        if not self.watchdog.alarmed or self.action == "warn":
            return
        if self.action == "stop":
            raise CallbackStop("the watchdog")
        if self.watchdog.restores >= RESTORES or self.watchdog.healthy is None:
            self.say(f"watchdog: restored {self.watchdog.restores} times, which did not help")
            raise CallbackStop("the watchdog")
        self._restore(self.watchdog.healthy)

    def _restore(self, name: str) -> None:
        """Go on with the agent of a checkpoint, more slowly and nearer to its reference; rewards stay as they are."""
        model, watchdog = self.model, self.watchdog
        kept = load_model(self.run.folder / "checkpoints" / name / "model.zip", model.device, model.env, resume=True)
        model.policy.load_state_dict(kept.policy.state_dict())
        model.policy.optimizer.load_state_dict(kept.policy.optimizer.state_dict())
        model.learning_rate = float(model.lr_schedule(1.0)) / 2
        model._setup_lr_schedule()
        message = f"watchdog: restored {name}; the learning rate is {model.learning_rate:.3g} from here"
        if isinstance(model, SequenceComposerPPO) and model.reference is not None:
            model.kl_controller.coef = max(2 * model.kl_controller.coef, LEAST_KL_COEF)
            message += f", the KL coefficient {model.kl_controller.coef:.3g}"
        watchdog.streak, watchdog.outside, watchdog.pause = 0, 0, PAUSE
        watchdog.restores += 1
        self.say(message)
