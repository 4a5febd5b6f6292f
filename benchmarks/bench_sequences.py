"""The sequence policies: steps per second versus sb3-contrib, and versus what the machine could do at best.

`python benchmarks/bench_sequences.py` prints the rows that `run.py` collects; about four minutes. There is no
reward here. Pieces have fixed lengths in steps, each piano its own, so that ours and the peer, whose play
differs, do the same work, and so that they do not all end at once.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from bench_sound import agent_like_score
from bench_windows import recurrent, windowed
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from torch.utils._python_dispatch import TorchDispatchMode

from toccata.agents.policies.sequence_network import (
    DEFAULT_NETWORKS,
    NetworkConfig,
    SequenceNetwork,
    episode_starts_of,
    tensors_of,
)
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.prior.fitting.dataset import PassageDataset
from toccata.agents.prior.fitting.fit_config import FitPriorConfig
from toccata.agents.prior.fitting.maximum_likelihood import fit_network
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.instrument import Piano
from toccata.music.corpus import Corpus, Work

MANY_BARS = 9_999  # no piece ends by itself
LSTM_TARGET = 10
TRANSFORMER_TARGET = 50
UPDATE_TARGET = 0.35  # of the rate of torch.mm
GROWTH_TARGET = 2.5  # cost of a step late in a piece, in steps at its beginning; our own bound
WINDOW = 128  # steps that the transformer without cache looks back
LONGEST = 1024  # steps of the piece that grows
STRETCH = 64  # of its steps are timed together
GPU_PRODUCTS = 1024  # matrix products of one shape that are measured as one batch on a GPU

RECURRENT_DEFAULTS = {"n_steps": 128, "batch_size": 128, "n_epochs": 10}  # RecurrentPPO's own
RECURRENT_CONFIG = NetworkConfig("lstm", width=256, layers=1)  # likewise


def pianos(num_envs: int, shortest: int, longest: int) -> PianoVecEnv:
    """Pianos whose pieces have `shortest` to `longest` steps, each piano's its own number."""
    env = PianoVecEnv(num_envs, bars=MANY_BARS, observation="actions", max_steps=longest)
    env.core.max_steps = np.linspace(shortest, longest, num_envs).astype(int)  # type: ignore[assignment]  # one each
    return env


def composer(env: PianoVecEnv, config: NetworkConfig, **arguments: Any) -> SequenceComposerPPO:
    """Our agent."""
    size = {"width": config.width, "layers": config.layers, "heads": config.heads}
    kind = {"backbone": config.backbone, "network_config": size}
    return SequenceComposerPPO(SequencePolicy, env, policy_kwargs=kind, seed=0, device="cpu", **arguments)


def steps_per_second(model: Any, rollouts: int, warm: int) -> float:
    """Environment steps per second of rollouts and updates."""
    model.set_logger(Logger(None, []))
    steps = model.n_envs * model.n_steps
    if warm:
        model.learn(warm * steps)
    started = time.perf_counter()
    model.learn(rollouts * steps, reset_num_timesteps=not warm)
    return rollouts * steps / (time.perf_counter() - started)


def row(name: str, ours: float, peer_name: str, peer: float, target: float | None, **more: Any) -> dict:
    """How many times faster we are than the peer."""
    ratio = ours / peer
    return {
        "name": name,
        "ours_per_second": ours,
        "peer": peer_name,
        "peer_per_second": peer,
        "ratio": ratio,
        "target": target,
        "ok": target is None or ratio >= target,
        **more,
    }


def lstm_rows() -> list[dict]:
    """Against RecurrentPPO, at its own defaults and larger."""
    results = []
    our_config = DEFAULT_NETWORKS["lstm"]
    train = {"n_steps": 128, "batch_size": 1024, "n_epochs": 2}
    for name, config, arguments, target in (
        ("lstm, RecurrentPPO's defaults", RECURRENT_CONFIG, RECURRENT_DEFAULTS, LSTM_TARGET),
        ("lstm, 328 x 2, batch of 1,024", our_config, train, None),
    ):
        ours = steps_per_second(composer(pianos(16, 64, 256), config, **arguments), rollouts=2, warm=1)
        peer = steps_per_second(recurrent(pianos(16, 64, 256), config, device="cpu", **arguments), rollouts=1, warm=0)
        results.append(row(name, ours, "RecurrentPPO", peer, target))
    return results


