"""Code of users: what it may not do, and how its errors name file and line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from toccata.errors import ToccataError
from toccata.user_code import guarded, import_attribute, made, user_line


class OwnError(ToccataError, ValueError):
    pass


def caught(function: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as info:
        function()
    return info.value


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Writes a module into the current folder and forgets it afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(name: str, text: str) -> Path:
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        for known in [each for each in sys.modules if each.split(".")[0] == name.split(".")[0]]:
            monkeypatch.delitem(sys.modules, known)
        return path

    return write


def test_the_line_of_a_users_function_is_found_below_a_library(module: Callable[[str, str], Path]) -> None:
    path = module("helping", "def divide(a, b):\n    return a / b\n")
    module(
        "scoring",
        "import json\nimport helping\ndef score():\n    return helping.divide(1, 0)\n"
        "def parse():\n    json.loads('{')\n",
    )
    error = caught(lambda: made(import_attribute("scoring:score", "it", OwnError), {}, "it", OwnError))
    assert str(error) == "it: creating it raised ZeroDivisionError: division by zero"
    assert str(user_line(error)).startswith(f'  File "{path}", line 2, in divide\n    return a / b')
    error = caught(lambda: made(import_attribute("scoring:parse", "it", OwnError), {}, "it", OwnError))
    line = user_line(error)
    assert line is not None
    assert 'scoring.py", line 6, in parse\n    json.loads' in line  # not a line of json's


def test_the_line_of_a_module_that_cannot_be_imported(module: Callable[[str, str], Path]) -> None:
    path = module("broken_here", "x = 1\ndef (:\n")
    error = caught(lambda: import_attribute("broken_here:x", "it", OwnError))
    assert isinstance(error, OwnError)
    assert f'File "{path}", line 2' in str(user_line(error))
    path = module("raising_here", "x = 1\nraise RuntimeError('no licence')\n")
    error = caught(lambda: import_attribute("raising_here:x", "it", OwnError))
    assert f'File "{path}", line 2, in <module>\n    raise RuntimeError' in str(user_line(error))


def test_errors_of_toccata_have_no_users_line() -> None:
    from toccata.reward_models import load_reward

    assert user_line(caught(lambda: load_reward("ratting"))) is None
    assert user_line(caught(lambda: load_reward("silence(limit=2)"))) is None


def test_arguments_are_checked_before_a_function_is_called() -> None:
    def never(weight: float, mode: str = "slow") -> None:
        raise AssertionError

    with pytest.raises(
        OwnError, match=r"^it: missing a required argument: 'weight'; its arguments are \(weight, mode='slow'\)"
    ):
        made(never, {}, "it", OwnError)
    with pytest.raises(OwnError, match="unexpected keyword argument 'mood'"):
        made(never, {"weight": 1, "mood": 2}, "it", OwnError)
    assert made(dict, {"a": 1}, "it", OwnError) == {"a": 1}  # whose signature Python does not know


def test_a_block_may_not_end_the_process_or_leave_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OwnError, match="it raised SystemExit: 3"), guarded("it", OwnError):
        sys.exit(3)
    (tmp_path / "below").mkdir()
    with pytest.raises(OwnError, match=r"it changed the working directory to .*below"), guarded("it", OwnError):
        monkeypatch.chdir("below")
    assert Path.cwd() == tmp_path
