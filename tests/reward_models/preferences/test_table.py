import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import assume, given
from hypothesis import strategies as st

from toccata.music.score import Score
from toccata.reward_models.preferences import (
    LeftOut,
    Preference,
    PreferenceError,
    PreferenceTable,
    contour,
    popularity,
)

TUNE = Score([(0, 24, 60, 80), (24, 24, 62, 80), (48, 48, 64, 80)])


def melody(*pitches, ticks=24):
    return Score([(ticks * index, ticks, pitch, 80) for index, pitch in enumerate(pitches)])


@pytest.mark.parametrize(
    ("likes", "plays", "expected"),
    [
        (0, 1, 0),
        (1, 1, 0),
        (1, 1000, 0),
        (10, 10, math.log(10)),
        (10, 100, 0.1 * math.log(10)),
        (math.e, 2 * math.e, 0.5),
        (0.5, 1, 0),
    ],
)
def test_popularity_of_known_counts(likes, plays, expected):
    assert popularity(likes, plays) == pytest.approx(expected)


COUNTS = st.floats(0, 1e12, allow_subnormal=False)


@given(COUNTS, COUNTS, COUNTS)
def test_popularity_never_falls_with_more_likes_at_equal_plays(fewer, more, plays):
    fewer, more, plays = sorted([fewer, more, plays])
    assume(plays > 0)
    assert 0 <= popularity(fewer, plays) <= popularity(more, plays) <= max(0, math.log(plays)) * (1 + 1e-12)


@given(st.integers(2, 10**9), st.integers(2, 10**9))
def test_popularity_rises_with_likes_and_falls_with_plays(likes, plays):
    assume(likes < plays)
    assert popularity(likes - 1, plays) < popularity(likes, plays)
    assert popularity(likes, plays) > popularity(likes, plays + 1)


@pytest.mark.parametrize(
    ("likes", "plays", "reason"),
    [
        (0, 0, "no plays"),
        (3, 0, "no plays"),
        (3, 2, "more likes than plays"),
        (-1, 2, "negative"),
        (0, -2, "negative"),
        (math.nan, 2, "not a number"),
        (1, math.nan, "not a number"),
        (1, math.inf, "not a number"),
    ],
)
def test_counts_without_a_popularity_are_errors(likes, plays, reason):
    with pytest.raises(PreferenceError, match=reason):
        popularity(likes, plays)
    if likes or plays:
        with pytest.raises(PreferenceError, match=reason):
            Preference("x", plays, likes, score=TUNE)


def test_a_piece_of_which_only_votes_are_known_has_no_popularity():
    assert math.isnan(Preference("x", 0, 0, score=TUNE).popularity)


def test_transpositions_rhythms_and_modes_share_a_contour():
    tune = melody(60, 62, 64, 60, 67, 67)
    assert contour(tune) == "uudur"
    assert contour(tune.transpose(5)) == "uudur"
    assert contour(melody(60, 62, 64, 60, 67, 67, ticks=7)) == "uudur"
    assert contour(melody(60, 62, 63, 60, 67, 67)) == "uudur"
    assert contour(melody(60, 62, 64, 60, 60, 67)) != "uudur"


@pytest.mark.parametrize("score", [Score(), melody(60)])
def test_fewer_than_two_notes_have_an_empty_contour(score):
    assert contour(score) == ""


def test_contour_is_that_of_the_highest_line():
    soprano = [(0, 24, 72, 80), (24, 24, 74, 80), (48, 48, 71, 80)]
    moving_bass = [(12 * index, 12, 40 + index, 80) for index in range(8)]
    assert contour(Score([*soprano, *moving_bass])) == "ud"
    chords = [(onset, 24, pitch, 80) for onset in (0, 24, 48) for pitch in (50, 55, 59)]
    assert contour(Score([*soprano, *chords])) == "ud"
    below_a_rest = [(96, 24, 50, 80), (120, 24, 52, 80)]
    assert contour(Score([*soprano, *below_a_rest])) == "uddu"


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9), st.integers(50, 70), st.just(80)), max_size=30))
def test_lower_voices_never_change_the_contour(notes):
    score = Score(notes)
    below = [(onset, duration, pitch - 40, 80) for onset, duration, pitch, _ in score.notes.tolist()]
    assert contour(Score([*score.notes.tolist(), *below])) == contour(score)


