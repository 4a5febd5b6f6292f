"""The music of benchmarks/dilemma.py: melodies and songs with their popularity, real excerpts, and a pool of pieces."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from toccata.envs.codec import encode
from toccata.envs.pieces import Piece
from toccata.music.corpus import Corpus, load_corpus
from toccata.music.score import Score
from toccata.music.skyline import skyline
from toccata.reward_models.negatives.pools import excerpts
from toccata.reward_models.preferences import read_preferences

MIN_NOTES = 8  # of a melody, as in the fit of the shipped rating
MELODY_BARS, BARS = 2, 8
REAL_EXCERPTS = 150  # of each corpus
BATCH = 256  # pieces sampled at a time
POOL_SEED = 1000  # added to the seed
WORLDWIDE, SEVERAL = "worldwide", "several"  # sources, beside the names of countries

INTERVALS = {  # semitones above the root by quality, after Harte et al. 2005, section 4
    "": (0, 4, 7),
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "min7": (0, 3, 7, 10),
    "maj7": (0, 4, 7, 11),
    "minmaj7": (0, 3, 7, 11),
    "sus4": (0, 5, 7),
    "sus2": (0, 2, 7),
    "5": (0, 7),
    "1": (0,),
    "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
    "9": (0, 4, 7, 10, 14),
    "maj9": (0, 4, 7, 11, 14),
    "min9": (0, 3, 7, 10, 14),
    "11": (0, 7, 10, 14, 17),
    "min11": (0, 3, 7, 10, 17),
    "13": (0, 4, 10, 14, 21),
    "maj13": (0, 4, 11, 14, 21),
    "min13": (0, 3, 10, 14, 21),
    "dim": (0, 3, 6),
    "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10),
    "aug": (0, 4, 8),
}
STEPS = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))


@dataclass(frozen=True)
class RatedMusic:
    """n real pieces with their popularity.

    Attributes:
        scores: the pieces.
        popularity: (n,) higher is more popular.
        counts: (n,) what was counted, where popularity is a count: sessions; else the popularity.
        clusters: (n,) pieces of one cluster are held out and resampled together.
        source: (n,) where the popularity was counted: "worldwide", or a country.
        controls: (n, k) properties that popularity may only reflect.
    """

    scores: list[Score]
    popularity: np.ndarray
    counts: np.ndarray
    clusters: list[str]
    source: np.ndarray
    controls: np.ndarray

    def __len__(self) -> int:
        """Number of pieces."""
        return len(self.scores)


def shape_of(score: Score) -> list[float]:
    """Notes, beats, different keys, range, mean interval, share of repeated notes, share off the beat, note values."""
    pitch, onset = score.notes["pitch"].astype(int), score.notes["onset_tick"]
    moves = np.abs(np.diff(pitch))
    return [
        len(score),
        float(score.offset_ticks.max()) / score.ticks_per_beat,
        len(np.unique(pitch)),
        float(np.ptp(pitch)),
        float(moves.mean()),
        float((moves == 0).mean()),
        float((onset % score.ticks_per_beat != 0).mean()),
        len(np.unique(score.notes["duration_ticks"])),
    ]


def read_doodle(folder: Path) -> RatedMusic:
    """The melodies that the shipped rating was fitted to, with the sessions that entered each."""
    lines = (folder / "melodies.jsonl").read_text("utf-8").split("\n")
    chosen = [
        each
        for each in read_preferences(folder / "melodies.jsonl").preferences
        if each.score is not None and len(each.score) >= MIN_NOTES and np.ptp(each.score.notes["pitch"])
    ]
    scores = [each.score for each in chosen if each.score is not None]
    sources = []
    for each in chosen:
        row = json.loads(lines[int(each.name.rpartition(" ")[2]) - 1])
        countries = row.get("by_country") or row.get("only_in") or {}
        sources.append(WORLDWIDE if row.get("sessions") else next(iter(countries)) if len(countries) == 1 else SEVERAL)
    sessions = np.array([each.plays for each in chosen])
    controls = np.array([shape_of(score) for score in scores])
    return RatedMusic(scores, np.log(sessions), sessions, [each.group for each in chosen], np.array(sources), controls)


def chord_pitches(chord: str) -> list[int] | None:
    """MIDI pitches of a chord in Harte's syntax: the root from C2 up, all of it from C3 up; None for no chord."""
    match = re.match(r"([A-G])([#b]*):?([a-z]*\d*(?:maj\d)?)", chord)
    if not match or chord.startswith("N"):
        return None
    root = (STEPS[match[1]] + match[2].count("#") - match[2].count("b")) % 12
    upper = INTERVALS.get(match[3], INTERVALS["maj"])
    return [36 + root, *(48 + root + step for step in upper)]


