"""How much of a policy gradient is signal: `python benchmarks/gradient_signal.py RUN --pieces 1536`.

Pieces of the run's reference policy are scored by its rewards as they were at its start. The score-function gradient of
the expected reward, in standard deviations of the reward, is estimated on each quarter of them. Printed are

- the cosine of two quarters' gradients;
- the gain of a step along the mean of two, as the other two say, that is as long as takes one nat a piece (to second
  order), beside sqrt(2), that of the best distribution at this KL if the reward were Gaussian;
- the share of the reward's variance that a linear function of a piece's mean hidden state predicts, cross-validated.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toccata.agents.generation.rollouts import generate_pieces
from toccata.agents.policies.sequence_network import tensors_of
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.model_file import load_model
from toccata.agents.ppo.piece_losses import relative_advantages
from toccata.agents.prior.likelihood import Batch, batch_of, distributions, log_probs
from toccata.agents.prior.trajectories import record_trajectories
from toccata.agents.runs.builders import environment_arguments
from toccata.agents.runs.rewards_file import load_rewards
from toccata.agents.runs.run_folder import Run
from toccata.envs.pieces import Piece, Pieces

AT_ONCE = 256  # pieces that are sampled side by side
ROWS = 16  # of a pass
QUARTERS = 4
KL_BATCHES = 2  # that the KL of a step is measured on
SHORT_STEP = 0.1  # nats, where the KL is quadratic in the length of a step
FIRST_LENGTH = 0.01  # of a step that is tried to find that one
FOLDS, RIDGES = 5, (10.0, 100.0, 1000.0, 10_000.0)
KINDS = {  # of steps along a gradient
    "plain": lambda gradient: gradient,
    "by the norm of each tensor": lambda gradient: gradient / (gradient.norm() + 1e-12),
    "signs": torch.sign,
}

Gradient = dict[str, torch.Tensor]  # by name of the parameter


def batches_of(pieces: Sequence[Piece], policy: SequencePolicy) -> list[Batch]:
    """The pieces in passes of `ROWS`."""
    parts = [pieces[start : start + ROWS] for start in range(0, len(pieces), ROWS)]
    recorded = [record_trajectories(part, policy.piano, policy.genres) for part in parts]
    return [batch_of(each, np.arange(len(each))) for each in recorded]


def gradient_of(policy: SequencePolicy, batches: Sequence[Batch], advantages: np.ndarray) -> Gradient:
    """The gradient of the mean over pieces of advantage times log-likelihood."""
    network, start = policy.network, 0
    network.zero_grad()
    for batch in batches:
        of_steps = log_probs(network, policy.action_dist, batch)
        of_pieces = torch.where(batch.inside, of_steps, 0.0).sum(dim=1)
        some = torch.as_tensor(advantages[start : start + len(of_pieces)], dtype=torch.float32)
        start += len(of_pieces)
        (some @ of_pieces / len(advantages)).backward()
    return {name: each.grad.clone() for name, each in network.named_parameters() if each.grad is not None}


def dot(one: Gradient, other: Gradient) -> float:
    """The inner product over all parameters."""
    return float(sum((one[name] * other[name]).sum() for name in one))


def mean(gradients: Sequence[Gradient]) -> Gradient:
    """Of several, parameter by parameter."""
    return {name: torch.stack([each[name] for each in gradients]).mean(dim=0) for name in gradients[0]}


def kl_of_step(policy: SequencePolicy, batches: Sequence[Batch], step: Gradient, length: float) -> float:
    """Nats a piece, KL(policy || policy after the step) along the batches, which are the policy's own."""
    parameters = dict(policy.network.named_parameters())
    with torch.no_grad():
        before = [distributions(policy.network, policy.action_dist, batch) for batch in batches]
        kept = {name: parameters[name].clone() for name in step}
        for name, each in step.items():
            parameters[name].add_(each, alpha=length)
        after = [distributions(policy.network, policy.action_dist, batch) for batch in batches]
        for name, each in kept.items():
            parameters[name].copy_(each)
        nats = [
            torch.where(batch.inside, one.kl(other).view(batch.inside.shape), 0.0).sum()
            for batch, one, other in zip(batches, before, after, strict=True)
        ]
    return float(sum(nats)) / sum(len(batch.inside) for batch in batches)


def gain_at_one_nat(policy: SequencePolicy, batches: Sequence[Batch], step: Gradient, slope: Gradient) -> float:
    """Gain in reward of a step of one nat, the reward's gradient being `slope` and the KL quadratic in the length."""
    norm = dot(step, step) ** 0.5
    step = {name: each / norm for name, each in step.items()}
    length = FIRST_LENGTH * (SHORT_STEP / kl_of_step(policy, batches, step, FIRST_LENGTH)) ** 0.5
    return dot(step, slope) * length / kl_of_step(policy, batches, step, length) ** 0.5


