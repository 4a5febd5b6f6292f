"""What is shared of a folder, its model card, and that what is pulled works as one's own."""

from __future__ import annotations

import json
import shutil
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.console import Console

from helpers.runs import Toy, WritePrior, train_quietly
from helpers.sharing import files_of, pulled, pushed
from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.evaluation.evaluate import evaluate_folder
from toccata.agents.rivals.registry import load_rival
from toccata.agents.rivals.weights import shipped_folder
from toccata.agents.runs.compose import compose
from toccata.agents.runs.compose_config import ComposeConfig
from toccata.agents.runs.run_folder import Run
from toccata.agents.sharing.card import front_matter, lowered
from toccata.agents.sharing.collecting import _short_command, short
from toccata.agents.sharing.config import PushConfig
from toccata.agents.sharing.formats import SharingError
from toccata.agents.sharing.kinds import recognised
from toccata.agents.sharing.push import push
from toccata.files import FileError
from toccata.reward_models import load_reward
from toccata.reward_models.rating.model import SHIPPED as SHIPPED_RATING
from toccata.reward_models.rating.model import RatingModel
from toccata.weights import WeightsError

METRICS = ("reward/total", "score/silence", "judge/bits")


def metadata_of(repository: Path) -> dict:
    _, text, _ = (repository / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(text)


def test_a_run_is_shared_as_it_is_and_without_folders_of_this_machine(
    evaluated_run: Path, corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Path(pushed(evaluated_run, to=tmp_path / "repository", samples=1))
    files = files_of(repository)
    pieces = {f"evaluation/piece-000{suffix}" for suffix in (".mid", ".wav", ".png", ".musicxml")}
    models = {"model.zip", "reference.zip", "reward_models/rewards.json"}
    texts = {"config.json", "command.txt", "versions.json", "progress.csv", "evaluation/metrics.json"}
    assert files.keys() == {*pieces, *(models & files.keys()), *texts, "README.md", "toccata.json"}
    assert files["model.zip"] == (evaluated_run / "model.zip").read_bytes()
    for name, data in files.items():
        assert str(corpus_folder.parent).encode() not in data, name
    assert json.loads(files["config.json"])["corpus"] == [corpus_folder.name]

    run = pulled(repository, tmp_path / "pulled")
    before = json.loads(files["evaluation/metrics.json"])
    monkeypatch.chdir(corpus_folder.parent)  # where the music is found by its name
    after = evaluate_folder(EvaluateConfig(run, pieces=1, samples=6, device="cpu"), Console(file=StringIO()))
    for metric in METRICS:
        assert after["composers"]["agent"][metric]["values"] == before["composers"]["agent"][metric]["values"]


def test_the_card_of_a_run(evaluated_run: Path, tmp_path: Path) -> None:
    repository = Path(pushed(evaluated_run, "me/ppo-of-mine", to=tmp_path / "repository", licence="cc-by-4.0"))
    metadata = metadata_of(repository)
    assert (metadata["library_name"], metadata["license"]) == ("toccata", "cc-by-4.0")
    assert {"reinforcement-learning", "stable-baselines3", "toccata/Piano-v0", "music"} <= set(metadata["tags"])
    (result,) = metadata["model-index"][0]["results"]
    agent = json.loads((repository / "evaluation/metrics.json").read_text())["composers"]["agent"]
    rewards = agent["reward/total"]["values"]
    values = {each["type"]: each["value"] for each in result["metrics"]}
    assert values["mean_reward"] == f"{np.mean(rewards):.2f} +/- {np.std(rewards):.2f}"
    assert values["judge/bits"] == round(agent["judge/bits"]["mean"], 4)
    card = (repository / "README.md").read_text(encoding="utf-8")
    bits = agent["judge/bits"]
    for text in (
        "# ppo-of-mine",
        "toccata pull me/ppo-of-mine",
        "https://huggingface.co/me/ppo-of-mine/resolve/main/evaluation/piece-001.wav",
        f"| judge/bits | {bits['mean']:.2f} [{bits['low']:.2f}, {bits['high']:.2f}] |",
        "| not stated |",  # licences of the corpus
        "The policy was randomly initialised: no prior.",
        "| `silence` | 1 | Toccata | none |",
        "@software{toccata,",
        json.loads((repository / "toccata.json").read_text())["files"]["model.zip"]["sha256"],
    ):
        assert text in card


def test_a_run_without_evaluation_and_one_trained_on_since(evaluated_run: Path, tmp_path: Path) -> None:
    for name, change, remark in (
        ("bare", lambda run: shutil.rmtree(run / "evaluation"), "the run is not evaluated"),
        ("old", _evaluated_before, "its evaluation is of an earlier model and is left out"),
    ):
        shutil.copytree(evaluated_run, tmp_path / name, symlinks=True)
        change(tmp_path / name)
        printed = StringIO()
        push(PushConfig(tmp_path / name, "me", to=tmp_path / f"{name}.out"), Console(file=printed, width=1000))
        assert remark in printed.getvalue()
        card = (tmp_path / f"{name}.out" / "README.md").read_text(encoding="utf-8")
        assert "# ppo-toccata-Piano-v0" in card  # OWNER alone
        assert "The agent was not evaluated before it was shared" in card
        assert "model-index" not in metadata_of(tmp_path / f"{name}.out")


def _evaluated_before(run: Path) -> None:
    path = run / "evaluation/metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_sha256": "0" * 64}))


