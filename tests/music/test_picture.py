"""Piano-roll pictures."""

import numpy as np
import pytest

from toccata.music.picture import (
    BAR_LINE,
    BEAT_PIXELS,
    KEYBOARD_PIXELS,
    MAX_WIDTH_PIXELS,
    NOW,
    ROW_PIXELS,
    VELOCITY_COLOURS,
    _bar_lines,
    _beat_ticks,
    piano_roll_picture,
    save_piano_roll,
)
from toccata.music.score import Score

CHORD = Score([(0, 48, pitch, 80) for pitch in (60, 64, 67)] + [(96, 24, 72, 127)])
SCORES = {
    "empty": Score(),
    "silent": Score(length_ticks=8 * 96),
    "one note": Score([(0, 1, 60, 1)]),
    "cluster": Score([(0, 96, pitch, 80) for pitch in range(128)]),
    "waltz": Score([(tick, 24, 60, 64) for tick in range(0, 720, 24)], beats_per_bar=3),
    "fine grid": Score([(0, 480, 60, 64)], ticks_per_beat=480),
    "ends in a bar": Score([(0, 24, 60, 64)], length_ticks=100),
    "five million bars": Score([(0, 24, 60, 64), (5 * 10**8, 24, 60, 64)]),
    "200 bars": Score([(tick, 24, 40 + tick % 48, 1 + tick % 127) for tick in range(0, 200 * 96, 24)]),
}


def colour_at(picture: np.ndarray, pitch: int, tick: int, highest: int = 108) -> tuple[int, ...]:
    """The colour in the middle of a key's row, on the default grid."""
    row = (highest - pitch) * ROW_PIXELS + ROW_PIXELS // 2
    return tuple(picture[row, KEYBOARD_PIXELS + tick].tolist())


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_any_score_has_a_picture(score):
    picture = piano_roll_picture(score, now_tick=score.length_ticks)
    assert picture.dtype == np.uint8
    beats = max(score.length_ticks, score.ticks_per_bar) / score.ticks_per_beat
    width = min(KEYBOARD_PIXELS + round(beats * BEAT_PIXELS), MAX_WIDTH_PIXELS)
    assert picture.shape == (88 * ROW_PIXELS, width, 3)


def test_notes_are_drawn_at_their_pitch_and_time():
    picture = piano_roll_picture(CHORD)
    for pitch in (60, 64, 67):
        assert colour_at(picture, pitch, 24) == tuple(VELOCITY_COLOURS[80])
        assert colour_at(picture, pitch, 50) != tuple(VELOCITY_COLOURS[80])
    assert colour_at(picture, 62, 24) != tuple(VELOCITY_COLOURS[80])
    assert colour_at(picture, 72, 108) == tuple(VELOCITY_COLOURS[127])


def test_repeated_notes_are_separated():
    picture = piano_roll_picture(Score([(0, 24, 60, 80), (24, 24, 60, 80)]))
    row = picture[(108 - 60) * ROW_PIXELS + 2, KEYBOARD_PIXELS : KEYBOARD_PIXELS + 48]
    assert not (row == VELOCITY_COLOURS[80]).all(1)[[0, 23, 24, 47]].any()


def test_keys_that_are_down_are_highlighted():
    down, released = piano_roll_picture(CHORD, now_tick=47), piano_roll_picture(CHORD, now_tick=48)
    key = ((108 - 64) * ROW_PIXELS + 2, 2)
    assert tuple(down[key]) == NOW
    assert tuple(released[key]) != NOW
    assert colour_at(down, 64, 47) == NOW
    assert not (piano_roll_picture(CHORD) == NOW).all(2).any()


def test_notes_outside_the_keys_shown_are_left_out():
    picture = piano_roll_picture(SCORES["cluster"], lowest=60, highest=71)
    assert picture.shape[0] == 12 * ROW_PIXELS
    assert colour_at(piano_roll_picture(CHORD, lowest=60, highest=71), 64, 24, 71) == tuple(VELOCITY_COLOURS[80])


@pytest.mark.parametrize(("lowest", "highest"), [(-1, 60), (60, 128), (61, 60)])
def test_invalid_ranges_are_errors(lowest, highest):
    with pytest.raises(ValueError, match=rf"got {lowest} and {highest}"):
        piano_roll_picture(CHORD, lowest=lowest, highest=highest)


def test_louder_is_darker():
    lightness = VELOCITY_COLOURS[1:].astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) <= 0).all()
    assert lightness[0] - lightness[-1] > 128


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_any_score_has_a_figure(score, tmp_path):
    from matplotlib.image import imread

    save_piano_roll(score, tmp_path / "roll.png", title="$5 a bar_")
    height, width = imread(tmp_path / "roll.png").shape[:2]
    assert width == 2200
    assert 200 < height < 6000


def test_bar_lines_are_those_of_the_score():
    score = Score(time_signatures=[(0, 6, 8), (72, 7, 8), (156, 4, 4)], length_ticks=252)
    lines = np.flatnonzero((piano_roll_picture(score)[0, KEYBOARD_PIXELS:] == BAR_LINE).all(1))
    assert lines.tolist() == score.bar_ticks.tolist() == [0, 72, 156]
    assert _bar_lines(score, 5).tolist() == [0, 72, 156, 252, 348, 444]
    assert _bar_lines(Score(), 2).tolist() == [0, 96, 192]
    assert _beat_ticks(score, np.array([72, 156]), 200).tolist() == [72, 96, 120, 144, 156, 180]


def test_a_figure_does_not_import_pyplot(tmp_path):
    import sys

    before = "matplotlib.pyplot" in sys.modules
    save_piano_roll(CHORD, str(tmp_path / "roll.svg"))
    assert (tmp_path / "roll.svg").read_text().lstrip().startswith("<?xml")
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_a_figure_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        save_piano_roll(CHORD, tmp_path / "nowhere" / "roll.png")
