import subprocess
import sys

import pytest

import toccata.music.corpus.cache as cache_module
from toccata.music.corpus import Corpus, CorpusError, CorpusWarning, Work, load_corpus, loading
from toccata.music.corpus.parsing import parse_all
from toccata.music.corpus.versions import melody_fingerprint, version_groups
from toccata.music.score import Score


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TOCCATA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def tune(first=60, count=4, step=1):
    return Score([(24 * index, 24, first + step * (index * index % 11), 80) for index in range(count)])


@pytest.fixture
def root(tmp_path):
    """A folder of two genres, four good files, two broken ones and one to be overlooked."""
    root = tmp_path / "mine"
    for folder in ("jazz/solo", "rock", "jazz/.trash"):
        (root / folder).mkdir(parents=True)
    tune(50).to_midi(root / "jazz/one.mid")
    tune(60).to_midi(root / "jazz/solo/two.MID")
    tune(70).to_midi(root / "rock/three.midi")
    tune(71).to_musicxml(root / "rock/four.musicxml")
    tune(40).to_midi(root / "jazz/.trash/old.mid")
    (root / "rock/broken.mid").write_bytes(b"not music")
    Score().to_midi(root / "rock/silent.mid")
    (root / "rock/readme.txt").write_text("no piece")
    return root


def table(root, text, **scores):
    (root / "midi").mkdir(parents=True)
    for name, score in scores.items():
        score.to_midi(root / "midi" / f"{name}.mid")
    (root / "metadata.csv").write_text(text)
    return root


def test_folder_of_genres(root):
    with pytest.warns(CorpusWarning, match=r"2 of 6 files .*broken\.mid.*silent\.mid: has no notes"):
        corpus = load_corpus(root)
    assert [(work.id, work.genre) for work in corpus] == [
        ("mine/jazz/one.mid", "jazz"),
        ("mine/jazz/solo/two.MID", "jazz"),
        ("mine/rock/four.musicxml", "rock"),
        ("mine/rock/three.midi", "rock"),
    ]
    assert corpus.scores[0] == tune(50)
    assert corpus.genres == ("jazz", "rock")
    assert len(corpus.failures) == 2
    assert [work.title for work in corpus.genre("rock")] == ["four", "three"]
    with pytest.raises(
        CorpusError, match=r"unknown genre 'rok' in corpus mine; known are jazz, rock; did you mean rock\?"
    ):
        corpus.genre("rok")


@pytest.mark.filterwarnings("ignore::toccata.music.corpus.works.CorpusWarning")
def test_second_load_parses_nothing_until_a_file_changes(root, monkeypatch):
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
def test_damaged_cache_is_made_anew(root, cache, damage):
    first = load_corpus(root)
    (file,) = cache.iterdir()
    file.write_bytes(damage)
    assert load_corpus(root) == first


def test_one_genre_for_a_whole_folder(root):
    (root / "rock/broken.mid").unlink()
    (root / "rock/silent.mid").unlink()
    tune(80).to_midi(root / "loose.mid")
    with pytest.warns(CorpusWarning, match=r"loose\.mid: lies in no genre's folder"):
        assert len(load_corpus(root)) == 4
    assert load_corpus(root, genre="pop").genres == ("pop",)
    assert len(load_corpus(root, genre="pop")) == 5


def test_table(tmp_path):
    text = (
        "file,genre,title,composer,licence\n"
        'b.mid,jazz,"Solace, a Serenade",Joplin,CC BY 4.0\n'
        "a.mid,classical,Für Elise,Beethoven,Public Domain\n"
        "missing.mid,jazz,,,\n"
        "c.mid,,,,\n"
    )
    table(tmp_path / "lib", text, a=tune(50), b=tune(60), c=tune(70))
    with pytest.warns(CorpusWarning, match=r"2 of 4 files"):
        corpus = load_corpus(tmp_path / "lib")
    assert [(work.id, work.genre, work.title, work.licence) for work in corpus] == [
        ("lib/a.mid", "classical", "Für Elise", "Public Domain"),
        ("lib/b.mid", "jazz", "Solace, a Serenade", "CC BY 4.0"),
    ]
    assert "c.mid: has no genre" in corpus.failures[0]
    assert "missing.mid" in corpus.failures[1]


def test_table_without_genres(tmp_path):
    root = table(tmp_path / "lib", "file,title\na.mid,A\n", a=tune())
    with pytest.raises(CorpusError, match=r"metadata\.csv: has no column genre, only file, title"):
        load_corpus(root)
    assert load_corpus(root, genre="classical").genres == ("classical",)


@pytest.mark.parametrize("text", ["", "file,genre\n", "title\nx\n", "file,genre\nx.txt,jazz\n", "\0"])
def test_useless_table_is_one_clear_error(tmp_path, text):
    with pytest.raises(CorpusError, match="lib"):
        load_corpus(table(tmp_path / "lib", text))


