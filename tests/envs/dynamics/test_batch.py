"""The dynamics, with results computed by hand."""

import numpy as np
import pytest

from helpers.dynamics import ALL, BAR, C4, E4, PIANO, act, make_dynamics
from toccata.envs import Dynamics, Piano, random_legal_actions
from toccata.envs.instrument import VELOCITY
from toccata.music import Score

VALUE = {ticks: i for i, ticks in enumerate(PIANO.values)}


def is_legal(dynamics: Dynamics, what: int) -> bool:
    return bool(dynamics.masks[0, what])


def test_only_rests_advance_the_clock() -> None:
    piano = make_dynamics()
    assert act(piano, C4, 24)
    assert act(piano, E4, 48)
    assert piano.states["clock"][0] == 0
    assert act(piano, 0, 36)
    assert piano.states["clock"][0] == 36
    assert piano.score(0, 2 * BAR, 100) == Score(
        [(0, 24, 60, VELOCITY), (0, 48, 64, VELOCITY)], tempo_bpm=100, length_ticks=2 * BAR
    )
    assert piano.held(ALL)[0, 64 - 21] == 0.5  # 12 of 24 ticks
    assert piano.held(ALL).sum() == 0.5


def test_the_notes_of_one_tick_are_played_in_ascending_order() -> None:
    piano = make_dynamics()
    assert act(piano, E4, 1)
    assert not is_legal(piano, C4)
    assert is_legal(piano, PIANO.key_of(65))
    assert not act(piano, C4, 4)  # becomes a rest
    assert piano.states["clock"][0] == 4
    assert piano.states["illegal_actions"][0] == 1
    assert is_legal(piano, C4)


def test_a_key_that_is_down_cannot_be_pressed_until_its_note_ends() -> None:
    piano = make_dynamics()
    act(piano, C4, 24)
    act(piano, 0, 16)
    assert not is_legal(piano, C4)
    act(piano, 0, 8)
    assert is_legal(piano, C4)


def test_notes_and_rests_end_at_the_last_bar_line() -> None:
    piano = make_dynamics(bars=1)
    act(piano, 0, 72)
    values = piano.masks[0, PIANO.nvec[0] :]
    assert [value for value, free in zip(PIANO.values, values, strict=True) if free] == [1, 3, 4, 6, 8, 12, 16, 18, 24]
    assert not act(piano, C4, 96)  # becomes a rest up to the bar line
    assert piano.states["clock"][0] == BAR


def test_after_the_end_only_the_shortest_rest_is_legal_and_has_no_effect() -> None:
    piano = make_dynamics(bars=1)
    act(piano, 0, 96)
    assert np.flatnonzero(piano.masks[0]).tolist() == [0, PIANO.nvec[0]]
    assert act(piano, 0, 1)
    assert piano.states["clock"][0] == BAR


def test_masks_are_replaced_not_changed() -> None:
    piano = make_dynamics()
    before, copy = piano.masks, piano.masks.copy()
    act(piano, C4, 24)
    after, after_copy = piano.masks, piano.masks.copy()
    piano.begin([0], ticks_per_bar=BAR, end_tick=BAR)
    np.testing.assert_array_equal(before, copy)
    np.testing.assert_array_equal(after, after_copy)


def test_a_primer_gives_the_state_after_playing_it() -> None:
    from toccata.envs import encode

    notes = [(t, 18, 60 + t % 7, VELOCITY) for t in range(0, 4 * BAR - 18, 9)]
    actions, report = encode(Score(notes))
    primed, played = make_dynamics(primer=report.score), make_dynamics(bars=6)
    for action in actions.astype(np.int64):
        assert played.step(action[None])[0]
    np.testing.assert_array_equal(primed.recent(ALL), played.recent(ALL))
    np.testing.assert_array_equal(primed.masks, played.masks)
    assert primed.states["last_onset_tick"] == played.states["last_onset_tick"]
    assert primed.score(0, 6 * BAR, 120) == played.score(0, 6 * BAR, 120)
    assert primed.place(ALL).tolist() == [[0, 96, 0, 2]]
    assert primed.top(ALL).tolist() == played.top(ALL).tolist() != [0]


