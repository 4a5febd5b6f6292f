"""Splits of a corpus."""

import pytest

from toccata.music.corpus import Corpus, CorpusError, Work
from toccata.music.score import Score


def test_splits_are_complete_stable_and_keep_versions_together():
    works = tuple(Work(f"w{i}", "folk", Score(), group=f"group {i // 2}") for i in range(1000))
    corpus = Corpus("synthetic", works)
    train, valid, test = splits = [corpus.split(name) for name in ("train", "valid", "test")]
    assert sorted(work.id for split in splits for work in split) == sorted(work.id for work in works)
    assert 700 <= len(train) <= 900
    assert 50 <= len(valid) <= 200
    assert 50 <= len(test) <= 200
    groups = [{work.group for work in split} for split in splits]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    assert [work.id for work in Corpus("synthetic", works[::-1]).split("valid")][::-1] == [work.id for work in valid]
    with pytest.raises(CorpusError, match="did you mean valid"):
        corpus.split("valld")
