"""The settings of `toccata fit-prior`. Imports nothing heavy, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from toccata.settings.genres import checked_additions
from toccata.settings.options import MAX_EPOCHS, SEED, ConfigError, Range, check_fields

MAX_LAYER_WEIGHTS = 10**9  # layers * width * width; a transformer has twelve times as many weights
RANGES = {
    "width": Range(4, 16_384),
    "layers": Range(1, 256),
    "heads": Range(1, 256),
    "epochs": Range(1, MAX_EPOCHS),
    "minutes": Range(0, 1_000_000, whole=False, open_low=True),
    "patience": Range(1, MAX_EPOCHS),
    "batch_steps": Range(1, 2**26),
    "max_steps": Range(16, 2**20),
    "learning_rate": Range(0, 1, whole=False, open_low=True),
    "weight_decay": Range(0, 100, whole=False),
    "genre_dropout": Range(0, 1, whole=False),
    "seed": SEED,
}


@dataclass(frozen=True)
class FitPriorConfig:
    """Fit a prior: a sequence network that predicts the next action of real music.

    It writes a folder for `train.py --prior OUT` and `toccata compose --prior OUT`.
    """

    out: Path
    """Folder to write prior.safetensors, config.json, report.md and curves.png into; must not hold a prior yet."""

    data: tuple[str, ...] = ("bach", "folk")
    """Real music: bach, ryan, oneill, aird, folk (they come with music21), and folders of MIDI or MusicXML files, by
    genre (GENRE/**/*.mid, or midi/ and a metadata.csv with columns file and genre) or all of one. About a tenth of the
    works is held out for early stopping, another tenth for the report."""

    genre: str = "classical"
    """Genre of the works of a folder without genres; as in training."""

    genres: tuple[str, ...] = ()
    """Names of genres of your own, in addition to classical, folk, jazz, popular, rock, electronic, and to those of
    --init-from: --genres ragtime tango. With --init-from their embeddings begin at the mean of the known ones."""

    init_from: str | None = None
    """Prior to initialise the weights from: transformer, lstm, wavenet (they come with Toccata), or a folder of
    fit-prior; by default random. It determines backbone and sizes; a tenth of the default learning rate is enough for
    new music."""

    backbone: Literal["transformer", "lstm", "wavenet"] = "transformer"
    """Kind of network; with --init-from it is that of the prior."""

    width: int | None = None
    """Channels of a layer; by default 192 (transformer), 328 (lstm), 176 (wavenet): about two million weights."""

    layers: int | None = None
    """How many; by default 5 (transformer), 2 (lstm) or 10 (wavenet)."""

    heads: int | None = None
    """Heads of a transformer's attention; by default 3. The width must be a multiple of four times as many."""

    epochs: int | None = None
    """Most epochs; each has as many notes as the training works, in passages at random places and in random keys. By
    default 10, or with --minutes as many as there is time for."""

    minutes: float | None = None
    """Time to fit in; the learning rate falls within it. Two fits then differ, as their machines do."""

    patience: int = 2
    """Stop after so many epochs without a lower validation loss; the best epoch is kept."""

    batch_steps: int = 4096
    """Steps in a batch, of whole passages; more need more memory."""

    max_steps: int = 512
    """Steps in the longest passage."""

    learning_rate: float = 2e-3
    """Of Muon and AdamW, after a short warm-up; it falls linearly to 0 over all epochs."""

    weight_decay: float = 0.1
    """Of both, on matrices."""

    genre_dropout: float = 0.15
    """Share of passages without their genre, so that the prior can also be sampled unconditionally."""

    compare: tuple[str, ...] = ()
    """Other priors that the report compares with this one on the same held-out works: transformer, lstm, wavenet (they
    come with Toccata), or folders."""

    resume: bool = False
    """Go on with an interrupted fit of the same options, from the end of its last epoch (OUT.checkpoint/)."""

    seed: int = 0
    """Seed of everything; equal seeds on one machine give equal priors."""

    device: str = "auto"
    """cpu, cuda, or auto."""

    amp: bool | None = None
    """Compute the backbone of a transformer in bfloat16; by default on a GPU, and on a processor with instructions for
    it (AMX, AVX512-BF16). On others it is many times slower."""

    compile: bool | None = None
    """Compile the fit of a transformer with torch.compile, which takes a minute; by default on a GPU."""

    def __post_init__(self) -> None:
        check_fields(self, RANGES)
        object.__setattr__(self, "genres", checked_additions(self.genres))  # frozen for everyone else
        if (self.layers or 1) * (self.width or 1) ** 2 > MAX_LAYER_WEIGHTS:
            raise ConfigError(
                f"layers * width * width must be at most {MAX_LAYER_WEIGHTS:,}, "
                f"got {self.layers} * {self.width} * {self.width}"
            )
        sizes = [name for name in ("width", "layers", "heads") if getattr(self, name) is not None]
        if self.init_from is not None and sizes:
            raise ConfigError(
                f"{sizes[0]} is determined by the prior to initialise from, {self.init_from}; leave out one of the two"
            )
        if not self.data:
            raise ConfigError("data must name at least one corpus or folder, such as: bach folk")
