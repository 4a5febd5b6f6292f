"""Training, scoring and fitting on a GPU, each beside what this machine can do at best, measured in the same run.

`make bench-gpu` runs it, and the tests marked `gpu`. `python benchmarks/bench_gpu.py` prints the table and writes
benchmarks/results-gpu.json; it takes less than eight minutes, needs nothing from the network, and exits with 1 when a
target is missed. With `--device cpu` the same program runs at small sizes, which have no targets.

A limit is what the part would reach if it did nothing else: matrix products of the very same shapes, the environments
alone, one step of the network alone, a reward's network on windows that are ready.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_sequences import fit_steps_per_second, median_seconds, pass_products, products_seconds, synchronize
from bench_sound import agent_like_score
from rich.console import Console
from rich.table import Table
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.logger import Logger

from toccata.agents.policies.sequence_network import (
    DEFAULT_NETWORKS,
    NetworkConfig,
    SequenceNetwork,
    episode_starts_of,
    tensors_of,
)
from toccata.agents.ppo.device_step import DeviceStep
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.prior.fitting.fit_config import FitPriorConfig
from toccata.agents.runs.builders import build_agent, build_envs, environment_arguments, set_arithmetic
from toccata.agents.runs.callbacks.rollouts import UpdateRewardsCallback
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import versions
from toccata.agents.runs.training import set_reference
from toccata.envs.excerpts import ExcerptDataset
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Pieces
from toccata.envs.vector import PianoVectorEnv
from toccata.reward_models import RatingModel, Realism, parse_rewards
from toccata.reward_models.learning import learns
from toccata.reward_models.rating.audio_windows import WINDOW_FRAMES, window_start_frames
from toccata.reward_models.realism.roll_windows import covering_windows

RESULTS = Path(__file__).parent / "results-gpu.json"
BUDGET_SECONDS = 480  # of everything
GIB = 2**30
LATE = 200  # steps into a piece at which a step of the network is timed: its cache is as in a rollout
PARTS = {
    "step": "environments",
    "prepare": "prefill",
    "begin_rollout": "prefill",
    "act": "policy step",
    "kl_penalty": "KL",
    "piece_rewards": "rewards",
    "train": "update",
}
TARGETS = {  # of a GPU of the class of an H100
    "training, 512 pianos": 40_000,  # steps a second
    "training, 4,096 pianos": 100_000,
    "rewards' share, 512 pianos": 0.25,  # at most, of the time
    "rewards' share, 4,096 pianos": 0.25,
    "update, 512 pianos": 4_000_000,  # steps a second, counted once an epoch
    "fit-prior": 2_000_000,
    "peak memory": 40,  # GiB at most
}
AT_MOST = ("rewards' share", "peak memory")  # names of targets that must not be exceeded begin so


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    pianos: tuple[int, ...]
    n_steps: int  # of a rollout; fewer where the time is not enough
    n_epochs: int
    warm_rollouts: int
    batch_size: int  # most steps in a minibatch
    pieces: int  # that are scored at once
    bars: int
    fit_notes: int  # of an epoch of fit-prior
    fit_batch_steps: int
    network: NetworkConfig  # that is fitted


GPU = Sizes((64, 512, 4096), 128, 6, 2, 16_384, 512, 8, 1_000_000, 65_536, DEFAULT_NETWORKS["transformer"])
CPU = Sizes((4, 8), 32, 1, 1, 128, 8, 4, 1_000, 1_024, NetworkConfig(width=48, layers=2))


@dataclass(frozen=True)
class Row:
    """One figure, the limits beside it, and its target."""

    name: str
    value: float
    unit: str
    limits: dict[str, float]  # in the same unit
    more: dict[str, Any]

    @property
    def target(self) -> float | None:
        """What the value must reach on a GPU; of those in `AT_MOST` what it must not exceed."""
        return TARGETS.get(self.name)

    @property
    def ok(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.name.startswith(AT_MOST) else self.value >= self.target


class Stopwatch:
    """Seconds in methods of objects, each until the device has finished."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def time(self, owner: Any, method: str, part: str) -> None:
        """Count the calls of `owner.method` as `part`."""
        usual = getattr(owner, method)

        def timed(*arguments: Any, **named: Any) -> Any:
            synchronize()
            started = time.perf_counter()
            try:
                return usual(*arguments, **named)
            finally:
                synchronize()
                self.seconds[part] += time.perf_counter() - started

        setattr(owner, method, timed)


