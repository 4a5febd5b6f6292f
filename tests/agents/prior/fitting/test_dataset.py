from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.tunes import actions_of, toy_corpus, tune
from toccata.agents.prior.fitting.dataset import PASSAGES_PER_WORK, PassageDataset, as_played
from toccata.envs.codec import encode, play
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import Score

BEATS = {"a4": 4.0, "b3": 3.0, "c7": 3.5, "d9": 4.5}  # beats in a bar, by work


@pytest.fixture(scope="module")
def dataset() -> PassageDataset:
    genres = ("classical", "folk", "jazz", "folk")
    works = [
        (name, genre, tune(20, beats, seed=i))
        for i, ((name, beats), genre) in enumerate(zip(BEATS.items(), genres, strict=True))
    ]
    return PassageDataset(toy_corpus(*works))


@pytest.fixture(scope="module")
def sample(dataset: PassageDataset) -> list[Piece]:
    return dataset.sample(300, np.random.default_rng(0))


def test_passages_are_bars_of_their_works(dataset: PassageDataset) -> None:
    """In their own metre and tempo, from a bar line with an onset."""
    for piece in dataset.sample(20, np.random.default_rng(1), transpose=False):
        (work,) = (work for work in dataset.works if work.score.beats_per_bar == piece.score.beats_per_bar)
        bar = work.score.ticks_per_bar
        slices = [work.score.slice(i * bar, i * bar + piece.score.length_ticks) for i in range(work.score.bars)]
        assert piece.score in [encode(one)[1].score for one in slices]
        assert piece.genre == work.genre
        assert piece.score.tempo_bpm == 90
        assert piece.score.notes["onset_tick"][0] == 0


def test_actions_play_the_score(sample: list[Piece]) -> None:
    for piece in sample[:60]:
        played = play(actions_of(piece), beats_per_bar=piece.score.beats_per_bar)
        assert (played.notes[["onset_tick", "duration_ticks", "pitch"]].tolist()) == (
            piece.score.notes[["onset_tick", "duration_ticks", "pitch"]].tolist()
        )
        assert played.length_ticks == piece.score.length_ticks


def test_half_have_the_default_length_and_the_others_every_length(sample: list[Piece]) -> None:
    lengths = Counter(piece.score.bars for piece in sample)
    assert 0.4 < lengths[8] / len(sample) < 0.65
    assert min(lengths) >= 1
    assert set(lengths) >= {4, 5, 6, 10, 12, 16, 20}


def test_many_passages_begin_or_end_their_works() -> None:
    """Each bar of this work has its own pitch, which gives the place of a passage."""
    work = Score([(96 * i, 96, 40 + i, 80) for i in range(40)])
    pieces = PassageDataset(toy_corpus(("a", "folk", work))).sample(400, np.random.default_rng(0), transpose=False)
    first = np.array([piece.score.notes["pitch"][0] - 40 for piece in pieces])
    last = np.array([piece.score.notes["pitch"][-1] - 40 for piece in pieces])
    assert 0.2 < (first == 0).mean() < 0.45
    assert 0.2 < (last == 39).mean() < 0.45
    assert set(first.tolist()) >= set(range(1, 20)), "and the others begin anywhere"


def test_passages_are_transposed_to_every_key_within_the_keyboard() -> None:
    edges = toy_corpus(("a", "folk", tune(8, low=23 + 12)), ("b", "jazz", tune(8, low=92)))  # from key 23, to key 104
    pieces = PassageDataset(edges).sample(400, np.random.default_rng(0))
    shifts: dict[str | None, set[int]] = {"folk": set(), "jazz": set()}
    for piece in pieces:
        bass = int(piece.score.notes["pitch"].min())
        shifts[piece.genre].add(bass - (23 if piece.genre == "folk" else 80))
        assert piece.score.notes["pitch"].min() >= 21
        assert piece.score.notes["pitch"].max() <= 108
    assert shifts["folk"] == set(range(-2, 7))
    assert shifts["jazz"] == set(range(-6, 5))


def test_no_passage_begins_with_silence() -> None:
    work = tune(20, silent_starts=(0, 3, 4, 9, 17))
    pieces = PassageDataset(toy_corpus(("a", "folk", work)), bars=2).sample(200, np.random.default_rng(0))
    assert all(piece.score.notes["onset_tick"][0] == 0 for piece in pieces)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(20, 200), st.integers(0, 5))
def test_passages_have_at_most_max_steps_unless_they_are_one_bar(
    work_bars: int, bars: int, max_steps: int, seed: int
) -> None:
    corpus = toy_corpus(("a", "folk", tune(work_bars, seed=seed)))
    dataset = PassageDataset(corpus, bars=bars, max_steps=max_steps)
    for piece in [*dataset.sample(20, np.random.default_rng(seed)), *dataset.first_passages()]:
        assert len(actions_of(piece)) <= max_steps or piece.score.bars == 1
        assert piece.score.length_ticks % 96 == 0