def test_the_default_group_is_the_contour_or_the_file():
    assert Preference("a", 2, 1, score=TUNE).group == "contour uu"
    assert Preference("a", 2, 1, score=TUNE.transpose(3)).group == "contour uu"
    assert Preference("a", 2, 1, file=Path("x/a.wav")).group == str(Path("x/a.wav"))
    assert Preference("a", 2, 1, file=Path("a.wav"), group="artist 3").group == "artist 3"


@pytest.mark.parametrize("given", [{}, {"file": Path("a.wav"), "score": TUNE}])
def test_a_preference_needs_exactly_one_of_file_and_score(given):
    with pytest.raises(PreferenceError, match="a: needs either a file or a score"):
        Preference("a", 2, 1, **given)


def test_a_summary_counts_reasons_and_shows_the_first_of_each():
    piece = Preference("a", 2, 1, score=TUNE)
    left_out = (
        LeftOut("row 4: song.wav", "no plays", "plays 0"),
        LeftOut("row 7: b.wav", "missing file"),
        LeftOut("row 9: c.wav", "no plays"),
    )
    table = PreferenceTable((piece, piece), left_out, merged=3)
    assert len(table) == 2
    assert table.summary() == (
        "2 pieces; 3 more rows added to them; left out 3: 2 no plays (row 4: song.wav: plays 0), "
        "1 missing file (row 7: b.wav)"
    )
    assert PreferenceTable((piece,)).summary() == "1 piece"
    assert str(LeftOut("row 2: a\nb", "x", "c " * 999)).startswith("row 2: a b: c c c")
    assert len(str(LeftOut("row 2: a\nb", "x", "c " * 999))) <= 160


def test_a_score_and_a_midi_file_load_as_a_score(tmp_path):
    TUNE.to_midi(tmp_path / "tune.mid")
    TUNE.to_midi(tmp_path / "no_suffix")
    assert Preference("a", 2, 1, score=TUNE).load() == TUNE
    assert Preference("a", 2, 1, file=tmp_path / "tune.mid").load(60) == TUNE
    assert Preference("a", 2, 1, file=tmp_path / "no_suffix").load() == TUNE


def test_a_long_score_is_cropped_to_its_middle_from_a_bar_line():
    long = melody(*range(40, 72))  # 8 bars of 2 seconds
    middle = Preference("a", 2, 1, score=long).load(seconds=4)
    assert middle.notes["pitch"].tolist() == [52, 53, 54, 55, 56, 57, 58, 59]
    assert middle.length_seconds == 4
    assert Preference("a", 2, 1, score=long).load(seconds=16) == long


def test_sound_loads_as_mono_samples(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros((44_100, 2)), 44_100)
    samples = Preference("a", 2, 1, file=tmp_path / "a.flac").load()
    assert samples.shape == (16_000,)
    assert samples.dtype == np.float32
    assert Preference("a", 2, 1, file=tmp_path / "a.flac").load(0.25).shape == (4_000,)


def test_errors_of_loading_name_the_file(tmp_path, capfd):
    Score().to_midi(tmp_path / "silent.mid")
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.full(9, np.nan), 16_000, subtype="FLOAT")
    for name in ("garbage.mid", "garbage.wav", "garbage.mp3", "garbage"):
        (tmp_path / name).write_bytes(b"MThd" * (name == "garbage.mid") + np.random.default_rng(0).bytes(999))
    for name in ("empty.mid", "empty.ogg"):
        (tmp_path / name).touch()
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "folder.mid").mkdir()
    for path in [*tmp_path.iterdir(), tmp_path / "gone.wav", tmp_path / "gone.mid"]:
        with pytest.raises(PreferenceError) as error:
            Preference("a", 2, 1, file=path).load()
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
    capfd.readouterr()  # libmpg123 writes to stderr
