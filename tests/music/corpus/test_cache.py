"""The cache of parsed corpora."""

import pytest

import toccata.music.corpus.cache as cache_module
from toccata.music.corpus import load_corpus
from toccata.music.corpus.parsing import parse_all


@pytest.mark.filterwarnings("ignore::toccata.music.corpus.works.CorpusWarning")
def test_second_load_parses_nothing_until_a_file_changes(root, monkeypatch, tune):
    first = load_corpus(root)
    parsed = []
    monkeypatch.setattr(cache_module, "parse_all", lambda jobs, title: parsed.extend(jobs) or parse_all(jobs, title))
    assert load_corpus(str(root)) == first
    assert not parsed
    tune(30).to_midi(root / "jazz/new.mid")
    assert len(load_corpus(root)) == 5
    assert len(parsed) == 7


@pytest.mark.filterwarnings("ignore::toccata.music.corpus.works.CorpusWarning")
@pytest.mark.parametrize("damage", [b"", b"junk", b"PK\3\4 junk"])
def test_a_damaged_cache_is_replaced(root, cache, damage):
    first = load_corpus(root)
    (file,) = cache.iterdir()
    file.write_bytes(damage)
    assert load_corpus(root) == first
