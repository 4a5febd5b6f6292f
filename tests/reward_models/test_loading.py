import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModel, RewardModelError, checked
from toccata.music.score import Score
from toccata.reward_models import RewardSpecError, load_reward, loading, reward_names
from toccata.reward_models.rules import Repetition, Silence

USER_MODULE = """
import numpy as np

class Half:
    name = "half"

    def score(self, pieces):
        return np.full(len(pieces), 0.5)

class Outer:
    class Inner(Half):
        name = "inner"

def factory():
    return Half()

instance = Half()

class WithArgument(Half):
    def __init__(self, scale):
        self.scale = scale

class Raising(Half):
    def __init__(self):
        raise OSError("two\\nlines")

class Scoreless:
    name = "scoreless"

class Nameless:
    def score(self, pieces):
        return np.zeros(len(pieces))

number = 42
"""


@pytest.fixture
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with a package of rewards, as the current directory."""
    package = tmp_path / "my_lab"
    package.mkdir()
    (package / "rewards.py").write_text(USER_MODULE)
    (package / "broken.py").write_text("def half(:\n")
    (package / "missing_import.py").write_text("import a_package_that_nobody_has\n")
    (package / "raising.py").write_text("raise RuntimeError('no licence')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "my_lab"]:
        del sys.modules[name]


def test_names_of_toccata() -> None:
    assert {"rating", "realism", "silence", "repetition", "density"} <= set(reward_names())
    assert load_reward("silence") == Silence()
    assert load_reward("repetition") == Repetition()


def test_a_model_is_returned_as_it_is() -> None:
    model = Silence(0.5)
    assert load_reward(model) is model


def test_a_class_or_function_is_called() -> None:
    assert load_reward(Silence) == Silence()
    assert load_reward(lambda: Silence(0.5)) == Silence(0.5)


@pytest.mark.parametrize(
    ("attribute", "name"),
    [("Half", "half"), ("Outer.Inner", "inner"), ("factory", "half"), ("instance", "half")],
)
def test_module_and_attribute(user_folder: Path, attribute: str, name: str) -> None:
    model = load_reward(f"my_lab.rewards:{attribute}")
    assert isinstance(model, RewardModel)
    assert model.name == name
    assert checked(model, Pieces([Score(), Score()])).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("ratting", "did you mean 'rating'"),
        ("beauty-of-the-whole", "there are rating, realism"),
        ("", "must name a model"),
        ("silence(limit=2)", r"creating it raised ValueError: limit must be in \[0, 1\), got 2"),
        ("silence(limits=0.1)", r"unexpected keyword argument 'limits'; its arguments are \(limit=0.24\)"),
        ("silence(limit=x)", 'limit must be a number, .* got x; text needs quotes: limit="x"'),
        ("silence(0.1)", "argument 0.1 has no name; write name=value"),
        ("silence(limit=0.1", "a bracket is not closed"),
        ("my_lab.rewards:instance(a=1)", "is a model already; only classes and functions take arguments"),
        ("silence:somewhere", "silence has no weights"),
        ("realism:nowhere", "there is no folder 'nowhere'"),
        ("my_lab.nothing:Half", "no module 'my_lab.nothing' in .* or among the installed packages"),
        ("nobody.rewards:Half", "no module 'nobody' in"),
        ("subprocess:run(args=['true'])", "subprocess is a module of Python itself, which has none"),
        ("my_lab.rewards:Hall", "my_lab.rewards has no 'Hall'; did you mean 'Half'"),
        ("my_lab.rewards:Outer.Other", "my_lab.rewards.Outer has no 'Other'"),
        ("my_lab.rewards:", "write package.module:Attribute"),
        (":Half", "write package.module:Attribute"),
        ("my_lab/rewards.py:Half", "with dots, as in my_lab.rewards:Half"),
        ("..rewards:Half", "importing ..rewards raised TypeError"),
        ("my_lab.rewards:WithArgument", r"missing a required argument: 'scale'; its arguments are \(scale\)"),
        ("my_lab.rewards:Raising", "creating it raised OSError: two lines"),
        ("my_lab.rewards:Scoreless", r"Scoreless has no method score\(pieces\)"),
        ("my_lab.rewards:number", r"int has no method score\(pieces\)"),
        ("my_lab.rewards:Nameless", "Nameless needs a name, .* got None"),
        ("my_lab.broken:Half", "importing my_lab.broken raised SyntaxError"),
        ("my_lab.raising:Half", "importing my_lab.raising raised RuntimeError: no licence"),
        (
            "my_lab.missing_import:Half",
            "module my_lab.missing_import needs 'a_package_that_nobody_has', which is not installed",
        ),
    ],
)
def test_a_spec_without_a_model_is_an_error_of_one_line(user_folder: Path, spec: str, reason: str) -> None:
    with pytest.raises(RewardSpecError, match=reason) as caught:
        load_reward(spec)
    assert repr(spec).strip("'") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, RewardModelError)
    assert isinstance(caught.value, ValueError)


def test_an_object_that_is_not_a_model_is_an_error() -> None:
    with pytest.raises(RewardSpecError, match="42: int has no method score"):
        load_reward(42)


def test_entry_points_of_installed_packages(user_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sys.path.insert(0, str(user_folder))
    points = {
        name: EntryPoint(name, value, loading.ENTRY_POINTS)
        for name, value in (("half", "my_lab.rewards:Half"), ("gone", "my_lab.rewards:Gone"))
    }
    monkeypatch.setattr(loading, "_entry_points", lambda: points)
    assert load_reward("half").name == "half"
    assert reward_names()[-2:] == ("gone", "half")
    with pytest.raises(RewardSpecError, match="'gone': creating it raised AttributeError"):
        load_reward("gone")


def test_installed_commands_search_the_current_directory(user_folder: Path) -> None:
    """A console command's `sys.path` begins with the folder of the command, not with the current one."""
    code = (
        "import sys; sys.path = [entry for entry in sys.path if entry]\n"
        "from toccata.reward_models import load_reward\n"
        "print(load_reward('my_lab.rewards:Half').name)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=user_folder)
    assert (process.stdout, process.stderr) == ("half\n", "")


def test_rules_do_not_import_torch() -> None:
    code = (
        "import sys; from toccata.reward_models import load_reward\n"
        "load_reward('silence'); print('torch' in sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout == "False\n"


USER_CODE = {
    "leaves": "import sys\nsys.exit(3)\n",
    "moves": "import os\nos.chdir('..')\n",
    "leaves_later": "import sys\ndef R():\n    sys.exit(3)\n",
    "moves_later": "import os\nclass R:\n    name = 'r'\n    def __init__(self):\n        os.chdir('..')\n"
    "    def score(self, pieces):\n        return [0.0] * len(pieces)\n",
    "named_total": "class R:\n    name = 'total'\n    def score(self, pieces):\n        return [0.0] * len(pieces)\n",
    "named_like_a_path": "class R:\n    name = '../r'\n    def score(self, pieces):\n        return [0.0]\n",
}
MESSAGES = {
    "leaves": "importing my_lab.leaves raised SystemExit: 3",
    "moves": "importing my_lab.moves changed the working directory to",
    "leaves_later": "creating it raised SystemExit: 3",
    "moves_later": "creating it changed the working directory to",
    "named_total": "name must not be total, pieces, kl, illegal",
    "named_like_a_path": "printable characters without slashes",
}


@pytest.mark.parametrize("module", USER_CODE)
def test_code_that_leaves_or_moves_is_named(user_folder: Path, module: str) -> None:
    (user_folder / "my_lab" / f"{module}.py").write_text(USER_CODE[module])
    with pytest.raises(RewardSpecError, match=re.escape(MESSAGES[module])) as caught:
        load_reward(f"my_lab.{module}:R")
    assert f"'my_lab.{module}:R'" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert Path.cwd() == user_folder
