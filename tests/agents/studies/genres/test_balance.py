"""Genres in equal sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from toccata.agents.rivals.composer import RivalError
from toccata.agents.studies.genres.balance import balanced, cut_to, write_corpus
from toccata.music.corpus import Corpus, load_corpus
from toccata.music.score import Score


def test_as_many_works_and_about_as_many_notes(two_genres: Path):
    works = balanced(load_corpus(two_genres), (), 0)
    assert list(works) == ["classical", "folk"]
    for split, count in (("train", 8), ("valid", 3), ("test", 4)):
        sizes = {genre: [len(work.score) for work in works[genre][split]] for genre in works}
        assert {len(each) for each in sizes.values()} == {count}
        notes = [sum(each) for each in sizes.values()]
        assert max(notes) - min(notes) <= 16 * count  # two bars of quavers each


def test_what_is_written_is_read_back(two_genres: Path, tmp_path: Path):
    works = balanced(load_corpus(two_genres), ("folk", "classical"), 0)
    write_corpus(works, tmp_path / "music")
    corpus = load_corpus([tmp_path / "music" / genre for genre in works])
    for genre, by_split in works.items():
        for split, own in by_split.items():
            assert [work.score for work in corpus.genre(genre).split(split)] == [work.score for work in own]


def test_cuts_are_at_bar_lines():
    score = Score([(24 * i, 24, 60, 80) for i in range(32)])
    assert cut_to(score, 100) == score
    assert cut_to(score, 13).length_ticks == 3 * 96
    assert cut_to(score, 1).length_ticks == 2 * 96  # an excerpt needs more than one bar


def test_bad_input_is_one_line(two_genres: Path):
    corpus = load_corpus(two_genres)
    with pytest.raises(RivalError, match="unknown genre 'jaz'"):
        balanced(corpus, ("classical", "jaz"), 0)
    with pytest.raises(RivalError, match="has one genre, folk; a study compares two"):
        balanced(corpus.genre("folk"), (), 0)
    few = tuple(work for work in corpus if work.genre == "folk" or work.given_split != "test")
    with pytest.raises(RivalError, match=r"genre classical has 0 works in 4/4 or 2/4 in split test.* at least 4"):
        balanced(Corpus("few", few), (), 0)
