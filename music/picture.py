"""Piano-roll pictures: an array for renderers and video, a figure for papers.

Both colour notes by velocity, from pale blue for soft to dark blue for loud. The scale differs in lightness, so that it
is readable in print and with every kind of colour vision. The current tick is orange.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from toccata.files import write_atomically
from toccata.music.score import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Colour = tuple[int, int, int]  # red, green, blue, 0-255

PAPER: Colour = (255, 255, 255)  # rows of white keys
SHADE: Colour = (240, 243, 247)  # rows of black keys
BEAT_LINE: Colour = (226, 231, 238)
BAR_LINE: Colour = (176, 186, 199)
OCTAVE_LINE: Colour = (202, 210, 220)
INK: Colour = (38, 44, 54)  # black keys and text
NOW: Colour = (230, 97, 1)
_VELOCITY_ANCHORS = ((1, (158, 202, 232)), (64, (52, 125, 188)), (127, (8, 38, 92)))
VELOCITY_COLOURS = np.stack(
    [
        np.interp(np.arange(128), [v for v, _ in _VELOCITY_ANCHORS], channel)
        for channel in zip(*(colour for _, colour in _VELOCITY_ANCHORS), strict=True)
    ],
    axis=1,
).astype(np.uint8)  # (velocity, 3)

ROW_PIXELS = 6  # height of a key; the labels need as much
BEAT_PIXELS = 24  # a tick of the default grid is a pixel
KEYBOARD_PIXELS = 44
MAX_WIDTH_PIXELS = 8192  # limit of video codecs and browsers; 84 bars of 4/4

BARS_PER_LINE = 16
MAX_LINES = 8  # of one figure

_BLACK_KEYS = (1, 3, 6, 8, 10)
_GLYPHS = {  # 3 x 5 dots, rows of three bits
    "C": (7, 4, 4, 4, 7),
    "-": (0, 0, 7, 0, 0),
    "0": (7, 5, 5, 5, 7),
    "1": (2, 6, 2, 2, 7),
    "2": (7, 1, 7, 4, 7),
    "3": (7, 1, 7, 1, 7),
    "4": (5, 5, 7, 1, 1),
    "5": (7, 4, 7, 1, 7),
    "6": (7, 4, 7, 5, 7),
    "7": (7, 1, 1, 2, 2),
    "8": (7, 5, 7, 5, 7),
    "9": (7, 5, 7, 1, 7),
}


def piano_roll_picture(
    score: Score, *, lowest: int = 21, highest: int = 108, now_tick: int | None = None
) -> np.ndarray:
    """The whole score as a piano roll with a keyboard on the left, high notes at the top.

    Scores of one length and metre give pictures of one shape, as a video needs. A score too long for `MAX_WIDTH_PIXELS`
    is scaled to that width; beat and bar lines that would be too close are left out.

    Args:
        score: any score; an empty one gives an empty bar.
        lowest: MIDI number of the lowest key shown, by default the piano's.
        highest: MIDI number of the highest key shown. Notes outside are not shown.
        now_tick: current tick, drawn as a line, with the keys that are down highlighted; None for neither.

    Returns:
        (height, width, 3) uint8, RGB; height is `ROW_PIXELS` a key, width `KEYBOARD_PIXELS` plus `BEAT_PIXELS` a beat,
        at most `MAX_WIDTH_PIXELS`.

    Raises:
        ValueError: when not 0 <= lowest <= highest <= 127.
    """
    if not 0 <= lowest <= highest <= 127:
        raise ValueError(f"need 0 <= lowest <= highest <= 127, got {lowest} and {highest}")
    ticks = max(score.length_ticks, score.ticks_per_bar)
    scale = min(BEAT_PIXELS / score.ticks_per_beat, (MAX_WIDTH_PIXELS - KEYBOARD_PIXELS) / ticks)
    rows = (highest - lowest + 1) * ROW_PIXELS
    picture = np.empty((rows, KEYBOARD_PIXELS + max(1, round(ticks * scale)), 3), np.uint8)
    roll = picture[:, KEYBOARD_PIXELS:]

    pitch_of_row = highest - np.arange(rows) // ROW_PIXELS
    black = np.isin(pitch_of_row % 12, _BLACK_KEYS)
    roll[:] = np.array([PAPER, SHADE], np.uint8)[black.astype(int)][:, None]
    bar_lines = _bar_lines(score, max(score.bars, 1))[:-1]
    if score.ticks_per_beat * scale >= 6:  # closer lines would merge
        roll[:, np.round(_beat_ticks(score, bar_lines, ticks) * scale).astype(int)] = BEAT_LINE
    if score.ticks_per_bar * scale >= 6:
        roll[:, np.round(bar_lines * scale).astype(int)] = BAR_LINE
    roll[(pitch_of_row % 12 == 0) & (np.arange(rows) % ROW_PIXELS == ROW_PIXELS - 1)] = OCTAVE_LINE

    shown = score.notes[(score.notes["pitch"] >= lowest) & (score.notes["pitch"] <= highest)]
    left = np.round(shown["onset_tick"] * scale).astype(int)
    right = np.round((shown["onset_tick"] + shown["duration_ticks"]) * scale).astype(int)
    top = (highest - shown["pitch"].astype(int)) * ROW_PIXELS
    colours = VELOCITY_COLOURS[shown["velocity"]]
    for x, x_end, y, colour in zip(left.tolist(), right.tolist(), top.tolist(), colours, strict=True):
        roll[y : y + ROW_PIXELS - 1, x : max(x + 1, x_end - 1)] = colour  # with a gap before the next note
        if x_end - x >= 4:
            roll[y : y + ROW_PIXELS - 1, x] = colour // 2  # the onset

    down: np.ndarray = np.empty(0, int)
    if now_tick is not None:
        x = min(max(round(now_tick * scale), 0), roll.shape[1] - 2)
        roll[:, x : x + 2] = NOW
        ends = shown["onset_tick"] + shown["duration_ticks"]
        down = shown["pitch"][(shown["onset_tick"] <= now_tick) & (now_tick < ends)]
    _draw_keyboard(picture[:, :KEYBOARD_PIXELS], pitch_of_row, down)
    return picture


class Word(NamedTuple):
    """A syllable above a note of a piano roll."""

    tick: int
    pitch: int
    text: str


def save_piano_roll(
    score: Score, path: str | PathLike[str], title: str | None = None, words: Sequence[Word] = ()
) -> None:
    """Write the score as a piano roll for a paper or a report, wrapped into lines.

    A line has `BARS_PER_LINE` bars, with words half as many; in a piece that would need more than `MAX_LINES` lines it
    has more, narrower ones. The range of pitches is that of the piece in whole octaves. An existing file is replaced
    once the new one is complete.

    Args:
        score: any score; an empty one gives an empty bar.
        path: the file; its suffix (.png, .pdf, .svg) is the format. A PNG is 2,200 pixels wide.
        title: a line above the roll, as plain text without math markup.
        words: above the notes that they are sung to, likewise.

    Raises:
        OSError: when the file cannot be written.
        ValueError: when the suffix is no known format.
    """
    from matplotlib.figure import Figure

    bars = max(score.bars, 1)
    bars_per_line = max(min(bars, BARS_PER_LINE // 2 if words else BARS_PER_LINE), -(-bars // MAX_LINES))
    lines = -(-bars // bars_per_line)
    lowest, highest = _whole_octaves(score.notes["pitch"])

    # inches
    width, left, right, foot, gap = 11.0, 0.55, 0.2, 0.3, 0.36
    head = 0.85 if title else 0.5
    line_height = (0.5 if lines == 1 else 0.3) * (highest - lowest) / 12
    height = head + lines * line_height + (lines - 1) * gap + foot

    figure = Figure(figsize=(width, height), facecolor="white")
    for line in range(lines):
        y = height - head - (line + 1) * line_height - line * gap
        box = (left / width, y / height, (width - left - right) / width, line_height / height)
        axes: Axes = figure.add_axes(box)
        first_tick, end_tick = _draw_line(axes, score, line * bars_per_line, bars_per_line, lowest, highest)
        for word in words:
            if first_tick <= word.tick < end_tick:
                axes.text(word.tick, word.pitch + 1.2, word.text, size=7, zorder=4, color=_unit(INK), parse_math=False)
    text: dict[str, Any] = {"color": _unit(INK), "va": "baseline", "parse_math": False}
    summary = f"{_with_noun(score.bars, 'bar')} · {_with_noun(len(score), 'note')} · {score.tempo_bpm:g} bpm"
    figure.text(left / width, 1 - (head - 0.16) / height, summary, size=9, **text)
    if title:
        figure.text(left / width, 1 - 0.42 / height, title, size=15, weight="bold", **text)
    if len(score):
        scale = figure.add_axes((1 - (right + 1.3) / width, 1 - (head - 0.16) / height, 1 / width, 0.1 / height))
        _draw_velocity_scale(scale)
    picture = BytesIO()
    figure.savefig(picture, dpi=200, format=Path(path).suffix[1:] or "png")
    write_atomically(path, picture.getvalue())


def _draw_line(axes: Axes, score: Score, first_bar: int, bars: int, lowest: int, highest: int) -> tuple[int, int]:
    """Draw a line of `bars` bars from `first_bar` on, even if the piece ends before; its first tick and its end."""
    from matplotlib.collections import PolyCollection

    lines = _bar_lines(score, max(first_bar + bars, score.bars))
    start, end = int(lines[first_bar]), int(lines[first_bar + bars])
    music_end = min(end, int(lines[max(score.bars, 1)]))
    black = np.array([pitch for pitch in range(lowest, highest) if pitch % 12 in _BLACK_KEYS])
    shade = _boxes(np.full(len(black), start), np.full(len(black), music_end), black)
    axes.add_collection(PolyCollection(shade, facecolors=[_unit(SHADE)], linewidths=0))
    wide = bars <= 2 * BARS_PER_LINE  # bars wide enough for beat lines
    if wide:
        beats = _beat_ticks(score, lines[first_bar : first_bar + bars], music_end)
        axes.vlines(beats, lowest, highest, colors=[_unit(BEAT_LINE)], linewidths=0.5)
    axes.hlines(np.arange(lowest, highest + 1, 12), start, music_end, colors=[_unit(OCTAVE_LINE)], linewidths=0.8)
    every = 1 if bars <= BARS_PER_LINE else 4 * -(-bars // (4 * BARS_PER_LINE))  # bars from number to number
    bar_lines = lines[first_bar : first_bar + bars + 1 : 1 if bars <= 8 * BARS_PER_LINE else every]
    bar_lines = bar_lines[bar_lines <= music_end]
    axes.vlines(bar_lines, lowest, highest, colors=[_unit(BAR_LINE)], linewidths=0.8)

    notes = score.notes[(score.notes["onset_tick"] < end) & (score.offset_ticks > start)]
    left = np.maximum(notes["onset_tick"], start)
    right = np.minimum(notes["onset_tick"] + notes["duration_ticks"], end)
    axes.add_collection(
        PolyCollection(
            _boxes(left, right, notes["pitch"]),
            facecolors=VELOCITY_COLOURS[notes["velocity"]] / 255,
            edgecolors="white" if wide else "face",  # white separates adjacent notes, but would hide thin ones
            linewidths=0.3,
            zorder=3,
        )
    )
    axes.set_xlim(start, end)
    axes.set_ylim(lowest, highest)
    octaves = np.arange(lowest, highest + 1, 12)
    numbers = [bar for bar in range(first_bar, first_bar + bars, every) if lines[bar] < music_end]
    axes.set_yticks(octaves, [f"C{octave // 12 - 1}" for octave in octaves])
    axes.set_xticks([int(lines[bar]) for bar in numbers], [str(bar + 1) for bar in numbers])
    for label in axes.get_xticklabels():
        label.set_horizontalalignment("left")  # right of the bar line, so that it does not cover the lowest C
    axes.tick_params(length=0, pad=3, labelsize=8, labelcolor=_unit(INK))
    axes.set_frame_on(False)
    return start, end


def _bar_lines(score: Score, bars: int) -> np.ndarray:
    """(bars + 1,) ticks of the bar lines from 0 on; after the end of the piece, bars of its `beats_per_bar`."""
    lines = score.bar_ticks[: bars + 1]
    if len(lines):
        lines = np.append(lines, score.next_bar_line(int(lines[-1]) + 1))[: bars + 1]
    last = int(lines[-1]) if len(lines) else -score.ticks_per_bar
    return np.append(lines, last + score.ticks_per_bar * np.arange(1, bars + 2 - len(lines)))


def _beat_ticks(score: Score, bar_lines: np.ndarray, end: int) -> np.ndarray:
    """The ticks of the quarters before `end`, counted from each bar line."""
    ends = np.append(bar_lines[1:], max(end, int(bar_lines[-1])))
    bars = zip(bar_lines.tolist(), ends.tolist(), strict=True)
    return np.concatenate([np.arange(start, min(stop, end), score.ticks_per_beat) for start, stop in bars])


def _draw_velocity_scale(axes: Axes) -> None:
    """Draw the colours of velocities 1 to 127 as a strip with its ends named."""
    axes.imshow(VELOCITY_COLOURS[None, 1:], aspect="auto", interpolation="nearest")
    axes.set_axis_off()
    text: dict[str, Any] = {"size": 9, "color": _unit(INK), "transform": axes.transAxes, "va": "baseline"}
    axes.text(-0.06, 0, "velocity 1", ha="right", **text)
    axes.text(1.06, 0, "127", ha="left", **text)


def _draw_keyboard(picture: np.ndarray, pitch_of_row: np.ndarray, down: np.ndarray) -> None:
    """Draw a vertical keyboard into (rows, KEYBOARD_PIXELS, 3), the pitches of `down` lit, each C with its name."""
    rows, width = picture.shape[:2]
    black = np.isin(pitch_of_row % 12, _BLACK_KEYS)
    lit = np.isin(pitch_of_row, down)
    in_row = np.arange(rows) % ROW_PIXELS
    picture[:] = PAPER
    picture[lit & ~black] = NOW
    # white keys meet below C, below F, and behind the middle of each black key
    meets = np.isin(pitch_of_row % 12, (0, 5)) & (in_row == ROW_PIXELS - 1)
    picture[meets | (black & (in_row == ROW_PIXELS // 2))] = BAR_LINE
    picture[black, : width * 3 // 5] = INK
    picture[black & lit, : width * 3 // 5] = NOW
    picture[:, -1] = INK
    for row in np.flatnonzero((pitch_of_row % 12 == 0) & (in_row == 0)):
        name = f"C{pitch_of_row[row] // 12 - 1}"
        x = width - 3 - 4 * len(name)
        for glyph in name:
            dots = np.array(_GLYPHS[glyph])[:, None] >> np.array([2, 1, 0]) & 1
            picture[row : row + 5, x : x + 3][dots == 1] = INK
            x += 4


def _whole_octaves(pitches: np.ndarray) -> tuple[int, int]:
    """The Cs at or below and above all pitches, two octaves apart at least."""
    lowest, highest = (int(pitches.min()), int(pitches.max())) if len(pitches) else (60, 60)
    lowest, highest = lowest // 12 * 12, (highest // 12 + 1) * 12
    if highest - lowest < 24:
        lowest = max(0, lowest - 12)
    return lowest, max(highest, lowest + 24)


def _boxes(left: np.ndarray, right: np.ndarray, pitch: np.ndarray) -> list[np.ndarray]:
    """The corners (4, 2) of rectangles one semitone high."""
    x = np.stack([left, left, right, right], axis=1)
    y = np.stack([pitch, pitch + 1, pitch + 1, pitch], axis=1)
    return list(np.stack([x, y], axis=2).astype(float))


def _unit(colour: Colour) -> tuple[float, float, float]:
    """A colour in the range of matplotlib, [0, 1]."""
    return colour[0] / 255, colour[1] / 255, colour[2] / 255


def _with_noun(number: int, noun: str) -> str:
    """A number with its noun, in the plural unless the number is 1."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
