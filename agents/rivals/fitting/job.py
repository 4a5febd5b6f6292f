"""What a fitter is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path

from rich.console import Console

from toccata.agents.rivals.fitting.config import FitRivalConfig
from toccata.music.corpus import Corpus


@dataclass(frozen=True)
class FitJob:
    """A fit of `toccata fit-rival`.

    Attributes:
        config: of the command.
        works: by genre, each with at least `MIN_WORKS` works for training; the splits are those of `Corpus.split`, of
            which "valid" and "test" may be empty.
        folder: to write the weights into, with `save_weights`. It becomes the folder of the command when the fitter
            returns, and is deleted when it raises.
        checkpoint: folder of what resumes the fit. The fitter writes it, atomically and without pickle; it may read it
            only where `config.resume` is set. It is deleted once the fit is done.
        on_progress: is told the share of the fit that is done, 0 to 1, and a short text such as the loss.
        console: for lines that stay, such as the losses of an epoch.
    """

    config: FitRivalConfig
    works: Mapping[str, Corpus]
    folder: Path
    checkpoint: Path
    on_progress: Callable[[float, str], object]
    console: Console

    @property
    def seconds_per_genre(self) -> float:
        """Time for the fit of each genre; infinite if the command sets none."""
        return inf if self.config.minutes is None else 60 * self.config.minutes / len(self.works)

    def epoch_done(self, genre: int, epochs: int, most_epochs: int, seconds: float, note: str) -> None:
        """Tell `on_progress` how far a fit of one genre after the other is, by epochs or time, whichever ends sooner.

        Args:
            genre: number of the genre, from 0.
            epochs: of this genre that are done.
            most_epochs: after which its fit ends.
            seconds: that its fit has taken.
            note: for `on_progress`.
        """
        of_genre = min(1.0, max(epochs / most_epochs, seconds / self.seconds_per_genre))
        self.on_progress((genre + of_genre) / len(self.works), note)
