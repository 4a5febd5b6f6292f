import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.reward_models.preferences import PreferenceError, read_preferences

CELL = st.text(max_size=12) | st.sampled_from(
    ["a.wav", "b.mid", "3", "-1", "1e999", "nan", "", "valid", "0", "\x00", '"']
)

PDMX_HEADER = (
    "path,metadata,mxl,pdf,mid,version,is_user_pro,is_draft,n_comments,n_favorites,n_views,n_ratings,rating,license,"
    "license_url,license_conflict,genres,groups,tags,song_name,n_tracks,tracks,best_path,is_best_path,"
    "subset:all,subset:rated,subset:deduplicated,subset:no_license_conflict,subset:all_valid"
)


@pytest.fixture(scope="session")
def write_pdmx(write_csv):
    """Writes PDMX.csv; each song: cells by column."""

    def write(folder, *songs, header=PDMX_HEADER):
        columns, rows = header.split(","), []
        for song in songs:
            defaults = {"n_favorites": 3, "n_views": 90, "subset:no_license_conflict": "True", "genres": "classical"}
            rows.append([{**defaults, **song}.get(column, "NA") for column in columns])
        write_csv(folder / "PDMX.csv", [columns, *rows])

    return write


def test_songs_with_genre_group_and_reasons_to_leave_out(tmp_path, touch, write_pdmx):
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


def test_a_release_without_the_licence_column_is_an_error(tmp_path, write_pdmx):
    header = PDMX_HEADER.replace("subset:no_license_conflict,", "")
    write_pdmx(tmp_path, {"mid": "./mid/1/11/a.mid"}, header=header)
    with pytest.raises(PreferenceError, match="has no column subset:no_license_conflict"):
        read_preferences(tmp_path)


@given(st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=6))
def test_every_row_of_random_cells_is_kept_or_left_out(tmp_path_factory, touch, write_pdmx, songs):
    folder = tmp_path_factory.mktemp("pdmx")
    touch(folder / "a.mid")
    songs = [{"mid": mid, "n_views": views, "n_favorites": likes} for mid, views, likes in songs]
    write_pdmx(folder, {"mid": "a.mid"}, *songs)
    table = read_preferences(folder)
    assert len(table) + len(table.left_out) == 1 + len(songs)


def test_scores_outside_the_folder_are_left_out(tmp_path, touch, write_pdmx):
    touch(tmp_path / "outside.mid")
    touch(tmp_path / "pdmx/in.mid")
    write_pdmx(tmp_path / "pdmx", {"mid": "in.mid"}, {"mid": "../outside.mid"}, {"mid": str(tmp_path / "outside.mid")})
    table = read_preferences(tmp_path / "pdmx")
    assert [p.name for p in table.preferences] == ["in.mid"]
    assert [row.reason for row in table.left_out] == ["outside the folder"] * 2
