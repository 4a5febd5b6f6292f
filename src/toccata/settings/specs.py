"""Specs: which model to make, with which arguments, as text and as data.

    my_rewards:Weighted(weight=2, mode="fast")
    {"model": "my_rewards:Weighted", "args": {"weight": 2, "mode": "fast"}}

are the same spec. Arguments are literals: numbers, texts in quotes, True, False, None, lists, and dicts with texts as
keys. Nothing is evaluated or imported here.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from keyword import iskeyword
from math import isfinite
from typing import Any
from unicodedata import normalize

from toccata.errors import ToccataError
from toccata.settings.options import MAX_TEXT, shown

MODEL, ARGS, WEIGHT_KEY = "model", "args", "weight"  # keys of a spec as data; the weight is that of a reward
MAX_DEPTH = 20  # of lists and dicts in arguments
MAX_BITS = 1024  # of a whole number in them: far fewer digits than Python converts to text


class SpecError(ToccataError, ValueError):
    """A spec that is no name with literal arguments; names the spec and what is allowed."""


@dataclass(frozen=True)
class Spec:
    """A model by name, and the arguments that it is made with.

    Attributes:
        target: a name, `name:path`, or `package.module:Attribute`.
        args: by name; JSON values, tuples are lists.
    """

    target: str
    args: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.target, str) or not self.target.strip():
            raise SpecError(f"a spec must name a model, got {shown(self.target)}")
        object.__setattr__(self, "target", self.target.strip())  # frozen for everyone else
        if not isinstance(self.args, Mapping):
            raise SpecError(f"{self.target}: its args must be names and values, got {shown(self.args)}")
        for name in self.args:
            if not isinstance(name, str) or not name.isidentifier() or iskeyword(name):
                raise SpecError(f"{self.target}: the name of an argument must be a Python name, got {shown(name)}")
        values = {
            normalize("NFKC", name): _literal(value, f"{self.target}: {name}")  # as Python reads names
            for name, value in self.args.items()
        }
        object.__setattr__(self, "args", values)

    def __str__(self) -> str:
        """The text that `parse_spec` reads: `target`, or `target(name=value, ...)`."""
        if not self.args and not self.target.endswith(")"):
            return self.target
        return f"{self.target}({', '.join(f'{name}={value!r}' for name, value in self.args.items())})"


def is_reward_spec(reward: Any) -> bool:
    """Whether it is text or data that `load_reward` makes a reward model of; else it is a model, or None."""
    return isinstance(reward, (str, Mapping, list, tuple))


def parse_spec(text: str) -> Spec:
    """The spec of a text: `target`, or `target(name=value, ...)` with literal values.

    `()` at the end of a folder's name that ends with a bracket says that the bracket is not of arguments.

    Raises:
        SpecError: naming the text and the argument, for anything else.
    """
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise SpecError(f"a spec must be a text of at most {MAX_TEXT:,} characters, got {shown(text)}")
    text = text.strip()
    if not text.endswith(")"):
        return Spec(text)
    for start in (i for i, character in enumerate(text) if character == "("):
        call = _as_call(text[start:])
        if call is not None:
            return Spec(text[:start], _arguments(call, text))
    raise SpecError(f"{shown(text)}: cannot read its arguments; write name(argument=value, ...)")


def spec_from_data(data: Mapping[Any, Any]) -> Spec:
    """The spec of `{"model": ..., "args": {...}}`; a `weight` is left to the caller.

    `model` may have arguments as text, instead of `args`.

    Raises:
        SpecError: naming what is missing, unknown or no literal.
    """
    if unknown := set(data) - {MODEL, ARGS, WEIGHT_KEY}:
        raise SpecError(f"{shown(dict(data))}: has {shown(min(unknown, key=str))}; there are model, weight and args")
    if MODEL not in data:
        raise SpecError(f"{shown(dict(data))}: has no model")
    if not isinstance(data[MODEL], str):
        raise SpecError(f"{shown(dict(data))}: its model must be text, got {shown(data[MODEL])}")
    if data.get(ARGS) is None:
        return parse_spec(data[MODEL])
    return Spec(data[MODEL], data[ARGS])


def weighted_texts(data: Any) -> tuple[tuple[str, float], ...]:
    """A weighted sum of specs, as text and weight each, from data.

    Args:
        data: a text, `{"model": ..., "weight": ..., "args": ...}` with weight 1 by default, or a list of these objects
            and of pairs `[text, weight]`.

    Raises:
        SpecError: for anything else, naming the entry.
    """
    entries = [data] if isinstance(data, (str, Mapping)) else data
    if not isinstance(entries, (list, tuple)):
        raise SpecError(f"rewards must be a list of [model, weight] and of {{model, weight, args}}, got {shown(data)}")
    return tuple((str(spec), weight) for spec, weight in map(weighted_spec, entries))


def weighted_spec(entry: Any) -> tuple[Spec, Any]:
    """The spec and the weight, which is not checked, of one entry of `weighted_texts`."""
    if entry == "+":
        raise SpecError("+ adds to the default rewards on the command line only; here all of them must be named")
    if isinstance(entry, str):
        return parse_spec(entry), 1.0
    if isinstance(entry, Mapping):
        return spec_from_data(entry), entry.get(WEIGHT_KEY, 1.0)
    if isinstance(entry, (list, tuple)) and len(entry) == 2 and isinstance(entry[0], str):
        return parse_spec(entry[0]), entry[1]
    raise SpecError(
        f"an entry of rewards must be [model, weight] or {{model, weight, args}}, got {shown(entry)}; "
        'as in [["rating", 1.0], ["realism", 0.5]]'
    )


def _as_call(brackets: str) -> ast.Call | None:
    """`(name=value, ...)` as a call; None when it is no such text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in texts
            node = ast.parse(f"f{brackets}", mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return None
    to_the_end = node.end_col_offset == len(f"f{brackets}".encode()) and node.end_lineno == 1  # no comment follows
    return node if to_the_end else None


def _arguments(call: ast.Call, text: str) -> dict[str, Any]:
    """The literal arguments of a call."""
    if call.args:
        raise SpecError(f"{shown(text)}: argument {ast.unparse(call.args[0])[:100]} has no name; write name=value")
    arguments: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise SpecError(f"{shown(text)}: ** is not possible here; write name=value")
        if keyword.arg in arguments:
            raise SpecError(f"{shown(text)}: has the argument {keyword.arg} twice")
        try:
            arguments[keyword.arg] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, MemoryError, RecursionError):
            value = ast.unparse(keyword.value)[:100]
            hint = f'; text needs quotes: {keyword.arg}="{value}"' if value.isidentifier() else ""
            raise SpecError(
                f"{shown(text)}: {keyword.arg} must be a number, text in quotes, True, False, None, a list or a dict, "
                f"got {value}{hint}"
            ) from None
    return arguments


def _literal(value: Any, where: str, depth: int = 0) -> Any:
    """A JSON value with tuples as lists, copied.

    Raises:
        SpecError: beginning with `where`, for anything else.
    """
    if value is None or isinstance(value, (bool, str)) or (type(value) is int and value.bit_length() <= MAX_BITS):
        return value
    if type(value) is float and isfinite(value):
        return value
    if depth < MAX_DEPTH and isinstance(value, (list, tuple)):
        return [_literal(each, where, depth + 1) for each in value]
    if depth < MAX_DEPTH and isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _literal(each, where, depth + 1) for key, each in value.items()}
    raise SpecError(
        f"{where} must be a finite number, whole ones of at most {MAX_BITS} bits, a text, true, false, null, or lists "
        f"and dicts of these, got {shown(value)}"
    )
