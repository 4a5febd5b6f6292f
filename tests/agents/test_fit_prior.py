"""Fitting a prior, from the command to the files: it learns, stops in time, and says what is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from toccata import cli
from toccata.agents.policies.sequence_network import DEFAULT_NETWORKS, NO_GENRE, NetworkConfig, SequenceNetwork
from toccata.agents.prior import fit as fit_prior_module
from toccata.agents.prior import maximum_likelihood as fitting
from toccata.agents.prior.dataset import PassageDataset
from toccata.agents.prior.fit import fit_prior, network_config, passage_datasets
from toccata.agents.prior.fit_config import FitPriorConfig
from toccata.agents.prior.likelihood import log_prob
from toccata.agents.prior.markov import uniform_log_prob
from toccata.agents.prior.maximum_likelihood import Fit, batches_of, fit_network
from toccata.agents.prior.prior import Prior, PriorError
from toccata.agents.prior.trajectories import trajectories_of
from toccata.envs.core import GENRES
from toccata.envs.instrument import Piano
from toccata.music.corpus import Corpus, Work
from toccata.music.score import Score
from toccata.options import ConfigError
from toccata.weights import CONFIG_FILE

SMALL = Piano(lowest=48, highest=84, chords=(), values=(12, 24, 96))
MINIMAL = {"epochs": 2, "width": 16, "layers": 1, "heads": 2, "learning_rate": 1e-2, "device": "cpu"}


def works(count: int, genre: str = "classical") -> tuple[Work, ...]:
    """Works of four bars: broken chords in quarters over a bass in whole notes."""
    made = []
    for number in range(count):
        tune = [(24 * beat, 24, 64 + number % 5 + (0, 3, 8, 3)[beat % 4], 80) for beat in range(16)]
        bass = [(96 * bar, 96, 52 + number % 5 + (0, 5, 7, 0)[bar], 80) for bar in range(4)]
        made.append(Work(f"{genre}-{number}", genre, Score(sorted(tune + bass), length_ticks=384), group=f"{number}"))
    return tuple(made)


@pytest.fixture(scope="module")
def music() -> PassageDataset:
    return PassageDataset(Corpus("toy", works(8) + works(4, "jazz")), 4, SMALL)


def build_network(backbone: str = "transformer") -> SequenceNetwork:
    torch.manual_seed(0)
    return SequenceNetwork(SMALL, NetworkConfig(backbone, width=32, layers=1, heads=2))


def rng_of(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# Fitting


@pytest.mark.parametrize("backbone", ["transformer", "lstm"])
def test_music_is_learnt_beyond_how_often_what_is_played(backbone: str, music: PassageDataset) -> None:
    held_out = trajectories_of(music.sample(16, rng_of(99)), SMALL)
    network = build_network(backbone)
    told: list[float] = []
    fit = fit_network(
        network,
        music,
        held_out,
        epochs=4,
        epoch_notes=400,
        rng=rng_of(),
        learning_rate=1e-2,
        batch_steps=256,
        patience=9,
        on_batch=lambda done, loss: told.append(done),
    )
    assert told == sorted(told)
    assert 0 < told[0] < 0.3
    assert told[-1] == 1
    actions = np.concatenate([row[:length] for row, length in zip(held_out.actions, held_out.lengths, strict=True)])
    _, counts = np.unique(actions, axis=0, return_counts=True)
    shares = counts / counts.sum()
    assert fit.valid[fit.best] < 0.8 * -(shares * np.log(shares)).sum(), "less than order 0 fitted on the very same"
    assert fit.valid[fit.best] < -0.5 * np.concatenate(uniform_log_prob(held_out)).mean()
    found = np.concatenate(log_prob(network, SMALL, held_out))
    assert -found.mean() == pytest.approx(fit.valid[fit.best], abs=1e-6), "the network is that of the best epoch"
    assert not network.training


def test_the_best_epoch_is_kept(music: PassageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 2.0, 5.0, 2.0, 1.0])
    monkeypatch.setattr(fitting, "log_prob", lambda *arguments: [np.array([-next(losses)])])
    network, states = build_network(), []
    fit = fit_network(
        network,
        music,
        trajectories_of(music.whole(), SMALL),
        epochs=5,
        epoch_notes=20,
        rng=rng_of(),
        patience=2,
        on_epoch=lambda fit: states.append({name: each.clone() for name, each in network.state_dict().items()}),
    )
    assert (fit.valid, fit.best) == ([3, 2, 5, 2], 1)
    assert len(fit.train) == 4
    kept = network.state_dict()
    assert all(torch.equal(kept[name], each) for name, each in states[1].items())
    assert not all(torch.equal(kept[name], each) for name, each in states[3].items())


def test_without_held_out_music_the_last_epoch_is_kept(music: PassageDataset) -> None:
    fit = fit_network(build_network(), music, None, epochs=3, epoch_notes=20, rng=rng_of(), patience=1)
    assert (len(fit.train), fit.valid, fit.best) == (3, [], 2)


def test_one_seed_gives_one_network(music: PassageDataset) -> None:
    def fitted(seed: int) -> tuple[dict[str, torch.Tensor], Fit]:
        network = build_network()
        fit = fit_network(network, music, None, epochs=2, epoch_notes=60, rng=rng_of(seed), genre_dropout=0.2)
        return network.state_dict(), fit

    (one, fit), (same, again), (other, _) = fitted(3), fitted(3), fitted(4)
    assert fit == again
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("dropout", "learnt"), [(0.0, {"classical", "jazz"}), (1.0, {None}), (0.5, {"classical", "jazz", None})]
)
def test_genres_are_told_or_not(music: PassageDataset, dropout: float, learnt: set[str | None]) -> None:
    network = build_network()
    before = {name: each.clone() for name, each in network.state_dict().items()}
    fit_network(network, music, None, epochs=1, epoch_notes=200, rng=rng_of(), genre_dropout=dropout)
    after = network.state_dict()
    changed = (after["genre.weight"] != before["genre.weight"]).any(dim=1).tolist()
    assert {(*GENRES, None)[row] for row in range(NO_GENRE + 1) if changed[row]} == learnt
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("critic")), "left alone"


def test_a_fit_that_loses_its_way_is_an_error(music: PassageDataset) -> None:
    network = build_network()
    with torch.no_grad():
        network.actor.weight[0, 0] = torch.nan
    with pytest.raises(ConfigError, match="lost its way in epoch 1; lower the learning rate"):
        fit_network(network, music, None, epochs=1, epoch_notes=20, rng=rng_of())


def test_an_epoch_hears_as_many_notes_as_it_should(music: PassageDataset) -> None:
    for epoch_notes in (1, 150, 1000):
        heard, last = 0, 0.0
        for share, drawn, rows in fitting._batches(music, epoch_notes, 512, rng_of()):
            heard += int((drawn.actions[rows, :, 0] > 0).sum())
            assert last < share <= 1
            last = share
        assert last == 1
        assert epoch_notes <= heard <= epoch_notes + 20, "the last passage is heard to its end"


@given(st.lists(st.integers(1, 600), min_size=1, max_size=200), st.integers(1, 3000), st.integers(0, 99))
def test_batches_have_every_passage_once(lengths: list[int], batch_steps: int, seed: int) -> None:
    batches = list(batches_of(np.array(lengths), batch_steps, rng_of(seed)))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) * max(lengths[row] for row in rows) <= batch_steps or len(rows) == 1


# From a corpus to files


def fitted(folder: Path, data: Path, **changes: object) -> tuple[Prior, str]:
    shown = StringIO()
    config = FitPriorConfig(out=folder, data=(str(data),), **{**MINIMAL, **changes})  # type: ignore[arg-type]
    return fit_prior(config, Console(file=shown, width=150)), shown.getvalue()


def test_files_become_a_prior(tmp_path: Path, corpus_folder: Path) -> None:
    prior, shown = fitted(tmp_path / "new" / "a", corpus_folder)
    files = [CONFIG_FILE, "curves.png", "prior.safetensors", "report.md"]
    assert sorted(path.name for path in (tmp_path / "new" / "a").iterdir()) == files
    assert "epoch 2: " in shown
    config = json.loads((tmp_path / "new" / "a" / CONFIG_FILE).read_text())
    fit = config["fit"]
    assert config["network"] == {"backbone": "transformer", "width": 16, "layers": 1, "heads": 2}
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
    other, _ = fitted(tmp_path / "c", corpus_folder, seed=1, epochs=1, beside=(str(tmp_path / "b"),))
    assert not torch.equal(other.network.actor.weight, again.network.actor.weight)


def test_a_prior_goes_on_from_another(tmp_path: Path, corpus_folder: Path) -> None:
    first, _ = fitted(tmp_path / "first", corpus_folder)
    sizes = {"width": None, "layers": None, "heads": None}
    start = str(tmp_path / "first")
    near, _ = fitted(tmp_path / "near", corpus_folder, start=start, epochs=1, learning_rate=1e-6, **sizes)
    assert near.network.config == first.network.config
    torch.testing.assert_close(near.network.actor.weight, first.network.actor.weight, atol=1e-3, rtol=0)
    assert near.about["start"] == "first"
    far, _ = fitted(tmp_path / "far", corpus_folder, start=start, epochs=1, learning_rate=1e-2, **sizes)
    moved = (far.network.actor.weight - first.network.actor.weight).abs().max()
    assert moved > 1e-4
    assert "this one goes on from met under other names" in (tmp_path / "near" / "report.md").read_text()
    assert "goes on from" not in (tmp_path / "first" / "report.md").read_text()
    assert not {"backbone", "width", "layers", "heads"} & set(near.about["options"])
    with pytest.raises(ConfigError, match="width is that of the prior to start from, mine; leave out one of the two"):
        FitPriorConfig(tmp_path / "x", start="mine", width=16)


def test_a_prior_of_another_piano_is_refused_before_the_fit(tmp_path: Path, corpus_folder: Path) -> None:
    Prior(build_network(), SMALL, {}).save(tmp_path / "small")
    small = str(tmp_path / "small")
    for changes in ({"start": small, "width": None, "layers": None, "heads": None}, {"beside": (small,)}):
        with pytest.raises(PriorError, match="small: plays another piano than the usual one"):
            fitted(tmp_path / "out", corpus_folder, **changes)
        assert not (tmp_path / "out").exists()


def test_a_corpus_of_few_works(tmp_path: Path) -> None:
    for number, work in enumerate(works(60)):
        only = Corpus("one", (work,))
        if len(only.split("train")):
            music = passage_datasets(only, 64)
            assert (music["valid"], music["test"]) == (None, None)
            (tmp_path / "data" / "folk").mkdir(parents=True)
            work.score.to_midi(tmp_path / "data" / "folk" / f"{number}.mid")
            break
    with pytest.raises(ConfigError, match="all 1 works of corpus one are held out"):
        passage_datasets(
            Corpus("one", next((w,) for w in works(60) if not len(Corpus("one", (w,)).split("train")))), 64
        )
    with pytest.raises(ConfigError, match="classical-0: its genre 'waltz' must be one of classical, "):
        passage_datasets(Corpus("odd", (Work("classical-0", "waltz", work.score),)), 64)
    with pytest.raises(ConfigError, match="none of the 1 works of corpus mute has notes"):
        passage_datasets(Corpus("mute", (Work("mute", "folk", Score()),)), 64)


def test_sizes_are_those_of_the_backbone_unless_given(tmp_path: Path) -> None:
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
        (["--epochs", "0"], "epochs must be a whole number, at least 1, got 0"),
        (["--learning-rate", "0"], "learning_rate must be a number, greater than 0, got 0.0"),
        (["--learning-rate", "nan"], "learning_rate must be a number"),
        (["--genre-dropout", "1.5"], "genre_dropout must be a number, at least 0 and at most 1, got 1.5"),
        (["--max-steps", "8"], "max_steps must be a whole number, at least 16, got 8"),
        (["--width", "20"], "width must be a multiple of 4 * heads = 12, got 20"),
        (["--width", "2"], "width must be a whole number, at least 4, got 2"),
        (["--seed", "-1"], "seed must be"),
        (["--device", "tpu"], "device must be cpu, cuda, cuda:N or auto, got 'tpu'"),
        (["--beside", "nobody"], "unknown prior 'nobody'"),
        (["--data"], "data must name at least one corpus or folder"),
        (["--data", "nowhere"], "unknown corpus 'nowhere'"),
        (["--data", "letters"], "letters: none of its 1 files can be read"),
        (["--out", "full"], "full: holds a prior already; choose another --out"),
        (["--out", "file/prior"], "file/prior: cannot be made: Not a directory"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
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
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written and nothing overwritten"


def test_stopping_it(command, tmp_path: Path, corpus_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fit_prior_module, "fit_network", stop)
    status, text = command("--out", "prior", "--data", corpus_folder, "--width", 16, "--heads", 1, "--layers", 1)
    assert status == 130
    assert text.splitlines()[-1] == "stopped; no prior is written"
    assert list((tmp_path / "prior").iterdir()) == []


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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("--data", "--out", "--backbone", "--genre-dropout", "GENRE/**/*.mid", "bach"):
        assert word in done.stdout


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
    shown = capsys.readouterr()
    assert shown.out.splitlines() == ["fitted: my-prior", "train from it with: python train.py --prior my-prior"]
    assert "11,656 weights" in shown.err
    assert "Markov" in shown.err
    assert Prior.load(tmp_path / "my-prior").network.config.width == 8
