"""The watchdog of a run: notices when the agent's pieces leave the range of real music, and acts on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.ppo.model_file import load_model
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.runs.builders import policy_class_of
from toccata.agents.runs.callbacks.user import CallbackStop
from toccata.agents.runs.random_state import random_state, set_random_state
from toccata.agents.runs.run_folder import STEP_NAME, Run
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.pieces import Pieces
from toccata.music.metrics import CORE_METRICS, measure_each
from toccata.music.metrics.sets import diversity
from toccata.reward_models.judges.bands import Band, band_of
from toccata.reward_models.judges.panel import BITS
from toccata.reward_models.judges.typicality import Typicality

REAL_PIECES = 128  # that the bands are taken from
FEWEST_PIECES = 8  # of a rollout that is judged: the mean of fewer says little
MOST_PIECES = 64  # of a rollout that are looked at, evenly spaced
MARGIN = 1.0  # widths of a band that a mean may lie beyond it
LEAST_WIDTH = 0.02  # that counts as the width of a band: few works may all be equal
LEAST_SHARE = 0.05  # the same, as a share of the largest value of the band
SIGNALS = 3  # that are outside in an alarm
ROLLOUTS = 2  # in a row in which they are
RESTORES = 3  # of a run, before it is stopped
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
        pause: rollouts that will not be judged, as pieces end in them that were begun before a restore.
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

    def look(self, pieces: Pieces) -> list[str] | None:
        """What is outside in the pieces of a rollout, in words; None when they are not judged."""
        if self.pause:
            self.pause -= 1
            return None
        if len(pieces) < FEWEST_PIECES:
            return None
        outside = []
        for name, values in self._values(pieces[:: -(-len(pieces) // MOST_PIECES)]).items():
            band, mean = self.bands[name], float(values.mean())
            if band.low <= mean <= band.high:
                self.watched.add(name)
            margin = MARGIN * max(band.high - band.low, LEAST_SHARE * max(abs(band.low), abs(band.high)), LEAST_WIDTH)
            above = mean > band.high + margin and name != DIVERSITY  # of which more is no fault
            if name in self.watched and (mean < band.low - margin or above):
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
        own = pieces.own
        return {**measure_each(own, CORE_METRICS), BITS: self.typicality.bits(pieces), DIVERSITY: diversity(own)}

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
            ValueError: for anything else.
        """
        counts = {name: state.get(name) for name in COUNTS}
        watched, healthy = state.get("watched"), state.get(HEALTHY)
        if not all(type(count) is int and count >= 0 for count in counts.values()):
            raise ValueError(f"watchdog: {', '.join(COUNTS)} must be whole numbers of at least 0, got {counts}")
        if not isinstance(watched, list) or not set(watched) <= set(self.bands):
            raise ValueError(f"watchdog: watched must be some of {', '.join(self.bands)}")
        if healthy is not None and not (isinstance(healthy, str) and STEP_NAME.fullmatch(healthy)):
            raise ValueError(f"watchdog: {HEALTHY} must be the name of a checkpoint, got {healthy!r}")
        self.watched, self.healthy = set(watched), healthy
        for name, count in counts.items():
            setattr(self, name, count)


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
        if outside is None:
            return
        self.logger.record("watchdog/outside", len(outside))
        if self.watchdog.alarmed and not was_alarmed:
            self.say(f"watchdog: at step {self.num_timesteps:,} the pieces are unlike real music: {'; '.join(outside)}")

    def _on_rollout_start(self) -> None:
        if not self.watchdog.alarmed or self.action == "warn":
            return
        if self.action == "stop":
            self._stop()
        if self.watchdog.restores >= RESTORES:
            self._stop(f"watchdog: it was restored {RESTORES} times already")
        healthy = next((path for path in self.run.checkpoints() if path.name == self.watchdog.healthy), None)
        if healthy is None:
            self._stop("watchdog: there is no checkpoint from before to restore")
        else:
            self._restore(healthy)

    def _stop(self, why: str | None = None) -> None:
        """End training; a run that is resumed goes on until there is another alarm."""
        if why is not None:
            self.say(why)
        self.watchdog.streak = 0
        raise CallbackStop("the watchdog")

    def _restore(self, checkpoint: Path) -> None:
        """Go on with the agent of a checkpoint, more slowly and nearer to its reference; rewards stay as they are."""
        model, watchdog = self.model, self.watchdog
        generators = random_state()  # loading seeds them: each attempt would play the same
        kept = load_model(checkpoint / "model.zip", model.device, policy_class=policy_class_of(self.run.config))
        set_random_state(generators)
        model.policy.load_state_dict(kept.policy.state_dict())
        model.policy.optimizer.state.clear()  # Adam's moments are those of the policy that is left
        model.set_learning_rate(float(model.lr_schedule(1.0)) / 2)
        message = f"watchdog: restored {checkpoint.name}; the learning rate is {model.learning_rate:.3g} from here"
        if isinstance(model, SequenceComposerPPO) and model.reference is not None:
            model.kl_controller.coef = max(2 * model.kl_controller.coef, LEAST_KL_COEF)
            message += f", the KL coefficient {model.kl_controller.coef:.3g}"
        longest = max((len(actions) for actions in model.finished.actions), default=0)
        watchdog.streak, watchdog.outside, watchdog.pause = 0, 0, -(-longest // model.n_steps) + 1
        watchdog.restores += 1
        self.say(message)
