"""What is measured of the pieces of each subject, kept so that a call can be resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from toccata.agents.evaluation.measuring.measured import measurements
from toccata.agents.evaluation.measuring.originality import originality_of
from toccata.agents.evaluation.measuring.set_metrics import FLOOR, set_metrics
from toccata.agents.evaluation.overoptimise.samples import CHUNK, Arrays, cached, chunk_count
from toccata.agents.evaluation.overoptimise.sets import SIZE, VENDI, diversity_of_sets, random_sets
from toccata.agents.prior.bits import ALL, bits
from toccata.agents.runs.config import TrainConfig
from toccata.agents.studies.rivals.subjects import Compose, LogProb
from toccata.envs.excerpts import ExcerptDataset, as_piece
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece, Pieces
from toccata.files import FileError
from toccata.music.corpus import Work
from toccata.music.score import Score
from toccata.reward_models import WeightedSum
from toccata.reward_models.judges.panel import Panel
from toccata.stats import Interval

SECONDS, MINUTES, REAL_BITS = "seconds", "minutes", "real_bits"


@dataclass(frozen=True)
class Setup:
    """What all subjects are measured with.

    Attributes:
        rewards: those that agents are paid by default, frozen.
        panel: the judges.
        real: held-out works.
        works: those that agents are trained on, which pieces may copy.
        held_out: pieces of `real`, whose bits under each subject are measured.
        held_out_works: the work that each of them is of.
        config: length, metre, tempo and genre.
        seed: of everything.
        cache: folder.
        key: differs between setups that measure otherwise.
    """

    rewards: WeightedSum
    panel: Panel
    real: ExcerptDataset
    works: tuple[Work, ...]
    held_out: tuple[Piece, ...]
    held_out_works: tuple[str, ...]
    config: TrainConfig
    seed: int
    cache: Path
    key: str


@dataclass(frozen=True)
class Sample:
    """Pieces of one subject, measured.

    Attributes:
        scores: n.
        values: (n,) by name of what each piece has: metrics, judges, rewards, originality, seconds of processor time.
        sets: of all pieces together: Vendi score, Fréchet distance and others.
    """

    scores: tuple[Score, ...]
    values: Arrays
    sets: dict[str, float]


def measured(
    identity: str, compose: Compose, count: int, setup: Setup, on_chunk: Callable[[], object] = lambda: None
) -> Sample:
    """Pieces of a subject, composed and measured; what is in the cache is read from there.

    Args:
        identity: of the subject.
        compose: composes a chunk.
        count: pieces; from 64 on they are the first of a longer sample with the same seed.
        setup: what they are measured with.
        on_chunk: called after each chunk, and after the sets.

    Raises:
        FileError: naming a file of the cache that is damaged.
    """
    pieces: list[Piece] = []
    chunks: list[Arrays] = []
    size = min(CHUNK, count)
    for number in range(chunk_count(count)):
        key = [identity, setup.seed, number, size, setup.config.bars]
        found = cached(setup.cache, "pieces", key, partial(_composed, compose, size, number, setup))
        some = _pieces(found, setup.config)
        values = cached(setup.cache, "values", [key, setup.key], partial(_values, some, setup))
        chunks.append({**values, SECONDS: np.full(len(some), float(found[SECONDS]) / len(some))})
        pieces += some
        on_chunk()
    pieces = pieces[:count]
    key = [identity, setup.seed, count, setup.key]
    sets = cached(setup.cache, "sets", key, partial(_sets, pieces, setup))
    values = {name: np.concatenate([each[name] for each in chunks])[:count] for name in chunks[0]}
    on_chunk()
    return Sample(tuple(piece.score for piece in pieces), values, {name: float(value) for name, value in sets.items()})


def bits_of_real(identity: str, log_prob: LogProb, setup: Setup) -> Interval:
    """Bits an action of held-out works under a subject; works are resampled for the interval."""

    def make() -> Arrays:
        found = bits(log_prob(setup.held_out), setup.held_out, setup.held_out_works, setup.seed)[ALL].per_action
        return {name: np.array(value) for name, value in found._asdict().items()}

    kept = cached(setup.cache, "bits-over-works", [identity, setup.key, setup.seed], make)
    return Interval(*(float(kept[name]) for name in Interval._fields))


def _composed(compose: Compose, size: int, number: int, setup: Setup) -> Arrays:
    """A chunk of pieces, and the processor time that it took."""
    seed = int(np.random.SeedSequence([setup.seed, number]).generate_state(1)[0])
    start = time.process_time()
    pieces = compose(size, seed)
    seconds = time.process_time() - start
    return {
        "notes": np.concatenate([piece.score.notes for piece in pieces]),
        "counts": np.array([len(piece.score.notes) for piece in pieces]),
        "ticks": np.array([[piece.score.ticks_per_beat, piece.score.length_ticks] for piece in pieces]),
        SECONDS: np.array(seconds),
    }


def _pieces(arrays: Arrays, config: TrainConfig) -> list[Piece]:
    """The pieces of `_composed`, as the piano plays them.

    Raises:
        FileError: for arrays that are no pieces.
    """
    metre = config.beats_per_bar, config.tempo_bpm
    try:
        notes = np.split(arrays["notes"], np.cumsum(arrays["counts"])[:-1])
        scores = [
            Score(own, int(beat), *metre, int(length))
            for own, (beat, length) in zip(notes, arrays["ticks"], strict=True)
        ]
    except (KeyError, ValueError, TypeError) as error:
        raise FileError(f"a file of the cache holds no pieces: {error}; delete the folder of the cache") from error
    return [as_piece(score, Piano(), *metre, config.genre)[0] for score in scores]


def _values(pieces: Sequence[Piece], setup: Setup) -> Arrays:
    """What each piece has, (n,) by name."""
    batch = Pieces(pieces)
    values = measurements(batch, setup.rewards, None) | setup.panel.judge(batch)
    values |= originality_of({"own": list(pieces)}, setup.works)[0]["own"]
    return {name: np.asarray(each, np.float64) for name, each in values.items() if name != "diversity"}


def _sets(pieces: Sequence[Piece], setup: Setup) -> Arrays:
    """What all pieces have together."""
    rng = np.random.default_rng(setup.seed)
    size = min(SIZE, len(pieces))
    scores = [piece.score for piece in pieces]
    found = {VENDI: float(diversity_of_sets(scores, random_sets(len(pieces), size, rng))[VENDI][0])}
    distances = set_metrics({"own": list(pieces)}, setup.real, setup.panel.typicality, setup.seed)
    found |= distances["own"] | {f"{FLOOR}/{name}": value for name, value in distances[FLOOR].items()}
    return {name: np.array(value) for name, value in found.items()}
