import gzip
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.reward_models.preferences import PreferenceError, bach_doodle, csv_rows, read_preferences
from toccata.reward_models.preferences import table as table_module


def note(pitch, start, end, voice=0):
    """A note as in the data set: fields of 0 are missing, steps are strings."""
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
    """A session; each harmonization: output sequence, loops listened to, feedback."""
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
    lines = "\n".join(json.dumps(each) for each in sessions)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        path.write_text(json.dumps(sessions) if path.suffix == ".json" else lines, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["s.json", "s.jsonl", "s.jsonl.gz", "bach-doodle.jsonl-00001-of-00192.gz"])
def test_equal_harmonizations_are_summed_over_sessions(tmp_path, name):
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


def test_another_tempo_is_another_piece(tmp_path):
    faster = UP | {"tempos": [{"qpm": 90.0}]}
    table = read_preferences(write_sessions(tmp_path / "s.json", [session((UP, 1, "2"), (faster, 1, "2"))]))
    assert [p.score.tempo_bpm for p in table.preferences] == [60, 90]


def test_damaged_sessions_are_left_out(tmp_path):
    damaged = [
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
        table = read_preferences(write_sessions(tmp_path / name, [SESSIONS[0], *damaged]))
        assert len(table) == 2
        assert len(table.left_out) == len(damaged)
        assert [row.reason for row in table.left_out[-2:]] == ["negative count", "count is not a number"]
        assert {row.reason for row in table.left_out[:-2]} == {"unreadable row"}


def test_more_good_ratings_than_loops_are_left_out(tmp_path):
    table = read_preferences(write_sessions(tmp_path / "s.json", [session((UP, 1, "2"), (UP, 0, "2"), (DOWN, 1, ""))]))
    assert [row.reason for row in table.left_out] == ["more likes than plays"]
    assert (len(table), table.merged) == (1, 1)


def test_truncated_files_are_read_as_far_as_possible(tmp_path):
    complete = write_sessions(tmp_path / "s.jsonl.gz", SESSIONS * 600).read_bytes()
    (tmp_path / "cut.jsonl.gz").write_bytes(complete[: len(complete) - 200])
    table = read_preferences(tmp_path / "cut.jsonl.gz")
    assert len(table) == 2
    assert "unreadable row" in [row.reason for row in table.left_out]
    text = "\n".join(json.dumps(each) for each in SESSIONS)
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
def test_sessions_with_random_fields_never_fail(tmp_path_factory, sequence, loops, feedback):
    path = tmp_path_factory.mktemp("doodle") / "s.json"
    sessions = [SESSIONS[0], session((sequence, loops, feedback)), session((DOWN, loops, feedback)), sequence]
    table = read_preferences(write_sessions(path, sessions))
    assert len(table) + len(table.left_out) + table.merged == 5
    assert all(math.isfinite(p.popularity) for p in table.preferences)


MELODY = {"notes": [[60, 0, 4], [62, 4, 8], [64, 8, 16]], "sessions": 7, "count": 9}


def write_melodies(folder, *rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "melodies.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_worldwide_sessions_are_preferred_to_country_sums(tmp_path):
    country = {"notes": [[60, 0, 4]], "by_country": {"us": [30, 5], "de": [4, 3]}, "only_in": {"us": [30, 5]}}
    only = {"notes": [[61, 0, 4]], "only_in": {"tw": [54, 3]}}
    both = MELODY | {"notes": [[62, 0, 4]], "by_country": {"us": [3, 2]}}
    write_melodies(tmp_path, MELODY, country, "", only, both, MELODY)
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
    assert [(row.name, row.reason) for row in table.left_out] == [("melodies.jsonl, line 6", "duplicate")]


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
def test_a_damaged_melody_is_left_out_with_a_reason(tmp_path, row, reason):
    write_melodies(tmp_path, MELODY, row)
    table = read_preferences(tmp_path)
    assert len(table) == 1
    (row_left_out,) = table.left_out
    assert (row_left_out.name, row_left_out.reason) == ("melodies.jsonl, line 2", "unreadable row")
    assert reason in row_left_out.detail
    write_melodies(tmp_path, row)
    with pytest.raises(PreferenceError, match=r"melodies\.jsonl"):
        read_preferences(tmp_path)


def test_an_array_is_bounded(tmp_path, monkeypatch):
    path = write_sessions(tmp_path / "s.json", SESSIONS)
    monkeypatch.setattr(bach_doodle, "MAX_ARRAY", 100)
    with pytest.raises(
        PreferenceError, match=r"s\.json: is an array of more than 100 characters; write a session a line"
    ):
        read_preferences(path)


@pytest.mark.parametrize("limit", ["MAX_LINE", "MAX_BYTES"])
def test_lines_are_bounded(tmp_path, monkeypatch, limit):
    path = write_sessions(tmp_path / "s.jsonl.gz", SESSIONS)
    monkeypatch.setattr(csv_rows, limit, 100)
    with pytest.raises(PreferenceError, match=r"s\.jsonl\.gz: .* 100 "):
        read_preferences(path)


def test_mutated_files_are_read_or_are_one_clear_error(tmp_path):
    rng = np.random.default_rng(0)
    whole = "\n".join(json.dumps(each) for each in SESSIONS).encode()
    for number in range(150):
        data = bytearray(whole)
        for at in rng.integers(len(data), size=rng.integers(1, 8)):
            data[at : at + int(rng.integers(3))] = rng.choice(
                [b"", b"[", b"{", b'"', b"9" * 400, b"-1", b"null", b"1e999"]
            )
        path = tmp_path / "s.jsonl"
        path.write_bytes(gzip.compress(data)[: rng.integers(20, 10**6)] if number % 3 == 0 else data)
        try:
            read_preferences(path).summary()
        except PreferenceError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize("name", ["s.json", "s.jsonl"])
def test_many_bad_elements_are_counted_and_few_kept(tmp_path, name, monkeypatch):
    monkeypatch.setattr(table_module, "MAX_EXAMPLES", 3)
    table = read_preferences(write_sessions(tmp_path / name, [SESSIONS[0], *[0] * 1000]))
    assert len(table.left_out) == 1000
    assert len({id(row) for row in table.left_out}) == 4
    assert "left out 1000: 1000 unreadable row" in table.summary()


def test_counts_of_elements_are_bounded(tmp_path, monkeypatch):
    path = tmp_path / "s.json.gz"
    path.write_bytes(gzip.compress(b"[" + b"0," * 2_000_000 + b"0]"))
    with pytest.raises(PreferenceError, match="more than 1,000,000 sessions and harmonizations"):
        read_preferences(path)
    monkeypatch.setattr(bach_doodle, "MAX_HARMONIZATIONS", 4)
    for name in ("s.json", "s.jsonl"):
        with pytest.raises(PreferenceError, match="more than 4 sessions and harmonizations"):
            read_preferences(write_sessions(tmp_path / name, [session(*[(0, 0, "")] * 5)]))
    monkeypatch.setattr(bach_doodle, "MAX_MELODIES", 2)
    line = json.dumps({"notes": [[60, 0, 4]], "sessions": 2})
    (tmp_path / "melodies.jsonl").write_text("\n".join([line] * 3))
    with pytest.raises(PreferenceError, match="more than 2 melodies"):
        read_preferences(tmp_path / "melodies.jsonl")


def test_values_of_one_row_are_bounded_before_they_are_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(bach_doodle, "MAX_VALUES", 1000)
    long = "[" + "0," * 1000 + "0,0]"
    (tmp_path / "s.jsonl").write_text(json.dumps(SESSIONS[0]) + "\n" + long)
    (row,) = read_preferences(tmp_path / "s.jsonl").left_out
    assert "more than 1,000 values" in row.detail
    with pytest.raises(PreferenceError, match="more than 1,000 values"):
        read_preferences(write_sessions(tmp_path / "s.json", [json.loads(long)]))


@pytest.mark.parametrize("indent", [None, 3])
def test_the_elements_of_an_array_are_sessions(tmp_path, indent):
    path = tmp_path / "s.json"
    path.write_text(f" \n{json.dumps(SESSIONS, indent=indent)} \n")
    lines = write_sessions(tmp_path / "s.jsonl", SESSIONS)
    scores = [[each.score for each in read_preferences(file).preferences] for file in (path, lines)]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("text", ["[", "[1", "[1,", "[1,]", "[1 2]", "[1] 2", "[,1]", "[a]", "[1}", '["a', "[] []"])
def test_a_damaged_array_is_one_clear_error(tmp_path, text):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(PreferenceError, match=r"s\.json: begins like a JSON array, but .* column"):
        read_preferences(tmp_path / "s.json")
