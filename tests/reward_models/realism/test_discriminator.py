from collections.abc import Callable

import numpy as np
import pytest
import torch

from toccata.music.score import Score
from toccata.reward_models.realism.discriminator import Discriminator
from toccata.reward_models.realism.roll_windows import FRAMES, covering_windows


def test_frames_after_the_end_of_a_piece_have_no_effect(stepwise_piece: Callable[..., Score]) -> None:
    torch.manual_seed(0)
    discriminator = Discriminator().eval()
    windows = covering_windows([stepwise_piece(np.random.default_rng(0), bars=2)])
    rolls, frames = torch.from_numpy(windows.rolls), torch.from_numpy(windows.frames)
    with torch.no_grad():
        assert discriminator(rolls, frames) == pytest.approx(
            discriminator(rolls[:, :, : int(frames)], frames), abs=1e-5
        )
        assert discriminator(rolls, frames) != pytest.approx(discriminator(rolls, torch.tensor([FRAMES])), abs=1e-5)
