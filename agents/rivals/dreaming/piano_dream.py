"""Dreams on the piano: gradient ascent on probabilities of notes, which are sampled into pieces that can be played.

The sound of the expected notes is computed by `NoteBankLayer`, its spectrogram is rated, and the gradient of the rating
goes back to the logits of the choices (`note_choices.py`). A temperature falls meanwhile, so that at the end nearly
every cell has one choice of probability near 1, and the sampled piece sounds as what was rated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from toccata.agents.rivals.composer import OnProgress, RivalError, check_count, checked_genre
from toccata.agents.rivals.dreaming.note_bank import NoteBankLayer
from toccata.agents.rivals.dreaming.note_choices import (
    CELL_TICKS,
    CHOICES,
    DURATIONS,
    REST,
    VOICES,
    amounts_of,
    note_grid,
    real_amounts,
    roll_windows_of,
    scores_of,
)
from toccata.agents.rivals.dreaming.objective import abstention_strength, rate_windows
from toccata.agents.rivals.dreaming.spectrum import log_mel_of_frames
from toccata.agents.rivals.registry import Request
from toccata.envs.excerpts import ExcerptDataset
from toccata.music.corpus import load_corpus
from toccata.music.score import TICKS_PER_BEAT, Score
from toccata.music.sound.bank import RING_SECONDS
from toccata.music.sound.spectrogram import HOP, SAMPLE_RATE, mel_frames
from toccata.reward_models.rating.audio_windows import STRIDE_FRAMES, WINDOW_FRAMES
from toccata.reward_models.rating.model import RatingModel
from toccata.reward_models.realism.model import Realism
from toccata.reward_models.realism.roll_windows import Windows

STEPS = 18  # of Adam, of all windows each; later ones change little
LEARNING_RATE = 1.0  # of logits, which have to move by about 5
BETAS = (0.7, 0.95)  # for few steps
FIRST_TEMPERATURE, LAST_TEMPERATURE = 1.0, 0.2  # of the softmax, falling geometrically
INITIAL_NOISE = 0.3  # standard deviation of the logits at the start
INITIAL_ONSETS = (0.35, 0.65)  # in a cell of each voice at the start: 2 a beat, the median of `folk`
GROUP = 16  # pieces that are dreamt together: 200 MB
# The 5 % of the sparser and the 95 % of the denser of 200 excerpts of `bach` and 200 of `folk` each
ONSETS_PER_BEAT = (1.4, 5.2)
POLYPHONY = (0.94, 3.98)  # mean number of keys that are held
TEXTURE_WEIGHT = 1.0  # of the distance of both to these ranges
REALISM_WEIGHT = 1.0
REAL_BATCH = 2 * GROUP  # real windows in a training step of the discriminator
REAL_EXCERPTS = 128
CORPORA = {"classical": "bach", "folk": "folk"}  # the real music of each genre


class PianoDream:
    """Composes by gradient ascent on the rating, from random probabilities of notes.

    Args:
        request: of the pieces.
        with_realism: whether a discriminator of real against dreamt notes is trained along and ascended too. It starts
            as the realism that comes with Toccata.

    Raises:
        RivalError: for pieces shorter than an eighth.
    """

    def __init__(self, request: Request, with_realism: bool = False) -> None:
        self.name = "dream-realism" if with_realism else "dream"
        self.genres: tuple[str, ...] = tuple(CORPORA) if with_realism else ()
        self.with_realism = with_realism
        ticks = round(request.bars * request.beats_per_bar * TICKS_PER_BEAT)
        self.empty = Score((), TICKS_PER_BEAT, request.beats_per_bar, request.tempo_bpm, ticks)
        self.bars = request.bars
        self.cells = ticks // CELL_TICKS
        if not self.cells:
            raise RivalError(f"{self.name}: pieces must last an eighth at least, got {ticks} ticks of {TICKS_PER_BEAT}")
        self.rating = RatingModel.load()
        grid = note_grid(self.empty.tempo_bpm)
        stride_seconds = STRIDE_FRAMES * HOP / SAMPLE_RATE
        self.window_cells = min(max(int(stride_seconds / grid.cell_seconds + 1e-6), 1), self.cells)
        sound_seconds = self.window_cells * grid.cell_seconds + RING_SECONDS
        self.valid = min(mel_frames(int(sound_seconds * SAMPLE_RATE)), WINDOW_FRAMES)
        # The first frame of a window reaches a hop to either side of its first onset
        self.bank = NoteBankLayer(grid, self.window_cells, (WINDOW_FRAMES + 1) * HOP, HOP)
        self.abstention = abstention_strength(self.empty.length_seconds)

    def compose(
        self, n: int, seed: int = 0, genre: str | None = None, on_progress: OnProgress = lambda done: None
    ) -> list[Score]:
        """Compose `n` pieces; see `Composer.compose`."""
        check_count(self.name, n, seed)
        checked_genre(self.name, genre, self.genres)
        real = self._real_windows(genre, seed) if self.with_realism else None
        scores: list[Score] = []
        for first in range(0, n, GROUP):
            count = min(GROUP, n - first)

            def progress(share: float, first: int = first, count: int = count) -> None:
                on_progress((first + share * count) / n)

            scores += scores_of(self._dream(count, [seed, first], real, progress), self.empty)
        return scores

    def _dream(self, n: int, seed: Sequence[int], real: Windows | None, on_progress: OnProgress) -> np.ndarray:
        """(n, voices, cells) choices of one group of pieces."""
        rng = np.random.default_rng(seed)
        logits = self._initial_logits(n, rng)
        optimizer = torch.optim.Adam([logits], LEARNING_RATE, BETAS)
        realism = Realism.load() if real is not None else None
        for step, temperature in enumerate(np.geomspace(FIRST_TEMPERATURE, LAST_TEMPERATURE, STEPS).tolist()):
            # Windows begin at another beat in each step, and go on at the beginning, so that none is at their edges
            shift = 2 * int(rng.integers(-(-self.cells // 2)))
            probabilities = torch.softmax(logits / temperature, -1).roll(shift, 2)
            amounts = amounts_of(probabilities)
            objective = self._rated(amounts, step) - TEXTURE_WEIGHT * texture_distance(amounts)
            if realism is not None and real is not None:
                objective = objective + REALISM_WEIGHT * self._realism(realism, amounts, real, rng)
            optimizer.zero_grad()
            (-objective).sum().backward()
            optimizer.step()
            on_progress((step + 1) / STEPS)
        gumbel = torch.from_numpy(rng.gumbel(size=logits.shape))
        return (logits.detach() / LAST_TEMPERATURE + gumbel).argmax(-1).numpy()

    def _initial_logits(self, n: int, rng: np.random.Generator) -> Tensor:
        """(n, voices, cells, CHOICES) leaf."""
        logits = INITIAL_NOISE * rng.standard_normal((n, len(VOICES), self.cells, CHOICES))
        onset = np.array(INITIAL_ONSETS)
        logits[..., REST] += np.log((CHOICES - 1) * (1 - onset) / onset)[:, None]
        return torch.from_numpy(logits.astype(np.float32)).requires_grad_()

    def _rated(self, amounts: Tensor, step: int) -> Tensor:
        """(n,) what one reward member says of the sound, the mean over its windows; the members take turns."""
        starts = [*range(0, self.cells - self.window_cells, self.window_cells), self.cells - self.window_cells]
        windows = torch.stack([amounts[:, start : start + self.window_cells] for start in starts], 1)
        mel = log_mel_of_frames(self.bank(windows.flatten(0, 1)))
        valid = torch.full((len(mel),), self.valid)
        member = step % self.rating.config.reward_members
        said = rate_windows(self.rating, mel, valid, [member], self.abstention)
        return said.ascended()[:, 0].unflatten(0, (len(amounts), -1)).mean(1)

    def _realism(self, realism: Realism, amounts: Tensor, real: Windows, rng: np.random.Generator) -> Tensor:
        """(n,) log-probability of being real, by the discriminator, which is trained on the way."""
        dreamt = roll_windows_of(amounts)
        chosen = torch.from_numpy(rng.integers(len(real.frames), size=REAL_BATCH))
        fakes = Windows(dreamt.rolls.detach(), dreamt.frames)
        realism.train_on_windows([Windows(real.rolls[chosen], real.frames[chosen])], [fakes])
        realism.discriminator.requires_grad_(False)
        logits = realism.discriminator(dreamt.rolls, dreamt.frames)
        realism.discriminator.requires_grad_(True)
        return functional.logsigmoid(logits).unflatten(0, (len(amounts), -1)).mean(1)

    def _real_windows(self, genre: str | None, seed: int) -> Windows:
        """Windows of excerpts of the embedded corpora, as they can be chosen."""
        corpora = list(CORPORA.values()) if genre is None else [CORPORA[genre]]
        rng = np.random.default_rng([seed, 3])
        excerpts: list[Score] = []
        for corpus in corpora:
            scores = load_corpus(corpus).split("train").scores
            try:
                dataset = ExcerptDataset(scores, self.bars, beats_per_bar=self.empty.beats_per_bar)
            except ValueError as error:
                raise RivalError(f"{self.name}: corpus {corpus}: {error}") from None
            excerpts += [piece.score for piece in dataset.sample(REAL_EXCERPTS // len(corpora), rng)]
        return roll_windows_of(real_amounts(excerpts, self.cells))


def texture_distance(amounts: Tensor) -> Tensor:
    """(n,) distances of onsets a beat and polyphony from the ranges of real music, of (n, cells, keys, durations)."""
    onsets = amounts.sum((1, 2, 3)) / amounts.shape[1] * (TICKS_PER_BEAT / CELL_TICKS)
    polyphony = (amounts.sum((1, 2)) @ amounts.new_tensor(DURATIONS)) / amounts.shape[1]
    return sum(  # type: ignore[return-value]  # of at least one tensor
        functional.relu(low - value) + functional.relu(value - high)
        for value, (low, high) in ((onsets, ONSETS_PER_BEAT), (polyphony, POLYPHONY))
    )


def load(request: Request) -> PianoDream:
    """The composer `dream`."""
    return PianoDream(request)


def load_with_realism(request: Request) -> PianoDream:
    """The composer `dream-realism`."""
    return PianoDream(request, with_realism=True)
