"""Votes on pairs from CSV files."""

import pytest

from toccata.music.score import Score
from toccata.reward_models.preferences import PreferenceError, read_preferences


@pytest.fixture
def folder(tmp_path):
    """Four MIDI files, a.mid to d.mid."""
    for number, name in enumerate("abcd"):
        Score([(0, 24, 60 + number, 80)]).to_midi(tmp_path / f"{name}.mid")
    return tmp_path


def test_votes_alone_are_a_table(folder):
    (folder / "pairs.csv").write_text(
        "first,second,choice,listener\na.mid,b.mid,first,0\nb.mid,c.mid,Tie,1\na.mid,c.mid,second,1\n"
    )
    table = read_preferences(folder)
    assert [piece.name for piece in table.preferences] == ["a.mid", "b.mid", "c.mid"]
    assert [tuple(pair) for pair in table.pairs] == [(0, 1, 1.0), (1, 2, 0.5), (0, 2, 0.0)]
    assert all(piece.popularity != piece.popularity for piece in table.preferences)  # NaN
    assert table.summary() == "3 pieces; 3 votes on pairs of them"


def test_votes_stand_beside_plays_and_likes(folder):
    (folder / "manifest.csv").write_text("file,plays,likes\nb.mid,10,5\nd.mid,10,2\n")
    (folder / "pairs.csv").write_text("better;worse\na.mid;b.mid\n")
    table = read_preferences(folder)
    assert [(piece.name, piece.plays) for piece in table.preferences] == [("b.mid", 10), ("d.mid", 10), ("a.mid", 0)]
    assert [tuple(pair) for pair in table.pairs] == [(2, 0, 1.0)]


def test_another_file_of_votes_can_be_named(folder):
    (folder / "manifest.csv").write_text("file,plays,likes\nb.mid,10,5\n")
    (folder / "votes.csv").write_text("better,worse\na.mid,b.mid\n")
    assert not read_preferences(folder).pairs
    assert len(read_preferences(folder, folder / "votes.csv").pairs) == 1
    assert len(read_preferences(folder / "manifest.csv", folder / "votes.csv").pairs) == 1


def test_rows_that_are_no_votes_are_left_out_and_counted(folder):
    rows = [
        "a.mid,b.mid,first",
        "a.mid,a.mid,first",
        "a.mid,x.mid,first",
        "a.mid,../y.mid,tie",
        "a.mid,b.mid,both",
        ",b.mid,tie",
    ]
    (folder / "pairs.csv").write_text("\n".join(["first,second,choice", *rows]) + "\n")
    table = read_preferences(folder)
    assert len(table.pairs) == 1
    reasons = [row.reason for row in table.left_out]
    assert reasons == ["a piece beside itself", "missing file", "outside the folder", "unknown choice", "no file name"]
    assert "pairs.csv, row 6: both" in table.summary()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "winner,loser\na.mid,b.mid\n",
            r"pairs\.csv: needs the columns first,second,choice or better,worse, begins with 'winner",
        ),
        ("", r"pairs\.csv: needs the columns"),
        ("better,worse\nx.mid,y.mid\n", "has no usable row"),
    ],
)
def test_what_holds_no_votes_is_refused(folder, text, message):
    (folder / "pairs.csv").write_text(text)
    with pytest.raises(PreferenceError, match=message):
        read_preferences(folder)


def test_a_missing_file_is_named(folder):
    with pytest.raises(PreferenceError, match=r"gone\.csv: No such file"):
        read_preferences(folder, folder / "gone.csv")