def linear_share(hidden: np.ndarray, reward: np.ndarray) -> float:
    """Share of the variance of the reward (n,) that ridge regression on (n, k) predicts, cross-validated."""
    x = (hidden - hidden.mean(axis=0)) / (hidden.std(axis=0) + 1e-9)
    y, fold, shares = reward - reward.mean(), np.arange(len(reward)) % FOLDS, []
    for ridge in RIDGES:
        predicted = np.zeros(len(y))
        for each in range(FOLDS):
            train, test = fold != each, fold == each
            weights = np.linalg.solve(x[train].T @ x[train] + ridge * np.eye(x.shape[1]), x[train].T @ y[train])
            predicted[test] = x[test] @ weights
        shares.append(1 - ((y - predicted) ** 2).mean() / y.var())
    return float(max(shares))


def hidden_means(policy: SequencePolicy, batches: Sequence[Batch]) -> np.ndarray:
    """(n, width) mean over the steps of each piece of what the backbone gives."""
    seen: list[torch.Tensor] = []

    def keep(_: Any, __: Any, output: Any) -> None:
        seen.append(output[0] if isinstance(output, tuple) else output)

    hook = policy.network.backbone.register_forward_hook(keep)
    with torch.no_grad():
        for batch in batches:
            observations = tensors_of(batch.observations, torch.device("cpu"), time=True)
            policy.network(observations, batch.episode_starts)
    hook.remove()
    inside = [batch.inside[..., None] for batch in batches]
    return np.concatenate(
        [((each * one).sum(dim=1) / one.sum(dim=1)).numpy() for each, one in zip(seen, inside, strict=True)]
    )


def main() -> None:
    """Print the figures of a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--pieces", type=int, default=1536, help=f"a multiple of {QUARTERS * ROWS}")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--trust", action="store_true", help="run the code of reward models that the run names")
    args = parser.parse_args()
    if args.pieces < QUARTERS * ROWS or args.pieces % (QUARTERS * ROWS):
        parser.error(f"--pieces must be a multiple of {QUARTERS * ROWS}, got {args.pieces}")

    run = Run.open(args.run)
    model = load_model(run.reference_path)
    policy = model.policy
    assert isinstance(policy, SequencePolicy), "mlp and cnn have no reference policy"
    rewards = load_rewards(run.folder / "checkpoints/start/reward_models", run.folder, trust=args.trust)
    pieces: list[Piece] = []
    while len(pieces) < args.pieces:
        count = min(AT_ONCE, args.pieces - len(pieces))
        pieces += generate_pieces(model, count, args.seed + len(pieces), environment_arguments(run.config))
    reward = np.concatenate(
        [rewards.score(Pieces(pieces[k : k + AT_ONCE], policy.piano)) for k in range(0, len(pieces), AT_ONCE)]
    ).astype(float)
    print(f"{len(pieces)} pieces, reward {reward.mean():.3f}, standard deviation {reward.std():.3f}")

    policy.set_training_mode(False)
    batches, advantages = batches_of(pieces, policy), relative_advantages(reward)
    size = len(batches) // QUARTERS
    quarters = [
        gradient_of(policy, batches[k * size : (k + 1) * size], advantages[k * size * ROWS : (k + 1) * size * ROWS])
        for k in range(QUARTERS)
    ]
    pairs = list(combinations(range(QUARTERS), 2))
    cosines = [
        dot(quarters[i], quarters[j]) / (dot(quarters[i], quarters[i]) * dot(quarters[j], quarters[j])) ** 0.5
        for i, j in pairs
    ]
    low, high = min(cosines), max(cosines)
    print(f"cosine of the gradients of {size * ROWS} pieces: {np.mean(cosines):.3f}, {low:.3f} to {high:.3f}")
    for kind, change in KINDS.items():
        gains = []
        for pair in pairs:
            step = {name: change(each) for name, each in mean([quarters[k] for k in pair]).items()}
            slope = mean([quarters[k] for k in range(QUARTERS) if k not in pair])
            gains.append(gain_at_one_nat(policy, batches[:KL_BATCHES], step, slope))
        print(
            f"gain at one nat, gradient of {2 * size * ROWS} pieces, {kind}: {np.mean(gains):.3f} standard deviations, "
            f"{np.mean(gains) / 2**0.5:.0%} of the limit"
        )
    share = linear_share(hidden_means(policy, batches), reward)
    print(f"share of the reward's variance that is linear in the mean hidden state: {share:.3f}")


if __name__ == "__main__":
    main()
