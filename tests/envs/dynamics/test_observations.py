"""Observations of known actions."""

import numpy as np

from helpers.dynamics import ALL, C4, E4, act, make_dynamics


def test_observations_of_known_actions() -> None:
    piano = make_dynamics()
    act(piano, C4, 12)
    recent = piano.recent(ALL).reshape(32, 88)
    assert np.argwhere(recent).tolist() == [[31, 39]]
    assert recent[31, 39] == 2
    act(piano, 0, 18)
    recent = piano.recent(ALL).reshape(32, 88)  # the current frame is 3: onset in frame 0, sounding in 1, then silent
    assert recent[:, 39].tolist() == [0] * 28 + [2, 1, 0, 0]
    act(piano, E4, 72)
    act(piano, 0, 72)
    recent = piano.recent(ALL).reshape(32, 88)
    assert recent[:, 43].tolist() == [0] * 19 + [2] + [1] * 11 + [0]
    assert piano.place(ALL).tolist() == [[90, 96, 0, 2]]
    assert piano.top(ALL).tolist() == [E4]
    act(piano, 0, 6)
    assert piano.place(ALL).tolist() == [[0, 96, 1, 1]]
    np.testing.assert_allclose(piano.clock(ALL), [[0, 1, 0, 1, 0.5, 78 / 96]], atol=1e-6)


def test_the_recent_roll_equals_that_of_the_notes() -> None:
    piano = make_dynamics(n=8, bars=4)
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
