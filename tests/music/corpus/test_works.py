"""Splits of a corpus."""

import hashlib
from dataclasses import replace

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


def test_a_given_split_is_that_of_all_versions_and_leaves_others_alone():
    plain = tuple(Work(f"w{i}", "folk", Score(), group=f"group {i // 2}") for i in range(40))
    given = {"w0": "valid", "w3": "test", "w4": "train", "w5": "test", "w6": "train", "w7": "valid"}
    works = tuple(replace(work, given_split=given.get(work.id, "")) for work in plain)
    before, after = (
        {work.id: name for name in ("train", "valid", "test") for work in Corpus("c", each).split(name)}
        for each in (plain, works)
    )
    expected = {"w0": "valid", "w1": "valid", "w2": "test", "w3": "test", "w4": "test", "w5": "test"}
    assert after == {**before, **expected, "w6": "valid", "w7": "valid"}


def test_the_split_of_plain_names_is_that_of_their_utf_8_and_any_bytes_have_one():
    groups = ["title:für elise", "file:a.mid", "file:caf\udce9.mid", "half a character \ud800"]
    works = tuple(Work(group, "folk", Score(), group=group) for group in groups)
    splits = {name: {work.id for work in Corpus("c", works).split(name)} for name in ("train", "valid", "test")}
    assert set.union(*splits.values()) == set(groups)
    assert sum(map(len, splits.values())) == 4
    tenths = [int(hashlib.sha256(f"group {group}".encode()).hexdigest()[:8], 16) % 10 for group in groups[:2]]
    expected = ["train" if tenth < 8 else {8: "valid", 9: "test"}[tenth] for tenth in tenths]
    assert [next(name for name in splits if group in splits[name]) for group in groups[:2]] == expected
