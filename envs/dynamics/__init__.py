"""The batched dynamics of the instrument: what an action does, which are legal, and what is observed."""

from toccata.envs.dynamics.batch import (
    DURATION,
    MAX_OBSERVED_BEATS,
    ONSET,
    RECENT_FRAMES,
    TICKS_PER_FRAME,
    Dynamics,
    random_legal_actions,
)

__all__ = [
    "DURATION",
    "MAX_OBSERVED_BEATS",
    "ONSET",
    "RECENT_FRAMES",
    "TICKS_PER_FRAME",
    "Dynamics",
    "random_legal_actions",
]
