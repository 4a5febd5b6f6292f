from __future__ import annotations

import json
import re
import shutil
import sys
import wave
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from rich.console import Console

from helpers.rounding import float32_rounding
from helpers.runs import contents
from toccata.agents.evaluation.comparison import summarise, table_of
from toccata.agents.evaluation.config import EvaluateConfig
from toccata.agents.evaluation.evaluate import evaluate_folder
from toccata.agents.evaluation.history import History
from toccata.agents.evaluation.measuring.measured import measurements, sibling_rating
from toccata.agents.evaluation.report.page import Report, write_report
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.rewards_file import save_rewards
from toccata.agents.runs.run_folder import Run, RunError
from toccata.agents.runs.training import train
from toccata.envs.pieces import Pieces
from toccata.errors import ToccataError
from toccata.files import sha256_of_file
from toccata.music.metrics import METRICS
from toccata.music.originality.matches import METRICS as ORIGINALITY
from toccata.music.score import Score
from toccata.reward_models import load_reward, parse_rewards
from toccata.reward_models.judges.panel import JUDGEMENTS
from toccata.reward_models.rating.model import RatingModel
from toccata.settings.options import ConfigError


def numbers_in(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for each in value.values() for number in numbers_in(each)]
    if isinstance(value, list):
        return [number for each in value for number in numbers_in(each)]
    return [] if value is None or isinstance(value, str) else [value]


def test_metrics_are_all_there_and_finite(evaluated: tuple[Path, dict[str, Any], str]) -> None:
    run, summary, _ = evaluated
    assert json.loads((run / "evaluation/metrics.json").read_text()) == summary
    assert all(isfinite(number) for number in numbers_in(summary))
    assert summary["model_sha256"] == sha256_of_file(run / "model.zip")
    assert list(summary["composers"]) == ["agent", "reference", "random", "real"]
    expected = {
        *METRICS,
        "diversity",
        "score/silence",
        "score/repetition",
        "reward/total",
        "sibling_rating",
        *JUDGEMENTS,
        *ORIGINALITY,
    }
    assert expected >= {"pitch_class_entropy", "scale_consistency", "empty_beat_rate", "polyphony", "playability"}
    for metrics in summary["composers"].values():
        assert metrics.keys() == expected
        for each in metrics.values():
            assert len(each["values"]) == 6
            assert each["low"] <= each["mean"] <= each["high"]
            assert each["mean"] == pytest.approx(np.mean(each["values"]))
        total = [
            a + 0.5 * b
            for a, b in zip(metrics["score/silence"]["values"], metrics["score/repetition"]["values"], strict=True)
        ]
        np.testing.assert_allclose(metrics["reward/total"]["values"], total, rtol=0, atol=float32_rounding(8, 4.0))
    assert summary["composers"]["random"]["playability"]["mean"] == 1
    assert summary["differences"].keys() == {"agent - reference", "agent - random", "agent - real"}
    assert summary["real_range"].keys() == expected


def run_with_rating(rating: Path, toy_run: Path, run: Path) -> Path:
    """A copy of the toy run in `run`, as if it had been trained with `rating` and silence."""
    shutil.copytree(toy_run, run)
    config = replace(Run.open(run).config, rewards=((f"rating:{rating}", 1.0), ("silence", 1.0)))
    save_rewards(parse_rewards(config.rewards), config, run / "reward_models")
    return run


def test_a_run_is_evaluated_by_the_sibling_member_of_its_own_rating(
    toy_run: Path, tmp_path: Path, write_rating: Callable[..., RatingModel]
) -> None:
    rating = write_rating("trio")
    run = run_with_rating(tmp_path / "trio", toy_run, tmp_path / "run")
    models = {path: path.read_bytes() for path in (run / "reward_models").rglob("*.*")}
    summary = evaluate_folder(EvaluateConfig(run, pieces=2, samples=3, device="cpu"), Console(file=StringIO()))
    assert {path: path.read_bytes() for path in (run / "reward_models").rglob("*.*")} == models
    for metrics in summary["composers"].values():
        rows = [name for name in metrics if not name.startswith("judge/") and name not in ORIGINALITY]
        assert rows[-4:] == ["score/rating", "score/silence", "reward/total", "sibling_rating"]
        total = np.add(metrics["score/rating"]["values"], metrics["score/silence"]["values"])
        np.testing.assert_allclose(metrics["reward/total"]["values"], total, rtol=0, atol=float32_rounding(8, 4.0))
    for difference in summary["differences"].values():
        assert (
            difference["sibling_rating"]["low"]
            <= difference["sibling_rating"]["mean"]
            <= difference["sibling_rating"]["high"]
        )
    written = [Score.from_midi(run / f"evaluation/piece-{number:03d}.mid") for number in range(2)]
    ratings = summary["composers"]["agent"]["sibling_rating"]["values"][:2]
    np.testing.assert_allclose(ratings, rating.sibling(Pieces(written)), atol=0.01)  # MIDI rounds the tempo


