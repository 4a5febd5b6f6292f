"""The cache of parsed corpora."""

import json
import shutil
import zipfile
from io import BytesIO

import numpy as np
import pytest

import toccata.music.corpus.cache as cache_module
from toccata.music.corpus import Corpus, CorpusWarning, load_corpus, loading
from toccata.music.corpus.parsing import parse_all
from toccata.music.score import NOTE_DTYPE


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


def arrays_of(file):
    with np.load(file) as arrays:
        return dict(arrays), json.loads(arrays["about"].tobytes())


def write_npz(file, arrays, about):
    buffer = BytesIO()
    np.savez(buffer, **{**arrays, "about": np.frombuffer(json.dumps(about).encode(), np.uint8)})
    file.write_bytes(buffer.getvalue())


def change_note(name, value):
    def change(arrays, about):
        arrays["notes"][name][0] = value

    return change


def change_work(index, value):
    def change(arrays, about):
        about["works"][0][index] = value

    return change


def change_field(index, value):
    def change(arrays, about):
        about["works"][0][7][index] = value

    return change


DAMAGES = {
    "no notes": lambda arrays, about: arrays.pop("notes"),
    "notes of another type": lambda arrays, about: arrays.update(notes=arrays["notes"]["pitch"]),
    "big-endian notes": lambda arrays, about: arrays.update(notes=arrays["notes"].astype(NOTE_DTYPE.newbyteorder())),
    "notes in two dimensions": lambda arrays, about: arrays.update(notes=arrays["notes"][None]),
    "a note less": lambda arrays, about: arrays.update(notes=arrays["notes"][:-1]),
    "a note more": lambda arrays, about: arrays.update(notes=np.concatenate([arrays["notes"], arrays["notes"][:1]])),
    "notes out of order": lambda arrays, about: arrays.update(notes=arrays["notes"][::-1].copy()),
    "pitch": change_note("pitch", 200),
    "duration": change_note("duration_ticks", 0),
    "onset": change_note("onset_tick", -4),
    "count": change_work(6, 3),
    "negative count": change_work(6, -4),
    "count of another type": change_work(6, "4"),
    "name": change_work(0, None),
    "group": change_work(4, 7),
    "split": change_work(5, 7),
    "grid": change_field(0, True),
    "tempo": change_field(2, float("nan")),
    "infinite tempo": change_field(2, float("inf")),
    "metre": change_field(1, [4]),
    "length": change_field(3, -1.5),
    "works of another type": lambda arrays, about: about.update(works="all"),
    "a work too short": lambda arrays, about: about["works"][0].pop(),
    "failures of another type": lambda arrays, about: about.update(failures=[1]),
    "no failures": lambda arrays, about: about.pop("failures"),
}


@pytest.mark.filterwarnings("ignore::toccata.music.corpus.works.CorpusWarning")
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_cache_with_wrong_content_is_made_anew(root, cache, damage):
    first = load_corpus(root)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    arrays, about = arrays_of(file)
    damage(arrays, about)
    write_npz(file, arrays, about)
    assert load_corpus(root) == first
    assert file.read_bytes() == whole


@pytest.mark.filterwarnings("ignore::toccata.music.corpus.works.CorpusWarning")
def test_a_cache_that_unpacks_to_gigabytes_or_is_nested_is_made_anew(root, cache):
    first = load_corpus(root)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    for about in (b"[" * 10**5, b"\xff", b"[]", b"{}", b"1"):
        np.savez(file, notes=np.empty(0, NOTE_DTYPE), about=np.frombuffer(about, np.uint8))
        assert load_corpus(root) == first
        assert file.read_bytes() == whole
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("notes.npy", bytes(2**20))
    assert load_corpus(root) == first
    assert file.read_bytes() == whole
    file.unlink()
    file.mkdir()
    with pytest.warns(CorpusWarning, match="the corpus is not cached"):
        assert load_corpus(root) == first
    shutil.rmtree(file)


@pytest.mark.filterwarnings("ignore::toccata.music.corpus.works.CorpusWarning")
def test_a_cache_with_random_damage_gives_the_same_music(root, cache):
    first, rng = load_corpus(root), np.random.default_rng(0)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    for _ in range(40):
        damaged = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for at in rng.integers(len(damaged), size=3):
            damaged[at] ^= int(rng.integers(256))
        file.write_bytes(damaged)
        assert load_corpus(root) == first


def test_the_key_of_a_named_corpus_has_its_name(monkeypatch):
    keys = []
    monkeypatch.setattr(loading, "load_or_parse", lambda name, key, works: keys.append(key) or Corpus(name, ()))
    load_corpus("folk")
    assert len(set(keys)) == 3
