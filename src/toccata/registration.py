"""Registration of the Gymnasium ids; `gym.make` also takes reward models by name."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from toccata.settings.specs import is_reward_spec


def register_environments() -> None:
    """Register `toccata/Piano-v0`, `PianoDiscrete-v0`, `PianoVelocity-v0` and `MOPiano-v0`."""
    for name, maker in (("Piano", "piano"), ("PianoDiscrete", "piano_discrete"), ("PianoVelocity", "piano_velocity")):
        gym.register(
            f"toccata/{name}-v0",
            entry_point=f"toccata.registration:make_{maker}",
            vector_entry_point=f"toccata.registration:make_{maker}_vector",
        )
    gym.register(
        "toccata/MOPiano-v0",
        entry_point="toccata.registration:make_mo_piano",
        vector_entry_point="toccata.registration:make_mo_piano_vector",
        disable_env_checker=True,  # which takes scalar rewards alone
        kwargs={"reward": ["silence", "repetition", "density"]},  # the rules, which need no weights
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


def make_piano_velocity(**arguments: Any) -> gym.Env:
    """`toccata/PianoVelocity-v0`."""
    from toccata.envs import PianoVelocityEnv

    return PianoVelocityEnv(**_with_reward(arguments))


def make_piano_vector(num_envs: int = 1, **arguments: Any) -> gym.vector.VectorEnv:
    """`toccata/Piano-v0`, batched."""
    from toccata.envs import PianoVectorEnv

    return PianoVectorEnv(num_envs, **_with_reward(arguments))


def make_piano_discrete_vector(num_envs: int = 1, **arguments: Any) -> gym.vector.VectorEnv:
    """`toccata/PianoDiscrete-v0`, batched."""
    from toccata.envs import PianoDiscreteVectorEnv

    return PianoDiscreteVectorEnv(num_envs, **_with_reward(arguments))


def make_piano_velocity_vector(num_envs: int = 1, **arguments: Any) -> gym.vector.VectorEnv:
    """`toccata/PianoVelocity-v0`, batched."""
    from toccata.envs import PianoVelocityVectorEnv

    return PianoVelocityVectorEnv(num_envs, **_with_reward(arguments))


def make_mo_piano(**arguments: Any) -> gym.Env:
    """`toccata/MOPiano-v0`."""
    from toccata.envs import MOPianoEnv

    return MOPianoEnv(**_with_reward(arguments))


def make_mo_piano_vector(num_envs: int = 1, **arguments: Any) -> gym.vector.VectorEnv:
    """`toccata/MOPiano-v0`, batched."""
    from toccata.envs import MOPianoVectorEnv

    return MOPianoVectorEnv(num_envs, **_with_reward(arguments))
