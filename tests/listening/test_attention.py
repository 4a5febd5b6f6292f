from pathlib import Path

import numpy as np
import pytest

from helpers.listening import tune, write_tunes
from toccata.listening.attention import attention_pairs, randomised
from toccata.listening.schema import ATTENTION_SOURCE
from toccata.listening.sources import find_pieces
from toccata.music.score import Score


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCCATA_CACHE", str(tmp_path / "cache"))


def test_random_notes_keep_durations_and_length() -> None:
    score = tune(1, bars=8)
    other = randomised(score, np.random.default_rng(0))
    assert other.length_ticks == score.length_ticks
    assert len(np.unique(other.notes["onset_tick"])) > 20
    assert len(other) > 0.8 * len(score), "few are at one place with another of their pitch"
    assert np.ptp(other.notes["pitch"]) > 40
    assert randomised(score, np.random.default_rng(0)) == other


def test_checks_are_of_music_by_people(tmp_path: Path) -> None:
    machine, people = write_tunes(tmp_path / "a", 3), write_tunes(tmp_path / "b", 3, seed=1)
    pieces, _ = find_pieces([str(machine)], [str(people)], 10, 0)
    pairs = attention_pairs(pieces, seed=0)
    assert len(pairs) == 3
    for right, wrong in pairs:
        assert right.by_person
        assert (wrong.source, wrong.by_person) == (ATTENTION_SOURCE, False)
        assert wrong.file.is_file()
        assert wrong.score is not None
        assert Score.from_midi(wrong.file) == wrong.score
    assert attention_pairs(pieces, seed=0) == pairs
    assert {wrong.digest for _, wrong in attention_pairs(pieces, seed=1)} != {wrong.digest for _, wrong in pairs}


def test_without_music_by_people_chorales_are_heard_in_checks_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toccata.listening import sources
    from toccata.music.corpus.works import Corpus, Work

    works = tuple(Work(f"bach/bwv{number}", "classical", tune(number)) for number in range(50, 60))
    monkeypatch.setattr(sources, "load_corpus", lambda name: Corpus(name, works))
    pieces, _ = find_pieces([str(write_tunes(tmp_path / "a", 2))], (), 10, 0)
    pairs = attention_pairs(pieces, seed=0)
    assert len(pairs) == 8
    assert {each.source for pair in pairs for each in pair} == {ATTENTION_SOURCE}
