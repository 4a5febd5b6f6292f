from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.pages import Page, check_page
from toccata._version import __version__
from toccata.agents.evaluation.comparison import summarise
from toccata.agents.evaluation.history import History
from toccata.agents.evaluation.report.page import Report, write_report
from toccata.agents.evaluation.report.pieces import FILES, MAX_EMBEDDED, MAX_EMBEDDED_BYTES
from toccata.agents.evaluation.report.provenance import BIBTEX, provenance
from toccata.music.metrics import METRICS
from toccata.music.score import Score
from toccata.music.sound.audio_files import write_wav
from toccata.reward_models import parse_rewards
from toccata.reward_models.judges.panel import JUDGEMENTS

COMPOSERS = ("agent", "reference", "random", "real")
EVIL = "</title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x00\udce9"
STEPS = [(0.0, 0.0), (100.0, 1.0), (200.0, 0.5)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of a silent piece, of one with two notes, and of one piece of each other composer."""
    silent, two = Score(length_ticks=192), Score([(0, 48, 60, 80), (48, 48, 64, 80)], length_ticks=192)
    stems = {"piece-000": silent, "piece-001": two, "reference": two, "random": silent, "real": two}
    for stem, score in stems.items():
        score.to_midi(tmp_path / f"{stem}.mid")
        write_wav(tmp_path / f"{stem}.wav", np.zeros(44_100), 44_100)
        score.to_musicxml(tmp_path / f"{stem}.musicxml")
    return tmp_path


def summary(composers: tuple[str, ...] = COMPOSERS, extra: str = "") -> dict[str, Any]:
    """The summary of three pieces of each composer, of random values."""
    rng = np.random.default_rng(0)
    metrics = [*METRICS, "diversity", "score/rating", "score/realism", "reward/total", "sibling_rating", *JUDGEMENTS]
    metrics += [extra] if extra else []
    values = {name: {metric: rng.normal(size=3) * 1e-3 for metric in metrics} for name in composers}
    return {
        **summarise(values, 0),
        "counts": {"real_works": 3},
        "kl": {"nats_per_piece": {"mean": 1.0, "low": 0.5, "high": 1.5, "values": [1.0]}},
        "vendi_score": dict.fromkeys(composers, 2.0),
    }


def written(folder: Path, report: Report) -> str:
    write_report(report, folder)
    return (folder / "report.html").read_text()


def test_a_page_holds_everything(folder: Path) -> None:
    history = History(
        "python train.py", {"reward/total": STEPS, "kl/coef": [(0.0, 1.0)], "music/polyphony": STEPS}, {"bars": 8}
    )
    matches = {"piece-001": "BWV 269"}
    found = provenance(parse_rewards([("silence", 1.0)]), "ab" * 32)
    text = written(folder, Report("run", history, summary(), 2, matches=matches, provenance=found, duration_seconds=61))
    page = check_page(text)
    assert len(page.all("audio")) == 5
    assert len(page.all("article")) == 5
    assert sorted(each["download"] for each in page.all("a")) == sorted(
        f"{stem}.{suffix}"
        for stem in ("piece-000", "piece-001", "reference", "random", "real")
        for suffix in ("mid", "mxl")
    )
    assert re.findall(r"<h2>([^<]+)</h2>", text) == [
        "Key results", "Pieces", "Measured", "How to read this table", "Training", "Provenance",
    ]  # fmt: skip
    for said in ("Nearest work of the corpus: BWV 269", "ab" * 32, "61 s", __version__, "python train.py", BIBTEX):
        assert said in page.text
    assert text.count("stroke-dasharray") == 2  # start and real of the polyphony
    assert len(text) < 400_000


def test_nothing_from_files_is_html(folder: Path) -> None:
    history = History(
        EVIL, {f"reward/{EVIL}": STEPS, f"music/{EVIL}": STEPS}, {EVIL: EVIL, "corpus": [EVIL, [EVIL, 1]]}
    )
    report = Report(
        EVIL, history, summary(extra=EVIL), 2, captions={"piece-000": EVIL}, left_out=(EVIL,) * 201, reference=EVIL,
        settings=EVIL, remarks=[EVIL], matches={"piece-001": EVIL}, provenance={EVIL: EVIL},
    )  # fmt: skip
    page = check_page(written(folder, report))
    assert page.all("img") == []
    assert "and 1 more" in page.text
    assert "\x00" not in page.text


def test_the_policy_allows_the_script_of_the_page_only(folder: Path) -> None:
    page = Page(written(folder, Report("run", History(), summary(), 2)))
    policy = next(each["content"] for each in page.all("meta") if "http-equiv" in each)
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='", policy)


def test_many_pieces_are_links(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toccata.agents.evaluation.report.pieces.MAX_LISTED", 10)
    count = MAX_EMBEDDED + 110
    text = written(folder, Report("run", History(), summary(), count, captions={f"piece-{MAX_EMBEDDED:03d}": "a.mid"}))
    stems = [f"piece-{number:03d}" for number in range(MAX_EMBEDDED, count)]
    page = check_page(text, tuple(stem + suffix for stem in stems for suffix in FILES))
    assert len([each for each in page.all("a") if each["href"].endswith(".wav")]) == 10
    assert "110 more pieces" in page.text
    assert "And 100 more in the folder" in page.text
    assert "a.mid" in page.text
    assert len(page.all("article")) == MAX_EMBEDDED + 3


def test_long_pieces_are_shown_in_part(tmp_path: Path) -> None:
    score = Score([(24 * beat, 24, 60, 80) for beat in range(400)])  # 100 bars at 120 bpm: 200 s
    score.to_midi(tmp_path / "piece-000.mid")
    text = written(tmp_path, Report("run", History(), summary(("agent", "random", "real")), 1))
    assert "Of longer pieces the first 120 seconds" in text
    assert 'data-end="120.000"' in text
    assert (tmp_path / "piece-000.mid").stat().st_size < MAX_EMBEDDED_BYTES


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"MThd")])
def test_missing_and_damaged_files_are_left_out(folder: Path, damage: Callable[[Path], Any]) -> None:
    damage(folder / "piece-000.mid")
    page = check_page(written(folder, Report("run", History(), summary(), 2)))
    assert len(page.all("article")) == 5
    for path in folder.glob("piece-001.*"):
        path.unlink()
    check_page(written(folder, Report("run", History(), summary(), 2)))
    empty = folder / "empty"
    empty.mkdir()
    check_page(written(empty, Report("run", History(), summary(("agent", "random", "real")), 2)))


def test_without_verovio_the_page_says_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toccata.agents.evaluation.report.pieces.has_verovio", lambda: False)
    text = written(folder, Report("run", History(), summary(), 2))
    page = check_page(text)
    assert 'pip install "toccata[report]"' in page.text
    assert 'class="notation' not in text


def test_the_citation_is_that_of_the_repository(repository: Path) -> None:
    citation = (repository / "CITATION.cff").read_text()
    for name in ("title", "version", "license"):
        said = re.search(rf'^{name}: "?([^"\n]+)"?$', citation, re.MULTILINE)
        assert said and f"{{{said[1]}}}" in BIBTEX, name
    assert re.search(r"- name: (.+)", citation)[1] in BIBTEX  # type: ignore[index]  # it has an author


def test_provenance_names_no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "secret-host")
    found = provenance()
    assert {"date", "machine", "python", "toccata", "torch"} <= found.keys()
    assert "secret-host" not in str(found)
    assert str(Path.home()) not in str(found)