def test_a_short_work_is_one_passage() -> None:
    score = tune(3, beats_per_bar=3)
    dataset = PassageDataset(toy_corpus(("a", "folk", score)))
    for piece in dataset.sample(20, np.random.default_rng(0), transpose=False):
        assert piece.score == encode(score)[1].score


def test_an_incomplete_last_bar_is_filled() -> None:
    score = Score([(0, 24, 60, 80), (96, 24, 62, 80)], length_ticks=120)
    (piece,) = PassageDataset(toy_corpus(("a", "folk", score))).first_passages()
    assert piece.score.length_ticks == 192
    values = np.array(Piano().values)
    actions = actions_of(piece)
    assert values[actions[actions[:, 0] == 0, 1]].sum() == 192


def test_small_genres_are_oversampled() -> None:
    """Sixteen times the notes are sampled four times as often."""
    many = [(f"f{i}", "folk", tune(4, seed=i)) for i in range(16)]
    dataset = PassageDataset(toy_corpus(*many, ("j", "jazz", tune(4, seed=99))))
    pieces = dataset.sample(1000, np.random.default_rng(0))
    assert np.mean([piece.genre == "jazz" for piece in pieces]) == pytest.approx(0.2, abs=0.04)


def test_one_seed_gives_one_sample(dataset: PassageDataset, sample: list[Piece]) -> None:
    again = dataset.sample(300, np.random.default_rng(0))
    assert [piece.score for piece in again] == [piece.score for piece in sample]
    assert [piece.score for piece in dataset.sample(300, np.random.default_rng(1))] != [p.score for p in sample]


def test_first_passages_are_in_order(dataset: PassageDataset) -> None:
    pieces = dataset.first_passages()
    assert [(p.score.beats_per_bar, p.score.bars) for p in pieces] == [
        (beats, bars) for beats in BEATS.values() for bars in (8, 8, 4)
    ]
    first = dataset.works[0].score
    assert pieces[1].score == encode(first.slice(8 * 96, 16 * 96))[1].score
    assert [p.score for p in dataset.first_passages()] == [p.score for p in pieces]
    long = PassageDataset(toy_corpus(("a", "folk", tune(100)))).first_passages()
    assert [piece.score.bars for piece in long] == [8] * PASSAGES_PER_WORK


def test_invalid_arguments_are_errors() -> None:
    with pytest.raises(ValueError, match="mine/x: its genre 'polka' must be one of classical, folk"):
        PassageDataset(toy_corpus(("a", "folk", tune(2)), ("mine/x", "polka", tune(2))))
    with pytest.raises(ValueError, match="none of the 1 works of corpus toy"):
        PassageDataset(toy_corpus(("a", "folk", Score(length_ticks=960))))
    drums = Score([(24 * beat, 24, 12, 80) for beat in range(8)], length_ticks=192)
    with pytest.raises(ValueError, match="none of the 1 works of corpus toy has notes on the keyboard"):
        PassageDataset(toy_corpus(("drums", "rock", drums)))
    both = PassageDataset(toy_corpus(("a", "folk", tune(2)), ("drums", "rock", drums)))
    assert [work.id for work in both.works] == ["a"]
    with pytest.raises(ValueError, match="at least 1, got 0 and 512"):
        PassageDataset(toy_corpus(("a", "folk", tune(2))), bars=0)


def test_works_whose_bar_is_no_multiple_of_the_shortest_value_are_left_out() -> None:
    coarse = Piano(values=(24, 48))
    corpus = toy_corpus(("a", "folk", tune(2)), ("b", "folk", tune(2, beats_per_bar=3.5)))
    assert [work.id for work in PassageDataset(corpus, piano=coarse).works] == ["a"]


def test_works_as_played_are_computed_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOCCATA_CACHE", str(tmp_path))
    corpus = toy_corpus(("a", "folk", tune(20)), ("b", "jazz", tune(9, 3, seed=1)))
    played = as_played(corpus)
    assert played == {work.id: encode(work.score)[1].score for work in corpus}
    assert len(list(tmp_path.iterdir())) == 1
    samples = [PassageDataset(corpus, played=given).sample(20, np.random.default_rng(0)) for given in (None, played)]
    assert [piece.score for piece in samples[0]] == [piece.score for piece in samples[1]]
    with monkeypatch.context() as patch:
        patch.setattr("toccata.agents.prior.fitting.dataset.encode", None)  # is not called again
        assert as_played(corpus) == played
    as_played(toy_corpus(("a", "folk", tune(20, seed=5))))
    as_played(corpus, Piano(highest=96))
    assert len(list(tmp_path.iterdir())) == 3, "one for each corpus and piano"
