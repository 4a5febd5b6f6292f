"""Checks of configurations: the type of every field by its annotation, the ranges of numbers, names and paths.

They hold for what the command line gives, for what Python code gives, and for JSON files that may come from strangers.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from math import inf
from os import fsencode
from pathlib import Path
from reprlib import Repr
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from toccata.errors import ToccataError

MAX_NAME_BYTES = 255  # of a file: the limit of nearly every file system
MAX_TEXT = 4096  # characters of a name or path: the limit of Linux
MAX_ENTRIES = 1000  # of a list in a configuration, such as the folders of a corpus
MAX_STEPS = 10**12  # of training
MAX_EPOCHS = 10_000
MAX_BARS = 10_000  # of a piece and its primer together: its ticks stay far inside 32 bits
MAX_SEED = 2**32 - 1
MAX_PIECE_SECONDS = 6 * 3600  # of sound: at 44,100 samples a second it needs 4 GB

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 200


class ConfigError(ToccataError, RuntimeError):  # no ValueError: of those tyro makes a box of several lines
    """A configuration that cannot be run; the message says which field and what is allowed."""


@dataclass(frozen=True)
class Range:
    """What a number in a configuration may be."""

    low: float
    high: float = inf
    whole: bool = True
    open_low: bool = False  # greater than `low`, not `low` itself

    def check(self, name: str, value: Any) -> None:
        """Raise ConfigError naming the field when `value` is not such a number."""
        number = isinstance(value, int if self.whole else (int, float)) and not isinstance(value, bool)
        if number and self.low <= value <= self.high and abs(value) < inf and not (self.open_low and value == self.low):
            return
        kind = "a whole number" if self.whole else "a number"
        least = f"greater than {_number(self.low)}" if self.open_low else f"at least {_number(self.low)}"
        most = "" if self.high == inf else f" and at most {_number(self.high)}"
        raise ConfigError(f"{name} must be {kind}, {least}{most}, got {shown(value)}")


WEIGHT = Range(-1e6, 1e6, whole=False)  # of a reward
SEED = Range(0, MAX_SEED)
BEATS_PER_BAR = Range(0, 1365, whole=False, open_low=True)  # 2**15 ticks, the longest bar of an environment
TEMPO_BPM = Range(4, 600, whole=False)  # of every score


def check_fields(config: Any, ranges: Mapping[str, Range]) -> None:
    """Raise ConfigError for the first field of a dataclass that is not of its type, or outside its range.

    Args:
        config: annotated with int, float, bool, str, Path, Literal, tuples of these, unions with None, and dataclasses
            that check themselves.
        ranges: of the numbers, by the name of their field.

    Texts and paths must not be empty, and must be names that a file system can hold.
    """
    hints = get_type_hints(type(config))
    for field in fields(config):
        _check(field.name, getattr(config, field.name), hints[field.name], ranges.get(field.name))


def tuples(value: Any, hint: Any) -> Any:
    """A value of a JSON file with tuples in place of its lists, where `hint` has tuples."""
    if not isinstance(value, list) or get_origin(hint) is not tuple:
        return value
    inner = get_args(hint)
    return tuple(
        tuples(each, inner[0 if inner[-1] is Ellipsis else min(i, len(inner) - 1)]) for i, each in enumerate(value)
    )


def check_length(bars: int, beats_per_bar: float, tempo_bpm: float) -> None:
    """Raise ConfigError for pieces whose sound would be too long to be computed."""
    seconds = bars * beats_per_bar * 60 / tempo_bpm
    if seconds > MAX_PIECE_SECONDS:
        raise ConfigError(
            f"bars must make a piece of at most {MAX_PIECE_SECONDS // 3600} hours, got {bars:,} of {beats_per_bar:g} "
            f"beats at {tempo_bpm:g} a minute, which last {seconds / 3600:,.1f}"
        )


def check_product(config: Any, names: tuple[str, str], most: int, why: str) -> None:
    """Raise ConfigError when the product of two whole numbers is larger than `most`."""
    one, other = (getattr(config, name) for name in names)
    if one * other > most:
        raise ConfigError(f"{names[0]} * {names[1]} must be at most {most:,} ({why}), got {one:,} * {other:,}")


def refuse_empty(arguments: Sequence[str]) -> None:
    """Raise ConfigError for an empty argument of a command: a Path of it would be the current folder."""
    option = "an argument"
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if argument.startswith("--"):
            option = name
        if not argument.strip() or (argument.startswith("--") and equals and not value.strip()):
            raise ConfigError(f"{option} must not be empty, got {value!r}")


def shown(value: Any) -> str:
    """A value in an error: its repr, shortened, whatever it is."""
    try:
        return " ".join(_SHORT.repr(value).split())
    except Exception:  # the repr of a foreign object may raise anything, that of an int of 5,000 digits does
        return f"{type(value).__name__}"


def _number(value: float) -> str:
    """A limit: whole numbers with commas."""
    return f"{int(value):,}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:g}"


def _check(name: str, value: Any, hint: Any, allowed: Range | None) -> None:
    """Raise ConfigError naming the field when `value` is not what `hint` and `allowed` say."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return
        _check(name, value, next(each for each in inner if each is not type(None)), allowed)
    elif origin is Literal:
        if not any(value is each or (type(value) is type(each) and value == each) for each in inner):
            choices = [str(each) for each in inner]
            raise ConfigError(f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}, got {shown(value)}")
    elif origin is tuple:
        _check_tuple(name, value, inner, allowed)
    elif hint is bool:
        if not isinstance(value, bool):
            raise ConfigError(f"{name} must be true or false, got {shown(value)}")
    elif hint in (int, float):
        if allowed is not None:
            allowed.check(name, value)
        elif isinstance(value, bool) or not isinstance(value, (int, hint)):
            raise ConfigError(f"{name} must be a number, got {shown(value)}")
    elif hint in (str, Path):
        if not isinstance(value, hint):
            kind = "text" if hint is str else "a path"
            raise ConfigError(f"{name} must be {kind}, got {shown(value)}")
        _check_name(name, str(value))
    elif isinstance(hint, type) and is_dataclass(hint):
        if not isinstance(value, hint):
            raise ConfigError(f"{name} must be {hint.__name__}, got {shown(value)}")
    else:
        raise TypeError(f"{name}: fields of type {hint} are not checked")


