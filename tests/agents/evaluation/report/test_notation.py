from __future__ import annotations

import re
from pathlib import Path

import pytest

from helpers.pages import Page
from toccata.agents.evaluation.report.notation import Engraver, packed_musicxml
from toccata.music.musicxml import read_musicxml
from toccata.music.score import Score

TUNE = Score([(24 * beat, 24, 60 + beat % 5, 80) for beat in range(16)] + [(96 * bar, 96, 43, 80) for bar in range(4)])


@pytest.fixture(scope="module")
def tune(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("tune") / "tune.musicxml"
    TUNE.to_musicxml(path)
    return path.read_bytes()


@pytest.fixture
def engraver() -> Engraver:
    pytest.importorskip("verovio")
    return Engraver()


def test_first_bars_are_engraved(engraver: Engraver, tune: bytes) -> None:
    svg, bars = engraver.engrave(tune, 4)
    assert bars == 4
    page = Page(svg + engraver.definitions())
    used = [attributes["href"][1:] for tag, attributes in page.elements if tag == "use"]
    assert len(used) >= 20  # 16 notes and 4, clefs and metre
    assert set(used) <= set(page.ids)
    assert set(page.ids) == set(engraver.glyphs)
    assert not {"style", "script", "title", "desc", "image", "a"} & {tag for tag, _ in page.elements}
    assert not re.search(r'(?:fill|stroke|color)="(?:black|#000)', svg)
    assert 'class="' not in svg
    assert len(engraver.engrave(tune, 1)[0]) < len(svg)


def test_glyphs_are_shared_by_pieces(engraver: Engraver, tune: bytes) -> None:
    one, _ = engraver.engrave(tune, 4)
    glyphs = dict(engraver.glyphs)
    assert engraver.engrave(tune, 4)[0] == one
    assert engraver.glyphs == glyphs


def test_dense_music_has_fewer_bars(engraver: Engraver, tmp_path: Path) -> None:
    Score([(tick, 3, 60 + tick % 7, 80) for tick in range(0, 384, 3)]).to_musicxml(tmp_path / "dense.musicxml")
    svg, bars = engraver.engrave((tmp_path / "dense.musicxml").read_bytes(), 4)
    assert bars < 4
    assert "<svg" in svg


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"<score-partwise/>", b"<a><b></a>", b"[]", b"*" * 1000])
def test_what_is_no_musicxml_is_not_engraved(engraver: Engraver, data: bytes) -> None:
    svg, bars = engraver.engrave(data, 4)
    Page(svg + engraver.definitions())
    assert not svg or bars


def test_silence_is_engraved(engraver: Engraver, tmp_path: Path) -> None:
    Score(length_ticks=192).to_musicxml(tmp_path / "rest.musicxml")
    assert engraver.engrave((tmp_path / "rest.musicxml").read_bytes(), 4)[1] >= 1


def test_names_in_a_file_do_not_reach_the_page(engraver: Engraver, tune: bytes) -> None:
    hostile = tune.replace(b"Toccata", b"&lt;script&gt;alert(1)&lt;/script&gt;")
    hostile = hostile.replace(b"<part-name", b"<part-name>&lt;img src=x onerror=1&gt;</part-name><part-abbreviation", 1)
    svg, _ = engraver.engrave(hostile, 4)
    page = Page(svg)
    assert not {"script", "img"} & {tag for tag, _ in page.elements}


def test_a_packed_file_is_the_same_music(tune: bytes, tmp_path: Path) -> None:
    (tmp_path / "tune.mxl").write_bytes(packed_musicxml(tune))
    assert read_musicxml(tmp_path / "tune.mxl").notes.tolist() == TUNE.notes.tolist()
    assert packed_musicxml(tune) == packed_musicxml(tune)
    assert len(packed_musicxml(tune)) < len(tune) / 3
