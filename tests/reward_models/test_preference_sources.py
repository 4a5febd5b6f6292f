"""Preferences from a manifest, the FMA, PDMX and the Bach Doodle: fixtures with their real columns, and damage."""

import csv
import gzip
import io
import json
import math
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toccata.reward_models.preferences.reading import PreferenceError, read_preferences


def reasons(table):
    return [(row.name.split(":")[0], row.reason) for row in table.left_out]


def write_csv(path, rows, delimiter=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"not read here")
    return path


# A manifest


@pytest.fixture
def songs(tmp_path):
    for name in ("a.wav", "b.mid", "sub/ü, d.mp3", "e.ogg"):
        touch(tmp_path / name)
    return tmp_path


MANIFEST = [
    ["file", "plays", "likes", "genre", "split"],
    ["a.wav", "100", "10", "jazz", "train"],
    ["sub/ü, d.mp3", " 7.0", "7", "", "Validation"],
    ["b.mid", "1e3", "0", "folk", ""],
]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_manifest_of_any_separator_and_line_end(songs, delimiter, encoding, end):
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


def test_a_manifest_s_columns_stand_in_any_order_and_case_among_others(songs):
    write_csv(songs / "mine.txt", [["Artist", " LIKES", "File ", "mood", "Plays"], ["x", "1", "a.wav", "sad", "2"]])
    (only,) = read_preferences(songs / "mine.txt").preferences
    assert (only.likes, only.plays, only.genre, only.split) == (1, 2, None, None)