def render_chords(bars: Sequence[Sequence[Sequence[int]]]) -> Score:
    """Block chords: those of each bar of four beats share it equally; a chord is struck at each bar line and change."""
    notes = []
    for number, chords in enumerate(bars):
        edges = [round(96 * i / len(chords)) for i in range(len(chords) + 1)]
        start = 0
        for i in range(1, len(chords) + 1):
            if i == len(chords) or chords[i] != chords[start]:
                place = 96 * number + edges[start], edges[i] - edges[start]
                notes += [(*place, pitch, 80) for pitch in chords[start]]
                start = i
    return encode(Score(notes, length_ticks=96 * len(bars)))[1].score


def read_billboard(folder: Path) -> tuple[RatedMusic, list[list[list]]]:
    """Songs in 4/4 as block chords, their first eight bars without a bar of rest, and the chords of these bars.

    Popularity is minus the best rank in the charts, the controls the year, the different chords and the changes.
    """
    songs, all_bars = [], []
    with (folder / "songs.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    for row in rows:
        bars: list[list] = []
        last: list[int] | None = None
        for _, _, _, chords in row["bars"]:
            pitches = []
            for chord in chords:
                last = last if chord == "." else chord_pitches(chord)
                pitches.append(last)
            if not pitches or None in pitches:
                bars = []
            else:
                bars.append(pitches)
            if len(bars) == BARS:
                break
        if row["metre"] == "4/4" and len(bars) == BARS:
            songs.append(row)
            all_bars.append(bars)
    flat = [[tuple(chord) for bar in bars for chord in bar] for bars in all_bars]
    controls = np.array(
        [
            [row["year"], len(set(each)), sum(a != b for a, b in pairwise(each))]
            for row, each in zip(songs, flat, strict=True)
        ],
        float,
    )
    popularity = -np.array([row["peak_rank"] for row in songs], float)
    scores = [render_chords(bars) for bars in all_bars]
    source = np.array(["charts"] * len(songs))
    return RatedMusic(scores, popularity, popularity, [row["artist"] for row in songs], source, controls), all_bars


def chord_negatives(songs: Sequence[list[list]], rng: np.random.Generator) -> dict[str, list[Score]]:
    """Chords of songs in another order, and with roots at random; the rhythm of the chords is unchanged."""
    shuffled, random_roots = [], []
    for bars in songs:
        distinct = sorted({tuple(chord) for bar in bars for chord in bar})
        flat = [chord for bar in bars for chord in bar]
        order = iter(rng.permutation(len(flat)).tolist())
        shuffled.append(render_chords([[flat[next(order)] for _ in bar] for bar in bars]))
        root = {chord: int(rng.integers(12)) for chord in distinct}
        random_roots.append(
            render_chords([[[p + root[tuple(c)] - (c[0] - 36) for p in c] for c in bar] for bar in bars])
        )
    return {"shuffled_chords": shuffled, "random_roots": random_roots}


def own_corpus(rng: np.random.Generator) -> list[Score]:
    """Held-out excerpts of eight bars of chorales and folk tunes, as the shipped critics were fitted to."""
    found = []
    for name in ("bach", "folk"):
        corpus = load_corpus(name)
        works = tuple(work for split in ("valid", "test") for work in corpus.split(split))
        found += excerpts(Corpus(name, works), BARS, REAL_EXCERPTS, rng, per_work=1)
    return found


def melodies_in(score: Score) -> list[Score]:
    """The melodies of each two bars that have enough notes on more than one key, as of the Bach Doodle."""
    line, length = skyline(score), MELODY_BARS * score.ticks_per_bar
    parts = [line.slice(start, start + length) for start in range(0, score.length_ticks - length + 1, length)]
    return [part for part in parts if len(part) >= MIN_NOTES and np.ptp(part.notes["pitch"])]


def read_pool(run_folder: Path, count: int, seed: int, path: Path) -> list[Score]:
    """Pieces of a run's reference policy, in batches with seeds of their own; kept in a file."""
    if not path.exists():
        scores = _sample_pool(run_folder, count, POOL_SEED + seed)
        notes = np.concatenate([score.notes for score in scores])
        lengths = [[len(score), score.length_ticks] for score in scores]
        np.savez(path, notes=notes, lengths=np.array(lengths))
    with np.load(path) as file:
        notes, (sizes, ticks) = file["notes"], file["lengths"].T
    parts = np.split(notes, np.cumsum(sizes)[:-1])
    return [Score(part, length_ticks=int(length)) for part, length in zip(parts, ticks, strict=True)]


def _sample_pool(run_folder: Path, count: int, seed: int) -> list[Score]:
    """The pieces themselves."""
    import torch

    from toccata.agents.generation.rollouts import generate_pieces
    from toccata.agents.ppo.model_file import load_model
    from toccata.agents.runs.builders import environment_arguments
    from toccata.agents.runs.run_folder import Run

    run = Run.open(run_folder)
    model = load_model(run.reference_path, torch.device("cpu"))
    environment = environment_arguments(run.config)
    pieces: list[Piece] = []
    for number in range(-(-count // BATCH)):
        pieces += generate_pieces(model, min(BATCH, count - len(pieces)), seed + number, environment)
    return [piece.score for piece in pieces]
