"""`TrainConfig`, at a path that stays when modules move; `toccata.agents` has it too."""

from toccata.agents.runs.config import TrainConfig

__all__ = ["TrainConfig"]
