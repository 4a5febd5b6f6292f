"""What Gymnasium's array conversion does with the piano's types."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from toccata.envs import Piece
from toccata.envs.array_conversion import register_array_conversions
from toccata.music import Score

pytest.importorskip("array_api_compat")  # which Gymnasium does not require


def test_what_is_no_array_stays_and_objects_are_converted() -> None:
    import torch
    from gymnasium.wrappers.array_conversion import array_conversion

    register_array_conversions()  # again changes nothing
    score = Score([(0, 24, 60, 64)])
    for value in (score, Piece(score), "jazz", Path("piece.mid")):
        assert array_conversion(value, xp=torch) is value
    piece = Piece(score)
    objects = np.array([None, {"held": np.arange(2), "piece": piece}], object)
    nothing, converted = array_conversion(objects, xp=torch)
    assert nothing is None
    assert converted["piece"] is piece
    assert isinstance(converted["held"], torch.Tensor)
    assert isinstance(array_conversion(np.arange(3), xp=torch), torch.Tensor)


def test_the_package_of_environments_registers_them() -> None:
    code = (
        "import sys; from gymnasium.wrappers.array_conversion import array_conversion as convert; import numpy; "
        "assert convert('a', xp=numpy) != 'a'; import toccata.envs; assert convert('a', xp=numpy) == 'a'; "
        "assert not {'torch', 'ray', 'tianshou', 'stable_baselines3'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