def test_a_manifest_may_name_files_absolutely(songs, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write_csv(elsewhere / "manifest.csv", [["file", "plays", "likes"], [songs / "a.wav", 3, 2]])
    assert read_preferences(elsewhere).preferences[0].file == songs / "a.wav"


def test_what_a_manifest_s_rows_lack_is_counted(songs):
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
    assert reasons(table) == [
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


def test_a_quote_left_open_is_counted(songs):
    (songs / "manifest.csv").write_text('file,plays,likes\na.wav,3,2\n"b.mid,3,2\ne.ogg,1,1\n')
    table = read_preferences(songs)
    assert len(table) == 1
    assert reasons(table) == [("row 3", "unreadable row")]


def test_an_unknown_split_is_one_clear_error(songs):
    write_csv(songs / "manifest.csv", [["file", "plays", "likes", "split"], ["a.wav", 0, 0, "trian"]])
    with pytest.raises(PreferenceError, match=r"manifest\.csv, row 2: split must be one of train, .*got 'trian'"):
        read_preferences(songs)


def test_two_columns_of_one_name_are_an_error(songs):
    write_csv(songs / "manifest.csv", [["file", "plays", "likes", "Likes"], ["a.wav", 1, 1, 0]])
    with pytest.raises(PreferenceError, match="two columns 'likes'"):
        read_preferences(songs)


@pytest.mark.parametrize("rows", [[], [["a.wav", 0, 0]], [["gone.wav", 2, 1], ["a.wav", 1, 2]]])
def test_no_usable_row_is_an_error_with_the_reasons(songs, rows):
    write_csv(songs / "manifest.csv", [["file", "plays", "likes"], *rows])
    with pytest.raises(PreferenceError, match=r"manifest\.csv: holds nothing to learn from: 0 pieces") as error:
        read_preferences(songs)
    assert all(str(row[0]) in str(error.value) for row in rows)


CELL = st.text(max_size=12) | st.sampled_from(
    ["a.wav", "b.mid", "3", "-1", "1e999", "nan", "", "valid", "0", "\x00", '"']
)


@given(st.lists(st.lists(CELL, max_size=7), max_size=8))
@example([["\ud7ff\x00", "\x85", "\r"]])
def test_garbage_cells_never_crash_and_every_row_is_accounted_for(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("garbage")
    touch(folder / "a.wav")
    header = ["file", "plays", "likes", "genre"]
    write_csv(folder / "manifest.csv", [header, ["a.wav", 3, 1, "x"], *rows])
    table = read_preferences(folder)
    filled = sum(any(cell.strip() for cell in row) for row in rows)
    assert len(table) + len(table.left_out) == 1 + filled
    assert all(math.isfinite(p.popularity) for p in table.preferences)
    assert table.summary()


@given(st.binary(max_size=200) | st.text('",\n\r;\ta.wv03\x00', max_size=60).map(str.encode))
def test_garbage_after_the_header_never_crashes(tmp_path_factory, garbage):
    folder = tmp_path_factory.mktemp("garbage")
    touch(folder / "a.wav")
    (folder / "manifest.csv").write_bytes(b"file,plays,likes\na.wav,3,2\n" + garbage)
    assert read_preferences(folder).summary().startswith("1 piece")


# The Free Music Archive

FMA_COLUMNS = [
    ("", ""),
    ("album", "id"),
    ("album", "listens"),
    ("artist", "id"),
    ("artist", "favorites"),
    ("artist", "name"),
    ("set", "split"),
    ("set", "subset"),
    ("track", "favorites"),
    ("track", "genre_top"),
    ("track", "listens"),
    ("track", "title"),
]


def write_tracks(path, *tracks):
    """Each track: id, artist, split, subset, favourites, genre, listens."""
    rows = [[top for top, _ in FMA_COLUMNS], [name for _, name in FMA_COLUMNS], ["track_id"] + [""] * 11]
    for track, artist, split, subset, likes, genre, plays in tracks:
        rows.append([track, 1, 6073, artist, 9, "AWOL, the", split, subset, likes, genre, plays, "Food\nand “drink”"])
    write_csv(path, rows)


def test_fma_tracks(tmp_path):
    for track in ("000/000002", "000/000005", "123/123456"):
        touch(tmp_path / f"fma_small/{track}.mp3")
    touch(tmp_path / "fma_medium/000/000010.mp3")
    write_tracks(
        tmp_path / "fma_metadata/tracks.csv",
        (2, 1, "training", "small", 2, "Hip-Hop", 1293),
        (5, 1, "validation", "small", 6, "Hip-Hop", 1151),
        (10, 6, "test", "medium", 178, "", 50135),
        (123456, "", "training", "small", 1, "Rock", 20),
        (20, 4, "training", "large", 4, "", 978),
        (26, 4, "training", "small", 4, "", 978),
        (2, 1, "training", "small", 2, "Hip-Hop", 1293),
        (5, 1, "training", "small", 9, "", 0),
        ("five", 1, "training", "small", 9, "", 10),
    )
    table = read_preferences(tmp_path / "fma_metadata/tracks.csv")
    assert table == read_preferences(tmp_path / "fma_metadata") == read_preferences(tmp_path)
    assert [(p.name, p.likes, p.plays, p.genre, p.split, p.group) for p in table.preferences] == [
        ("fma_small/000/000002.mp3", 2, 1293, "Hip-Hop", "train", "artist 1"),
        ("fma_small/000/000005.mp3", 6, 1151, "Hip-Hop", "valid", "artist 1"),
        ("fma_medium/000/000010.mp3", 178, 50135, None, "test", "artist 6"),
        ("fma_small/123/123456.mp3", 1, 20, "Rock", "train", str(tmp_path / "fma_small/123/123456.mp3")),
    ]
    assert table.preferences[1].popularity == pytest.approx(6 / 1151 * math.log(6))
    assert [row.reason for row in table.left_out] == [
        "not in the downloaded subset",
        "missing file",
        "duplicate",
        "no plays",
        "unreadable row",
    ]


def test_fma_sound_may_lie_beside_the_table(tmp_path):
    touch(tmp_path / "fma_full/000/000002.mp3")
    write_tracks(tmp_path / "tracks.csv", (2, 1, "training", "small", 2, "Hip-Hop", 1293))
    assert read_preferences(tmp_path).preferences[0].file == tmp_path / "fma_full/000/000002.mp3"


def test_fma_without_sound_is_one_clear_error(tmp_path):
    write_tracks(tmp_path / "tracks.csv", (2, 1, "training", "small", 2, "Hip-Hop", 1293))
    with pytest.raises(PreferenceError, match=r"tracks\.csv: needs fma_small, "):
        read_preferences(tmp_path)


@given(st.lists(st.lists(CELL, min_size=7, max_size=7), max_size=6))
def test_fma_garbage_never_crashes_and_every_row_is_accounted_for(tmp_path_factory, tracks):
    folder = tmp_path_factory.mktemp("fma")
    touch(folder / "fma_large/000/000003.mp3")
    tracks = [[track, artist, "", *rest] for track, artist, _, *rest in tracks]
    write_tracks(folder / "tracks.csv", (3, 1, "test", "large", 2, "", 9), *tracks)
    table = read_preferences(folder)
    assert len(table) + len(table.left_out) == 1 + len(tracks)


# PDMX

PDMX_HEADER = (
    "path,metadata,mxl,pdf,mid,version,is_user_pro,is_draft,n_comments,n_favorites,n_views,n_ratings,rating,license,"
    "license_url,license_conflict,genres,groups,tags,song_name,n_tracks,tracks,best_path,is_best_path,"
    "subset:all,subset:rated,subset:deduplicated,subset:no_license_conflict,subset:all_valid"
)


def write_pdmx(folder, *songs, header=PDMX_HEADER):
    columns, rows = header.split(","), []
    for song in songs:
        defaults = {"n_favorites": 3, "n_views": 90, "subset:no_license_conflict": "True", "genres": "classical"}
        rows.append([{**defaults, **song}.get(column, "NA") for column in columns])
    write_csv(folder / "PDMX.csv", [columns, *rows])


def test_pdmx_songs(tmp_path):
    for name in "abc":
        touch(tmp_path / f"mid/1/11/{name}.mid")
    write_pdmx(
        tmp_path,
        {"mid": "./mid/1/11/a.mid", "genres": "pop-rock", "best_path": "./data/1/11/b.json"},
        {"mid": "./mid/1/11/b.mid", "genres": "NA", "best_path": "./data/1/11/b.json"},
        {"mid": "./mid/1/11/c.mid", "subset:no_license_conflict": "False"},
        {"mid": "./mid/1/11/c.mid", "n_views": "0", "n_favorites": "0"},
        {"mid": "./mid/1/11/c.mid", "n_views": "NA"},
        {"mid": "NA"},
        {"mid": ""},
        {"mid": "./mid/1/11/d.mid"},
        {"mid": "mid/1/11/a.mid"},
        {"mid": "./mid/1/11/c.mid", "genres": ""},
    )
    table = read_preferences(tmp_path)
    assert table == read_preferences(tmp_path / "PDMX.csv")
    assert [(p.name, p.likes, p.plays, p.genre, p.split, p.group) for p in table.preferences] == [
        ("./mid/1/11/a.mid", 3, 90, "pop", None, "song ./data/1/11/b.json"),
        ("./mid/1/11/b.mid", 3, 90, None, None, "song ./data/1/11/b.json"),
        ("./mid/1/11/c.mid", 3, 90, None, None, str(tmp_path / "mid/1/11/c.mid")),
    ]
    assert [row.reason for row in table.left_out] == [
        "licence conflict",
        "no plays",
        "count is not a number",
        "no file name",
        "no file name",
        "missing file",
        "duplicate",
    ]


def test_a_release_of_pdmx_without_licence_conflicts_is_one_clear_error(tmp_path):
    header = PDMX_HEADER.replace("subset:no_license_conflict,", "")
    write_pdmx(tmp_path, {"mid": "./mid/1/11/a.mid"}, header=header)
    with pytest.raises(PreferenceError, match="has no column subset:no_license_conflict"):
        read_preferences(tmp_path)


@given(st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=6))
def test_pdmx_garbage_never_crashes_and_every_row_is_accounted_for(tmp_path_factory, songs):
    folder = tmp_path_factory.mktemp("pdmx")
    touch(folder / "a.mid")
    songs = [{"mid": mid, "n_views": views, "n_favorites": likes} for mid, views, likes in songs]
    write_pdmx(folder, {"mid": "a.mid"}, *songs)
    table = read_preferences(folder)
    assert len(table) + len(table.left_out) == 1 + len(songs)


# The Bach Doodle: harmonizations


def note(pitch, start, end, voice=0):
    """A note as the data set writes it: what is 0 is missing, steps are text."""
    fields = {"pitch": pitch, "velocity": 100, "endTime": end / 4, "quantizedEndStep": str(end)}
    if start:
        fields |= {"startTime": start / 4, "quantizedStartStep": str(start)}
    return fields | ({"instrument": voice} if voice else {})


def harmonization(*notes, qpm=60.0):
    return {
        "notes": list(notes),
        "quantizationInfo": {"stepsPerQuarter": 4},
        "tempos": [{"qpm": qpm}],
        "ticksPerQuarter": 220,
        "timeSignatures": [{"denominator": 4, "numerator": 4}],
        "totalQuantizedSteps": "32",
        "totalTime": 8.0,
    }


def session(*harmonizations):
    """Each: output sequence, loops listened to, feedback."""
    count = len(harmonizations)
    return {
        "backend": ["l"] * count,
        "composition_time": [9237] * count,
        "country": ["us"] * count,
        "feedback": [feedback for _, _, feedback in harmonizations],
        "input_sequence": [sequence for sequence, _, _ in harmonizations],
        "key_sig": [""] * count,
        "loops_listened": [loops for _, loops, _ in harmonizations],
        "output_sequence": [sequence for sequence, _, _ in harmonizations],
        "request_id": ["1"] * count,
        "session_id": ["2"] * count,
    }


UP = harmonization(note(64, 0, 4), note(65, 4, 32), note(48, 0, 32, 3))
DOWN = harmonization(note(64, 0, 4), note(62, 4, 32), note(48, 0, 32, 3))
SESSIONS = [
    session((UP, 3, "2"), (DOWN, 2, "0")),
    session((UP, 0, "2")),
    session((UP, 5, ""), (DOWN, 1, "1"), (harmonization(note(60, 0, 32)), 0, "2")),
]


def write_sessions(path, sessions):
    lines = "\n".join(json.dumps(one) for one in sessions)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        path.write_text(json.dumps(sessions) if path.suffix == ".json" else lines, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["s.json", "s.jsonl", "s.jsonl.gz", "bach-doodle.jsonl-00001-of-00192.gz"])
def test_alike_harmonizations_are_summed_over_sessions(tmp_path, name):
    table = read_preferences(write_sessions(tmp_path / name, SESSIONS))
    up, down = table.preferences
    assert (up.likes, up.plays, up.group) == (2, 8, "contour u")
    assert up.popularity == pytest.approx(2 / 8 * math.log(2))
    assert (down.likes, down.plays, down.popularity, down.group) == (0, 3, 0, "contour d")
    assert up.name in (f"{name}, session 1, harmonization 1", f"{name}, line 1, harmonization 1")
    assert up.score.notes.tolist() == [(0, 192, 48, 80), (0, 24, 64, 80), (24, 168, 65, 80)]
    assert (up.score.tempo_bpm, up.score.bars) == (60, 2)
    assert [row.reason for row in table.left_out] == ["no plays"]
    assert table.merged == 3
    assert len(table) + len(table.left_out) + table.merged == 6


def test_other_notes_or_another_tempo_are_another_piece(tmp_path):
    faster = UP | {"tempos": [{"qpm": 90.0}]}
    table = read_preferences(write_sessions(tmp_path / "s.json", [session((UP, 1, "2"), (faster, 1, "2"))]))
    assert [p.score.tempo_bpm for p in table.preferences] == [60, 90]


def test_broken_sessions_are_counted(tmp_path):
    broken = [
        session((UP, 3, "2")) | {"feedback": []},
        session((UP, 3, "2")) | {"feedback": "2"},
        {"a": 1},
        7,
        None,
        session((harmonization(), 3, "2")),
        session((harmonization(note(64, 4, 4)), 3, "2")),
        session((harmonization(note(640, 0, 4)), 3, "2")),
        session((harmonization(note(64, 0, 10**9)), 3, "2")),
        session((harmonization(note(64, 0, 4), qpm=1e9), 3, "2")),
        session(({"notes": 3}, 3, "2")),
        session((None, 3, "2")),
        session((UP | {"quantizationInfo": {"stepsPerQuarter": 8}}, 3, "2")),
        session((UP, None, "2")),
        session((UP, -1, "2")),
        session((UP, math.nan, "2")),
    ]
    for name in ("s.json", "s.jsonl"):
        table = read_preferences(write_sessions(tmp_path / name, [SESSIONS[0], *broken]))
        assert len(table) == 2
        assert len(table.left_out) == len(broken)
        assert [row.reason for row in table.left_out[-2:]] == ["negative count", "count is not a number"]
        assert {row.reason for row in table.left_out[:-2]} == {"unreadable row"}


def test_more_calls_of_good_than_loops_are_left_out(tmp_path):
    table = read_preferences(write_sessions(tmp_path / "s.json", [session((UP, 1, "2"), (UP, 0, "2"), (DOWN, 1, ""))]))
    assert [row.reason for row in table.left_out] == ["more likes than plays"]
    assert (len(table), table.merged) == (1, 1)


def test_lines_and_archives_cut_off_are_counted(tmp_path):
    whole = write_sessions(tmp_path / "s.jsonl.gz", SESSIONS * 600).read_bytes()
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) - 200])
    table = read_preferences(tmp_path / "cut.jsonl.gz")
    assert len(table) == 2
    assert "unreadable row" in [row.reason for row in table.left_out]
    text = "\n".join(json.dumps(one) for one in SESSIONS)
    (tmp_path / "cut.jsonl").write_text(text[:-9] + "\n\n{")
    assert [row.reason for row in read_preferences(tmp_path / "cut.jsonl").left_out] == ["unreadable row"] * 2
    (tmp_path / "cut.json").write_text(json.dumps(SESSIONS)[:-9])
    with pytest.raises(PreferenceError, match="begins like a JSON array, but"):
        read_preferences(tmp_path / "cut.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["notes", "tempos", "qpm"]), inner),
    max_leaves=8,
)