def test_empty_folder_and_folder_of_broken_files(tmp_path):
    with pytest.raises(CorpusError, match="has no MIDI or MusicXML file"):
        load_corpus(tmp_path)
    (tmp_path / "jazz").mkdir()
    (tmp_path / "jazz/a.mid").write_bytes(b"")
    with pytest.raises(CorpusError, match=r"none of its 1 files can be read; .*a\.mid: ends too early"):
        load_corpus(tmp_path)


def test_unknown_name_suggests_the_nearest(tmp_path):
    with pytest.raises(CorpusError, match=r"unknown corpus 'bahc'.*aird, bach, .*; did you mean bach\?"):
        load_corpus("bahc")
    with pytest.raises(CorpusError, match="no corpus given"):
        load_corpus([])


def test_split_is_whole_stable_and_keeps_versions_together():
    works = tuple(Work(f"w{i}", "folk", Score(), group=f"group {i // 2}") for i in range(1000))
    corpus = Corpus("made", works)
    parts = [corpus.split(part) for part in ("train", "valid", "test")]
    assert sorted(work.id for part in parts for work in part) == sorted(work.id for work in works)
    assert [0.7, 0.05, 0.05] <= [len(part) / 1000 for part in parts] <= [0.9, 0.2, 0.2]
    groups = [{work.group for work in part} for part in parts]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    assert [work.id for work in Corpus("made", works[::-1]).split("valid")][::-1] == [work.id for work in parts[1]]
    with pytest.raises(CorpusError, match="did you mean valid"):
        corpus.split("valld")


def test_versions_share_a_group_by_name_or_melody():
    melody = tune(60, 20)
    slower = Score([(2 * onset, 2 * duration, pitch, 1) for onset, duration, pitch, _ in melody.notes.tolist()])
    with_bass = Score([*melody.notes.tolist(), *[(12 * i, 12, 40, 80) for i in range(40)]])
    others = [melody.transpose(5), slower, with_bass, tune(60, 20, step=2), tune(60, 11)]
    names = ["a", "b", "c", "d", "e", "f"]
    assert version_groups(names, [melody, *others]) == ["a", "a", "a", "a", "e", "f"]
    assert version_groups(["a", "b", "b"], [melody, tune(60, 20, step=2), slower]) == ["a", "a", "a"]
    assert melody_fingerprint(Score()) == ""


def test_many_files_are_parsed_in_processes_without_a_main_guard(tmp_path):
    (tmp_path / "many/rock").mkdir(parents=True)
    for index in range(34):
        tune(30 + index).to_midi(tmp_path / f"many/rock/{index:02}.mid")
    (tmp_path / "many/rock/03.mid").write_bytes(b"junk")
    code = f"from toccata.music.corpus import load_corpus; print(len(load_corpus({str(tmp_path / 'many')!r})))"
    run = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, check=True)
    assert run.stdout == "33\n"
    with pytest.warns(CorpusWarning, match=r"1 of 34 files .*03\.mid"):
        corpus = load_corpus(tmp_path / "many")
    assert list(corpus.scores) == [tune(30 + index) for index in range(34) if index != 3]


ABC = "X:1\nT:The {0}\nM:3/4\nL:1/8\nQ:1/4=90\nK:G\nD2|G4B2|A4c2|B4d2|{1}6|\n"


def test_tunes_of_a_collection(tmp_path, monkeypatch):
    folder = tmp_path / "music21/corpus/airdsAirs"
    folder.mkdir(parents=True)
    book = "% a book\n\n" + ABC.format("Wren", "G") + "\n" + ABC.format("Lark", "F") + "\nX:3\nT:Empty\n"
    (folder / "book1.abc").write_bytes(book.encode("latin-1"))

    class Spec:
        submodule_search_locations = (str(tmp_path / "music21"),)

    monkeypatch.setattr(loading, "find_spec", lambda name: Spec)
    corpus = load_corpus("aird")
    assert [(work.id, work.title, work.genre) for work in corpus] == [
        ("aird/book1/0000", "The Wren", "folk"),
        ("aird/book1/0001", "The Lark", "folk"),
    ]
    wren = corpus.scores[0]
    assert (wren.beats_per_bar, wren.tempo_bpm, wren.bars) == (3, 90, 5)
    assert wren.notes["onset_tick"].tolist() == [48, 72, 120, 144, 192, 216, 264, 288]
    assert len(corpus.failures) == 1


@pytest.mark.slow
def test_the_chorales():
    corpus = load_corpus("bach")
    assert len(corpus) == 368
    assert not corpus.failures
    assert corpus.genres == ("classical",)
    works = {work.id: work.score for work in corpus}
    assert (works["bach/bwv269"].beats_per_bar, works["bach/bwv269"].notes["onset_tick"][0]) == (3, 48)
