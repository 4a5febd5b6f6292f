import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toccata.reward_models.preferences import PreferenceError, read_preferences

CELL = st.text(max_size=12) | st.sampled_from(
    ["a.wav", "b.mid", "3", "-1", "1e999", "nan", "", "valid", "0", "\x00", '"']
)

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


@pytest.fixture(scope="session")
def write_tracks(write_csv):
    """Writes tracks.csv; each track: id, artist, split, subset, favourites, genre, listens."""

    def write(path, *tracks):
        rows = [[top for top, _ in FMA_COLUMNS], [name for _, name in FMA_COLUMNS], ["track_id"] + [""] * 11]
        for track, artist, split, subset, likes, genre, plays in tracks:
            cells = [track, 1, 6073, artist, 9, "AWOL, the", split, subset, likes, genre, plays, "Food\nand “drink”"]
            rows.append(cells)
        write_csv(path, rows)

    return write


def test_tracks_of_all_splits_and_subsets(tmp_path, touch, write_tracks):
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


def test_sound_may_be_in_the_folder_of_the_table(tmp_path, touch, write_tracks):
    touch(tmp_path / "fma_full/000/000002.mp3")
    write_tracks(tmp_path / "tracks.csv", (2, 1, "training", "small", 2, "Hip-Hop", 1293))
    assert read_preferences(tmp_path).preferences[0].file == tmp_path / "fma_full/000/000002.mp3"


def test_tracks_without_sound_folder_are_an_error(tmp_path, write_tracks):
    write_tracks(tmp_path / "tracks.csv", (2, 1, "training", "small", 2, "Hip-Hop", 1293))
    with pytest.raises(PreferenceError, match=r"tracks\.csv: needs fma_small, "):
        read_preferences(tmp_path)


@given(st.lists(st.lists(CELL, min_size=7, max_size=7), max_size=6))
def test_every_row_of_random_cells_is_kept_or_left_out(tmp_path_factory, touch, write_tracks, tracks):
    folder = tmp_path_factory.mktemp("fma")
    touch(folder / "fma_large/000/000003.mp3")
    tracks = [[track, artist, "", *rest] for track, artist, _, *rest in tracks]
    write_tracks(folder / "tracks.csv", (3, 1, "test", "large", 2, "", 9), *tracks)
    table = read_preferences(folder)
    assert len(table) + len(table.left_out) == 1 + len(tracks)


def test_a_track_id_of_thousands_of_digits_is_left_out(tmp_path, touch, write_tracks):
    touch(tmp_path / "fma_small/000/000002.mp3")
    tracks = ((2, 1, "training", "small", 2, "", 9), ("9" * 5000, 1, "training", "small", 2, "", 9))
    write_tracks(tmp_path / "tracks.csv", *tracks)
    table = read_preferences(tmp_path)
    assert len(table) == 1
    assert [row.reason for row in table.left_out] == ["unreadable row"]
