"""Music, devices and errors of a run's parts; nothing is written when a run cannot be built."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.runs import (
    Toy,
    train_quietly,
)
from toccata.agents.devices import resolve_device
from toccata.agents.runs.builders import excerpt_dataset, run_corpus
from toccata.agents.runs.run_folder import RunError
from toccata.music.corpus import Corpus, CorpusError
from toccata.music.score import Score
from toccata.reward_models import RewardSpecError
from toccata.settings.options import ConfigError


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"genre": "clasical"}, ConfigError, "unknown genre 'clasical'.*did you mean 'classical'?"),
        ({"genre": "jazz", "corpus": ()}, ConfigError, "has no corpus among"),
        ({"genre": "jazz"}, CorpusError, "unknown genre 'jazz' in corpus .*; known are classical"),
        ({"rewards": (("silense", 1.0),)}, RewardSpecError, "did you mean 'silence'?"),
        ({"rewards": (("silence", float("nan")),)}, ConfigError, "reward 'silence': its weight must be a number"),
        ({"tempo_bpm": 1000.0}, ConfigError, "tempo_bpm must be a number, at least 4 and at most 600"),
        ({"beats_per_bar": 2.3}, ConfigError, "beats_per_bar"),
        ({"beats_per_bar": 5.0}, ConfigError, "metre"),
        ({"bars": 100_000}, ConfigError, "bars must be a whole number, at least 1 and at most 10,000"),
        ({"device": "tpu"}, ConfigError, "device must be cpu, cuda, cuda:N or auto, got 'tpu'"),
        ({"device": "cuda:77"}, ConfigError, "CUDA devices here"),
        ({"reward_device": "gpu"}, ConfigError, "reward_device must be cpu, cuda, cuda:N or auto, got 'gpu'"),
        ({"corpus": ("bache",)}, CorpusError, "did you mean bach"),
    ],
)
def test_invalid_settings_leave_no_folder(
    toy: Toy, tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train_quietly(toy("run", **changes))
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore::toccata.music.corpus.works.CorpusWarning")
def test_folders_of_music(toy: Toy, corpus_folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(CorpusError, match="empty: has no MIDI or MusicXML file"):
        run_corpus(toy("run", corpus=(str(empty),)))
    text = tmp_path / "text" / "classical"
    text.mkdir(parents=True)
    (text / "letter.mid").write_text("Dear Clara,")
    with pytest.raises(CorpusError, match=r"none of its 1 files can be read; .*letter\.mid"):
        run_corpus(toy("run", corpus=(str(tmp_path / "text"),)))
    by_genre = run_corpus(toy("run"))
    assert len(by_genre) == 10
    flat = run_corpus(toy("run", corpus=(str(corpus_folder / "classical"),), genre="jazz"))
    assert len(flat) == 10
    assert set(flat.genres) == {"jazz"}, "a folder that names no genres is of the run's"
    part = len(excerpt_dataset(toy("run"), "train").scores)
    assert 0 < part <= 10


def test_names_that_are_not_utf_8_have_splits(toy: Toy, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/mine/classical"
    Path(os.fsdecode(folder)).mkdir(parents=True)
    for index in range(24):
        score = Score([(24 * beat, 24, 40 + beat * beat * (index + 3) % 41, 80) for beat in range(20)])
        score.to_midi(os.fsdecode(folder + b"/caf\xe9%d.mid" % index))
    config = toy("run", corpus=(str(tmp_path / "mine"),))
    train, test = (excerpt_dataset(config, part).scores for part in ("train", "test"))
    assert len(train) + len(test) <= 24
    assert not set(train) & set(test)


def test_a_split_without_usable_works_is_the_whole_corpus(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "mine/classical").mkdir(parents=True)
    Score([(24 * beat, 24, 60, 80) for beat in range(20)]).to_midi(tmp_path / "mine/classical/a.mid")
    config = toy("run", corpus=(str(tmp_path / "mine"),))
    assert [len(excerpt_dataset(config, part).scores) for part in ("train", "valid", "test")] == [1, 1, 1]


def test_other_errors_are_not_taken_for_an_empty_split(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def split(corpus: Corpus, name: str) -> Corpus:
        raise UnicodeEncodeError("utf-8", "x", 0, 1, "of another kind")

    monkeypatch.setattr(Corpus, "split", split)
    with pytest.raises(UnicodeEncodeError, match="of another kind"):
        excerpt_dataset(toy("run"), "train")


def test_an_existing_folder_is_not_touched(toy: Toy) -> None:
    config = toy("run")
    assert config.run_dir is not None
    config.run_dir.mkdir()
    (config.run_dir / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="exists already"):
        train_quietly(config)
    assert [path.name for path in config.run_dir.iterdir()] == ["thesis.txt"]


def test_devices() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="there are 0 CUDA devices here; use cpu or auto"):
            resolve_device("cuda")