def test_a_rating_without_sibling_member_has_no_sibling_row(
    toy_run: Path, tmp_path: Path, write_rating: Callable[..., RatingModel]
) -> None:
    write_rating("pair", members=2)
    run = run_with_rating(tmp_path / "pair", toy_run, tmp_path / "run")
    console = Console(file=StringIO(), width=100)
    summary = evaluate_folder(EvaluateConfig(run, pieces=1, samples=2, device="cpu"), console)
    assert all("sibling_rating" not in metrics for metrics in summary["composers"].values())
    assert "\nsibling rating" not in console.file.getvalue()  # type: ignore[attr-defined]  # a StringIO, made above
    assert ">sibling rating" not in (run / "evaluation/report.html").read_text()


def test_which_rating_gives_the_sibling_rating(
    tmp_path: Path, write_rating: Callable[..., RatingModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toccata.reward_models.rating.model.SHIPPED", tmp_path / "shipped")
    for name, members in (("shipped", 3), ("trio", 3), ("pair", 2)):
        write_rating(name, members)
    pair, trio = (load_reward(f"rating:{tmp_path / name}") for name in ("pair", "trio"))
    rewards = parse_rewards([("silence", 1.0), (pair, 1.0), (trio, 0.5)])
    assert sibling_rating(rewards) is trio
    assert sibling_rating(parse_rewards([(pair, 1.0)])) is None
    shipped = sibling_rating(parse_rewards([("silence", 1.0)]))
    assert shipped is not None
    pieces = Pieces([Score([(0, 24, 60, 80)], length_ticks=96), Score(length_ticks=96)])
    np.testing.assert_array_equal(measurements(pieces, rewards, shipped)["sibling_rating"], shipped.sibling(pieces))
    assert "sibling_rating" not in measurements(pieces, rewards, None)


def test_pieces_are_written_in_every_form(evaluated: tuple[Path, dict[str, Any], str]) -> None:
    run, summary, _ = evaluated
    folder = run / "evaluation"
    names = {path.name for path in folder.iterdir()}
    stems = ("piece-000", "piece-001", "reference", "random", "real")
    pieces = {f"{stem}.{suffix}" for stem in stems for suffix in ("mid", "wav", "png", "musicxml")}
    assert names == pieces | {"metrics.json", "report.html"}
    assert not (run / "evaluation.part").exists()
    for number in range(2):
        score = Score.from_midi(folder / f"piece-{number:03d}.mid")
        assert score.bars == 1
        assert len(score) / score.length_ticks * 24 == summary["composers"]["agent"]["note_density"]["values"][number]
        with wave.open(str(folder / f"piece-{number:03d}.wav")) as file:
            sound = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            assert file.getframerate() == 44_100
            assert file.getnframes() / 44_100 >= score.length_ticks / 24 * 60 / score.tempo_bpm
            assert len(score) == 0 or np.abs(sound).max() > 300
        assert matplotlib.image.imread(folder / f"piece-{number:03d}.png").ndim == 3
        assert (folder / f"piece-{number:03d}.musicxml").read_text().startswith("<?xml")


def test_the_report_holds_the_pieces(evaluated: tuple[Path, dict[str, Any], str]) -> None:
    run, _, _ = evaluated
    page = (run / "evaluation/report.html").read_text()
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert all(link.startswith(("data:", "#")) for link in links)
    assert page.count("<audio ") == page.count('class="roll"') == 5
    assert page.count('download="') == 2 * 5
    assert not re.search(r">[^<]*\bnan\b", page)
    assert ">sibling rating<" in page
    assert "that no agent is rewarded by" in page


def test_the_table_fits_a_terminal(evaluated: tuple[Path, dict[str, Any], str]) -> None:
    run, summary, printed = evaluated
    lines = printed.splitlines()
    row = next(line for line in lines if "pitch class entropy" in line)
    assert row.count("±") == 4
    assert max(len(line.rstrip()) for line in lines if "±" in line) <= 80
    assert f"{run / 'evaluation' / 'report.html'}" in printed
    varying = [
        metric
        for metric in summary["composers"]["agent"]
        if len({value for each in summary["composers"].values() for value in each[metric]["values"]}) > 1
    ]
    assert table_of(summary).row_count == len(varying) < len(METRICS) + 5 + len(JUDGEMENTS) + len(ORIGINALITY)
    assert "velocity mean" not in printed  # 80 in all
    assert sum("sibling rating" in line and line.count("±") == 4 for line in lines) == 1


def test_the_same_seed_gives_the_same_figures(
    toy_run: Path, evaluated: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    shutil.copytree(toy_run, tmp_path / "run")
    evaluate_folder(EvaluateConfig(tmp_path / "run", pieces=1, samples=6, device="cpu"), Console(file=StringIO()))
    ours, theirs = (folder / "evaluation/metrics.json" for folder in (tmp_path / "run", evaluated[0]))
    assert ours.read_bytes() == theirs.read_bytes()


def test_what_fails_leaves_the_earlier_evaluation(
    evaluated: tuple[Path, dict[str, Any], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _, _ = evaluated
    before = {path.name: path.read_bytes() for path in (run / "evaluation").iterdir()}

    def full(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("toccata.agents.evaluation.evaluate.write_song", full)
    with pytest.raises(OSError, match="disk full"):
        evaluate_folder(EvaluateConfig(run, pieces=1, samples=2, device="cpu"), Console(file=StringIO()))
    assert {path.name: path.read_bytes() for path in (run / "evaluation").iterdir()} == before


def test_a_run_that_cannot_be_evaluated(toy_run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such run folder"):
        evaluate_folder(EvaluateConfig(tmp_path / "nowhere"))
    run = tmp_path / "run"
    shutil.copytree(toy_run, run)
    (run / "model.zip").write_bytes(b"PK")
    with pytest.raises(ToccataError, match=r"model\.zip: not a readable model"):
        evaluate_folder(EvaluateConfig(run))
    (run / "model.zip").unlink()
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(RunError, match=r"has no model\.zip"):
        evaluate_folder(EvaluateConfig(run))
    assert not (run / "evaluation").exists()


def test_summary_of_known_values() -> None:
    summary = summarise({"agent": {"x": np.ones(3)}, "random": {"x": np.zeros(3)}, "real": {"x": np.arange(3.0)}}, 0)
    assert summary["differences"]["agent - random"]["x"] == {"mean": 1, "low": 1, "high": 1}
    assert summary["real_range"]["x"] == {"low": pytest.approx(0.1), "high": pytest.approx(1.9)}


def test_the_name_of_a_reference_is_no_html(tmp_path: Path) -> None:
    composers = ("agent", "reference", "random", "real")
    summary = summarise({name: {"x": np.ones(2)} for name in composers}, 0)
    write_report(Report("agent", History(), summary, 1, reference="<b>music</b>"), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<i>reference</i> is &lt;b&gt;music&lt;/b&gt;" in page


def test_a_run_is_evaluated_from_any_folder(
    toy: Callable[..., TrainConfig], corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(corpus_folder, tmp_path / "tunes")
    (tmp_path / "ends.py").write_text(
        "import numpy as np\n\n\nclass Ends:\n    name = 'ends'\n\n"
        "    def score(self, pieces):\n        return np.array([len(own) for own in pieces.own], np.float32)\n"
    )
    monkeypatch.setattr("sys.path", [*sys.path])
    train(toy("run", corpus=("tunes",), rewards=(("ends:Ends", 1.0),)), console=Console(file=StringIO()))
    sys.path[:] = [place for place in sys.path if place != str(tmp_path)]  # a new process, which knows neither
    del sys.modules["ends"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "run").rename("moved")
    summary = evaluate_folder(
        EvaluateConfig(Path("moved"), pieces=1, samples=2, device="cpu"), Console(file=StringIO())
    )
    assert "score/ends" in summary["composers"]["agent"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("progress.csv", b"\xff\x00" * 100, "not a readable CSV file"),
        ("progress.csv", b"reward/total,a\n1,2\n", "first line must name"),
        (
            "progress.csv",
            b"reward/total,time/total_timesteps\nhigh,1\nhigh,2\n",
            "reward/total must be a number, got 'high'",
        ),
        ("progress.csv", None, "is not a regular file"),
        ("command.txt", None, "is not a regular file"),
        ("command.txt", b"x" * (2**20 + 1), "is larger than"),
        ("config.json", b'{"bars": 1000000}', "bars must be a whole number"),
        ("config.json", b"[" * 10_000, "not a readable JSON file"),
        ("config.json", None, "not a run folder"),
    ],
)
def test_a_damaged_file_stops_before_anything_is_generated(
    toy_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes | None, message: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(toy_run, run)
    (run / name).unlink()
    (run / name).mkdir() if data is None else (run / name).write_bytes(data)
    before = contents(run)
    monkeypatch.setattr("toccata.agents.evaluation.evaluate.measured", None)
    with pytest.raises(ToccataError, match=message) as caught:
        evaluate_folder(EvaluateConfig(run, pieces=1, samples=2, device="cpu"), Console(file=StringIO()))
    assert str(caught.value).startswith(str(run))
    assert "\n" not in str(caught.value)
    assert contents(run) == before


def test_missing_histories_and_commands_of_any_bytes_are_no_obstacle(toy_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(toy_run, run)
    (run / "progress.csv").unlink()
    (run / "command.txt").write_bytes(b"python train.py --run-dir caf\xe9 <b>\x00\n")
    history = History.read(Run.open(run))
    assert history.command == "python train.py --run-dir caf\\xe9 <b>\x00"
    assert history.curves == {}
    assert history.settings["bars"] == 1
    (run / "command.txt").unlink()
    assert History.read(Run.open(run)).command == ""


def test_samples_have_a_limit_that_depends_on_the_bars(toy_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(toy_run, run)
    config = replace(Run.open(run).config, bars=10_000)
    (run / "config.json").write_text(config.to_json())
    with pytest.raises(ConfigError, match="samples must be at most 1,677 for pieces of 10,000 bars, got 60,000"):
        evaluate_folder(EvaluateConfig(run, samples=60_000, device="cpu"), Console(file=StringIO()))


@pytest.mark.parametrize("writer", ["write_wav", "save_piano_roll", "render_for_listening"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_a_failing_writer_leaves_the_earlier_evaluation_and_no_part(
    evaluated: tuple[Path, dict[str, Any], str], monkeypatch: pytest.MonkeyPatch, writer: str, error: BaseException
) -> None:
    run, _, _ = evaluated
    before = contents(run)

    def full(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(f"toccata.agents.generation.piece_files.{writer}", full)
    with pytest.raises(type(error)) as caught:
        evaluate_folder(EvaluateConfig(run, pieces=1, samples=2, device="cpu"), Console(file=StringIO()))
    assert contents(run) == before
    if isinstance(error, OSError):
        assert re.search(r"No space left on device: '.*/run/evaluation(/piece-000\.(wav|png))?'$", str(caught.value))


def test_the_files_of_an_evaluation_have_one_mode(evaluated: tuple[Path, dict[str, Any], str]) -> None:
    run, _, _ = evaluated
    assert len({path.stat().st_mode for path in (run / "evaluation").iterdir()}) == 1


def test_judges_that_reward_no_agent_say_what_they_think(
    toy_run: Path, tmp_path: Path, write_rating: Callable[..., RatingModel]
) -> None:
    write_rating("trio")
    run = run_with_rating(tmp_path / "trio", toy_run, tmp_path / "run")
    summary = evaluate_folder(EvaluateConfig(run, pieces=1, samples=4, device="cpu"), Console(file=StringIO()))
    random, real = (summary["composers"][name] for name in ("random", "real"))
    assert random["judge/bits"]["mean"] > 2 * real["judge/bits"]["mean"]
    assert random["judge/atypicality"]["mean"] > 1 > real["judge/atypicality"]["mean"]
    assert 0 <= random["judge/band_share"]["mean"] < real["judge/band_share"]["mean"] <= 1
    assert set(summary["vendi_score"]) == set(summary["composers"])
    assert all(1 <= score <= 4 for score in summary["vendi_score"].values())
