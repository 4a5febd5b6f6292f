"""Encoding of scores as actions, decoding, and reports of losses."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.envs import Dynamics, EncodeReport, Piano, encode, play, velocities_of
from toccata.envs.instrument import VELOCITY
from toccata.music import Score

PIANO = Piano()
DYNAMIC = Piano(velocities=(32, 64, 96))


def described(score: Score, piano: Piano = PIANO) -> list[str]:
    return [piano.describe(action) for action in encode(score, piano)[0]]


def loss_counts(report: EncodeReport) -> tuple[int, int, int, int]:
    return report.dropped, report.shortened, report.lengthened, report.moved


def same_velocity(score: Score) -> Score:
    notes = score.notes.copy()
    notes["velocity"] = VELOCITY
    return Score(notes, score.ticks_per_beat, score.beats_per_bar, score.tempo_bpm, score.length_ticks)


def check(score: Score, piano: Piano = PIANO) -> EncodeReport:
    """Check what holds for every score, and return the report."""
    actions, report = encode(score, piano)
    assert actions.dtype == np.int16
    assert actions.shape == (len(actions), len(piano.nvec))
    played = play(actions, piano, beats_per_bar=score.beats_per_bar, tempo_bpm=score.tempo_bpm)
    assert played == (report.score if piano.velocities else same_velocity(report.score))
    assert report.notes == len(score)
    assert report.dropped == len(score) - len(report.score)
    again, report_again = encode(report.score, piano)
    np.testing.assert_array_equal(again, actions)
    assert loss_counts(report_again) == (0, 0, 0, 0)
    assert report_again.other_velocity == 0
    return report


@st.composite
def scores(draw: st.DrawFn, ticks_per_beat: int = 24) -> Score:
    beat = ticks_per_beat
    notes = draw(
        st.lists(
            st.tuples(st.integers(0, 8 * beat), st.integers(1, 6 * beat), st.integers(15, 115), st.integers(1, 127)),
            max_size=40,
        )
    )
    score = Score(notes, ticks_per_beat, draw(st.sampled_from([4, 3, 3.5, 2, 6])), draw(st.integers(4, 600)))
    silence = draw(st.integers(0, 3)) * score.ticks_per_bar
    return Score(score.notes, beat, score.beats_per_bar, score.tempo_bpm, score.length_ticks + silence)


@settings(max_examples=60)
@given(scores())
def test_encoding_and_playing_are_inverse(score: Score) -> None:
    report = check(score)
    assert report.score.length_ticks == score.length_ticks
    assert (report.lengthened, report.moved) == (0, 0)
    kept = {(n["onset_tick"], n["pitch"]): n["duration_ticks"] for n in score.notes}
    shorter = [n["duration_ticks"] < kept[n["onset_tick"], n["pitch"]] for n in report.score.notes]
    assert report.shortened == sum(shorter)


@settings(max_examples=40)
@given(scores(ticks_per_beat=480), st.sampled_from([PIANO, Piano(values=(6, 12, 24))]))
def test_other_grids_and_coarse_pianos(score: Score, piano: Piano) -> None:
    report = check(score, piano)
    assert not (report.score.notes["onset_tick"] % piano.values[0]).any()


@settings(max_examples=30)
@given(scores(), st.integers(1, 4), st.integers(2, 12), st.integers(2, 20))
def test_small_hands(score: Score, fingers: int, max_sounding: int, hand_span: int) -> None:
    check(score, Piano(fingers_per_hand=fingers, max_sounding=max_sounding, hand_span=hand_span))


@settings(max_examples=40)
@given(scores(), st.lists(st.integers(1, 127), min_size=1, max_size=8, unique=True))
def test_each_note_gets_the_nearest_velocity(score: Score, velocities: list[int]) -> None:
    report = check(score, Piano(velocities=tuple(sorted(velocities))))
    written = encode(score)[1].score  # the same notes with their own velocities
    assert same_velocity(report.score) == same_velocity(written)
    played, wanted = (each.notes["velocity"].tolist() for each in (report.score, written))
    assert all(abs(p - w) == min(abs(v - w) for v in velocities) for p, w in zip(played, wanted, strict=True))
    assert report.other_velocity == sum(p != w for p, w in zip(played, wanted, strict=True))


def test_velocities_of_chords_and_rests() -> None:
    chord = [(0, 48, pitch, 64) for pitch in (48, 52, 55)]
    actions, report = encode(Score(chord, length_ticks=48), DYNAMIC)
    assert actions.tolist() == [[PIANO.chord_index[48, 52, 55], 10, 1], [0, 10, 0]]
    assert report.other_velocity == 0
    chord[1] = (0, 48, 52, 70)  # nearest to 64 too
    assert encode(Score(chord), DYNAMIC)[1].other_velocity == 1
    assert described(Score(chord), DYNAMIC)[0] == "C3+E3+G3 for 48 at 64"
    chord[2] = (0, 48, 55, 81)  # nearest to 96: three keys
    assert described(Score(chord), DYNAMIC) == ["C3 for 48 at 64", "E3 for 48 at 64", "G3 for 48 at 96", "rest 96"]
    assert play(encode(Score(chord), DYNAMIC)[0], DYNAMIC).notes["velocity"].tolist() == [64, 64, 96]
    tie = encode(Score([(0, 24, 60, 48)]), DYNAMIC)[0]  # between 32 and 64
    assert tie[0, 2] == 0


def test_velocities_are_quantiles_of_a_corpus() -> None:
    soft, loud = Score([(0, 24, 60, 40)]), Score([(24 * k, 24, 60, 90) for k in range(3)])
    assert velocities_of([soft, loud], 1) == (90,)
    assert velocities_of([soft, loud], 4) == (40, 90)
    even = Score([(k, 1, 60, k + 1) for k in range(100)])
    assert velocities_of([even], 4) == (13, 38, 63, 88)
    assert Piano(velocities=velocities_of([even, Score()], 6)).nvec[2] == 6
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        velocities_of([soft], 0)
    with pytest.raises(ValueError, match="none of the scores has a note"):
        velocities_of([Score()], 3)


def test_every_action_is_legal_in_the_environment_too() -> None:
    rng = np.random.default_rng(0)
    notes = [(int(t), int(d), int(p), 64) for t, d, p in rng.integers([0, 1, 21], [384, 97, 109], (200, 3))]
    score = Score(notes, length_ticks=480)
    actions, report = encode(score)
    dynamics = Dynamics(1, PIANO, max_steps=len(actions))
    dynamics.begin([0], ticks_per_bar=96, end_tick=480)
    assert all(dynamics.step(action[None].astype(np.int64))[0] for action in actions)
    assert dynamics.states["clock"][0] == 480
    assert dynamics.score(0, 480, 120.0) == same_velocity(report.score)


def test_a_chord_of_the_vocabulary_is_one_action() -> None:
    notes = [(0, 48, pitch, 90) for pitch in (48, 52, 55, 72)]
    assert described(Score(notes)) == ["C3+E3+G3 for 48", "C5 for 48", "rest 96"]
    seventh = [(0, 48, pitch, 90) for pitch in (48, 52, 55, 58)]
    assert described(Score(seventh)) == ["C3+E3+G3+Bb3 for 48", "rest 96"]
    assert described(Score([(0, 48, 48, 90), (0, 48, 52, 90), (0, 24, 55, 90)]))[:3] == [
        "C3 for 48",
        "E3 for 48",
        "G3 for 24",
    ]


def test_gaps_are_rests_the_longest_first() -> None:
    assert described(Score([(0, 24, 60, 64), (37, 12, 62, 64)], length_ticks=50)) == [
        "C4 for 24",
        "rest 36",
        "rest 1",
        "D4 for 12",
        "rest 12",
        "rest 1",
    ]


def test_the_report_counts_every_loss() -> None:
    six_fingers = [(0, 24, pitch, 64) for pitch in (60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77)]
    for notes, expected in [
        ([(0, 24, 60, 64)], (0, 0, 0, 0)),
        ([(0, 25, 60, 64)], (0, 1, 0, 0)),  # to 24
        ([(0, 24, 20, 64), (0, 24, 60, 64)], (1, 0, 0, 0)),  # below the keyboard
        (six_fingers, (1, 0, 0, 0)),  # eleven notes for ten fingers
    ]:
        report = check(Score(notes))
        assert loss_counts(report) == expected
        assert report.kept == 1 - expected[0] / len(notes)


def test_a_coarse_grid_moves_and_lengthens_notes() -> None:
    piano = Piano(values=(6, 12, 24))
    score = Score([(0, 1, 60, 64), (7, 11, 62, 64), (24, 24, 64, 64), (48, 8, 65, 64)])
    report = check(score, piano)
    assert report.score.notes["onset_tick"].tolist() == [0, 6, 24, 48]
    assert report.score.notes["duration_ticks"].tolist() == [6, 12, 24, 6]
    assert loss_counts(report) == (0, 1, 2, 1)
    doubled = check(Score([(0, 6, 60, 64), (1, 12, 60, 64)]), piano)  # one key, one tick: the longest is kept
    assert loss_counts(doubled)[0] == 1
    assert doubled.score.notes["duration_ticks"].tolist() == [12]


def test_silence_and_empty_scores() -> None:
    actions, report = encode(Score())
    assert actions.shape == (0, 2)
    assert report.kept == 1
    assert described(Score(length_ticks=97)) == ["rest 96", "rest 1"]
    assert check(Score(length_ticks=97)).score.length_ticks == 97
    assert play(np.zeros((0, 2), int)) == Score()


@pytest.mark.parametrize("beats_per_bar", [3, 3.5])
def test_other_metres(beats_per_bar: float) -> None:
    score = Score([(0, 24, 60, 64)], beats_per_bar=beats_per_bar, tempo_bpm=90)
    report = check(score)
    assert report.score.beats_per_bar == beats_per_bar
    assert report.score.length_ticks == score.ticks_per_bar


def test_play_names_the_first_illegal_action() -> None:
    c4 = [PIANO.key_of(60), 8]
    for actions, message in [
        ([[0, 0], c4, c4], "action 2, C4 for 24, is not legal at tick 1"),
        ([[353, 0]], "action [353, 0] is outside 0..[352, 12]"),
        ([[0, -1]], "action [0, -1] is outside"),
        ([0, 1], "shape (steps, 2), got int64 (2,)"),
        ([[0.0, 1.0]], "got float64 (1, 2)"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            play(np.array(actions))
    with pytest.raises(ValueError, match=re.escape("shape (steps, 3), got int64 (1, 2)")):
        play(np.array([c4]), DYNAMIC)
    with pytest.raises(ValueError, match=re.escape("action [40, 8, 3] is outside 0..[352, 12, 2]")):
        play(np.array([[*c4, 3]]), DYNAMIC)


def test_metre_changes_are_played_in_bars_of_the_main_metre() -> None:
    changes = [(0, 4, 4), (96, 3, 8), (204, 4, 4)]
    score = Score([(12 * i, 12, 60 + i % 5, 80) for i in range(40)], time_signatures=changes)
    assert (score.bars, score.length_ticks) == (7, 492)
    actions, report = encode(score)
    assert report.score == play(actions)
    assert report.score.bars == 6
    assert encode(Score([(0, 24, 60, 80)], 480, time_signatures=[(0, 6, 8)]))[1].score.time_signatures == ((0, 6, 8),)


@pytest.mark.filterwarnings("ignore")  # music21's own
def test_a_chorale() -> None:
    from music21 import corpus

    stream = corpus.parse("bwv66.6")
    score = Score(
        [
            (round(note.offset * 24), max(1, round(note.quarterLength * 24)), note.pitch.midi, 64)
            for note in stream.flatten().notes
        ]
    )
    report = check(score)
    assert report.kept >= 0.99


@pytest.mark.slow
def test_all_chorales_keep_99_percent_of_their_notes() -> None:
    from toccata.music.corpus import load_corpus

    notes = dropped = works = 0
    for score in load_corpus("bach").scores:
        report = check(score)
        works, notes, dropped = works + 1, notes + report.notes, dropped + report.dropped
    assert works == 368
    assert dropped / notes <= 0.01
