"""The package as users get it: what is in it, what its layers may import, how fast it is there."""

import ast
import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from shutil import copytree, ignore_patterns

import pytest

import toccata

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
LAYERS = ("music", "envs", "reward_models", "agents", "listening")  # each may import itself and those before it
TORCH_FREE = ("music", "envs")
HEAVY = {"torch", "stable_baselines3", "music21", "matplotlib", "pretty_midi", "scipy", "numba", "fluidsynth"}

SOURCES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]


def imported_names(path: Path) -> set[str]:
    """Every dotted name that an import anywhere in the file mentions; `from a import b` gives a and a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def mapping() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_import_against_the_arrow(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    later = LAYERS[LAYERS.index(layer) + 1 :]
    forbidden = {f"toccata.{name}" for name in later} | {"toccata.cli", *LAYERS}
    if layer in TORCH_FREE:
        forbidden |= {"torch", "stable_baselines3", "sb3_contrib"}
    names = imported_names(path)
    assert not [name for name in names if any(name == f or name.startswith(f"{f}.") for f in forbidden)]


def test_every_package_folder_is_mapped() -> None:
    folders = {"toccata": "src/toccata", "toccata.settings": "src/toccata/settings"}
    for layer in LAYERS:
        for init in (ROOT / layer).rglob("__init__.py"):
            folder = init.parent.relative_to(ROOT).as_posix()
            folders["toccata." + folder.replace("/", ".")] = folder
    assert sorted(mapping()["packages"]) == sorted(folders)
    top_level = {"toccata": "src/toccata", **{f"toccata.{layer}": layer for layer in LAYERS}}
    assert mapping()["package-dir"] == top_level


def test_every_module_lies_in_a_package() -> None:
    """A folder of modules without `__init__.py` would run from the checkout and be missing from the wheel."""
    assert not [path for path in SOURCES if not (path.parent / "__init__.py").exists()]


def test_version_is_stated_once() -> None:
    assert toccata.__version__ == version("toccata")
    assert f"\nversion: {toccata.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## [{toccata.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", ["toccata", "toccata.music", "toccata.envs"])
def test_import_is_light(module: str) -> None:
    code = (
        "import sys, time; start = time.perf_counter()\n"
        f"import {module}\n"
        "print(time.perf_counter() - start)\n"
        f"print(*{HEAVY!r} & set(sys.modules))"
    )
    seconds = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        taken, loaded = done.stdout.splitlines()
        assert loaded == ""
        seconds.append(float(taken))
        if seconds[-1] < 1:
            break
    assert min(seconds) < 1


def build(kind: str, tree: Path, into: Path) -> Path:
    """Build a wheel or sdist of the tree with setuptools' PEP 517 hooks, as pip would, without network."""
    into.mkdir(exist_ok=True)
    code = f"import sys; from setuptools import build_meta; print(build_meta.build_{kind}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(into)],
        cwd=tree,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr
    return into / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[set[str]]:
    """The file names in a wheel built from the checkout, and in one built from an unpacked sdist."""
    folder = tmp_path_factory.mktemp("build")
    tree = folder / "checkout"
    tree.mkdir()
    for name in ("src", *LAYERS):
        copytree(ROOT / name, tree / name, ignore=ignore_patterns("__pycache__"))
    for path in ROOT.glob("*"):
        if path.suffix in {".toml", ".md"} or path.name == "LICENSE":
            (tree / path.name).write_bytes(path.read_bytes())
    sdist = build("sdist", tree, folder / "sdist")
    (folder / "unpacked").mkdir()
    subprocess.run(["tar", "-xzf", sdist, "-C", folder / "unpacked"], check=True)
    (unpacked,) = (folder / "unpacked").iterdir()
    wheels = []
    for number, source in enumerate((tree, unpacked)):
        with zipfile.ZipFile(build("wheel", source, folder / f"wheel-{number}")) as archive:
            wheels.append(set(archive.namelist()))
    return wheels


def test_wheel_holds_exactly_the_package(wheels: list[set[str]]) -> None:
    files = [
        path
        for layer in LAYERS
        for path in (ROOT / layer).rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    ]
    expected = {f"toccata/{path.relative_to(ROOT).as_posix()}" for path in files}
    own = [path for path in (ROOT / "src/toccata").rglob("*") if path.suffix in (".py", ".typed")]
    expected |= {f"toccata/{path.relative_to(ROOT / 'src/toccata').as_posix()}" for path in own}
    installed = {name for name in wheels[0] if not PurePosixPath(name).parts[0].endswith(".dist-info")}
    assert installed == expected
    assert "toccata/py.typed" in installed


def test_wheel_from_sdist_is_the_same(wheels: list[set[str]]) -> None:
    assert wheels[1] == wheels[0]
