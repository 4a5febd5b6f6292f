"""Steps per second of the batched piano, with legal actions, versus its peers in the same run, on one core.

`python benchmarks/bench_env.py` prints the table; `rows()` returns it: a list of dicts with `name`,
`ours_per_second`, `peer`, `peer_per_second`, `ratio`, `target`, `ok`. In the rows of `CartPoleVectorEnv` and
`PianoVectorEnv` `ratio` is the factor by which ours is slower, which must not exceed `target`; in the other the factor
by which it is faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv

from toccata.agents import PianoVecEnv
from toccata.envs import PianoEnv, PianoVectorEnv, random_legal_actions

NUM_ENVS = 1024
PEER_ENVS = 64
STEPS = 200  # of every env: about one piece of 8 bars, so that resets are included
PEER_STEPS = 20
ROUNDS = 15  # alternating; the fastest time of each step counts, because other processes can only slow it down
SINGLE_TARGET = 25  # times faster than the single env in DummyVecEnv, at least
CARTPOLE_TARGET = 6  # times slower than CartPoleVectorEnv, at most
VECTOR_ENV_TARGET = 2  # times slower PianoVecEnv is than PianoVectorEnv, at most


def seconds_of_each(step: Callable[[np.ndarray], object], actions: Sequence[np.ndarray]) -> np.ndarray:
    """(steps,) CPU seconds of `step` for each of `actions`; time of other processes does not count."""
    seconds = np.empty(len(actions))
    for k, action in enumerate(actions):
        start = time.thread_time()
        step(action)
        seconds[k] = time.thread_time() - start
    return seconds


def record_actions(env: PianoVectorEnv) -> list[np.ndarray]:
    """`STEPS` random legal actions of every env from `reset(seed=0)` on."""
    rng = np.random.default_rng(0)
    _, infos = env.reset(seed=0)
    actions = []
    for _ in range(STEPS):
        actions.append(random_legal_actions(infos["action_mask"], env.core.dynamics.whats, rng))
        infos = env.step(actions[-1])[-1]
    return actions


def against_cartpole() -> dict:
    """Masks and the observations of sequence policies, with actions drawn before, versus `CartPoleVectorEnv`."""
    piano = PianoVectorEnv(NUM_ENVS, observation="actions", illegal_penalty=1.0)
    cartpole = CartPoleVectorEnv(num_envs=NUM_ENVS)
    piano_actions = record_actions(piano)
    cartpole_actions = list(np.random.default_rng(0).integers(2, size=(STEPS, NUM_ENVS)))
    ours = peer = np.full(STEPS, np.inf)
    for _ in range(ROUNDS):
        piano.reset(seed=0)
        cartpole.reset(seed=0)
        ours = np.minimum(ours, seconds_of_each(piano.step, piano_actions))
        peer = np.minimum(peer, seconds_of_each(cartpole.step, cartpole_actions))
    piano.reset(seed=0)
    if any(piano.step(action)[1].any() for action in piano_actions):  # a reward is the penalty of an illegal action
        raise RuntimeError("not all replayed actions were legal, so the measurement is invalid")
    ours_rate, peer_rate = (NUM_ENVS * STEPS / seconds.sum() for seconds in (ours, peer))
    return {
        "name": f"batch of {NUM_ENVS}, masks, drawn actions",
        "ours_per_second": ours_rate,
        "peer": f"CartPoleVectorEnv, {NUM_ENVS} (slower by)",
        "peer_per_second": peer_rate,
        "ratio": peer_rate / ours_rate,
        "target": CARTPOLE_TARGET,
        "ok": peer_rate / ours_rate <= CARTPOLE_TARGET,
    }


def against_vector_env() -> dict:
    """The environments that PPO steps, a `VecEnv` of Stable-Baselines3, versus the same pianos as Gymnasium's."""
    ours_env = PianoVecEnv(NUM_ENVS, observation="actions")
    peer_env = PianoVectorEnv(NUM_ENVS, observation="actions")
    actions = record_actions(peer_env)

    def step_ours(action: np.ndarray) -> None:
        ours_env.step(action)
        ours_env.action_masks()

    ours = peer = np.full(STEPS, np.inf)
    for _ in range(ROUNDS):
        ours_env.seed(0)
        ours_env.reset()
        peer_env.reset(seed=0)
        ours = np.minimum(ours, seconds_of_each(step_ours, actions))
        peer = np.minimum(peer, seconds_of_each(peer_env.step, actions))
    ours_rate, peer_rate = (NUM_ENVS * STEPS / seconds.sum() for seconds in (ours, peer))
    return {
        "name": f"PPO's batch of {NUM_ENVS}, masks, drawn actions",
        "ours_per_second": ours_rate,
        "peer": f"PianoVectorEnv, {NUM_ENVS} (slower by)",
        "peer_per_second": peer_rate,
        "ratio": peer_rate / ours_rate,
        "target": VECTOR_ENV_TARGET,
        "ok": peer_rate / ours_rate <= VECTOR_ENV_TARGET,
    }


def against_single() -> dict:
    """Masks, the full observation and drawing of legal actions, versus single envs in the `DummyVecEnv` of SB3."""
    batch = PianoVectorEnv(NUM_ENVS)
    singles = DummyVecEnv([PianoEnv] * PEER_ENVS)
    whats = batch.core.dynamics.whats
    rng = np.random.default_rng(0)
    batch_masks = batch.reset(seed=0)[1]["action_mask"]
    singles.seed(0)
    singles.reset()
    single_masks = np.stack([info["action_mask"] for info in singles.reset_infos])

    def step_batch(_: np.ndarray) -> None:
        nonlocal batch_masks
        batch_masks = batch.step(random_legal_actions(batch_masks, whats, rng))[-1]["action_mask"]

    def step_singles(_: np.ndarray) -> None:
        nonlocal single_masks
        infos = singles.step(random_legal_actions(single_masks, whats, rng))[-1]
        single_masks = np.stack([info["action_mask"] for info in infos])

    nothing = np.empty(0)
    ours, peer = [], []
    for _ in range(ROUNDS):
        ours.append(np.median(seconds_of_each(step_batch, [nothing] * PEER_STEPS)))
        peer.append(np.median(seconds_of_each(step_singles, [nothing] * PEER_STEPS)))
    ours_rate, peer_rate = NUM_ENVS / np.median(ours), PEER_ENVS / np.median(peer)
    return {
        "name": f"batch of {NUM_ENVS}, masks, full observation",
        "ours_per_second": float(ours_rate),
        "peer": f"single env in DummyVecEnv, {PEER_ENVS}",
        "peer_per_second": float(peer_rate),
        "ratio": float(ours_rate / peer_rate),
        "target": SINGLE_TARGET,
        "ok": bool(ours_rate / peer_rate >= SINGLE_TARGET),
    }


def rows() -> list[dict]:
    """Measure everything; about half a minute."""
    return [against_single(), against_cartpole(), against_vector_env()]


def main() -> None:
    """Print the table."""
    print("rates are steps of one env a second")
    for row in rows():
        rates = f"{row['ours_per_second']:12,.0f}{row['peer_per_second']:12,.0f}"
        target = f"target {row['target']:g}: {'ok' if row['ok'] else 'MISSED'}"
        print(f"{row['name']:40}{rates}  {row['peer']:36}{row['ratio']:8.2f}  {target}")


if __name__ == "__main__":
    main()