def on_device(model: Any, device: torch.device) -> Any:
    """The reward model on the device, where it can be there."""
    return model.to(device) if hasattr(model, "to") else model


def training_config(num_envs: int, n_steps: int, sizes: Sizes) -> TrainConfig:
    """The defaults of `train.py` without cloning, for as many pianos; every epoch of the update is computed."""
    minibatches = 4  # of a rollout, as by default
    return TrainConfig(
        algorithm="ppo",
        num_envs=num_envs,
        n_steps=n_steps,
        n_epochs=sizes.n_epochs,
        batch_size=min(num_envs * n_steps // minibatches, sizes.batch_size),
        clone_epochs=0,
        target_kl=None,
    )


def build(config: TrainConfig, sizes: Sizes, device: torch.device) -> tuple[SequenceComposerPPO, CallbackList]:
    """The agent of `train.py`, and the callback that trains the discriminator, on generated music."""
    rewards = parse_rewards(config.rewards)
    for each in rewards.models.values():
        on_device(each, device)
    model = build_agent(config, build_envs(config), rewards, device)
    assert isinstance(model, SequenceComposerPPO)
    set_arithmetic(config, model)
    set_reference(config, model, model)
    model.set_logger(Logger(None, []))
    rng = np.random.default_rng(0)
    music = ExcerptDataset([agent_like_score(rng, 2 * config.bars) for _ in range(16)], config.bars)
    learning = {term: each for term, each in rewards.models.items() if learns(each)}
    return model, CallbackList([UpdateRewardsCallback(learning, music, rng)])


def environment_rates(config: TrainConfig, steps: int = 40) -> dict[str, float]:
    """Steps a second of the environments alone, with random legal actions: of PPO's and of Gymnasium's form."""
    rates = {}
    vector_env = PianoVectorEnv(config.num_envs, **environment_arguments(config))
    for name, env in (("PianoVecEnv", build_envs(config)), ("PianoVectorEnv", vector_env)):
        rng = np.random.default_rng(0)
        env.reset()
        seconds = []
        for _ in range(steps):
            actions = env.core.dynamics.random_legal_actions(rng)
            started = time.perf_counter()
            env.step(actions)
            env.action_masks()
            seconds.append(time.perf_counter() - started)
        rates[name] = config.num_envs / float(np.mean(seconds[steps // 4 :]))
    return rates


def step_rates(model: SequenceComposerPPO, sizes: Sizes) -> dict[str, float]:
    """Steps a second of the network alone, one step of every piano at a time, late in a piece.

    Plainly; and with sampling, copies and CUDA graphs as in a rollout on a GPU, but without environments.
    """
    network, rows = model.policy.network, model.n_envs
    assert model.env is not None  # it was built with one
    first: Any = model.env.reset()
    later = {**first, "last": np.ones_like(first["last"])}  # no beginning of a piece
    late = min(LATE, 4 * sizes.n_steps)
    rates = {}
    cache = network.empty_cache(rows)

    def step(played: Any) -> None:
        nonlocal cache
        observations = tensors_of(played, model.device)
        _, _, cache = network.step(observations, episode_starts_of(observations), cache)

    with torch.no_grad():
        for k in range(late):
            step(later if k else first)
        rates["network's step alone"] = rows / median_seconds(lambda: step(later), rounds=9)
    steps, masks = DeviceStep(model.policy, rows, late + 16, keep_logits=False), model.env.action_masks()
    steps.begin(network.empty_cache(rows), np.zeros(rows, np.int64))
    for k in range(late):
        steps.play(later if k else first, masks)
    rates["policy's step alone"] = rows / median_seconds(lambda: steps.play(later, masks), rounds=9)
    return rates


def product_rates(config: NetworkConfig, rows: int, steps: int, device: torch.device) -> dict[str, float]:
    """Steps a second of the matrix products alone of a forward and backward pass over (rows, steps), by data type."""
    counts = pass_products(config, rows, steps, device).counts
    dtypes = (torch.float32,) if device.type == "cpu" else (torch.float32, torch.bfloat16)
    return {
        f"products, {str(dtype).removeprefix('torch.')}": rows * steps / products_seconds(counts, device, dtype)
        for dtype in dtypes
    }


def training(num_envs: int, n_steps: int, sizes: Sizes, device: torch.device) -> list[Row]:
    """End-to-end steps a second of the default training, the shares of its parts, and its update."""
    config = training_config(num_envs, n_steps, sizes)
    model, callbacks = build(config, sizes, device)
    steps = num_envs * n_steps

    def seconds_of_rollouts(count: int) -> float:
        synchronize()
        started = time.perf_counter()
        model.learn(count * steps, callbacks, reset_num_timesteps=False)
        synchronize()
        return time.perf_counter() - started

    warm = seconds_of_rollouts(sizes.warm_rollouts)
    whole = seconds_of_rollouts(1)
    stopwatch = Stopwatch()
    for method, part in PARTS.items():
        stopwatch.time(model.env if method == "step" else model, method, part)
    stopwatch.time(callbacks.callbacks[0], "_on_rollout_end", "rewards")
    timed = seconds_of_rollouts(1)
    shares = {part: seconds / timed for part, seconds in stopwatch.seconds.items()}
    shares["rest"] = 1 - sum(shares.values())
    limits = {f"{name} alone": rate for name, rate in environment_rates(config).items()}
    limits.update(step_rates(model, sizes))
    rows = max(1, config.batch_size // n_steps)
    products = product_rates(model.policy.network_config, rows, n_steps, device)
    update = steps * sizes.n_epochs / stopwatch.seconds["update"]
    name = f"{num_envs:,} pianos"
    return [
        Row(
            f"training, {name}",
            steps / whole,
            "steps/s",
            limits,
            {"shares": shares, "n_steps": n_steps, "warm": warm, "amp": model.amp, "compiled": model.compiles},
        ),
        Row(f"rewards' share, {name}", shares["rewards"], "of the time", {}, {}),
        Row(f"update, {name}", update, "steps/s", products, {"batch_size": config.batch_size}),
    ]


def scoring(sizes: Sizes, device: torch.device) -> list[Row]:
    """Pieces a second of rating and realism, beside their networks alone on windows that are ready."""
    rng = np.random.default_rng(0)
    scores = [agent_like_score(rng, sizes.bars) for _ in range(sizes.pieces)]
    rating, realism = on_device(RatingModel.load(), device), on_device(Realism.load(), device)

    def rate() -> None:
        fresh = on_device(RatingModel(rating.network, rating.config), device)  # with an empty cache
        fresh.score(Pieces(scores))

    frames = Pieces(scores[:1]).mel_frames
    windows = sizes.pieces * len(window_start_frames(int(frames[0])))
    mels = rng.standard_normal((windows, rating.config.mels, WINDOW_FRAMES)).astype(np.float32)
    valid = np.full(windows, WINDOW_FRAMES)
    members = range(rating.config.reward_members)
    rolls = covering_windows(scores)
    rolls_there, frames_there = (torch.as_tensor(each).to(device) for each in (rolls.rolls, rolls.frames))

    def discriminate() -> None:
        with torch.no_grad():
            for part, valid_part in zip(rolls_there.split(4096), frames_there.split(4096), strict=True):
                realism.discriminator(part, valid_part)

    count = sizes.pieces
    network_alone = {
        "rating": count / median_seconds(lambda: rating.rate_windows(mels, valid, members), rounds=3),
        "realism": count / median_seconds(discriminate, rounds=3),
    }
    rates = {
        "rating": count / median_seconds(rate, rounds=3),
        "realism": count / median_seconds(lambda: realism.score(Pieces(scores)), rounds=3),
    }
    return [
        Row(name, value, "pieces/s", {"its network alone": network_alone[name]}, {"bars": sizes.bars})
        for name, value in rates.items()
    ]


def fitting(sizes: Sizes, device: torch.device) -> list[Row]:
    """Steps a second of fit-prior as it is on a GPU, on a CPU with neither bfloat16 nor a compiler."""
    network = SequenceNetwork(Piano(), sizes.network).to(device)
    on_gpu = device.type == "cuda"
    rate = fit_steps_per_second(
        network,
        bars=2 * sizes.bars,
        notes=sizes.fit_notes,
        batch_steps=sizes.fit_batch_steps,
        row_steps=FitPriorConfig.max_steps,
        amp=on_gpu,
        compiles=on_gpu,
        workers=torch.get_num_threads(),
    )
    length = 64 * sizes.bars  # about as long as the passages
    limits = product_rates(sizes.network, max(1, sizes.fit_batch_steps // length), length, device)
    return [Row("fit-prior", rate, "steps/s", limits, {"batch_steps": sizes.fit_batch_steps})]


def peak_memory(device: torch.device) -> list[Row]:
    """Greatest memory that PyTorch has reserved on the GPU."""
    if device.type == "cpu":
        return []
    reserved, used = torch.cuda.max_memory_reserved() / GIB, torch.cuda.max_memory_allocated() / GIB
    return [Row("peak memory", reserved, "GiB", {}, {"in use": used})]


def affordable_steps(num_envs: int, rate: float, seconds: float, sizes: Sizes) -> int:
    """Steps of a rollout of which all that `training` plays fit into the seconds, at a rate; 0: not even 8."""
    rollouts = sizes.warm_rollouts + 2
    n_steps = sizes.n_steps
    while n_steps >= 8 and rollouts * num_envs * n_steps / rate > seconds:
        n_steps //= 2
    return n_steps if n_steps >= 8 else 0


def measure(sizes: Sizes, device: torch.device, say: Callable[[str], object]) -> list[Row]:
    """Every row; `say` is given those that the time was not enough for."""
    deadline = time.monotonic() + BUDGET_SECONDS
    rows = [*scoring(sizes, device), *fitting(sizes, device)]
    rate = 1000.0  # a second, a guess that the first size is measured with
    for num_envs in sizes.pianos:
        n_steps = affordable_steps(num_envs, rate, deadline - time.monotonic(), sizes)
        if not n_steps:
            say(f"training, {num_envs:,} pianos: left out, it would take more than {BUDGET_SECONDS} s in all")
            continue
        rows += training(num_envs, n_steps, sizes, device)
        rate = next(row.value for row in reversed(rows) if row.name.startswith("training"))
    return [*rows, *peak_memory(device)]


def table_of(rows: list[Row], with_targets: bool) -> Table:
    """The rows as a table for the terminal."""
    table = Table(title="benchmarks on a device")
    for name, justify in (
        ("what", "left"),
        ("measured", "right"),
        ("", "left"),
        ("limits, and the share reached", "left"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]  # a literal
    for name in ("target", "verdict"):
        table.add_column(name, justify="right")

    def number(value: float) -> str:
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

    for row in rows:
        notes = [f"{name} {number(limit)}: {row.value / limit:.0%}" for name, limit in row.limits.items()]
        shares = row.more.get("shares", {})
        if shares:
            notes.append(", ".join(f"{part} {share:.0%}" for part, share in shares.items()))
        target = verdict = ""
        if with_targets and row.target is not None:
            target = number(row.target)
            verdict = "[green]ok[/green]" if row.ok else "[red]missed[/red]"
        table.add_row(row.name, number(row.value), row.unit, "\n".join(notes), target, verdict)
    return table


def as_json(row: Row, with_target: bool) -> dict[str, Any]:
    """A row of the file."""
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    return {**values, "target": row.target if with_target else None, "ok": row.ok if with_target else None}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; 1 when a target is missed or a row with one is left out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, default=RESULTS, help="file to write, by default %(default)s")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device here; --device cpu runs the same program at small sizes")
    device = torch.device(options.device)
    on_gpu = device.type == "cuda"
    console = Console()
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "few works|nothing rewards")
        rows = measure(GPU if on_gpu else CPU, device, console.print)
    seconds = time.perf_counter() - started
    console.print(table_of(rows, with_targets=on_gpu))
    console.print(f"{seconds:.0f} s on {torch.cuda.get_device_name() if on_gpu else 'the CPU, at small sizes'}")
    results = {
        "measured": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "seconds": seconds,
        "versions": versions(),
        "rows": [as_json(row, on_gpu) for row in rows],
    }
    options.out.write_text(json.dumps(results, indent=2, default=np.generic.item) + "\n", encoding="utf-8")
    missed = set(TARGETS) - {row.name for row in rows if row.ok}
    return 1 if on_gpu and missed else 0


if __name__ == "__main__":
    sys.exit(main())