def test_a_prior_is_shared_with_pieces_and_composes_when_it_is_pulled(write_prior: WritePrior, tmp_path: Path) -> None:
    write_prior("prior", "lstm")
    (tmp_path / "prior/report.md").write_text("# Report of a prior\n\n## Bits\n\nNone.\n")
    repository = Path(pushed(tmp_path / "prior", to=tmp_path / "repository", samples=1))
    assert (repository / "samples/piece-000.wav").is_file()
    card = (repository / "README.md").read_text(encoding="utf-8")
    assert "![piano roll of piece-000](samples/piece-000.png)" in card
    assert "## How it was fitted\n\n### Bits" in card
    prior = pulled(repository, tmp_path / "pulled")
    config = ComposeConfig(prior=str(prior), bars=1, pieces=1, out=tmp_path / "composed", device="cpu")
    compose(config, Console(file=StringIO()))
    assert (tmp_path / "composed/piece-000.mid").is_file()


def test_a_rating_is_a_reward_when_it_is_pulled(write_rating, tmp_path: Path) -> None:
    rating: RatingModel = write_rating("rating")
    out = pulled(pushed(tmp_path / "rating", to=tmp_path / "repository"), tmp_path / "pulled")
    assert load_reward(f"rating:{out}").weights_hash() == rating.weights_hash()  # type: ignore[attr-defined]  # a rating
    assert "Whoever shared the weights named no licence" in (out / "README.md").read_text(encoding="utf-8")
    assert metadata_of(out)["tags"][-1] == "rating"


def test_the_composers_and_rewards_of_toccata_can_be_shared(tmp_path: Path) -> None:
    chains = shipped_folder("markov")
    out = pulled(pushed(chains, "me", to=tmp_path / "markov", samples=0), tmp_path / "pulled")
    assert load_rival(f"markov:{out}").name == "markov"
    assert "# toccata-markov" in (out / "README.md").read_text(encoding="utf-8")
    weights = SHIPPED_RATING.parent
    names = {name: recognised(weights / name).usual_name for name in ("realism", "rating", "typicality-reward")}
    assert names == {
        "realism": "toccata-realism",
        "rating": "toccata-rating",
        "typicality-reward": "toccata-typicality",
    }
    assert recognised(shipped_folder("transformer")).usual_name == "toccata-prior-transformer"


def test_what_cannot_be_shared(write_prior: WritePrior, tmp_path: Path) -> None:
    write_prior("prior")
    for folder in ("empty", "hardened/rating", "other"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "hardened/rating/config.json").write_text("{}")
    (tmp_path / "other/config.json").write_text('{"sha256": {}}')
    for name, kind, message in (
        ("nothing", SharingError, "nothing: no such folder"),
        ("empty", SharingError, r"empty: is no run, prior, rating, realism or composer, it has no config\.json$"),
        ("hardened", SharingError, r"no config\.json; share one of what is in it, such as .*hardened/rating"),
        ("other", SharingError, "other: holds weights of no kind that can be shared"),
    ):
        with pytest.raises(kind, match=message):
            pushed(tmp_path / name, to=tmp_path / "out")
        assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    with pytest.raises(FileError, match="exists already; choose another --to"):
        pushed(tmp_path / "prior", to=tmp_path / "out")
    with (tmp_path / "prior/prior.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(WeightsError, match=r"prior\.safetensors: its SHA-256 is not the one in config\.json"):
        pushed(tmp_path / "prior", to=tmp_path / "other-out")


def test_the_words_of_a_run_are_named_without_their_folder(toy: Toy, write_prior: WritePrior, tmp_path: Path) -> None:
    write_prior("small", backbone="lstm")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/one.txt").write_text("Tyger Tyger")
    words = {"policy": "lstm", "prior": "small", "clone_epochs": 0, "lyrics": "texts", "rewards": (("lyrics", 1.0),)}
    run = train_quietly(toy("song", total_timesteps=64, num_envs=2, n_steps=32, batch_size=32, **words))
    assert Path(str(run.config.lyrics)).is_absolute()
    repository = Path(pushed(run.folder, to=tmp_path / "repository", samples=1))
    assert json.loads((repository / "config.json").read_text())["lyrics"] == "texts"
    for name, data in files_of(repository).items():
        assert str(tmp_path).encode() not in data, name
    assert Run.open(pulled(repository, tmp_path / "pulled")).config.lyrics == "texts"


def test_paths_are_shortened() -> None:
    for text, expected in {
        "/home/somebody/music": "music",
        "data/chorales/": "chorales",
        "C:\\Users\\somebody\\music": "music",
        "bach": "bach",
    }.items():
        assert short(text) == expected


def test_metadata_are_yaml_of_the_same_values() -> None:
    metadata = {"license": "mit", "tags": ["a: b", 'q"uote', "é", "#"], "model-index": [{"value": -1.5, "ok": False}]}
    text = front_matter(metadata)
    assert text.startswith("---\n")
    assert yaml.safe_load(text.strip().strip("-")) == metadata


def test_headings_are_lowered() -> None:
    assert lowered("# Title\n\nText\n\n## Part\n\n### Part of it\n") == "Text\n\n### Part\n\n#### Part of it"


def test_the_command_that_reads_a_folder_is_one_for_a_shell(write_prior: WritePrior, tmp_path: Path) -> None:
    write_prior("prior")
    text, to = StringIO(), tmp_path / "to look at"
    push(PushConfig(tmp_path / "prior", "me", to=to, samples=0), Console(file=text))
    assert f"read it with: toccata pull '{to}' OUT" in text.getvalue()


@pytest.mark.parametrize("program", ["/home/me/.venv/bin/toccata", "/home/me/toccata/src/toccata/__main__.py"])
def test_the_command_of_a_run_is_one_that_others_can_type(program: str) -> None:
    assert _short_command(f"python3 {program} train --run-dir runs/first\n") == "toccata train --run-dir first\n"
    assert _short_command("python train.py --run-dir runs/first\n") == "python train.py --run-dir first\n"
