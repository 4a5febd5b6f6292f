"""Whose run it is: reward models and policies of a user's own are imported for that user's runs, or with `--trust`.

They are Python code, which runs when it is imported. A run names its reward models in config.json and rewards.json, and
its policy in config.json; signature.json says, with a key that only this user has on this machine, that the user named
them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from toccata.errors import ToccataError
from toccata.files import FileError, read_json, write_atomically
from toccata.reward_models import is_builtin
from toccata.settings.options import shown
from toccata.settings.specs import Spec
from toccata.signatures import UntrustedError, is_signed, sign

SIGNATURE_FILE = "signature.json"
PURPOSE = b"code of a run"
MAX_BYTES = 2**20
_POLICY = "policy {}"  # its name in signature.json


def sign_run(rewards: Iterable[Spec], policy: Spec | None, run_folder: Path) -> None:
    """Write signature.json: which code this user named, and the folders its modules were found in.

    Args:
        rewards: of the run.
        policy: of the run, where it is a class of the user's own.
        run_folder: of the run.
    """
    modules = {str(spec): _module_folder(spec.target) for spec in rewards if _is_own_code(spec)}
    if policy is not None:
        modules[_POLICY.format(policy)] = _module_folder(policy.target)
    text = json.dumps({"modules": modules, "signature": sign(PURPOSE, _canonical(modules))}, indent=2)
    write_atomically(run_folder / SIGNATURE_FILE, (text + "\n").encode())


def require_trust(specs: Iterable[Spec], source: Path, run_folder: Path | None, *, trust: bool) -> None:
    """Refuse reward models whose loading would run code of somebody else; make those of this user's importable.

    Args:
        specs: of the reward models that `source` names.
        source: the file that they were read from, for the message.
        run_folder: of the run; None if there is none.
        trust: the user trusts whoever made the run.

    Raises:
        UntrustedError: naming the reward models, when they neither come with Toccata or an installed package, nor were
            named by this user on this machine, nor are trusted.
        ConfigError: for a signature.json that cannot be read.
    """
    foreign = [str(spec) for spec in specs if _is_own_code(spec)]
    if foreign:
        _require(foreign, f"{source}: its rewards {', '.join(map(shown, foreign[:5]))} are", run_folder, trust)


def require_policy_trust(policy: Spec, run_folder: Path, *, trust: bool) -> None:
    """The same for the policy of a run, which is a class of a user's own.

    Raises:
        UntrustedError: naming the policy.
        ConfigError: for a signature.json that cannot be read.
    """
    what = f"{run_folder / 'config.json'}: its policy {shown(str(policy))} is"
    _require([_POLICY.format(policy)], what, run_folder, trust)


def _require(names: Sequence[str], what: str, run_folder: Path | None, trust: bool) -> None:
    """Raise UntrustedError, beginning with `what`, unless this user has signed `names` or trusts them."""
    modules, signed = _read_signature(run_folder)
    if not trust and not (signed and all(name in modules for name in names)):
        raise UntrustedError(
            f"{what} code that does not come with Toccata or an installed package, and this run was not made by you on "
            "this machine; loading it runs that code. If you trust it, add --trust, with the module in the current "
            "folder or installed"
        )
    folders = [modules.get(name) for name in names] if signed else []
    for folder in (str(Path.cwd()), *folders):  # the module that the run was made with, not one of its name here
        if isinstance(folder, str) and folder not in sys.path:
            sys.path.insert(0, folder)


def _is_own_code(spec: Spec) -> bool:
    """Whether making what a spec names may run code that was not installed, or installed code with unknown arguments.

    A name without a colon that is not registered is none: it cannot be loaded at all.
    """
    return not is_builtin(spec.target) and (":" in spec.target or bool(spec.args))


def _read_signature(run_folder: Path | None) -> tuple[dict[str, object], bool]:
    """The modules of signature.json, and whether this user signed them; ({}, False) where there is none."""
    path = (run_folder or Path()) / SIGNATURE_FILE
    if run_folder is None or not path.is_file():
        return {}, False
    try:
        content = read_json(path, MAX_BYTES)
    except FileError as error:
        raise SignatureError(str(error)) from error
    modules = content.get("modules") if isinstance(content, dict) else None
    if not isinstance(modules, dict):
        raise SignatureError(f"{path}: not a signature of a run")
    return modules, is_signed(content.get("signature"), PURPOSE, _canonical(modules))


class SignatureError(ToccataError, ValueError):
    """A signature.json that cannot be read; names the file and the reason."""


def _canonical(modules: Mapping[str, object]) -> bytes:
    """What is signed."""
    return json.dumps(modules, sort_keys=True).encode()


def _module_folder(target: str) -> str | None:
    """Where Python found the module of a `package.module:Attribute`, for reading the run from another folder."""
    module = sys.modules.get(target.partition(":")[0].partition(".")[0])
    places = [*getattr(module, "__path__", ()), getattr(module, "__file__", None)]
    return str(Path(places[0]).absolute().parent) if places and places[0] else None
