"""Loading of folders of files, tables and collections."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from toccata.music.corpus import CorpusError, CorpusWarning, GenreError, load_corpus, loading
from toccata.music.score import Score


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
    assert "metadata.csv, row 4: " in corpus.failures[0]
    assert "missing.mid: is no file" in corpus.failures[0]
    assert "c.mid: has no genre" in corpus.failures[1]


def test_a_table_gives_splits(tmp_path, tune):
    text = "file,genre,split\na.mid,jazz,test\nb.mid,jazz,\nc.mid,jazz,valid\nd.mid,jazz,half\n"
    table(tmp_path / "lib", text, a=tune(50), b=tune(60, step=2), c=tune(70, step=3), d=tune(40, step=5))
    for _ in range(2):  # parsed, and from the cache
        with pytest.warns(CorpusWarning, match="1 of 4 files"):
            corpus = load_corpus(tmp_path / "lib")
        assert [work.given_split for work in corpus] == ["test", "", "valid"]
    assert "row 5: split must be train, valid, test or empty, got 'half'" in corpus.failures[0]


def test_table_without_genres(tmp_path, tune):
    root = table(tmp_path / "lib", "file,title\na.mid,A\n", a=tune())
    with pytest.raises(GenreError, match=r"metadata\.csv: has no column genre, only file, title"):
        load_corpus(root)
    assert load_corpus(root, genre="classical").genres == ("classical",)
    assert load_corpus(root, default_genre="folk").genres == ("folk",)


def test_a_default_genre_is_that_of_folders_without_genres(root, tmp_path, tune):
    for name in ("broken.mid", "silent.mid"):
        (root / "rock" / name).unlink()
    flat = tmp_path / "flat"
    flat.mkdir()
    tune(70).to_midi(flat / "loose.mid")
    with pytest.raises(GenreError, match=r"flat: none of its works has a genre, and none is given; .*loose\.mid"):
        load_corpus([root, flat])
    genres = {work.id: work.genre for work in load_corpus([root, flat], default_genre="ragtime")}
    assert genres.pop("flat/loose.mid") == "ragtime"
    assert set(genres.values()) == {"jazz", "rock"}, "the others keep theirs"


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


def test_what_looks_like_music_and_is_not_read_is_listed(root, tune):
    (root / "rock/silent.mid").unlink()
    tune(61).to_midi(root / "rock/words.kar")
    tune(62).to_midi(root / "rock/._words.mid")
    for name in ("a.mscz", "b.mid.gz", "c.krn", "d.gp5"):
        (root / "rock" / name).touch()
    (root / "rock/gone.mid").symlink_to(root / "nowhere.mid")
    (root / "rock/loop.mid").symlink_to("loop.mid")
    (root / "rock/circle").symlink_to(root)
    with pytest.warns(CorpusWarning, match=r"8 of 13 files of .* were left out: .*; and 5 more"):
        corpus = load_corpus(root)
    assert "mine/rock/words.kar" in {work.id for work in corpus}
    reasons = dict(failure.removeprefix(f"{root}/rock/").split(": ", 1) for failure in corpus.failures)
    assert reasons.keys() == {
        *("a.mscz", "b.mid.gz", "c.krn", "d.gp5", "gone.mid", "loop.mid", "circle", "broken.mid"),
    }
    assert reasons["a.mscz"] == ".mscz files are not read, only MIDI and MusicXML"
    assert reasons["circle"] == "is a link to a folder, which is not followed"
    assert reasons["loop.mid"] == reasons["gone.mid"] == "is no file, or a link to none"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_listed(root):
    (root / "secret").mkdir(mode=0)
    with pytest.warns(CorpusWarning):
        assert any("secret: cannot be read" in failure for failure in load_corpus(root).failures)


def test_rows_of_a_table_stay_in_their_folder(tmp_path, tune):
    tune(40).to_midi(tmp_path / "outside.mid")
    names = ["a.mid", "../../outside.mid", str(tmp_path / "outside.mid"), "link.mid", "./a.mid", "x" * 300 + ".mid"]
    root = table(tmp_path / "lib", "\n".join(["file,genre", *(f"{name},jazz" for name in names)]), a=tune(), b=tune(61))
    (root / "midi/link.mid").symlink_to(tmp_path / "outside.mid")
    with pytest.warns(CorpusWarning):
        corpus = load_corpus(root)
    assert corpus.scores == (tune(),)
    assert [failure.partition("metadata.csv, ")[2].partition(":")[0] for failure in corpus.failures[:4]] == [
        *("row 3", "row 4", "row 5", "row 6"),
    ]
    assert all("leads out of this folder" in failure for failure in corpus.failures[:3])
    assert "in the table already" in corpus.failures[3]
    assert any("b.mid: is not in metadata.csv" in failure for failure in corpus.failures)
    assert len(corpus.failures) == 7


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [("MAX_TABLE_BYTES", 10, "larger than 10 bytes"), ("MAX_TABLE_ROWS", 1, "more than 1 r")],
)
def test_tables_are_bounded(tmp_path, monkeypatch, tune, limit, value, message):
    root = table(tmp_path / "lib", "file,genre\na.mid,jazz\nb.mid,jazz\n", a=tune(), b=tune())
    monkeypatch.setattr(loading, limit, value)
    with pytest.raises(CorpusError, match=message):
        load_corpus(root)


def test_a_cell_that_is_too_long_is_one_clear_error(tmp_path):
    with pytest.raises(CorpusError, match=r"metadata\.csv: field larger than field limit"):
        load_corpus(table(tmp_path / "lib", "file,genre\na.mid," + "x" * 200_000))


CAFE = b"caf\xe9.mid"  # Latin-1, as old archives have it


def test_names_that_are_not_utf_8(tmp_path):
    folder = os.fsencode(tmp_path) + b"/l\xe9/jazz/"
    Path(os.fsdecode(folder)).mkdir(parents=True)
    for index in range(40):  # more than one process parses
        score = Score([(24 * beat, 24, 40 + beat * beat * (index + 3) % 41, 80) for beat in range(20)])
        score.to_midi(os.fsdecode(folder + b"%d" % index + CAFE))
    (tmp_path / os.fsdecode(b"l\xe9") / "jazz" / os.fsdecode(b"br\xe9.mid")).write_bytes(b"no music")
    root = tmp_path / os.fsdecode(b"l\xe9")
    with pytest.warns(CorpusWarning, match=r"1 of 41 files of .*/l\\xe9 were left out: .*br\\xe9\.mid"):
        corpus = load_corpus(root)
    with pytest.warns(CorpusWarning):
        assert load_corpus(root) == corpus, "from the cache"
    assert len(corpus) == 40
    assert (corpus.works[0].id, corpus.works[0].title) == (r"l\xe9/jazz/0caf\xe9.mid", r"0caf\xe9")
    parts = [{work.id for work in corpus.split(name)} for name in ("train", "valid", "test")]
    assert sum(map(len, parts)) == 40
    assert len(parts[0]) < 40
    str(corpus.failures).encode()


def test_a_warning_about_such_a_name_can_be_printed(tmp_path, tune):
    (tmp_path / "jazz").mkdir()
    tune().to_midi(tmp_path / "jazz/a.mid")
    (tmp_path / "jazz" / os.fsdecode(CAFE)).write_bytes(b"no music")
    code = (
        "import warnings; from toccata.music.corpus import load_corpus\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        f"    warnings.simplefilter('always'); load_corpus({str(tmp_path)!r})\n"
        "print(caught[0].message)"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    assert b"caf\\xe9.mid" in run.stdout


@pytest.mark.parametrize("table_encoding", ["latin-1", "utf-8"])
@pytest.mark.parametrize("disk_encoding", ["latin-1", "utf-8"])
def test_tables_and_disks_of_any_encoding(tmp_path, tune, table_encoding, disk_encoding):
    (tmp_path / "midi").mkdir()
    tune().to_midi(os.fsdecode(os.fsencode(tmp_path) + b"/midi/" + "café.mid".encode(disk_encoding)))
    (tmp_path / "metadata.csv").write_bytes("file,genre\ncafé.mid,jazz\n".encode(table_encoding))
    (work,) = load_corpus(tmp_path)
    assert work.id == f"{tmp_path.name}/café.mid"
    assert work.score == tune()


def test_columns_of_a_table_are_bounded(tmp_path, tune):
    header = "file,genre," + ",".join(f"c{index}" for index in range(100_000))
    root = table(tmp_path / "lib", header + "\na.mid,jazz\n" * 1000, a=tune())
    with pytest.raises(CorpusError, match=r"metadata\.csv: has 100,002 columns, at most 1,000 are read"):
        load_corpus(root)
    (root / "metadata.csv").write_text("file,genre\na.mid,jazz" + "," * 2**20)
    with pytest.raises(CorpusError, match="line of more than 1,048,576 characters"):
        load_corpus(root)


def test_only_line_ends_outside_quotes_end_a_row(tmp_path, tune):
    text = 'file,genre,title\r\na.mid,jazz,"one\ntwo"\r\nb.mid,jazz,x\x85y\u2028z\x0bw\r\n'
    root = table(tmp_path / "lib", "", a=tune(), b=tune(50))
    (root / "metadata.csv").write_bytes(text.encode())
    assert [work.title for work in load_corpus(root)] == ["one\ntwo", "x\x85y\u2028z\x0bw"]


def test_a_table_without_rows_and_a_link_to_none_are_named(tmp_path, tune):
    root = table(tmp_path / "lib", "file,genre\n", a=tune())
    with pytest.raises(CorpusError, match=r"metadata\.csv: has no rows below its header"):
        load_corpus(root)
    (root / "metadata.csv").unlink()
    (root / "metadata.csv").symlink_to("nowhere")
    with pytest.raises(CorpusError, match=r"metadata\.csv: is a link to no file"):
        load_corpus(root)


def test_links_out_of_the_folder_are_listed(tmp_path, tune, root):
    tune(41).to_midi(tmp_path / "outside.mid")
    (root / "rock/link.mid").symlink_to(tmp_path / "outside.mid")
    with pytest.warns(CorpusWarning):
        corpus = load_corpus(root)
    assert any("link.mid: is a link to a file outside" in failure for failure in corpus.failures)
    assert len(corpus) == 4
    lib = table(tmp_path / "lib", "file,genre\na.mid,jazz\nb.mid,jazz\n", a=tune())
    (lib / "midi").rename(tmp_path / "elsewhere")
    (lib / "midi").symlink_to(tmp_path / "elsewhere")
    tune(50).to_midi(lib / "b.mid")
    with pytest.warns(CorpusWarning):
        corpus = load_corpus(lib)
    assert [work.id for work in corpus] == ["lib/b.mid"]
    assert any("midi: is a link to a folder, which is not followed" in failure for failure in corpus.failures)


def test_the_reason_shown_is_of_a_file_that_was_tried(tmp_path):
    (tmp_path / "jazz").mkdir()
    (tmp_path / "jazz/a.mid").write_bytes(b"junk")
    for name in ("0.abc", "1.mid.bz2", "2.mid~", "3.7z", "4.mid.bak"):
        (tmp_path / "jazz" / name).touch()
    with pytest.raises(CorpusError, match=r"none of its 1 files can be read; .*a\.mid: "):
        load_corpus(tmp_path)


def test_odd_names_are_shown_in_one_line(tmp_path, tune):
    text = f'file,genre\na.mid,jazz\n"new\nline\x1b.mid",jazz\n{"x" * 10_000}.mid,jazz\n'
    with pytest.warns(CorpusWarning) as caught:
        corpus = load_corpus(table(tmp_path / "lib", text, a=tune()))
    assert r"new\nline\x1b.mid: is no file" in corpus.failures[0]
    assert all(len(failure) < 700 and failure.isprintable() for failure in corpus.failures)
    assert str(caught[0].message).isprintable()
    for name in ("A" * 10_000, "a\nb", "a\0b"):
        with pytest.raises(CorpusError, match="unknown corpus") as error:
            load_corpus(name)
        assert len(str(error.value)) < 700
        assert str(error.value).isprintable()
    with pytest.raises(CorpusError, match="empty"):
        load_corpus("")


def test_ids_are_unique(tmp_path, tune):
    (tmp_path / "jazz").mkdir()
    for index, name in enumerate((os.fsdecode(CAFE), r"caf\xe9.mid", r"caf\\xe9.mid", r"other\x.mid")):
        tune(40 + index).to_midi(tmp_path / "jazz" / name)
    ids = {work.id.rpartition("/")[2] for work in load_corpus(tmp_path)}
    assert len(ids) == 4
    assert r"other\x.mid" in ids
