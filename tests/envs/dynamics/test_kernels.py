"""The masks against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.envs import Dynamics, Piano
from toccata.music.reduction import fits_two_hands

BAR = 96
DEFAULT = Piano()
PIANOS = [
    DEFAULT,
    Piano(lowest=48, highest=84, max_sounding=6),
    Piano(hand_span=12, fingers_per_hand=3),
    Piano(hand_span=11, fingers_per_hand=4, max_sounding=32),
    Piano(hand_span=20, fingers_per_hand=2, max_sounding=4),
    Piano(lowest=55, highest=66, max_sounding=3),
    Piano(chords=("7", "maj")),
    Piano(lowest=0, highest=127, hand_span=127, fingers_per_hand=5),
    Piano(lowest=60, highest=61, chords=(), values=(6, 12, 24), max_sounding=1),
    Piano(lowest=0, highest=127, hand_span=0, fingers_per_hand=1),
]


def make_dynamics(piano: Piano, n: int = 1, bars: int = 8) -> Dynamics:
    dynamics = Dynamics(n, piano, max_steps=10_000)
    dynamics.begin(np.arange(n), ticks_per_bar=BAR, end_tick=bars * BAR)
    return dynamics


def held(dynamics: Dynamics, i: int = 0) -> list[int]:
    return dynamics.sounding[i, : dynamics.states["sounding"][i]].tolist()


def is_playable(piano: Piano, keys: list[int], current_top: int, pitches: tuple[int, ...]) -> bool:
    """Whether the hands can hold all keys, and the new ones are above those of the current tick."""
    together = {*keys, *pitches}
    return (
        len(together) == len(keys) + len(pitches) <= piano.max_sounding
        and pitches[0] > current_top
        and fits_two_hands(together, piano.hand_span, piano.fingers_per_hand)
    )


def brute_mask(piano: Piano, dynamics: Dynamics, i: int = 0) -> np.ndarray:
    state = dynamics.states[i]
    remaining = state["end_tick"] - state["clock"]
    if remaining <= 0:
        return np.arange(sum(piano.nvec)) == 0 | (np.arange(sum(piano.nvec)) == piano.nvec[0])
    keys, top = held(dynamics, i), int(state["current_top"])
    whats = [True] + [is_playable(piano, keys, top, piano.pitches_of(w)) for w in range(1, piano.nvec[0])]
    return np.array(whats + [value <= remaining for value in piano.values])


@pytest.mark.parametrize("piano", PIANOS, ids=repr)
def test_masks_equal_brute_force(piano: Piano) -> None:
    dynamics = make_dynamics(piano, 4, bars=3)
    rng = np.random.default_rng(0)
    for _ in range(40):
        for i in range(4):
            mask = brute_mask(piano, dynamics, i)
            if dynamics.states["clock"][i] >= dynamics.states["end_tick"][i]:
                mask[:] = False
                mask[[0, piano.nvec[0]]] = True
            np.testing.assert_array_equal(dynamics.masks[i], mask)
        assert dynamics.step(dynamics.random_legal_actions(rng)).all()


@settings(max_examples=300)
@given(
    st.lists(st.integers(21, 108), max_size=16, unique=True),
    st.integers(4, 24),
    st.integers(1, 6),
    st.integers(1, 12),
    st.integers(-1, 108),
)
def test_masks_of_random_hands_equal_brute_force(
    pitches: list[int], hand_span: int, fingers: int, max_sounding: int, current_top: int
) -> None:
    piano = Piano(hand_span=hand_span, fingers_per_hand=fingers, max_sounding=max_sounding)
    keys: list[int] = []
    for pitch in pitches:  # as many as the hands can hold
        if len(keys) < max_sounding and fits_two_hands([*keys, pitch], hand_span, fingers):
            keys.append(pitch)
    dynamics = make_dynamics(piano)
    dynamics.sounding[0, : len(keys)] = sorted(keys)
    dynamics.states["sounding"] = len(keys)
    dynamics.states["current_top"] = current_top
    masks = np.zeros_like(dynamics.masks)
    from toccata.envs.dynamics import kernels

    keyboard = kernels.keyboard_of(piano)
    kernels.write_masks(masks, dynamics.states, dynamics.sounding, np.arange(1), keyboard)
    np.testing.assert_array_equal(masks[0], brute_mask(piano, dynamics))