def transformer_row() -> dict:
    """Against MaskablePPO over a window; it plays a 32nd of the steps, in minibatches of the same size."""
    config, envs, epochs = DEFAULT_NETWORKS["transformer"], 32, 4
    model = composer(pianos(envs, 192, 320), config, n_steps=256, batch_size=256, n_epochs=epochs)
    ours = steps_per_second(model, rollouts=1, warm=1)
    peer_model = windowed(
        pianos(envs, 192, 320), config, WINDOW, n_steps=8, batch_size=256, n_epochs=epochs, device="cpu"
    )
    peer = steps_per_second(peer_model, rollouts=1, warm=0)
    return row("transformer, 256 steps", ours, f"MaskablePPO, window of {WINDOW}", peer, TRANSFORMER_TARGET)


class Products(TorchDispatchMode):
    """Counts the matrix products that run under it; convolutions, forward ones only, are products too.

    Attributes:
        counts: how often (m, k) times (k, n) was computed, by (m, k, n).
        flops: of these. Causal attention needs half of its scores only, so they are counted half.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[tuple[int, int, int]] = Counter()
        self.flops = 0.0

    def _count(self, m: int, k: int, n: int, times: int = 1, needed: float = 1.0) -> None:
        self.counts[m, k, n] += times
        self.flops += 2.0 * m * k * n * times * needed

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run and count."""
        name = func.overloadpacket.__name__
        if name in ("mm", "addmm"):
            first, second = args[-2:]
            self._count(*first.shape, second.shape[1])
        elif name in ("bmm", "baddbmm"):
            first, second = args[-2:]
            self._count(*first.shape[1:], second.shape[2], times=len(first))
        elif name.startswith("_scaled_dot_product"):
            backward = name.endswith("_backward")
            queries, keys = args[1:3] if backward else args[:2]
            rows, heads, count, width = queries.shape
            times = rows * heads * (2 if backward else 1)  # backward counts twice forward, its recomputation is ours
            self._count(count, width, keys.shape[2], times, needed=0.5)
            self._count(count, keys.shape[2], width, times, needed=0.5)
        result = func(*args, **(kwargs or {}))
        if name == "convolution":  # without groups
            weight = args[1]
            self._count(result.numel() // len(weight), weight[0].numel(), len(weight))
        return result


def products_seconds(
    counts: Counter[tuple[int, int, int]], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> float:
    """Seconds that products of these shapes take, so many of each; on a GPU many of one shape are one batch."""
    seconds = 0.0
    for (m, k, n), count in counts.items():
        batch = 1 if torch.device(device).type == "cpu" else min(count, GPU_PRODUCTS)
        first = torch.randn(batch, m, k, device=device, dtype=dtype)
        second = torch.randn(batch, k, n, device=device, dtype=dtype)
        product = (lambda a=first, b=second: torch.bmm(a, b)) if batch > 1 else (lambda a=first[0], b=second[0]: a @ b)
        seconds += count / batch * median_seconds(product, rounds=9)
    return seconds


def median_seconds(work: Callable[[], Any], rounds: int) -> float:
    """Median time of `work`, after a warm one; on a GPU until it has finished."""
    work()
    found = []
    for _ in range(rounds):
        synchronize()
        started = time.perf_counter()
        work()
        synchronize()
        found.append(time.perf_counter() - started)
    return float(np.median(found))


def synchronize() -> None:
    """Wait for a GPU, if this process uses one."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


class Nothing(BaseCallback):
    """Does nothing."""

    def _on_step(self) -> bool:
        return True


def ready(model: SequenceComposerPPO) -> Callable[[], None]:
    """Prepare a model outside `learn`; gives what plays a rollout."""
    model.set_logger(Logger(None, []))
    _, callback = model._setup_learn(model.n_envs * model.n_steps, Nothing())

    def play() -> None:
        model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)

    return play


def update_row() -> dict:
    """The update of the transformer of `train.py` in matrix products, against torch.mm for the very same products."""
    model = composer(pianos(16, 64, 256), DEFAULT_NETWORKS["transformer"], n_steps=128, batch_size=1024, n_epochs=1)
    ready(model)()
    with Products() as products:
        model.train()
    mm_seconds = products_seconds(products.counts)
    update_seconds = median_seconds(model.train, rounds=3)
    mm_flops = sum(2.0 * m * k * n * count for (m, k, n), count in products.counts.items())
    ours, peer = products.flops / update_seconds, mm_flops / mm_seconds
    return row("update of the transformer, FLOP", ours, "torch.mm, same shapes", peer, UPDATE_TARGET)


def fit_steps_per_second(
    network: SequenceNetwork, *, bars: int, notes: int, batch_steps: int, epochs: int = 2, **options: Any
) -> float:
    """Steps per second of fit-prior's loop on generated music of `bars` bars, after a first epoch.

    `options` are further ones of `fit_network`.
    """
    rng = np.random.default_rng(0)
    works = tuple(Work(f"{i}", "classical", agent_like_score(rng, 2 * bars)) for i in range(32))
    music = PassageDataset(Corpus("generated", works), bars)
    ends: list[float] = []
    steps = [0]  # by epoch

    def on_batch(done: float, nats: float, count: int) -> None:
        steps[-1] += count

    def on_epoch(state: Any) -> None:
        synchronize()
        ends.append(time.perf_counter())
        steps.append(0)

    fit_network(
        network,
        music,
        None,
        epochs=epochs,
        epoch_notes=notes,
        seed=0,
        batch_steps=batch_steps,
        muon=True,
        **options,
        on_batch=on_batch,
        on_epoch=on_epoch,
    )
    return sum(steps[1:]) / (ends[-1] - ends[0])


def pass_products(config: NetworkConfig, rows: int, steps: int, device: torch.device | str = "cpu") -> Products:
    """The matrix products of a forward and backward pass of a sequence network over (rows, steps)."""
    network = SequenceNetwork(Piano(), config).to(device)
    shapes = {"place": (4,), "top": (), "last": (2,), "genre": ()}  # of a step
    observations = {
        key: torch.zeros(rows, steps, *shape, dtype=torch.int64, device=device) for key, shape in shapes.items()
    }
    starts = torch.zeros(rows, steps, dtype=torch.bool, device=device)
    starts[:, 0] = True
    with Products() as products:
        logits, values = network(observations, starts)
        (logits.sum() + values.sum()).backward()
    return products


def fit_row() -> dict:
    """Fitting a prior of the default size, against torch.mm for the products of such a pass."""
    config, batch_steps, length = DEFAULT_NETWORKS["transformer"], FitPriorConfig.batch_steps, 256
    products = pass_products(config, batch_steps // length, length)
    limit = batch_steps / products_seconds(products.counts)
    ours = fit_steps_per_second(SequenceNetwork(Piano(), config), bars=8, notes=8_000, batch_steps=batch_steps)
    return row("fit-prior, 256 steps", ours, "torch.mm, same shapes", limit, None)


def growth_row() -> dict:
    """A step late in a piece of 1,024 against one at its beginning; the peer goes over the whole piece at each step."""
    envs, whole_rounds = 16, 3
    network = SequenceNetwork(Piano(), DEFAULT_NETWORKS["transformer"]).eval()
    env = pianos(envs, LONGEST + 1, LONGEST + 1)
    rng = np.random.default_rng(0)
    played: Any = [env.reset()]
    for _ in range(LONGEST - 1):
        played.append(env.step(env.core.dynamics.random_legal_actions(rng))[0])
    device = torch.device("cpu")
    observations = [tensors_of(each, device) for each in played]
    pieces = {key: torch.stack([each[key] for each in observations], dim=1) for key in observations[0]}
    kept, anew = {}, {}
    with torch.no_grad():
        for timed in (False, True):  # a warm piece first
            cache = network.empty_cache(envs)
            for stretch in range(0, LONGEST, STRETCH):
                started = time.perf_counter()
                for each in observations[stretch : stretch + STRETCH]:
                    _, _, cache = network.step(each, episode_starts_of(each), cache)
                if timed:
                    kept[stretch + STRETCH] = (time.perf_counter() - started) / STRETCH
        for length in (64, 128, 256, 512, 1024):
            some = {key: value[:, :length] for key, value in pieces.items()}
            anew[length] = median_seconds(lambda some=some: network(some, episode_starts_of(some)), whole_rounds)  # type: ignore[misc]
    ratio = kept[LONGEST] / kept[STRETCH]
    return {
        "name": "transformer, cost of step 1,024 in first steps",
        "ours_per_second": envs / kept[LONGEST],
        "peer": f"the whole piece at each step ({anew[LONGEST] / anew[STRETCH]:.3g})",
        "peer_per_second": envs / anew[LONGEST],
        "ratio": ratio,
        "target": GROWTH_TARGET,
        "ok": ratio <= GROWTH_TARGET,
        "milliseconds_by_length": {length: 1000 * seconds for length, seconds in kept.items()},
        "milliseconds_by_length_peer": {length: 1000 * seconds for length, seconds in anew.items()},
    }


def rows() -> list[dict]:
    """Every row; about four minutes."""
    warnings.filterwarnings("ignore", "nothing rewards this agent")  # speed does not depend on rewards
    torch.set_num_threads(1)
    return [*lstm_rows(), transformer_row(), update_row(), fit_row(), growth_row()]


def main() -> None:
    """Print the rows."""
    for each in rows():
        verdict = "" if each["target"] is None else "ok" if each["ok"] else "MISSED"
        print(f"{each['name']}: {each['ratio']:.3g} (target {each['target']}) {verdict}")
        print(f"  ours {each['ours_per_second']:.4g}/s, {each['peer']} {each['peer_per_second']:.4g}/s")


if __name__ == "__main__":
    main()
