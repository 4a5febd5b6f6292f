"""The files of a folder that are shared: what it needs to work, without names of folders of this machine."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path, PureWindowsPath
from typing import Any

from rich.console import Console

from toccata.agents.rivals.compose import compose_with
from toccata.agents.runs.compose import compose
from toccata.agents.runs.compose_config import ComposeConfig
from toccata.agents.runs.rewards_file import REWARDS_FILE
from toccata.agents.runs.run_folder import MAX_TEXT_BYTES, Run
from toccata.agents.sharing.kinds import Shared
from toccata.files import read_bytes, read_json, sha256_of_file, write_atomically
from toccata.reward_models import is_builtin
from toccata.settings.specs import parse_spec
from toccata.weights import CONFIG_FILE

PIECE_SUFFIXES = (".mid", ".wav", ".png", ".musicxml")
OF_WEIGHTS = ("fit.json", "MODEL_CARD.md", "report.md", "curves.png")  # what fits write beside the weights
OF_RUN = ("versions.json", "progress.csv", "reference.zip")
SAMPLE_BARS = 8
ARGUMENT = re.compile(r"(--[\w-]+=)?([A-Za-z_]\w*:)?(.*)", re.DOTALL)
RUN_AS_COMMAND = re.compile(r"[/\\]toccata([/\\]__main__\.py)?$")  # what Python runs for the command `toccata`
TEXTS = (".json", ".md", ".txt", ".csv")


def collect(shared: Shared, into: Path, samples: int) -> list[str]:
    """Copy what is shared of a folder into another one.

    Args:
        shared: the folder.
        into: an empty folder.
        samples: pieces at most.

    Returns:
        remarks, a line each, on what is left out and what others will need.

    Raises:
        FileError: naming a file that cannot be read.
        OSError: naming one that cannot be written.
    """
    remarks = _collect_run(shared.run, into, samples) if shared.run else _collect_weights(shared, into, samples)
    home = str(Path.home())
    for path in sorted(into.rglob("*")) if len(home) > 1 else ():
        if path.suffix in TEXTS and home.encode() in path.read_bytes():
            remarks.append(f"{path.relative_to(into)} names your folder {home}; look at it before you share it")
    return remarks


def _collect_run(run: Run, into: Path, samples: int) -> list[str]:
    """A run as its newest checkpoint is, without checkpoints, logs, signature and TensorBoard events."""
    remarks = []
    write_atomically(into / CONFIG_FILE, _as_json(_without_folders(read_json(run.folder / CONFIG_FILE))))
    if (run.folder / "command.txt").is_file():
        command = read_bytes(run.folder / "command.txt", MAX_TEXT_BYTES).decode("utf-8", "backslashreplace")
        write_atomically(into / "command.txt", _short_command(command).encode())
    for name in OF_RUN:
        if (run.folder / name).is_file():
            shutil.copyfile(run.folder / name, into / name)
    shutil.copyfile(run.model_path, into / "model.zip")
    models = run.published / "reward_models"
    if models.is_dir():
        shutil.copytree(models, into / "reward_models")
        content = read_json(models / REWARDS_FILE)
        for entry in content["rewards"] if isinstance(content, dict) else content:
            entry["model"] = _short_reward(entry["model"])
        write_atomically(into / "reward_models" / REWARDS_FILE, _as_json(content))
    own = [str(spec) for spec, _ in run.config.reward_specs if ":" in spec.target and not is_builtin(spec.target)]
    own += [run.config.policy] if run.config.is_user_policy else []
    if own:
        remarks.append(f"code of your own is not shared: {', '.join(own)}; others need it, and --trust")
    if run.config.lyrics is not None:
        remarks.append(f"the words are not shared: {short(run.config.lyrics)}, which others need to evaluate the run")
    return remarks + _collect_evaluation(run, into, samples)


def _collect_evaluation(run: Run, into: Path, samples: int) -> list[str]:
    """Figures and pieces of the run's evaluation, if it is of the model that is shared."""
    source = run.folder / "evaluation"
    if not (source / "metrics.json").is_file():
        return [f"the run is not evaluated, so its card has no figures and pieces: toccata evaluate {run.folder}"]
    metrics = read_json(source / "metrics.json")
    if not isinstance(metrics, dict) or metrics.get("model_sha256") != sha256_of_file(into / "model.zip"):
        return [
            f"its evaluation is of an earlier model and is left out; evaluate it anew: toccata evaluate {run.folder}"
        ]
    (into / "evaluation").mkdir()
    shutil.copyfile(source / "metrics.json", into / "evaluation/metrics.json")
    for number in range(samples):
        for suffix in PIECE_SUFFIXES:
            name = f"piece-{number:03d}{suffix}"
            if (source / name).is_file():
                shutil.copyfile(source / name, into / "evaluation" / name)
    return []


def _collect_weights(shared: Shared, into: Path, samples: int) -> list[str]:
    """Weights and what their fit wrote; of what composes also pieces, which are composed now."""
    shutil.copyfile(shared.folder / CONFIG_FILE, into / CONFIG_FILE)
    for name in (*shared.config["sha256"], *(name for name in OF_WEIGHTS if (shared.folder / name).is_file())):
        shutil.copyfile(shared.folder / name, into / name)
    composes = {"prior": compose, "rival": compose_with}.get(shared.kind)
    if composes is None or not samples:
        return []
    chosen: dict[str, Any] = {"prior": str(shared.folder)}
    if shared.kind == "rival":
        chosen = {"composer": f"{shared.rival}:{shared.folder}"}
    _compose(composes, ComposeConfig(pieces=samples, bars=SAMPLE_BARS, out=into / "samples", device="cpu", **chosen))
    return []


def _compose(composes: Callable[..., Any], config: ComposeConfig) -> None:
    """Compose without a word on the terminal."""
    composes(config, Console(file=StringIO()))


def _as_json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _without_folders(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run with the last name of each path."""
    settings = dict(settings)
    settings["corpus"] = [short(name) for name in settings.get("corpus", ())]
    for name in ("prior", "lyrics"):
        if isinstance(settings.get(name), str):
            settings[name] = short(settings[name])
    settings["rewards"] = [[_short_reward(text), weight] for text, weight in settings["rewards"]]
    return settings


def short(path: str) -> str:
    """The last name of a path; what is no path stays."""
    return PureWindowsPath(path).name if "/" in path or "\\" in path else path  # which takes both slashes


def _short_reward(text: str) -> str:
    """The spec of a reward with the last name of the folder of its weights; others stay."""
    spec = parse_spec(text)
    name, colon, place = spec.target.partition(":")
    return str(type(spec)(f"{name}:{short(place)}", spec.args)) if colon and is_builtin(name) else text


def _short_command(text: str) -> str:
    """command.txt with the last name of each path; a line that no shell would take is left out."""
    lines = []
    for line in text.splitlines():
        try:
            words = shlex.split(line)
        except ValueError:
            continue
        if len(words) > 1 and RUN_AS_COMMAND.search(words[1]):
            words = ["toccata", *words[2:]]
        lines.append(shlex.join(_short_argument(word) for word in words))
    return "".join(f"{line}\n" for line in lines)


def _short_argument(word: str) -> str:
    match = ARGUMENT.fullmatch(word)
    assert match is not None  # it matches anything
    option, model, value = match.groups(default="")
    return f"{option}{model}{short(value)}"
