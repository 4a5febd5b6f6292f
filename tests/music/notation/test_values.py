"""Values, triplets, and the division of bars."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.notation.metres import division, strength
from toccata.music.notation.values import DOTTED, PLAIN, TRIPLETS, Piece, values

SIGNATURES = [(n, d) for d in (1, 2, 4, 8, 16, 32) for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13)]


def written(signature, *ticks, kind="note", first=0):
    """Lengths of the values between ticks, a "." for a tie."""
    pieces = [Piece(start, end, kind) for start, end in pairwise([first, *ticks])]
    found = values(division(*signature), pieces)
    return " ".join(f"{value.end - value.start}" for value in found)


@pytest.mark.parametrize(
    ("signature", "ticks", "expected"),
    [
        ((4, 4), (96,), "96"),
        ((4, 4), (72, 96), "72 24"),  # a dotted half
        ((4, 4), (24, 96), "24 24 48"),  # the middle of the bar is seen
        ((4, 4), (24, 72, 96), "24 24 24 24"),
        ((4, 4), (36, 48, 96), "36 12 48"),
        ((4, 4), (12, 36, 48, 96), "12 12 12 12 48"),  # and the beats
        ((4, 4), (60, 96), "48 12 12 24"),
        ((3, 4), (24, 72), "24 48"),
        ((3, 4), (72,), "72"),
        ((6, 8), (36, 72), "36 36"),
        ((6, 8), (48, 72), "36 12 24"),  # dotted quarters
        ((6, 8), (24, 48, 72), "24 12 12 24"),
        ((6, 8), (72,), "72"),
        ((12, 8), (36, 108, 144), "36 36 36 36"),
        ((9, 8), (108,), "72 36"),
        ((7, 8), (84,), "48 36"),  # 2+2+3
        ((5, 4), (120,), "72 48"),  # 3+2
        ((2, 2), (48, 96), "48 48"),
        ((2, 4), (21, 48), "12 9 3 24"),
        ((2, 4), (6, 18, 24, 48), "6 12 6 24"),
        ((2, 4), (6, 24, 48), "6 18 24"),
        ((2, 2), (36, 96), "36 12 48"),
        ((2, 2), (12, 36, 96), "12 12 12 12 48"),
        ((4, 4), (84, 96), "48 36 12"),
    ],
)
def test_notes(signature, ticks, expected):
    assert written(signature, *ticks) == expected


@pytest.mark.parametrize(
    ("signature", "ticks", "expected"),
    [
        ((4, 4), (72, 96), "48 24 24"),
        ((4, 4), (24, 96), "24 24 48"),
        ((4, 4), (36, 96), "24 12 12 48"),
        ((3, 4), (48, 72), "24 24 24"),
        ((6, 8), (36, 72), "36 36"),
        ((12, 8), (72, 144), "72 72"),
    ],
)
def test_rests(signature, ticks, expected):
    assert written(signature, *ticks, kind="rest") == expected


@pytest.mark.parametrize(
    ("ticks", "expected", "windows"),
    [
        ((8, 16, 24, 96), "8 8 8 24 48", {(0, 24)}),
        ((16, 24, 96), "16 8 24 48", {(0, 24)}),
        ((16, 32, 48, 96), "16 16 16 48", {(0, 48)}),
        ((4, 8, 12, 24, 96), "4 4 4 12 24 48", {(0, 12)}),
        ((4, 8, 12, 18, 24, 96), "4 4 4 6 6 24 48", {(0, 12)}),
        ((1, 24, 96), "1 2 9 12 24 48", {(0, 3)}),
        ((8, 20, 24, 96), "8 8 4 4 24 48", {(0, 24)}),
        ((2, 4, 6, 24, 96), "2 2 2 18 24 48", {(0, 6)}),
        ((16, 40, 48, 96), "16 8 16 8 48", {(0, 24), (24, 48)}),
        ((24, 32, 40, 56, 64, 72, 96), "24 8 8 8 8 8 8 24", {(24, 48), (48, 72)}),
    ],
)
def test_triplets(ticks, expected, windows):
    pieces = [Piece(start, end, "note") for start, end in pairwise([0, *ticks])]
    found = values(division(4, 4), pieces)
    lengths = [value.end - value.start for value in found]
    assert {value.triplet for value in found} - {None} == windows
    assert lengths == list(map(int, expected.split()))


def test_an_upbeat_has_the_values_of_the_end_of_its_bar():
    assert written((4, 4), 96, first=60) == "12 24"
    assert written((6, 8), 72, first=60) == "12"


def test_strengths():
    assert [strength(division(4, 4), tick) for tick in (0, 48, 24, 72, 12, 3)] == [0, 1, 2, 2, 9, 9]
    assert [strength(division(6, 8), tick) for tick in (0, 36, 12, 6)] == [0, 2, 3, 9]
    assert division(7, 8).beats == (0, 24, 48)
    assert division(4, 64) == division(2, 32)
    with pytest.raises(ValueError, match="5/64"):
        division(5, 64)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SIGNATURES), st.data())
def test_values_fill_the_bar(signature, data):
    bar = division(*signature)
    ticks = data.draw(st.sets(st.integers(1, bar.ticks - 1) if bar.ticks > 1 else st.nothing(), max_size=8))
    bounds = sorted({0, bar.ticks, *ticks})
    kinds = data.draw(st.lists(st.sampled_from(["note", "rest"]), min_size=len(bounds), max_size=len(bounds)))
    pieces = [Piece(start, end, kind) for (start, end), kind in zip(pairwise(bounds), kinds, strict=False)]
    found = values(bar, pieces)
    assert [found[0].start, *(value.end for value in found)] == sorted({0, *(value.end for value in found)})
    assert all(before.end == after.start for before, after in pairwise(found))
    for value in found:
        piece = pieces[value.piece]
        assert piece.start <= value.start < value.end <= piece.end
        known = TRIPLETS if value.triplet else DOTTED if value.dots else PLAIN
        assert known[value.end - value.start] == value.type
    for start, end in {value.triplet for value in found} - {None}:  # all of its time is in triplets
        inside = [value for value in found if start <= value.start < end]
        assert {value.triplet for value in inside} == {(start, end)}
        assert (inside[0].start, inside[-1].end) == (start, end)
