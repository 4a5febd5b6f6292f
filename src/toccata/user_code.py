"""Code of users, such as reward models: imported, made and called so that its errors name it and its line."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from toccata.errors import ToccataError, one_line

MARK = "toccata_frames"  # an attribute of exceptions of users' code
PACKAGE_FOLDERS = ("site-packages", "dist-packages")


@contextmanager
def guarded(who: str, error: type[ToccataError]) -> Iterator[None]:
    """A block of users' code, which must not end the process or change the working directory.

    `user_line` knows the exceptions that leave it.

    Raises:
        ToccataError: `error`, naming `who`, instead of SystemExit and the like (not of Ctrl-C), and when the working
            directory is another one after the block. It is changed back.
    """
    folder = _working_directory()
    try:
        yield
    except (KeyboardInterrupt, Exception) as failure:
        _restore(folder)
        mark_user_code(failure)
        raise
    except BaseException as stop:
        _restore(folder)
        mark_user_code(stop)
        raise error(f"{who} raised {type(stop).__name__}: {stop}") from stop
    if moved := _restore(folder):
        raise error(f"{who} changed the working directory to {moved}; it is {folder} again")


def import_attribute(target: str, who: str, error: type[ToccataError]) -> Any:
    """The object `package.module:Attribute`; the attribute may have dots.

    Modules are searched in the current directory, then on `sys.path`.

    Args:
        target: which one.
        who: what it is for, such as `reward 'my_rewards:Steps'`: messages begin with it.
        error: class of the errors.

    Raises:
        ToccataError: `error`, when there is no such module or attribute, or importing it fails.
    """
    module_name, _, path = target.partition(":")
    if not module_name or not path:
        raise error(f"{who}: write package.module:Attribute")
    if module_name.endswith(".py") or "/" in module_name or "\\" in module_name:
        dotted = ".".join(Path(module_name.replace("\\", "/")).with_suffix("").parts)
        raise error(f"{who}: write the module with dots, as in {dotted}:{path}")
    if module_name.partition(".")[0] in sys.stdlib_module_names:
        raise error(f"{who}: {module_name} is a module of Python itself, which has none")
    current = str(Path.cwd())
    if current not in sys.path and "" not in sys.path:
        sys.path.insert(0, current)  # stays there, as with `python -m`: modules may import others later
    importlib.invalidate_caches()
    try:
        with guarded(f"{who}: importing {module_name}", error):
            found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as missing:
        if missing.name is None or not f"{module_name}.".startswith(f"{missing.name}."):
            raise error(f"{who}: module {module_name} needs {missing.name!r}, which is not installed") from missing
        raise error(
            f"{who}: there is no module {missing.name!r} in {current} or among the installed packages"
        ) from missing
    except ToccataError:
        raise
    except Exception as failure:  # a user's module may raise anything
        raise error(f"{who}: importing {module_name} raised {type_and_message(failure)}") from failure
    name = module_name
    for part in path.split("."):
        try:
            with guarded(f"{who}: {name}.{part}", error):
                found = getattr(found, part)
        except ToccataError:
            raise
        except AttributeError:
            nearest = get_close_matches(part, [public for public in dir(found) if not public.startswith("_")], 1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            raise error(f"{who}: {name} has no {part!r}{hint}") from None
        except Exception as failure:  # a module may have a function of its own for this
            raise error(f"{who}: {name}.{part} raised {type_and_message(failure)}") from failure
        name = f"{name}.{part}"
    return found


def made(function: Callable[..., Any], args: Mapping[str, Any], who: str, error: type[ToccataError]) -> Any:
    """The result of a class or function called with `args`.

    Raises:
        ToccataError: `error`, when it takes other arguments, naming them, or raises.
    """
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # of some built-in classes
        signature = None
    if signature is not None:
        try:
            signature.bind(**args)
        except TypeError as mismatch:
            raise error(f"{who}: {mismatch}; its arguments are {_shown_signature(signature)}") from None
    try:
        with guarded(f"{who}: creating it", error):
            return function(**args)
    except ToccataError as failure:
        raise failure if isinstance(failure, error) else error(f"{who}: {failure}") from failure
    except Exception as failure:  # a user's constructor may raise anything
        raise error(f"{who}: creating it raised {type_and_message(failure)}") from failure


def type_and_message(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {one_line(error)}".removesuffix(f": {type(error).__name__}")


def user_line(error: BaseException) -> str | None:
    """Where an error comes from in a user's code, as tracebacks show it: file, line, function and the line's text.

    A user's code is the first that `guarded` called and that is neither Toccata's nor Python's nor, if there is any
    other, that of an installed package; what lies in the same folder belongs to it. None for an error that did not come
    through `guarded`.
    """
    chain = [error]
    while (cause := chain[-1].__cause__) is not None and cause not in chain:
        chain.append(cause)
    for each in reversed(chain):
        frames = [frame for frame in getattr(each, MARK, ()) if not _is_ours_or_pythons(frame.filename)]
        if hasattr(each, MARK) and isinstance(each, SyntaxError) and each.filename and each.lineno:
            frames = [traceback.FrameSummary(each.filename, each.lineno, "<module>")]
        if frames:
            first = next((frame for frame in frames if not _in_packages(Path(frame.filename))), frames[0])
            own = [frame for frame in frames if _belongs_together(first.filename, frame.filename)]
            return "".join(traceback.format_list(own[-1:])).rstrip()
    return None


def mark_user_code(failure: BaseException) -> None:
    """Remember, for `user_line`, through which lines an exception of users' code came so far."""
    if not isinstance(failure, ToccataError):
        with suppress(Exception):  # a class of exceptions may forbid it
            setattr(failure, MARK, traceback.extract_tb(failure.__traceback__))


def _is_ours_or_pythons(filename: str) -> bool:
    """Whether a file of source code is Toccata's, or of Python's standard library."""
    path = Path(filename)
    if filename.startswith("<") or (path.is_relative_to(sysconfig.get_path("stdlib")) and not _in_packages(path)):
        return True
    return any(
        name.partition(".")[0] == "toccata" and getattr(module, "__file__", None) == filename
        for name, module in list(sys.modules.items())
    )


def _belongs_together(one: str, other: str) -> bool:
    """Whether two files of source code are the same, or in the same folder or below it."""
    folder = Path(one).parent
    inside = Path(other).is_relative_to(folder) and _in_packages(folder) == _in_packages(Path(other))
    return one == other or (folder.name not in PACKAGE_FOLDERS and inside)


def _in_packages(path: Path) -> bool:
    """Whether a file is in a folder of installed packages."""
    return any(name in path.parts for name in PACKAGE_FOLDERS)


def _shown_signature(signature: inspect.Signature) -> str:
    """The parameters of a function without annotations."""
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    return str(inspect.Signature(plain)) if plain else "none"


def _working_directory() -> str | None:
    """The working directory; None when it was deleted."""
    try:
        return os.getcwd()  # noqa: PTH109  # called for every batch: as text it is twice as fast
    except OSError:
        return None


def _restore(folder: str | None) -> str | None:
    """Change back to the working directory `folder`; the other one that it was changed to, if it was."""
    now = _working_directory()
    if folder is None or now == folder:
        return None
    with suppress(OSError):
        os.chdir(folder)
    return now or "a deleted one"
