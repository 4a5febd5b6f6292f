from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from toccata.agents.rivals.composer import Composer, RivalError
from toccata.agents.rivals.dreaming import piano_dream
from toccata.agents.rivals.dreaming.piano_dream import PianoDream, load, load_with_realism, texture_distance
from toccata.agents.rivals.registry import Request
from toccata.envs.excerpts import as_piece
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Pieces

BOTH = pytest.mark.parametrize("loader", [load, load_with_realism])


@BOTH
def test_composes_what_the_piano_can_play(
    loader: Callable[[Request], PianoDream], monkeypatch: pytest.MonkeyPatch, corpus_folder: Path
) -> None:
    monkeypatch.setattr(piano_dream, "CORPORA", {"folk": corpus_folder})
    monkeypatch.setattr(piano_dream, "STEPS", 2)
    monkeypatch.setattr(piano_dream, "GROUP", 2)
    monkeypatch.setattr(piano_dream, "REAL_EXCERPTS", 4)
    composer = loader(Request(bars=2, beats_per_bar=4, tempo_bpm=90))
    assert isinstance(composer, Composer)
    shares: list[float] = []
    genre = "folk" if composer.with_realism else None
    scores = composer.compose(3, seed=1, genre=genre, on_progress=shares.append)
    assert [(score.length_ticks, score.beats_per_bar, score.tempo_bpm) for score in scores] == [(192, 4, 90)] * 3
    assert len(set(scores)) == 3
    assert scores == composer.compose(3, seed=1, genre=genre)
    assert scores != composer.compose(3, seed=2, genre=genre)
    for score in scores:
        assert len(score)
        _, report = as_piece(score, Piano(), 4, 90, None)
        assert report.dropped == 0
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_ascends_the_rating_of_what_it_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    composer = load(Request(bars=2))
    dreamt = composer.rating.score(Pieces(composer.compose(3))).mean()
    for name, value in (("STEPS", 1), ("LEARNING_RATE", 0.0), ("LAST_TEMPERATURE", 1.0)):
        monkeypatch.setattr(piano_dream, name, value)
    at_start = composer.rating.score(Pieces(composer.compose(3))).mean()
    assert dreamt > at_start + 0.2


def test_genres_are_those_of_the_embedded_music() -> None:
    assert load(Request(bars=1)).genres == ()
    assert load_with_realism(Request(bars=1)).genres == ("classical", "folk")
    with pytest.raises(RivalError, match="dream: composes without genres, got genre 'folk'"):
        load(Request(bars=1)).compose(1, genre="folk")
    with pytest.raises(RivalError, match="dream-realism: unknown genre 'jazz'"):
        load_with_realism(Request(bars=1)).compose(1, genre="jazz")


def test_pieces_without_a_cell_are_refused() -> None:
    with pytest.raises(RivalError, match="an eighth at least, got 6 ticks"):
        load(Request(bars=1, beats_per_bar=0.25))


def test_texture_of_real_music_is_at_no_distance() -> None:
    amounts = torch.zeros(3, 8, 48, 3)
    amounts[0, :, 30, 1] = 1  # a quarter in every eighth: two onsets a beat, two keys held
    amounts[1, :, :6, 0] = 1  # twelve onsets a beat
    np.testing.assert_allclose(texture_distance(amounts), [0, 12 - 5.2 + 6 - 3.98, 1.4 + 0.94], atol=1e-4)
