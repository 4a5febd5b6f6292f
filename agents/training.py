"""`train`, at a path that stays when modules move; `toccata.agents` has it too."""

from toccata.agents.runs.training import train

__all__ = ["train"]
