"""What every test relies on: one thread, no window, one corpus cache for the whole suite."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# numpy, torch and numba read these when they are imported, which no test has done yet. One thread: the
# tensors are tiny here, and float sums must not depend on the machine's cores.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # unless the user sets another number
os.environ["MPLBACKEND"] = "Agg"

CHROMIUM_FLAGS = [
    "--no-sandbox",  # containers run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",  # nothing but the page asks for anything
    "--disable-component-update",
    "--disable-sync",
]
EXAMPLES = 50 if "CI" in os.environ else 25  # of properties that do not say how many: the suite must be quick at hand
hypothesis.settings.register_profile("toccata", deadline=None, derandomize="CI" in os.environ, max_examples=EXAMPLES)
hypothesis.settings.load_profile("toccata")


def pytest_configure(config: pytest.Config) -> None:
    """Let all tests and later runs share what is costly to make, apart from the user's own cache."""
    os.environ.setdefault("TOCCATA_CACHE", str(config.rootpath / ".pytest_cache" / "toccata"))
    os.environ.setdefault("TOCCATA_STATE", str(config.rootpath / ".pytest_cache" / "toccata-state"))


@pytest.fixture(autouse=True)
def _forget_modules_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a test wrote into its folder and imported must not be found by the next one under the same name."""
    before = set(sys.modules)
    yield
    base = str(tmp_path_factory.getbasetemp())
    sys.path[:] = [entry for entry in sys.path if not entry.startswith(base)]
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(base):
            del sys.modules[name]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder corpus: classical/ with ten MIDI files of four bars, so that nothing needs to be parsed for long."""
    import numpy as np

    from toccata.music.score import Score

    root = tmp_path_factory.mktemp("corpus")
    (root / "classical").mkdir()
    rng = np.random.default_rng(0)
    for number in range(10):
        tune = [(24 * beat, 24, int(rng.choice([60, 62, 64, 65, 67, 69, 71, 72])), 80) for beat in range(16)]
        bass = [(96 * bar, 96, int(rng.choice([48, 53, 55])), 80) for bar in range(4)]
        Score(sorted(tune + bass), length_ticks=384).to_midi(root / "classical" / f"tune-{number}.mid")
    return root


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser that CHROMIUM names, or that the system has."""
    api = pytest.importorskip("playwright.sync_api", reason='needs playwright: pip install "toccata[browser]"')
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not path:
        pytest.skip("needs Chromium, on the path or named by the environment variable CHROMIUM")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
