"""Every error class of the package derives from `ToccataError`, so that the command prints it in one line."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from toccata.errors import ToccataError, one_line

ROOT = Path(__file__).parents[1]
SOURCES = [
    path
    for room in ("music", "envs", "reward_models", "agents", "listening", "src")
    for path in (ROOT / room).rglob("*.py")
]


def error_classes() -> dict[str, list[str]]:
    """The bases of every class named ...Error in the package."""
    classes = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Error"):
                classes[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]
    return classes


def test_errors_derive_from_one_base() -> None:
    classes = error_classes()
    assert len(classes) > 10
    derived = {"ToccataError"}
    for _ in classes:
        derived |= {name for name, bases in classes.items() if derived & set(bases)}
    assert set(classes) == derived


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ToccataError("two\n  lines"), "two lines"),
        (KeyError(), "KeyError"),
        (ValueError("x" * 1000), "x" * 300),
    ],
)
def test_messages_in_one_line(error: Exception, expected: str) -> None:
    assert one_line(error) == expected
