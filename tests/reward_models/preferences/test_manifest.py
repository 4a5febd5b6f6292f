import csv
import gzip
import io
import math
import os
from pathlib import Path

import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from toccata.reward_models.preferences import PreferenceError, csv_rows, read_preferences

CELL = st.text(max_size=12) | st.sampled_from(
    ["a.wav", "b.mid", "3", "-1", "1e999", "nan", "", "valid", "0", "\x00", '"']
)

MANIFEST = [
    ["file", "plays", "likes", "genre", "split"],
    ["a.wav", "100", "10", "jazz", "train"],
    ["sub/ü, d.mp3", " 7.0", "7", "", "Validation"],
    ["b.mid", "1e3", "0", "folk", ""],
]


@pytest.fixture
def songs(tmp_path, touch):
    for name in ("a.wav", "b.mid", "sub/ü, d.mp3", "e.ogg"):
        touch(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_delimiter_encoding_and_line_end(songs, delimiter, encoding, end):
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator=end).writerows(MANIFEST)
    (songs / "manifest.csv").write_bytes(buffer.getvalue().encode(encoding))
    table = read_preferences(songs)
    assert table == read_preferences(songs / "manifest.csv")
    assert not table.left_out
    assert [(p.name, p.plays, p.likes, p.genre, p.split) for p in table.preferences] == [
        ("a.wav", 100, 10, "jazz", "train"),
        ("sub/ü, d.mp3", 7, 7, None, "valid"),
        ("b.mid", 1000, 0, "folk", None),
    ]
    assert table.preferences[0].popularity == pytest.approx(0.1 * math.log(10))
    assert table.preferences[0].file == songs / "a.wav"
    assert len({p.group for p in table.preferences}) == 3


def test_columns_have_any_order_and_case_among_others(songs, write_csv):
    write_csv(songs / "mine.txt", [["Artist", " LIKES", "File ", "mood", "Plays"], ["x", "1", "a.wav", "sad", "2"]])
    (only,) = read_preferences(songs / "mine.txt").preferences
    assert (only.likes, only.plays, only.genre, only.split) == (1, 2, None, None)


def test_rows_that_leave_the_folder_are_left_out(songs, touch, write_csv):
    folder = songs / "data"
    (folder / "sub").mkdir(parents=True)
    touch(folder / "in.wav")
    (folder / "link.wav").symlink_to(songs / "a.wav")
    names = ["in.wav", songs / "a.wav", "../a.wav", "sub/../../a.wav", "link.wav", "sub/../in.wav", "\0.wav"]
    write_csv(folder / "manifest.csv", [["file", "plays", "likes"], *([name, 3, 2] for name in names)])
    table = read_preferences(folder)
    assert [p.file for p in table.preferences] == [folder / "in.wav"]
    assert [row.reason for row in table.left_out] == [*["outside the folder"] * 4, "duplicate", "outside the folder"]
    assert "leads out of this folder" in table.left_out[0].detail


