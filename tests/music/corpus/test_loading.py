"""Loading of folders of files, tables and collections."""

import pytest

from toccata.music.corpus import CorpusError, CorpusWarning, load_corpus, loading


def table(root, text, **scores):
    (root / "midi").mkdir(parents=True)
    for name, score in scores.items():
        score.to_midi(root / "midi" / f"{name}.mid")
    (root / "metadata.csv").write_text(text)
    return root


def test_folder_of_genres(root, tune):
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


def test_a_given_genre_replaces_those_of_the_folder(root, tune):
    (root / "rock/broken.mid").unlink()
    (root / "rock/silent.mid").unlink()
    tune(80).to_midi(root / "loose.mid")
    with pytest.warns(CorpusWarning, match=r"loose\.mid: is in no genre folder"):
        assert len(load_corpus(root)) == 4
    assert load_corpus(root, genre="pop").genres == ("pop",)
    assert len(load_corpus(root, genre="pop")) == 5


def test_folder_with_a_table(tmp_path, tune):
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


def test_table_without_genres(tmp_path, tune):
    root = table(tmp_path / "lib", "file,title\na.mid,A\n", a=tune())
    with pytest.raises(CorpusError, match=r"metadata\.csv: has no column genre, only file, title"):
        load_corpus(root)
    assert load_corpus(root, genre="classical").genres == ("classical",)


@pytest.mark.parametrize("text", ["", "file,genre\n", "title\nx\n", "file,genre\nx.txt,jazz\n", "\0"])
def test_an_unusable_table_is_one_clear_error(tmp_path, text):
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
