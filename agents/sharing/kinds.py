"""What a folder is that is to be shared, or was: a run, or weights of some kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from toccata.agents.rivals.registry import RIVALS
from toccata.agents.runs.run_folder import Run, seed_runs
from toccata.agents.sharing.formats import SharingError
from toccata.files import read_json, sha256_of_file
from toccata.settings.options import shown
from toccata.weights import CONFIG_FILE, MAX_CONFIG_BYTES, WeightsError

WEIGHTS = ("prior", "rating", "realism", "typicality")  # kinds by the name of their safetensors file
MARKOV = "chains.safetensors"  # of a Markov chain, whose config.json names no composer


@dataclass(frozen=True)
class Shared:
    """A folder that can be shared.

    Attributes:
        folder: its path.
        kind: of `formats.KINDS`.
        config: its config.json.
        run: of the kind "run".
        rival: of the kind "rival", the name of the composer.
    """

    folder: Path
    kind: str
    config: Mapping[str, Any]
    run: Run | None = None
    rival: str = ""

    @property
    def usual_name(self) -> str:
        """The name of its repository by default; of a run ALGORITHM-ENVIRONMENT, as Stable-Baselines3 names models."""
        if self.run is not None:
            return f"{self.run.config.algorithm}-toccata-Piano-v0"
        what = {"prior": f"prior-{self._network.get('backbone', 'network')}", "rival": self.rival}
        return f"toccata-{what.get(self.kind, self.kind)}"

    @property
    def _network(self) -> Mapping[str, Any]:
        network = self.config.get("network")
        return network if isinstance(network, dict) else {}


def recognised(folder: Path) -> Shared:
    """The folder, once it is known what it is and that its weights are those of its config.json.

    Raises:
        SharingError: for a folder that is nothing that can be shared, saying what can.
        RunError, ConfigError: for a run that has no model yet, or whose settings cannot be read.
        FileError, WeightsError: naming a file that is missing, damaged or exchanged.
    """
    if not folder.is_dir():
        raise SharingError(f"{folder}: no such folder")
    if not (folder / CONFIG_FILE).is_file():
        raise SharingError(
            f"{folder}: is no run, prior, rating, realism or composer, it has no {CONFIG_FILE}{_inside(folder)}"
        )
    config = read_json(folder / CONFIG_FILE, MAX_CONFIG_BYTES)
    if not isinstance(config, dict):
        raise SharingError(f"{folder / CONFIG_FILE}: holds no settings")
    if not isinstance(config.get("sha256"), dict):
        run = Run.open(folder)
        _ = run.published  # raises where there is no model
        return Shared(folder, "run", config, run)
    for name, digest in config["sha256"].items():
        if "/" in name or not name.endswith(".safetensors"):
            raise SharingError(f"{folder / CONFIG_FILE}: {name[:200]!r} is no name of a safetensors file")
        if sha256_of_file(folder / name) != digest:
            raise WeightsError(
                f"{folder / name}: its SHA-256 is not the one in {CONFIG_FILE}: it was damaged or exchanged"
            )
    rival = config.get("rival", "markov" if MARKOV in config["sha256"] else None)
    if isinstance(rival, str):
        if rival not in RIVALS:
            raise SharingError(
                f"{folder / CONFIG_FILE}: is of the unknown composer {shown(rival)}; see {', '.join(RIVALS)}"
            )
        return Shared(folder, "rival", config, rival=rival)
    for kind in WEIGHTS:
        if f"{kind}.safetensors" in config["sha256"]:
            return Shared(folder, kind, config)
    raise SharingError(f"{folder}: holds weights of no kind that can be shared: {', '.join(WEIGHTS)}, composers")


def _inside(folder: Path) -> str:
    """What in the folder may be meant, as in one of several seeds, or what `toccata harden` wrote."""
    names = [*seed_runs(folder), *(path for kind in WEIGHTS if (path := folder / kind / CONFIG_FILE).is_file())]
    return f"; share one of what is in it, such as {quote(str(_folder_of(names[0])))}" if names else ""


def _folder_of(path: Path) -> Path:
    return path.parent if path.name == CONFIG_FILE else path
