"""Fitting a prior, from the command to its files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from helpers.tunes import works
from toccata import cli
from toccata.agents.policies.sequence_network import DEFAULT_NETWORKS, NetworkConfig, SequenceNetwork
from toccata.agents.prior.fitting import fit as fit_module
from toccata.agents.prior.fitting.checkpoint import save_checkpoint
from toccata.agents.prior.fitting.fit import fit_prior, network_config, passage_datasets
from toccata.agents.prior.fitting.fit_config import FitPriorConfig
from toccata.agents.prior.prior import Prior, PriorError
from toccata.envs.instrument import Piano
from toccata.music.corpus import Corpus, Work
from toccata.music.score import Score
from toccata.settings.genres import GENRES
from toccata.settings.options import ConfigError
from toccata.weights import CONFIG_FILE, WeightsError

MINIMAL = {"epochs": 2, "width": 16, "layers": 1, "heads": 2, "learning_rate": 1e-2, "device": "cpu"}


def fitted(folder: Path, data: Path, **changes: object) -> tuple[Prior, str]:
    """A minimal prior, and what was printed."""
    printed = StringIO()
    config = FitPriorConfig(out=folder, data=(str(data),), **{**MINIMAL, **changes})  # type: ignore[arg-type]
    return fit_prior(config, Console(file=printed, width=150)), printed.getvalue()


def test_a_folder_of_music_gives_a_prior(tmp_path: Path, corpus_folder: Path) -> None:
    prior, printed = fitted(tmp_path / "new" / "a", corpus_folder)
    files = [CONFIG_FILE, "curves.png", "prior.safetensors", "report.md"]
    assert sorted(path.name for path in (tmp_path / "new" / "a").iterdir()) == files
    assert "epoch 2: " in printed
    config = json.loads((tmp_path / "new" / "a" / CONFIG_FILE).read_text())
    fit = config["fit"]
    sizes = {"width": 16, "layers": 1, "heads": 2}
    assert config["network"] == {"backbone": "transformer", **sizes, "genres": list(GENRES)}
    assert fit["data"] == [corpus_folder.name]
    assert sum(fit["works"].values()) == 10
    assert len(fit["nats_per_action"]["train"]) == 2
    assert fit["nats_per_action"]["train"][1] < fit["nats_per_action"]["train"][0]
    assert fit["options"]["epochs"] == 2
    assert str(tmp_path) not in json.dumps(config)
    assert prior.about == fit
    assert prior.piano == Piano()

    again, _ = fitted(tmp_path / "b", corpus_folder)
    for file in (CONFIG_FILE, "prior.safetensors", "report.md"):
        assert (tmp_path / "b" / file).read_bytes() == (tmp_path / "new" / "a" / file).read_bytes()
    other, _ = fitted(tmp_path / "c", corpus_folder, seed=1, epochs=1, compare=(str(tmp_path / "b"),))
    assert not torch.equal(other.network.actor.weight, again.network.actor.weight)


def test_a_prior_is_initialised_from_another(tmp_path: Path, corpus_folder: Path) -> None:
    first, _ = fitted(tmp_path / "first", corpus_folder)
    sizes = {"width": None, "layers": None, "heads": None}
    first_folder = str(tmp_path / "first")
    near, _ = fitted(tmp_path / "near", corpus_folder, init_from=first_folder, epochs=1, learning_rate=1e-6, **sizes)
    assert near.network.config == first.network.config
    torch.testing.assert_close(near.network.actor.weight, first.network.actor.weight, atol=1e-3, rtol=0)
    assert near.about["init_from"] == "first"
    far, _ = fitted(tmp_path / "far", corpus_folder, init_from=first_folder, epochs=1, learning_rate=1e-2, **sizes)
    change = (far.network.actor.weight - first.network.actor.weight).abs().max()
    assert change > 1e-4
    assert (
        "training data of the prior that this one was initialised from."
        in (tmp_path / "near" / "report.md").read_text()
    )
    assert "initialised from" not in (tmp_path / "first" / "report.md").read_text()
    assert not {"backbone", "width", "layers", "heads"} & set(near.about["options"])
    with pytest.raises(ConfigError, match="width is determined by the prior to initialise from, mine; leave out one"):
        FitPriorConfig(tmp_path / "x", init_from="mine", width=16)


@pytest.mark.filterwarnings("error")
def test_genres_of_ones_own(tmp_path: Path, corpus_folder: Path) -> None:
    flat = corpus_folder / "classical"
    with pytest.raises(ConfigError, match=r"unknown genre 'ragtime': .*; to add it: --genres ragtime"):
        fitted(tmp_path / "first", flat, genre="ragtime")
    first, printed = fitted(tmp_path / "first", flat, genre="ragtime", genres=("folk", "ragtime"), epochs=1)
    assert first.genres == (*GENRES, "ragtime")
    assert "few works: classical has " in printed
    assert "works (ragtime " in printed
    assert "genres" not in first.about["options"]

    shutil.copytree(flat, tmp_path / "both" / "bossa nova")
    sizes = {"width": None, "layers": None, "heads": None}
    arguments = {"init_from": str(tmp_path / "first"), "epochs": 1, "learning_rate": 1e-9, **sizes}
    with pytest.raises(
        ConfigError, match=r"its genre 'bossa nova' must be .*ragtime, or be added: --genres 'bossa nova'"
    ):
        fitted(tmp_path / "second", tmp_path / "both", **arguments)
    assert not (tmp_path / "second").exists()
    second, _ = fitted(tmp_path / "second", tmp_path / "both", genres=("bossa nova",), compare=("lstm",), **arguments)
    assert second.genres == (*GENRES, "ragtime", "bossa nova")
    rows, before = second.network.genre.weight, first.network.genre.weight
    rounding = 2**-10 * float(before.abs().max())  # of half precision
    torch.testing.assert_close(rows[7], before[:7].mean(dim=0), atol=rounding, rtol=0)
    torch.testing.assert_close(rows[[*range(7), 8]], before, atol=rounding, rtol=0)
    report = (tmp_path / "second" / "report.md").read_text()
    assert "| bossa nova | " in report


def test_a_prior_of_another_piano_is_an_error_before_the_fit(tmp_path: Path, corpus_folder: Path) -> None:
    piano = Piano(lowest=48, highest=84, chords=(), values=(12, 24, 96))
    network = SequenceNetwork(piano, NetworkConfig(width=32, layers=1, heads=2))
    Prior(network, piano, {}).save(tmp_path / "small")
    small = str(tmp_path / "small")
    for changes in ({"init_from": small, "width": None, "layers": None, "heads": None}, {"compare": (small,)}):
        with pytest.raises(PriorError, match="small: plays another piano than the default one"):
            fitted(tmp_path / "out", corpus_folder, **changes)
        assert not (tmp_path / "out").exists()


def test_splits_without_works() -> None:
    singles = [Corpus("one", (work,)) for work in works(60)]
    datasets = passage_datasets(next(corpus for corpus in singles if len(corpus.split("train"))), 64)
    assert (datasets["valid"], datasets["test"]) == (None, None)
    with pytest.raises(ConfigError, match="all 1 works of corpus one are held out"):
        passage_datasets(next(corpus for corpus in singles if not len(corpus.split("train"))), 64)
    with pytest.raises(ConfigError, match="classical-0: its genre 'waltz' must be one of classical, "):
        passage_datasets(Corpus("odd", (Work("classical-0", "waltz", works(1)[0].score),)), 64)
    with pytest.raises(ConfigError, match="none of the 1 works of corpus mute has notes"):
        passage_datasets(Corpus("mute", (Work("mute", "folk", Score()),)), 64)


def test_default_sizes_are_those_of_the_backbone(tmp_path: Path) -> None:
    assert network_config(FitPriorConfig(tmp_path)) == DEFAULT_NETWORKS["transformer"]
    assert network_config(FitPriorConfig(tmp_path, backbone="lstm")) == DEFAULT_NETWORKS["lstm"]
    assert network_config(FitPriorConfig(tmp_path, width=24, heads=2)) == NetworkConfig(width=24, heads=2)


# The command


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str]:
        status = cli.run_command("fit-prior", [str(argument) for argument in arguments])
        return status, capsys.readouterr().err

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "epochs must be a whole number, at least 1 and at most 10,000, got 0"),
        (["--learning-rate", "0"], "learning_rate must be a number, greater than 0 and at most 1, got 0.0"),
        (["--learning-rate", "nan"], "learning_rate must be a number"),
        (["--genre-dropout", "1.5"], "genre_dropout must be a number, at least 0 and at most 1, got 1.5"),
        (["--max-steps", "8"], "max_steps must be a whole number, at least 16 and at most 1,048,576, got 8"),
        (["--width", "20"], "width must be a multiple of 4 * heads = 12, got 20"),
        (["--width", "2"], "width must be a whole number, at least 4 and at most 16,384, got 2"),
        (["--seed", "-1"], "seed must be"),
        (["--device", "tpu"], "device must be cpu, cuda, cuda:N or auto, got 'tpu'"),
        (["--compare", "nobody"], "unknown prior 'nobody'"),
        (["--data"], "data must name at least one corpus or folder"),
        (["--data", "nowhere"], "unknown corpus 'nowhere'"),
        (["--data", "letters"], "letters: none of its 1 files can be read"),
        (["--out", "full"], "full: holds a prior already; choose another --out"),
        (["--out", "file/prior"], "Not a directory: 'file/prior'"),
    ],
)
def test_errors_are_one_line_and_write_nothing(
    command, tmp_path: Path, corpus_folder: Path, arguments: list[str], message: str
) -> None:
    for path, text in (("file", "mine"), ("full/config.json", "{}"), ("letters/folk/dear.mid", "Dear Clara,")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    before = sorted(tmp_path.rglob("*"))
    rest = [] if "--out" in arguments else ["--out", "prior"]
    rest += [] if "--data" in arguments else ["--data", str(corpus_folder)]
    status, text = command(*arguments, *rest)
    assert status == 1
    assert text.startswith("error: ")
    assert message in text
    assert text.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before, "no file is written or overwritten"


def test_an_interrupted_fit_writes_no_prior(
    command, tmp_path: Path, corpus_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fit_module, "fit_network", stop)
    status, text = command("--out", "prior", "--data", corpus_folder, "--width", 16, "--heads", 1, "--layers", 1)
    assert status == 130
    assert text.splitlines()[-1] == "stopped; no prior is written"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("backbone", ["transformer", "lstm", "wavenet"])
def test_a_killed_fit_goes_on_to_the_same_prior(
    tmp_path: Path, corpus_folder: Path, monkeypatch: pytest.MonkeyPatch, backbone: str
) -> None:
    fitted(tmp_path / "whole", corpus_folder, epochs=3, backbone=backbone)
    assert [path.name for path in tmp_path.iterdir() if path != corpus_folder.parent] == ["whole"]

    def save_and_stop(*arguments: Any) -> None:
        save_checkpoint(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit_module, "save_checkpoint", save_and_stop)
        with pytest.raises(KeyboardInterrupt, match="stopped; no prior is written; go on with --resume"):
            fitted(tmp_path / "half", corpus_folder, epochs=3, backbone=backbone)
    checkpoint = tmp_path / "half.checkpoint"
    assert checkpoint.is_dir()
    assert not (tmp_path / "half").exists()
    with pytest.raises(ConfigError, match=r"half\.checkpoint: holds an interrupted fit; go on with it by --resume"):
        fitted(tmp_path / "half", corpus_folder, epochs=3, backbone=backbone)
    with pytest.raises(ConfigError, match=r"is of a fit with network .*, not .*; give the same options to resume it"):
        fitted(tmp_path / "half", corpus_folder, epochs=3, backbone=backbone, width=8, resume=True)
    _, printed = fitted(tmp_path / "half", corpus_folder, epochs=3, backbone=backbone, resume=True)
    assert "epoch 1: " not in printed
    assert "epoch 2: " in printed
    for file in ("prior.safetensors", CONFIG_FILE, "report.md"):
        assert (tmp_path / "half" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert not checkpoint.exists()


def test_a_checkpoint_that_is_missing_or_damaged_is_an_error(tmp_path: Path, corpus_folder: Path) -> None:
    with pytest.raises(ConfigError, match="there is no checkpoint to resume from; leave out --resume"):
        fitted(tmp_path / "a", corpus_folder, resume=True)
    folder = tmp_path / "a.checkpoint"
    folder.mkdir()
    (folder / CONFIG_FILE).write_text('{"sha256": {}, "fit": []}')
    with pytest.raises(WeightsError, match=r"a.checkpoint/config.json: is no checkpoint of a fit"):
        fitted(tmp_path / "a", corpus_folder, resume=True)


def test_a_fit_ends_when_its_time_is_over(tmp_path: Path, corpus_folder: Path) -> None:
    prior, _ = fitted(tmp_path / "a", corpus_folder, epochs=None, minutes=1e-8)
    assert len(prior.about["nats_per_action"]["train"]) == 1
    assert not (tmp_path / "a.checkpoint").exists()


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from toccata.cli import run_command\n"
        "try:\n"
        "    run_command('fit-prior', ['--help'])\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
        "heavy = {'torch', 'stable_baselines3', 'scipy', 'music21', 'numba', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (0, "")
    for word in ("--data", "--out", "--backbone", "--genre-dropout", "GENRE/**/*.mid", "bach"):
        assert word in process.stdout


def test_the_command_as_a_user_runs_it(
    tmp_path: Path, corpus_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(corpus_folder, tmp_path / "my-music")
    size = ["--epochs", "1", "--width", "8", "--layers", "1", "--heads", "1"]
    monkeypatch.setattr(sys, "argv", ["toccata", "fit-prior", "--data", "my-music", "--out", "my-prior", *size])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == ["fitted: my-prior", "train from it with: python train.py --prior my-prior"]
    assert "11,972 weights" in printed.err
    assert "Markov" in printed.err
    assert Prior.load(tmp_path / "my-prior").network.config.width == 8


@pytest.mark.parametrize("name", ["prior.safetensors", CONFIG_FILE, "curves.png", "report.md"])
@pytest.mark.parametrize("existing", [False, True])
def test_a_full_disk_leaves_the_folder_as_it_was(
    tmp_path: Path, corpus_folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, existing: bool
) -> None:
    if existing:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "report.md").write_text("mine")
    before = {path: path.read_text() if path.is_file() else None for path in tmp_path.rglob("*")}
    replace = Path.replace

    def full(path: Path, target: Path) -> Path:
        if Path(target).name == name and path.suffix == ".tmp":
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/a/{name}'"):
        fitted(tmp_path / "a", corpus_folder, epochs=1)
    assert {path: path.read_text() if path.is_file() else None for path in tmp_path.rglob("*")} == before


def test_what_else_is_in_the_folder_stays(tmp_path: Path, corpus_folder: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "other.safetensors").write_text("mine")
    fitted(tmp_path / "a", corpus_folder, epochs=1)
    names = [CONFIG_FILE, "curves.png", "other.safetensors", "prior.safetensors", "report.md"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == names
    assert len({path.stat().st_mode for path in (tmp_path / "a").iterdir()}) == 1
