"""Sound and piano rolls of the agent's pieces in TensorBoard, always of one seed, so that checkpoints compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from stable_baselines3.common.logger import KVWriter, TensorBoardOutputFormat
from torch.utils.tensorboard import SummaryWriter

from toccata.agents.generation.rollouts import generate_pieces
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.runs.random_state import random_state, set_random_state
from toccata.envs.pieces import Piece
from toccata.errors import one_line
from toccata.music.picture import piano_roll_picture
from toccata.music.sound.bank import note_bank
from toccata.music.sound.synthesizer import SoundError

PIECES = 2
SEED = 0
MOST_BARS = 8  # of one, so that a checkpoint takes seconds
SAMPLE_RATE = 22_050  # not the rating network's: its bank of notes stays as it is


class PieceMedia:
    """Writes pieces of the current policy to TensorBoard, where that is one of the writers, and nothing elsewhere.

    A run is the same with and without it: the random number generators are left as they were.

    Args:
        writers: of the run.
        model: the agent.
        environment: arguments of the run's `PianoEnv`.
        warn: is told, once, why there will be no more of them, such as a full disk or a missing FluidSynth.
    """

    def __init__(
        self, writers: Sequence[KVWriter], model: ComposerPPO, environment: dict[str, Any], warn: Callable[[str], None]
    ) -> None:
        self.events = [each.writer for each in writers if isinstance(each, TensorBoardOutputFormat)]
        self.model = model
        bars = environment["bars"]  # None: those of a song, which follow from its words
        self.environment = {**environment, "bars": None if bars is None else min(bars, MOST_BARS)}
        self.warn = warn

    def write(self) -> None:
        """Write `piece-N/sound` and `piece-N/piano_roll` at the model's step."""
        if not self.events:
            return
        try:
            for number, piece in enumerate(self.pieces()):
                for writer in self.events:
                    write_piece_media(writer, f"piece-{number}", piece, int(self.model.num_timesteps))
        except (OSError, SoundError) as error:
            self.events = []
            self.warn(f"no pieces in TensorBoard: {one_line(error)}")

    def pieces(self) -> list[Piece]:
        """`PIECES` pieces of the current policy, of the same seed each time."""
        state = random_state()
        try:
            with torch.random.fork_rng([self.model.device] if self.model.device.type == "cuda" else []):
                return generate_pieces(self.model, PIECES, SEED, self.environment)
        finally:
            set_random_state(state)


def write_piece_media(writer: SummaryWriter, tag: str, piece: Piece, step: int) -> None:
    """Write a piece as `TAG/piano_roll` and `TAG/sound`."""
    writer.add_image(f"{tag}/piano_roll", piano_roll_picture(piece.score), step, dataformats="HWC")
    sound = torch.from_numpy(note_bank(SAMPLE_RATE).render_one(piece.score))
    writer.add_audio(f"{tag}/sound", sound[None], step, sample_rate=SAMPLE_RATE)
    writer.flush()
