from collections.abc import Callable

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from toccata.music.score import Score
from toccata.reward_models.realism.discriminator import Discriminator
from toccata.reward_models.realism.roll_windows import FRAMES, covering_windows


def test_frames_after_the_end_of_a_piece_have_no_effect(stepwise_piece: Callable[..., Score]) -> None:
    torch.manual_seed(0)
    discriminator = Discriminator().eval()
    windows = covering_windows([stepwise_piece(np.random.default_rng(0), bars=2)])
    rolls, frames = windows.rolls, windows.frames
    with torch.no_grad():
        logit, without, other = (
            float(discriminator(*arguments))
            for arguments in (
                (rolls, frames),
                (rolls[:, :, : int(frames)], frames),
                (rolls, torch.tensor([FRAMES])),
            )
        )
    assert logit == pytest.approx(without, abs=float32_rounding(FRAMES))
    assert logit != pytest.approx(other, abs=0.01)
