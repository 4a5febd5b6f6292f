"""`toccata listen results` from the database to its files."""

import csv
import json
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from toccata.cli import run_command
from toccata.listening.results import models
from toccata.listening.results.ballots import read_survey
from toccata.listening.results.config import ListenResultsConfig
from toccata.listening.results.models import agreement_with_models, heard_score
from toccata.listening.results.results import listen_results
from toccata.listening.results.strengths import piece_strengths
from toccata.reward_models.preferences import read_preferences

PIECES = [("agent", False)] * 6 + [("folk [red]", True)] * 6


@pytest.fixture
def busy(database):
    """A database in which later pieces are preferred, and liked more."""
    pairs = [(100 + i % 12, 100 + (i + 1 + i // 12 % 11) % 12) for i in range(132)]
    votes = [
        (f"l{i % 12:02d}", "better", first, second, None, "first" if first > second else "second")
        for i, (first, second) in enumerate(pairs)
    ]
    votes += [(f"l{i:02d}", "person", 100 + i % 6, 106 + i % 6, None, "second") for i in range(12)]
    plays = [(f"l{i:02d}", piece) for i in range(12) for piece in range(100, 112)]
    likes = [(name, piece) for name, piece in plays if piece - 100 > int(name[1:])]
    return database(PIECES, votes, plays, likes)


def quietly(config):
    """The results, and what was printed."""
    text = StringIO()
    return listen_results(config, Console(file=text, width=120)), text.getvalue()


def test_the_results_of_a_database_are_written(busy, tmp_path):
    config = ListenResultsConfig(busy, tmp_path / "out", models=("silence",), judges=False)
    found, printed = quietly(config)
    assert found == json.loads((tmp_path / "out/results.json").read_text())
    assert list(found["better"]["sources"]) == ["folk [red]", "agent"]
    assert found["person"]["right"]["share"] == 1
    assert found["radio"]["agent"]["plays"] == 72
    strengths = [row["strength"] for row in found["pieces"]]
    assert np.corrcoef(strengths, range(12))[0, 1] > 0.9
    report = (tmp_path / "out/report.md").read_text()
    assert "| folk [red] |" in report and "12 listeners; 0 left out" in report
    assert "folk [red]" in printed and "toccata fit-rating --data" in printed
    assert (tmp_path / "out/sources.png").read_bytes().startswith(b"\x89PNG")
    again, _ = quietly(replace(config, out=None))
    assert again == found


def test_the_data_are_what_a_rating_is_fitted_to(busy, tmp_path):
    quietly(ListenResultsConfig(busy, tmp_path / "out", models=(), judges=False))
    data = tmp_path / "out/data"
    table = read_preferences(data)
    survey = read_survey(busy, 0.25)
    assert len(table) == 12 and len(table.pairs) == len(survey.better) and not table.left_out
    assert sorted((p.plays, p.likes) for p in table.preferences) == sorted(zip(survey.plays, survey.likes, strict=True))
    with (data / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {int(row["listener"]) for row in rows} == set(range(12))
    text = (data / "pairs.csv").read_text() + (data / "manifest.csv").read_text()
    assert "folk" not in text and "l01" not in text and str(tmp_path) not in text
    lowest = [int(piece.load().notes["pitch"].min()) for piece in table.preferences]
    assert all((lowest[a] > lowest[b]) == (share == 1) for a, b, share in table.pairs)  # names were drawn, pieces kept


def test_models_are_compared_with_listeners(busy):
    survey = read_survey(busy, 0.25)
    strengths = piece_strengths(survey)
    values = {"same": np.arange(12.0), "opposite": -np.arange(12.0), "few": np.array([1.0] * 9 + [np.nan] * 3)}
    found = agreement_with_models(survey, strengths, values, 0)
    assert found["same"]["strength"]["correlation"] > 0.95
    assert found["opposite"]["like rate"]["correlation"] == pytest.approx(-1)
    assert found["few"]["strength"] == {"correlation": None, "low": None, "high": None, "pieces": 9}


def test_rewards_and_judges_are_asked_of_what_was_heard(busy):
    pieces = read_survey(busy, 0.25).pieces[:3]
    scores = [heard_score(piece) for piece in pieces[:2]]
    asked = models.scores_of_models(pieces, [*scores, None], ("density", "rating"), True)
    assert set(asked) == {"density", "rating", "judge/bits", "judge/rating", "judge/realism"}
    assert all(np.isfinite(values).tolist() == [True, True, False] for values in asked.values())


def test_of_a_long_piece_the_beginning_was_heard(busy, tmp_path):
    piece = read_survey(busy, 0.25).pieces[0]
    assert heard_score(piece).length_seconds == 8
    assert heard_score(replace(piece, seconds=3.0)).length_seconds == 3
    assert heard_score(replace(piece, file=tmp_path / "x.wav")) is None
    assert heard_score(replace(piece, file=tmp_path / "gone.mid")) is None


def test_lost_files_are_counted(database, tmp_path):
    path = database([("a", False), ("b", False)], [("l", "better", 100, 101, None, "first")], plays=[("l", 100)])
    (tmp_path / "00.mid").unlink()
    found, printed = quietly(ListenResultsConfig(path, tmp_path / "out", models=(), judges=False))
    assert found["left_out_of_data"] == 1 and found["unread"] == 1
    assert not (tmp_path / "out/data/pairs.csv").exists()
    assert "not in data/, as their files cannot be read: 1." in printed


def test_a_database_without_votes_gives_empty_tables(database, tmp_path):
    found, printed = quietly(ListenResultsConfig(database(PIECES), tmp_path / "out", models=(), judges=False))
    assert found["better"]["votes"] == 0 and found["agreement"]["alpha"] is None
    assert "0 listeners" in printed and not (tmp_path / "out/sources.png").exists()


def test_errors_of_the_command_are_one_line(busy, tmp_path, capsys):
    assert run_command("listen results", [str(tmp_path / "gone.sqlite")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/gone.sqlite: no such file; `toccata listen --db` writes it\n"
    assert run_command("listen results", [str(busy), "--out", str(tmp_path)]) == 1
    assert "exists already; choose another --out" in capsys.readouterr().err
    assert run_command("listen results", [str(busy), "--models", "ratting"]) == 1
    assert "did you mean 'rating'" in capsys.readouterr().err
    assert run_command("listen results", [str(busy), "--max-failed", "2"]) == 1
    assert "max_failed must be a number, at least 0 and at most 1, got 2" in capsys.readouterr().err
