"""Compiled functions read no global of another module of the package: Numba's cache would not notice its change."""

import ast
import dis
import importlib.util
import inspect
from pathlib import Path
from types import CodeType, ModuleType

import pytest
from numba.core.dispatcher import Dispatcher

from toccata.envs.dynamics import kernels, observations, song_kernels
from toccata.music.sound import mixing


def foreign_names(module: ModuleType) -> set[str]:
    """Names of the module that are imported from the package, and names that are computed from these."""
    foreign: set[str] = set()
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "toccata":
            foreign |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias for alias in node.names if alias.name.split(".")[0] == "toccata"]
            foreign |= {alias.asname or "toccata" for alias in names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            read = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}
            if read & foreign:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                foreign |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return foreign


def global_names(code: CodeType) -> set[str]:
    """The globals that a function reads, those of functions inside it included."""
    names = {instruction.argval for instruction in dis.get_instructions(code) if instruction.opname == "LOAD_GLOBAL"}
    return names.union(*(global_names(part) for part in code.co_consts if isinstance(part, CodeType)))


def foreign_globals(module: ModuleType) -> dict[str, set[str]]:
    """By compiled function of the module: the foreign names that it reads."""
    functions = {
        name: value.py_func
        for name, value in vars(module).items()
        if isinstance(value, Dispatcher) and value.py_func.__module__ == module.__name__
    }
    assert functions
    foreign = foreign_names(module)
    reads = {name: global_names(function.__code__) & foreign for name, function in functions.items()}
    return {name: names for name, names in reads.items() if names}


@pytest.mark.parametrize("module", [kernels, observations, song_kernels, mixing], ids=lambda module: module.__name__)
def test_compiled_functions_read_no_global_of_another_module(module: ModuleType) -> None:
    assert foreign_globals(module) == {}


def test_a_global_of_another_module_is_found(tmp_path: Path) -> None:
    path = tmp_path / "bad_kernels.py"
    path.write_text(
        "from toccata.envs.dynamics import RECENT_FRAMES\n"
        "from toccata.compiled import jit\n"
        "TWICE = 2 * RECENT_FRAMES\n"
        "OWN = 3\n"
        "@jit\ndef direct(x):\n    return x + RECENT_FRAMES\n"
        "@jit\ndef computed(x):\n    return x + TWICE\n"
        "@jit\ndef allowed(x, RECENT_FRAMES):\n    return x + OWN + RECENT_FRAMES\n"
    )
    spec = importlib.util.spec_from_file_location("bad_kernels", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert foreign_globals(module) == {"direct": {"RECENT_FRAMES"}, "computed": {"TWICE"}}
