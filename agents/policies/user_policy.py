"""Policies of a user's own: classes that `--policy package.module:Class(argument=value)` names."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy

from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.settings.options import ConfigError, shown
from toccata.settings.specs import Spec, SpecError, parse_spec
from toccata.user_code import import_attribute

PolicyClass = type[MaskableActorCriticPolicy]


def policy_spec(text: str) -> Spec:
    """The class and arguments of `package.module:Class(argument=value)`.

    Raises:
        ConfigError: for anything else.
    """
    try:
        return parse_spec(text)
    except SpecError as error:
        raise ConfigError(f"policy: {error}") from None


def import_policy(text: str) -> PolicyClass:
    """Import the policy class that a spec names. This runs the code of its module.

    Raises:
        ConfigError: when it cannot be imported, or is no policy that learns under masks.
    """
    spec = policy_spec(text)
    found: Any = import_attribute(spec.target, f"policy {shown(text)}", ConfigError)
    if not inspect.isclass(found) or not issubclass(found, MaskableActorCriticPolicy):
        raise ConfigError(
            f"policy {shown(text)}: must be a subclass of sb3-contrib's MaskableActorCriticPolicy, such as "
            "MaskableMultiInputActorCriticPolicy, or of Toccata's FeedforwardPolicy or SequencePolicy, got "
            f"{shown(found)}"
        )
    return found


def imported_policy(text: str) -> PolicyClass:
    """The class that a spec names, whose module is imported already.

    Raises:
        RuntimeError: when it is not: whoever reads a run decides first whether its code may be imported.
    """
    if policy_spec(text).target.partition(":")[0] not in sys.modules:
        raise RuntimeError(f"policy {text!r} has not been imported")
    return import_policy(text)


def plays_sequences(policy: PolicyClass) -> bool:
    """Whether it needs the observation "actions" and a cache while it plays."""
    return issubclass(policy, SequencePolicy)