@pytest.mark.parametrize("table_encoding", ["latin-1", "utf-8"])
@pytest.mark.parametrize("disk_encoding", ["latin-1", "utf-8"])
def test_tables_and_disks_of_any_encoding(tmp_path, table_encoding, disk_encoding):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/" + "café.wav".encode(disk_encoding))
    soundfile.write(io_file := io.BytesIO(), [0.5] * 16_000, 16_000, format="WAV")
    Path(name).write_bytes(io_file.getvalue())
    (tmp_path / "manifest.csv").write_bytes(
        "file,plays,likes,genre\ncafé.wav,3,2,é\nñ.wav,1,1,\n".encode(table_encoding)
    )
    table = read_preferences(tmp_path)
    (only,) = table.preferences
    assert only.load().shape == (16_000,)
    f"{only.name} {only.genre} {table.summary()}".encode()


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MAX_BYTES", 100, r"larger than 100 bytes \(unpacked\)"),
        ("MAX_ROWS", 3, "has more than 3 lines"),
        ("MAX_LINE", 20, "has a line of more than 20 characters"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_every_bound_is_named(songs, monkeypatch, limit, value, message, packed):
    text = "file,plays,likes\n" + "a.wav,1,1\n" * 20 + "a.wav,1,1,,,,,,,,,,,,,,,,,,,\n"
    (songs / "manifest.csv").write_bytes((gzip.compress if packed else bytes)(text.encode()))
    assert len(read_preferences(songs)) == 1
    monkeypatch.setattr(csv_rows, limit, value)
    with pytest.raises(PreferenceError, match=rf"manifest\.csv: .*{message}"):
        read_preferences(songs)


def test_a_cell_that_is_too_long_is_left_out(songs):
    (songs / "manifest.csv").write_text("file,plays,likes\n" + "x" * 200_000 + ",1,1\na.wav,1,1\n")
    table = read_preferences(songs)
    assert [row.reason for row in table.left_out] == ["unreadable row"]
    assert "field larger than field limit" in table.left_out[0].detail


def test_unusable_rows_are_left_out_with_a_reason(songs, write_csv):
    rows = [
        ["file", "plays", "likes"],
        ["a.wav", 5, 1],
        ["b.mid", 0, 0],
        ["b.mid", 2, 3],
        ["b.mid", -1, 0],
        ["b.mid", "many", 0],
        ["b.mid", "nan", 0],
        ["b.mid", "", 0],
        ["", 5, 1],
        ["gone.wav", 5, 1],
        ["sub", 5, 1],
        ["sub/../a.wav", 5, 1],
        ["b.mid", 5],
        ["sub/ü", " d.mp3", 5, 1],
        [],
        ["x" * 5000, 5, 1],
        ["e.ogg", 5, 1],
    ]
    write_csv(songs / "manifest.csv", rows)
    table = read_preferences(songs)
    assert [p.name for p in table.preferences] == ["a.wav", "e.ogg"]
    assert [(row.name.split(":")[0], row.reason) for row in table.left_out] == [
        ("row 3", "no plays"),
        ("row 4", "more likes than plays"),
        ("row 5", "negative count"),
        ("row 6", "count is not a number"),
        ("row 7", "count is not a number"),
        ("row 8", "count is not a number"),
        ("row 9", "no file name"),
        ("row 10", "missing file"),
        ("row 11", "missing file"),
        ("row 12", "duplicate"),
        ("row 13", "unreadable row"),
        ("row 14", "unreadable row"),
        ("row 16", "missing file"),
    ]
    assert table.summary().startswith("2 pieces; left out 13: 3 count is not a number (row 6: b.mid: plays many, ")


def test_an_open_quote_is_left_out(songs):
    (songs / "manifest.csv").write_text('file,plays,likes\na.wav,3,2\n"b.mid,3,2\ne.ogg,1,1\n')
    table = read_preferences(songs)
    assert len(table) == 1
    assert [(row.name, row.reason) for row in table.left_out] == [("row 3", "unreadable row")]


def test_an_unknown_split_is_an_error(songs, write_csv):
    write_csv(songs / "manifest.csv", [["file", "plays", "likes", "split"], ["a.wav", 0, 0, "trian"]])
    with pytest.raises(PreferenceError, match=r"manifest\.csv, row 2: split must be one of train, .*got 'trian'"):
        read_preferences(songs)


def test_two_columns_of_one_name_are_an_error(songs, write_csv):
    write_csv(songs / "manifest.csv", [["file", "plays", "likes", "Likes"], ["a.wav", 1, 1, 0]])
    with pytest.raises(PreferenceError, match="two columns 'likes'"):
        read_preferences(songs)


@pytest.mark.parametrize("rows", [[], [["a.wav", 0, 0]], [["gone.wav", 2, 1], ["a.wav", 1, 2]]])
def test_no_usable_row_is_an_error_with_the_reasons(songs, rows, write_csv):
    write_csv(songs / "manifest.csv", [["file", "plays", "likes"], *rows])
    with pytest.raises(PreferenceError, match=r"manifest\.csv: has no usable row: 0 pieces") as error:
        read_preferences(songs)
    assert all(str(row[0]) in str(error.value) for row in rows)


@given(st.lists(st.lists(CELL, max_size=7), max_size=8))
@example([["\ud7ff\x00", "\x85", "\r"]])
def test_every_row_of_random_cells_is_kept_or_left_out(tmp_path_factory, write_csv, touch, rows):
    folder = tmp_path_factory.mktemp("cells")
    touch(folder / "a.wav")
    header = ["file", "plays", "likes", "genre"]
    write_csv(folder / "manifest.csv", [header, ["a.wav", 3, 1, "x"], *rows])
    table = read_preferences(folder)
    not_empty = sum(any(cell.strip() for cell in row) for row in rows)
    assert len(table) + len(table.left_out) == 1 + not_empty
    assert all(math.isfinite(p.popularity) for p in table.preferences)
    assert table.summary()


@given(st.binary(max_size=200) | st.text('",\n\r;\ta.wv03\x00', max_size=60).map(str.encode))
def test_random_bytes_after_the_header_never_fail(tmp_path_factory, touch, garbage):
    folder = tmp_path_factory.mktemp("garbage")
    touch(folder / "a.wav")
    (folder / "manifest.csv").write_bytes(b"file,plays,likes\na.wav,3,2\n" + garbage)
    assert read_preferences(folder).summary().startswith("1 piece")


def test_columns_are_bounded(tmp_path):
    header = "file,plays,likes" + "".join(f",c{index}" for index in range(100_000))
    (tmp_path / "manifest.csv").write_text(f"{header}\na.mid,1,1\n")
    with pytest.raises(PreferenceError, match=r"manifest\.csv: has 100,003 columns, at most 1,000 are read"):
        read_preferences(tmp_path)
