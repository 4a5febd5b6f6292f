"""Refuse names of modules in strings that point against the layers: `import_module("toccata.agents...")` in `envs`.

import-linter sees import statements only. `python scripts/check_string_imports.py FOLDER` reads the package laid out in
FOLDER and the first layers contract of pyproject.toml, and exits with 1 when a string of a lower layer names a module
of a higher one.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
MODULE = re.compile(r"toccata\.(\w+)[\w.]*(:\w+)?")


def ranks() -> dict[str, int]:
    """The layers of the package, the highest first."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = config["contracts"][0]["layers"]
    return {name.strip(): rank for rank, layer in enumerate(layers) for name in layer.split("|")}


def violations(package: Path) -> list[str]:
    """A line for each string in a module of `package` that names a module of a higher layer."""
    rank = ranks()
    found = []
    for path in sorted(package.rglob("*.py")):
        layer = path.relative_to(package).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                match = MODULE.fullmatch(node.value)
                if match and match[1] in rank and rank[match[1]] < rank.get(layer, 0):
                    found.append(f"{path}:{node.lineno}: {layer} names {node.value!r}")
    return found


if __name__ == "__main__":
    lines = violations(Path(sys.argv[1]) / "toccata")
    print("\n".join(lines) or "no string names a module of a higher layer")
    sys.exit(bool(lines))
