"""What happens on a piano, worked out by hand."""

import numpy as np
import pytest

from toccata.envs import Dynamics, Piano
from toccata.envs.instrument import VELOCITY
from toccata.music import Score

PIANO = Piano()
BAR = 96
ALL = np.arange(1)
C4, E4 = PIANO.key_of(60), PIANO.key_of(64)
VALUE = {ticks: i for i, ticks in enumerate(PIANO.values)}


def begun(piano: Piano = PIANO, n: int = 1, bars: int = 2, primer: Score | None = None) -> Dynamics:
    dynamics = Dynamics(n, piano, max_steps=1000, keep_roll=True)
    start = 0 if primer is None else primer.length_ticks
    dynamics.begin(np.arange(n), ticks_per_bar=BAR, end_tick=start + bars * BAR, primer=primer)
    return dynamics


def do(dynamics: Dynamics, what: int, ticks: int) -> bool:
    return bool(dynamics.step(np.array([[what, dynamics.piano.values.index(ticks)]]))[0])


def legal(dynamics: Dynamics, what: int) -> bool:
    return bool(dynamics.masks[0, what])


def test_strikes_stand_still_and_waits_advance() -> None:
    piano = begun()
    assert do(piano, C4, 24)
    assert do(piano, E4, 48)
    assert piano.states["clock"][0] == 0
    assert do(piano, 0, 36)
    assert piano.states["clock"][0] == 36
    assert piano.score(0, 2 * BAR, 100) == Score(
        [(0, 24, 60, VELOCITY), (0, 48, 64, VELOCITY)], tempo_bpm=100, length_ticks=2 * BAR
    )
    assert piano.held(ALL)[0, 64 - 21] == 0.5  # 12 of 24 ticks
    assert piano.held(ALL).sum() == 0.5


def test_strikes_of_one_tick_go_upward() -> None:
    piano = begun()
    assert do(piano, E4, 1)
    assert not legal(piano, C4)
    assert legal(piano, PIANO.key_of(65))
    assert not do(piano, C4, 4)  # becomes a wait
    assert piano.states["clock"][0] == 4
    assert piano.states["illegal_actions"][0] == 1
    assert legal(piano, C4)


def test_a_key_that_is_down_cannot_be_struck_until_its_note_ends() -> None:
    piano = begun()
    do(piano, C4, 24)
    do(piano, 0, 16)
    assert not legal(piano, C4)
    do(piano, 0, 8)
    assert legal(piano, C4)


def test_no_note_and_no_wait_goes_beyond_the_last_bar_line() -> None:
    piano = begun(bars=1)
    do(piano, 0, 72)
    values = piano.masks[0, PIANO.nvec[0] :]
    assert [value for value, free in zip(PIANO.values, values, strict=True) if free] == [1, 3, 4, 6, 8, 12, 16, 18, 24]
    assert not do(piano, C4, 96)  # a wait as far as the line
    assert piano.states["clock"][0] == BAR


def test_after_the_end_only_the_shortest_wait_stands_and_changes_nothing() -> None:
    piano = begun(bars=1)
    do(piano, 0, 96)
    assert np.flatnonzero(piano.masks[0]).tolist() == [0, PIANO.nvec[0]]
    assert do(piano, 0, 1)
    assert piano.states["clock"][0] == BAR


def test_masks_are_replaced_never_changed() -> None:
    piano = begun()
    before, copy = piano.masks, piano.masks.copy()
    do(piano, C4, 24)
    after, after_copy = piano.masks, piano.masks.copy()
    piano.begin([0], ticks_per_bar=BAR, end_tick=BAR)
    np.testing.assert_array_equal(before, copy)
    np.testing.assert_array_equal(after, after_copy)


def test_what_the_agent_sees() -> None:
    piano = begun()
    do(piano, C4, 12)
    recent = piano.recent(ALL).reshape(32, 88)
    assert np.argwhere(recent).tolist() == [[31, 39]]
    assert recent[31, 39] == 2
    do(piano, 0, 18)
    recent = piano.recent(ALL).reshape(32, 88)  # now is frame 3: struck in frame 0, sounding in 1, silent since
    assert recent[:, 39].tolist() == [0] * 28 + [2, 1, 0, 0]
    do(piano, E4, 72)
    do(piano, 0, 72)
    recent = piano.recent(ALL).reshape(32, 88)
    assert recent[:, 43].tolist() == [0] * 19 + [2] + [1] * 11 + [0]
    assert piano.place(ALL).tolist() == [[90, 96, 0, 2]]
    assert piano.top(ALL).tolist() == [E4]
    do(piano, 0, 6)
    assert piano.place(ALL).tolist() == [[0, 96, 1, 1]]
    np.testing.assert_allclose(piano.clock(ALL), [[0, 1, 0, 1, 0.5, 78 / 96]], atol=1e-6)