@given(JSON, JSON, JSON)
def test_sessions_of_garbage_never_crash(tmp_path_factory, sequence, loops, feedback):
    path = tmp_path_factory.mktemp("doodle") / "s.json"
    sessions = [SESSIONS[0], session((sequence, loops, feedback)), session((DOWN, loops, feedback)), sequence]
    table = read_preferences(write_sessions(path, sessions))
    assert len(table) + len(table.left_out) + table.merged == 5
    assert all(math.isfinite(p.popularity) for p in table.preferences)


# The Bach Doodle: how many sessions typed a melody

GOOD = {"notes": [[60, 0, 4], [62, 4, 8], [64, 8, 16]], "sessions": 7, "count": 9}


def write_melodies(folder, *rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "melodies.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_worldwide_sessions_come_before_country_sums(tmp_path):
    country = {"notes": [[60, 0, 4]], "by_country": {"us": [30, 5], "de": [4, 3]}, "only_in": {"us": [30, 5]}}
    only = {"notes": [[61, 0, 4]], "only_in": {"tw": [54, 3]}}
    both = GOOD | {"notes": [[62, 0, 4]], "by_country": {"us": [3, 2]}}
    write_melodies(tmp_path, GOOD, country, "", only, both, GOOD)
    table = read_preferences(tmp_path)
    assert table == read_preferences(tmp_path / "melodies.jsonl")
    assert [(p.name, p.plays, p.likes, p.source) for p in table.preferences] == [
        ("melodies.jsonl, line 1", 7, 7, "worldwide"),
        ("melodies.jsonl, line 2", 8, 8, "countries"),
        ("melodies.jsonl, line 4", 3, 3, "countries"),
        ("melodies.jsonl, line 5", 7, 7, "worldwide"),
    ]
    assert table.preferences[0].popularity == pytest.approx(math.log(7))
    assert table.preferences[0].score.notes.tolist() == [(0, 24, 60, 80), (24, 24, 62, 80), (48, 48, 64, 80)]
    assert table.preferences[0].score.bars == 2
    assert reasons(table) == [("melodies.jsonl, line 6", "duplicate")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "Expecting"),
        ("[1]", "list"),
        ("[" * 100_000, "recursion"),
        ({"sessions": 3}, "'notes' is missing"),
        ({"notes": [], "sessions": 3}, "holds no note"),
        ({"notes": [[60, 0]], "sessions": 3}, "unpack"),
        ({"notes": [[60, 4, 4]], "sessions": 3}, "duration_ticks"),
        ({"notes": [[200, 0, 4]], "sessions": 3}, "pitch must be a whole number in 0..127"),
        ({"notes": [[60, 30, 40]], "sessions": 3}, "ends after 32 steps"),
        ({"notes": [[60, -(10**30), 4]], "sessions": 3}, ""),
        ({"notes": [[60, 0, 4]]}, "neither sessions"),
        ({"notes": [[60, 0, 4]], "sessions": 0}, "at least 1, got 0"),
        ({"notes": [[60, 0, 4]], "sessions": 10**400}, ""),
        ({"notes": [[60, 0, 4]], "sessions": "many"}, "many"),
        ({"notes": None, "sessions": 1}, "NoneType"),
        ({"notes": [[1e400, 0, 4]], "sessions": 1}, "infinity"),
    ],
)
def test_a_broken_melody_is_counted_and_says_why(tmp_path, row, reason):
    write_melodies(tmp_path, GOOD, row)
    table = read_preferences(tmp_path)
    assert len(table) == 1
    (left,) = table.left_out
    assert (left.name, left.reason) == ("melodies.jsonl, line 2", "unreadable row")
    assert reason in left.detail
    write_melodies(tmp_path, row)
    with pytest.raises(PreferenceError, match=r"melodies\.jsonl"):
        read_preferences(tmp_path)


def test_a_manifest_comes_before_other_tables_of_its_folder(tmp_path):
    write_melodies(tmp_path, GOOD)
    touch(tmp_path / "a.wav")
    write_csv(tmp_path / "manifest.csv", [["file", "plays", "likes"], ["a.wav", 3, 2]])
    assert read_preferences(tmp_path).preferences[0].file == Path(tmp_path / "a.wav")
