"""The infos of one step of many environments, made only where somebody reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from toccata.envs.pieces import Piece

READ_OR_CHANGE_ALL = (  # methods of a list that need every item
    *("__contains__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__repr__", "__iter__"),
    *("__reversed__", "__add__", "__mul__", "__rmul__", "__iadd__", "__imul__", "__setitem__", "__delitem__"),
    *("append", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"),
)


class StepInfos(list):
    """A list of one dict an environment, each made when it is first read: all of them cost more than the step itself.

    Otherwise a list as any other; pickled or copied it is a plain one.

    Args:
        count: of the environments.
        make: gives the info of one of them.
        pieces: those that are in the infos as "piece", by environment.
    """

    def __init__(self, count: int, make: Callable[[int], dict[str, Any]], pieces: Mapping[int, Piece]) -> None:
        super().__init__([None] * count)
        self._make: Callable[[int], dict[str, Any]] | None = make
        self._pieces = pieces

    def __getitem__(self, index: Any) -> Any:
        """The info of one environment, or a list of those in a slice."""
        if isinstance(index, slice):
            self.make_all()
            return super().__getitem__(index)
        info = super().__getitem__(index)
        if info is None and self._make is not None:
            info = self._make(range(len(self))[index])
            super().__setitem__(index, info)
        return info

    def make_all(self) -> None:
        """Make those that nobody has read yet."""
        if self._make is not None:
            make, self._make = self._make, None
            infos = [make(i) if info is None else info for i, info in enumerate(list.__iter__(self))]
            super().__setitem__(slice(None), infos)

    @property
    def pieces(self) -> dict[int, Piece]:
        """The pieces that are in the infos now, by environment; makes none of them."""
        if self._make is None:
            return pieces_in(list(self))
        made = {i: info for i, info in enumerate(list.__iter__(self)) if info is not None}
        pieces = {i: piece for i, piece in self._pieces.items() if i not in made}
        pieces |= {i: info["piece"] for i, info in made.items() if "piece" in info}
        return dict(sorted(pieces.items()))

    def __radd__(self, other: list) -> list:
        return other + list(self)

    def __reduce_ex__(self, protocol: Any) -> tuple[type[list], tuple[list]]:
        return list, (list(self),)

    def clear(self) -> None:
        """Empty the list."""
        self._make = None
        super().clear()


def pieces_in(infos: list[dict[str, Any]]) -> dict[int, Piece]:
    """The pieces in the infos of a step, by environment."""
    if isinstance(infos, StepInfos):
        return infos.pieces
    return {i: info["piece"] for i, info in enumerate(infos) if "piece" in info}


def _after_making_all(name: str) -> Callable[..., Any]:
    """The method of a list of that name, once every item is made."""
    method = getattr(list, name)

    @wraps(method)
    def call(self: StepInfos, *arguments: Any, **named: Any) -> Any:
        self.make_all()
        return method(self, *arguments, **named)

    return call


for _name in READ_OR_CHANGE_ALL:
    setattr(StepInfos, _name, _after_making_all(_name))