def _check_tuple(name: str, value: Any, inner: tuple[Any, ...], allowed: Range | None) -> None:
    """Raise ConfigError when `value` is no tuple of these types."""
    if not isinstance(value, tuple):
        raise ConfigError(f"{name} must be a list, got {shown(value)}")
    if inner[-1] is Ellipsis:
        if len(value) > MAX_ENTRIES:
            raise ConfigError(f"{name} must have at most {MAX_ENTRIES:,} entries, got {len(value):,}")
        inner = (inner[0],) * len(value)
    elif len(value) != len(inner):
        kinds = " and ".join("text" if each is str else "a number" for each in inner)
        raise ConfigError(f"an entry of {name} must be {kinds}, got {shown(value)}")
    for each, hint in zip(value, inner, strict=True):
        _check(f"an entry of {name}" if get_origin(hint) is not tuple else name, each, hint, allowed)


def _check_name(name: str, text: str) -> None:
    """Raise ConfigError for a text that is no name or path; in brackets, arguments may follow."""
    if not text.strip():
        raise ConfigError(f"{name} must not be empty, got {text!r}")
    if "\0" in text:
        raise ConfigError(f"{name} must have no null character, got {shown(text)}")
    if len(text) > MAX_TEXT:
        raise ConfigError(f"{name} must have at most {MAX_TEXT:,} characters, got {len(text):,}")
    if any(len(part) > MAX_NAME_BYTES for part in _encoded(text.partition("(")[0]).split(b"/")):
        raise ConfigError(f"{name}: a name in it has more than {MAX_NAME_BYTES} bytes, got {shown(text)}")


def _encoded(text: str) -> bytes:
    """The bytes of a name as files have them; surrogates that come from no file are kept too."""
    try:
        return fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
