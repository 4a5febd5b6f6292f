"""Registration of the Gymnasium ids; `gym.make` also takes reward models by name."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from toccata.settings.specs import is_reward_spec


def register_environments() -> None:
    """Register `toccata/Piano-v0` and `toccata/PianoDiscrete-v0` for `gym.make` and `gym.make_vec`."""
    for name, maker in (("Piano", "piano"), ("PianoDiscrete", "piano_discrete")):
        gym.register(
            f"toccata/{name}-v0",
            entry_point=f"toccata.registration:make_{maker}",
            vector_entry_point=f"toccata.registration:make_{maker}_vector",
        )


def _with_reward(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with what `load_reward` takes as text or data replaced by the reward model."""
    if is_reward_spec(arguments.get("reward")):
        from toccata.reward_models import load_reward

        return {**arguments, "reward": load_reward(arguments["reward"])}
    return arguments


def make_piano(**arguments: Any) -> gym.Env:
    """`toccata/Piano-v0`."""
    from toccata.envs import PianoEnv

    return PianoEnv(**_with_reward(arguments))


def make_piano_discrete(**arguments: Any) -> gym.Env:
    """`toccata/PianoDiscrete-v0`."""
    from toccata.envs import PianoDiscreteEnv

    return PianoDiscreteEnv(**_with_reward(arguments))


def make_piano_vector(num_envs: int = 1, **arguments: Any) -> gym.vector.VectorEnv:
    """`toccata/Piano-v0`, batched."""
    from toccata.envs import PianoVectorEnv

    return PianoVectorEnv(num_envs, **_with_reward(arguments))


def make_piano_discrete_vector(num_envs: int = 1, **arguments: Any) -> gym.vector.VectorEnv:
    """`toccata/PianoDiscrete-v0`, batched."""
    from toccata.envs import PianoDiscreteVectorEnv

    return PianoDiscreteVectorEnv(num_envs, **_with_reward(arguments))
