"""A search for settings with Optuna: learning rate and weight of the KL, unpromising trials stopped early.

    pip install 'toccata[sweep]'
    python examples/sweep.py

Each trial is an ordinary run in runs/sweep/. Its value is the mean reward of its last rollouts; compare the best ones
by `evaluate.py`, whose sibling rating no trial was rewarded for.
"""

from pathlib import Path

import numpy as np
import optuna
from stable_baselines3.common.callbacks import BaseCallback

from toccata.agents import TrainConfig, train

LAST = 5  # rollouts that a trial is judged by


class Report(BaseCallback):
    """Reports the reward of each rollout to Optuna, and stops the run when the trial is pruned."""

    def __init__(self, trial):
        super().__init__()
        self.trial, self.rewards, self.pruned = trial, [], False

    def _on_rollout_end(self):
        reward = self.logger.name_to_value.get("reward/total")
        if reward is not None:
            self.rewards.append(reward)
            self.trial.report(self.value(), self.num_timesteps)
            self.pruned = self.trial.should_prune()

    def _on_step(self):
        return not self.pruned  # False stops the run before its next rollout, and saves it

    def value(self):
        """Mean reward of the last rollouts."""
        return float(np.mean(self.rewards[-LAST:]))


def objective(trial, folder=Path("runs/sweep"), **settings):
    """The value of one trial, in a run of its own."""
    config = TrainConfig(
        run_dir=folder / f"trial-{trial.number}",
        learning_rate=trial.suggest_float("learning_rate", 1e-5, 1e-3, log=True),
        prior_kl_coef=trial.suggest_float("prior_kl_coef", 1e-3, 1e-1, log=True),
        **settings,
    )
    report = Report(trial)
    train(config, callbacks=report)
    if report.pruned:
        raise optuna.TrialPruned
    return report.value()


if __name__ == "__main__":
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=4))
    study.optimize(objective, n_trials=20)
    print(f"best: trial {study.best_trial.number}, {study.best_value:.3f}, {study.best_params}")