def test_the_recent_roll_is_that_of_the_notes() -> None:
    piano = begun(n=8, bars=4)
    rng = np.random.default_rng(0)
    for _ in range(150):
        piano.step(piano.random_legal_actions(rng))
        now = piano.states["clock"] // 6
        recent = piano.recent(np.arange(8)).reshape(8, 32, 88)
        for i in range(8):
            expected = np.zeros((now[i] + 33, 128), np.uint8)
            for onset, duration, pitch, _ in piano.notes[i, : piano.states["notes"][i]].tolist():
                end = min(onset + duration, int(piano.states["clock"][i]))
                cells = expected[32 + onset // 6 : 32 + (end - 1) // 6 + 1, pitch]
                np.maximum(cells, 1, out=cells)
                expected[32 + onset // 6, pitch] = 2
            np.testing.assert_array_equal(recent[i], expected[-32:, 21:109])


def test_a_primer_is_as_if_it_had_been_played() -> None:
    from toccata.envs import encode

    notes = [(t, 18, 60 + t % 7, VELOCITY) for t in range(0, 4 * BAR - 18, 9)]
    actions, report = encode(Score(notes))
    primed, played = begun(primer=report.score), begun(bars=6)
    for action in actions.astype(np.int64):
        assert played.step(action[None])[0]
    np.testing.assert_array_equal(primed.recent(ALL), played.recent(ALL))
    np.testing.assert_array_equal(primed.masks, played.masks)
    assert primed.states["last_onset_tick"] == played.states["last_onset_tick"]
    assert primed.score(0, 6 * BAR, 120) == played.score(0, 6 * BAR, 120)
    assert primed.place(ALL).tolist() == [[0, 96, 0, 2]]
    assert primed.top(ALL).tolist() == played.top(ALL).tolist() != [0]


def test_the_first_mask_after_a_primer_knows_what_remains() -> None:
    piano = Dynamics(1, PIANO, 10)
    primer = Score([(0, 24, 60, 64)], length_ticks=BAR)
    piano.begin([0], ticks_per_bar=BAR, end_tick=BAR + 48, primer=primer)
    assert piano.masks[0, PIANO.nvec[0] :].sum() == VALUE[48] + 1


def test_room_for_notes_grows() -> None:
    long_primer = Score([(t, 1, 60, 64) for t in range(0, 5000, 2)], length_ticks=BAR * 53)
    piano = begun(n=2, primer=long_primer)
    rng = np.random.default_rng(0)
    struck = 0
    while (piano.states["clock"] < piano.states["end_tick"]).any():
        actions = piano.random_legal_actions(rng)
        actions[:, 1] = 0  # one tick each: as many notes as can be
        struck += len(PIANO.pitches_of(int(actions[0, 0]))) if piano.step(actions)[0] else 0
    assert piano.states["notes"][0] == len(long_primer) + struck > 2700
    np.testing.assert_array_equal(piano.score(0, BAR * 53, 120).notes, long_primer.notes)


def test_a_draft_is_of_the_moment_it_was_made() -> None:
    piano = begun()
    do(piano, C4, 24)
    draft = piano.draft(0, BAR, 120)
    do(piano, E4, 24)
    piano.begin([0], ticks_per_bar=BAR, end_tick=BAR)
    assert draft() == Score([(0, 24, 60, VELOCITY)], length_ticks=BAR)


def test_a_score_is_cut_where_it_is_asked_to_end() -> None:
    piano = begun()
    do(piano, C4, 96)
    do(piano, 0, 48)
    do(piano, E4, 24)
    assert piano.score(0, 48, 120) == Score([(0, 48, 60, VELOCITY)], length_ticks=48)


@pytest.mark.parametrize("piano", [PIANO, Piano(lowest=60, highest=61, chords=(), values=(6, 12, 24), max_sounding=1)])
def test_random_legal_actions_are_legal_and_reach_everything(piano: Piano) -> None:
    dynamics = begun(piano, n=64)
    rng = np.random.default_rng(1)
    seen = np.zeros(sum(piano.nvec), bool)
    for _ in range(100):
        actions = dynamics.random_legal_actions(rng)
        seen[actions[:, 0]] = seen[piano.nvec[0] + actions[:, 1]] = True
        assert dynamics.step(actions).all()
        done = np.flatnonzero(dynamics.states["clock"] == dynamics.states["end_tick"])
        dynamics.begin(done, ticks_per_bar=BAR, end_tick=2 * BAR)
    assert seen.mean() > 0.95


def test_arrays_bring_everything_back() -> None:
    piano, rng = begun(n=4), np.random.default_rng(0)
    for _ in range(20):
        piano.step(piano.random_legal_actions(rng))
    saved = {name: array.copy() for name, array in piano.arrays().items()}
    other = begun(n=4)
    other.set_arrays(saved)
    actions = [piano.random_legal_actions(rng) for _ in range(1)]
    for dynamics in (piano, other):
        dynamics.step(actions[0])
    for name, array in piano.arrays().items():
        np.testing.assert_array_equal(array, other.arrays()[name])
    with pytest.raises(ValueError, match="the state's states has shape"):
        begun(n=3).set_arrays(saved)