def test_the_first_mask_after_a_primer_allows_what_fits_before_the_end() -> None:
    piano = Dynamics(1, PIANO, 10)
    primer = Score([(0, 24, 60, 64)], length_ticks=BAR)
    piano.begin([0], ticks_per_bar=BAR, end_tick=BAR + 48, primer=primer)
    assert piano.masks[0, PIANO.nvec[0] :].sum() == VALUE[48] + 1


def test_the_capacity_for_notes_grows() -> None:
    long_primer = Score([(t, 1, 60, 64) for t in range(0, 5000, 2)], length_ticks=BAR * 53)
    piano = make_dynamics(n=2, primer=long_primer)
    rng = np.random.default_rng(0)
    pressed = 0
    while (piano.states["clock"] < piano.states["end_tick"]).any():
        actions = piano.random_legal_actions(rng)
        actions[:, 1] = 0  # one tick each: as many notes as can be
        pressed += len(PIANO.pitches_of(int(actions[0, 0]))) if piano.step(actions)[0] else 0
    assert piano.states["notes"][0] == len(long_primer) + pressed > 2700
    np.testing.assert_array_equal(piano.score(0, BAR * 53, 120).notes, long_primer.notes)


def test_a_lazy_score_does_not_change_with_later_steps() -> None:
    piano = make_dynamics()
    act(piano, C4, 24)
    lazy_score = piano.lazy_score(0, BAR, 120)
    act(piano, E4, 24)
    piano.begin([0], ticks_per_bar=BAR, end_tick=BAR)
    assert lazy_score() == Score([(0, 24, 60, VELOCITY)], length_ticks=BAR)


def test_notes_are_cut_at_the_end_of_a_score() -> None:
    piano = make_dynamics()
    act(piano, C4, 96)
    act(piano, 0, 48)
    act(piano, E4, 24)
    assert piano.score(0, 48, 120) == Score([(0, 48, 60, VELOCITY)], length_ticks=48)


@pytest.mark.parametrize("piano", [PIANO, Piano(lowest=60, highest=61, chords=(), values=(6, 12, 24), max_sounding=1)])
def test_random_legal_actions_are_legal_and_cover_all_actions(piano: Piano) -> None:
    dynamics = make_dynamics(piano, n=64)
    rng = np.random.default_rng(1)
    seen = np.zeros(sum(piano.nvec), bool)
    for _ in range(100):
        actions = dynamics.random_legal_actions(rng)
        seen[actions[:, 0]] = seen[piano.nvec[0] + actions[:, 1]] = True
        assert dynamics.step(actions).all()
        done = np.flatnonzero(dynamics.states["clock"] == dynamics.states["end_tick"])
        dynamics.begin(done, ticks_per_bar=BAR, end_tick=2 * BAR)
    assert seen.mean() > 0.95


def test_set_arrays_restores_the_state() -> None:
    piano, rng = make_dynamics(n=4), np.random.default_rng(0)
    for _ in range(20):
        piano.step(piano.random_legal_actions(rng))
    saved = {name: array.copy() for name, array in piano.arrays().items()}
    other = make_dynamics(n=4)
    other.set_arrays(saved)
    actions = [piano.random_legal_actions(rng) for _ in range(1)]
    for dynamics in (piano, other):
        dynamics.step(actions[0])
    for name, array in piano.arrays().items():
        np.testing.assert_array_equal(array, other.arrays()[name])
    with pytest.raises(ValueError, match="the state's states has shape"):
        make_dynamics(n=3).set_arrays(saved)


def test_random_legal_actions_of_given_masks() -> None:
    masks = np.zeros((200, 7), bool)
    masks[:, [1, 3, 4, 6]] = True
    actions = random_legal_actions(masks, 4, np.random.default_rng(0))
    assert set(map(tuple, actions.tolist())) == {(1, 0), (1, 2), (3, 0), (3, 2)}
