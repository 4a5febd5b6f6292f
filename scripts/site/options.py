"""docs/options.md: every flag of every command with its default and its reason, from the settings in the code."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import MISSING, Field, fields, is_dataclass
from importlib import import_module
from itertools import pairwise
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from toccata.cli import COMMANDS
from toccata.settings.examples import EXAMPLES
from toccata.settings.options import ConfigError

INTRODUCTION = """# Options

Every flag of every command, with its default and the reason for it where there is one to give. This page is made from
the settings in the code (`python scripts/site/generate.py`), so it is what `toccata help COMMAND` says. Every command
takes `--debug` too, which prints the whole traceback of an error, and `--help`.

A dash is a default of none: what happens then is in the last column, and what it becomes when nothing else is given in
brackets. Lists are written with spaces,
`--seeds 0 1 2`. A switch has two forms, `--stereo` and `--no-stereo`.
"""
REQUIRED = "*required*"


def field_docstrings(config: type) -> dict[str, str]:
    """The string below each field of a dataclass, by its name, in one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(config))).body[0].body  # type: ignore[attr-defined]  # a class
    found = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[field.target.id] = " ".join(str(below.value.value).split())  # type: ignore[union-attr]  # a name
    return found


def flag_of(field: Field[Any], hint: Any) -> str:
    """What is typed for a field, in backquotes: `--flag`, both forms of a switch, the name of a positional argument."""
    name = field.name.replace("_", "-")
    for mark in getattr(hint, "__metadata__", ()):
        if getattr(mark, "name", None):
            name = mark.name
        if "ositional" in repr(mark):
            return f"`{field.name.upper()}`"
    return f"`--{name}` `--no-{name}`" if isinstance(field.default, bool) else f"`--{name}`"


def typed(value: Any) -> str:
    """A default as it would be typed on the command line."""
    if isinstance(value, tuple):
        return " ".join(map(typed, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def instance_of(config: type) -> Any:
    """The settings when nothing is given, or None where a command needs arguments."""
    if any(field.default is MISSING and field.default_factory is MISSING for field in fields(config)):
        return None
    try:
        return config()
    except ConfigError:  # such as one of two that must be given
        return None


def default_of(field: Field[Any], given: Any) -> Any:
    """The default of a field; of settings inside others, what `given` has."""
    if given is not None:
        return getattr(given, field.name)
    return field.default if field.default_factory is MISSING else field.default_factory()


def default_cell(default: Any, value: Any) -> str:
    """A default as a cell of a table; `value` is what it becomes when nothing else is given."""
    if default is MISSING:
        return REQUIRED
    if default is None or default == ():
        return "–" if value in (None, ()) else f"– (`{typed(value)}`)"
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"`{typed(default)}`"


def cell(text: str) -> str:
    """Text for a cell of a table, flags in backquotes."""
    parts = text.split("`")  # every second one is in backquotes already
    parts[::2] = [re.sub(r"(?<![\w-])--[a-z][a-z-]*", r"`\g<0>`", each.replace("*", "\\*")) for each in parts[::2]]
    return "`".join(parts).replace("|", "\\|")


def rows(config: type, given: Any = None) -> list[str]:
    """The rows of the table of a command; settings inside it, such as those of sound, are its own flags.

    Args:
        config: a dataclass.
        given: an instance whose values are the defaults, where they are not those of the class.
    """
    hints, docstrings = get_type_hints(config, include_extras=True), field_docstrings(config)
    values, found = instance_of(config), []
    for field in fields(config):
        hint, default = hints[field.name], default_of(field, given)
        inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if is_dataclass(inner):
            found += rows(inner, default)  # type: ignore[arg-type]  # a class, as it is an annotation
        else:
            cells = flag_of(field, hint), default_cell(default, getattr(values, field.name, None))
            found.append(f"| {' | '.join(cells)} | {cell(docstrings[field.name])} |")
    return found


def command_section(name: str) -> str:
    """Heading, description, examples and table of a command."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    config = getattr(import_module(module), attribute)
    lines = [line for example, comment in EXAMPLES[name] for line in (f"# {comment}", example)]
    table = ["| flag | default | meaning |", "|---|---|---|", *rows(config)]
    return "\n".join(
        [f"## toccata {name}", "", inspect.cleandoc(config.__doc__), "", "```sh", *lines, "```", "", *table, ""]
    )


def options_page() -> str:
    """The text of docs/options.md."""
    return "\n".join([INTRODUCTION, *map(command_section, COMMANDS)])
