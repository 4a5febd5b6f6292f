"""How well performances are noticed, their beats tracked, and repeats unfolded.

python benchmarks/reading.py FOLDER...: folders of MIDI files of notated music. Performances are made of them: the tempo
drifts by slow curves, and onsets are moved by a normal distribution. Repeats are compared with music21's on its corpus.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from toccata.music import Score
from toccata.music.midi import MidiError, read_midi
from toccata.music.midi.beats import track_beats
from toccata.music.midi.content import read_content
from toccata.music.midi.performance import PERFORMED_SHARE, off_grid_share
from toccata.music.musicxml.repeats import BarMarks, marks_of_tree, played_bars
from toccata.music.musicxml.tree import MusicXMLTreeError, musicxml_tree

RESOLUTION = 480  # of the performances, at a nominal 120 beats a minute
SECONDS = 200  # of a work that are played
NEAR = 0.07  # seconds from a beat that count as at it, as usual (Davies et al. 2009)
LEVELS = (1, 1 / 2, 2, 1 / 3, 3)  # of the notated beat
# name -> standard deviation of the logarithm of the tempo, and of onsets in seconds
PERFORMANCES = {
    "10 ms": (0.0, 0.010),
    "20 ms": (0.0, 0.020),
    "30 ms": (0.0, 0.030),
    "tempo +-10 %, 15 ms": (0.1, 0.015),
    "tempo +-20 %, 20 ms": (0.2, 0.020),
}
Clock = Callable[[np.ndarray], np.ndarray]  # quarters -> seconds


def clock_of(score: Score, depth: float, rng: np.random.Generator) -> Clock:
    """The time of each quarter, under a tempo curve of waves of 2.7 to 37 quarters."""
    grid = np.arange(0, score.length_ticks / score.ticks_per_beat + 2, 1 / 16)
    curve = sum(rng.normal() * np.sin(2 * np.pi * (grid / period + rng.random())) for period in (2.7, 8, 16, 37))
    pace = 60 / score.tempo_bpm * np.exp(depth * curve / max(float(np.std(curve)), 1e-6))
    times = np.concatenate(([0], np.cumsum((pace[1:] + pace[:-1]) / 32)))
    return lambda quarters: np.interp(quarters, grid, times)


def perform(score: Score, clock: Clock, jitter: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Onsets and ends in seconds, and pitches, of a performance, by onset."""
    starts, stops = score.notes["onset_tick"] / score.ticks_per_beat, score.offset_ticks / score.ticks_per_beat
    onsets = np.maximum(clock(starts) + rng.normal(0, jitter, len(starts)), 0)
    order = np.argsort(onsets, kind="stable")
    return onsets[order], np.maximum(clock(stops) - 0.01, onsets + 0.03)[order], score.notes["pitch"][order]


def f_measure(found: np.ndarray, beats: np.ndarray) -> float:
    """F-measure of the beats found, each matched with the nearest if that is near."""
    matched, last = 0, 0
    for beat in beats:
        while last < len(found) and found[last] < beat - NEAR:
            last += 1
        if last < len(found) and found[last] <= beat + NEAR:
            matched, last = matched + 1, last + 1
    return 2 * matched / max(len(found) + len(beats), 1)


def notated_beat(score: Score) -> float:
    """Quarters in a beat of the notated metre."""
    signature = score.time_signatures[0] if score.time_signatures else None
    if signature and signature.denominator == 8 and signature.numerator % 3 == 0:
        return 1.5
    return 2.0 if signature and signature.denominator == 2 else 1.0


def beat_scores(score: Score, depth: float, jitter: float, rng: np.random.Generator) -> tuple[float, float]:
    """F-measure at the notated beat, and at the best of `LEVELS`."""
    clock = clock_of(score, depth, rng)
    onsets, ends, pitches = perform(score, clock, jitter, rng)
    found = track_beats(onsets, ends, pitches)
    scores = []
    for level in LEVELS:
        beats = clock(np.arange(0, score.length_ticks / score.ticks_per_beat, level * notated_beat(score)))
        scores.append(f_measure(found, beats[(beats >= onsets[0] - NEAR) & (beats <= onsets[-1] + NEAR)]))
    return scores[0], max(scores)


def shortened(score: Score) -> Score:
    """At most `SECONDS` of the score."""
    bars = int(SECONDS / score.seconds_per_tick / score.ticks_per_bar)
    return score.slice(0, bars * score.ticks_per_bar) if score.length_seconds > SECONDS else score


def measure_performances(paths: list[Path], pieces: int, seed: int) -> None:
    """Print how many files and performances of them are noticed, and how well beats are tracked."""
    rng = np.random.default_rng(seed)
    shares, scores = [], []
    for path in paths:
        try:
            content, score = read_content(path.read_bytes()), read_midi(path)
        except MidiError:
            continue
        shares.append(off_grid_share([note.start for note in content.notes], content.resolution))
        if len(score) >= 60 and len({each[1:] for each in score.time_signatures}) <= 1:
            scores.append(shortened(score))
    noticed = np.mean(np.array(shares) > PERFORMED_SHARE)
    print(f"{len(shares)} files as they are: noticed {noticed:.1%}, largest share off the grid {max(shares):.3f}")
    chosen = [scores[index] for index in rng.permutation(len(scores))[:pieces]]
    for name, (depth, jitter) in PERFORMANCES.items():
        shares = []
        for score in chosen:
            onsets = perform(score, clock_of(score, depth, rng), jitter, rng)[0]
            shares.append(off_grid_share(np.round(onsets * 2 * RESOLUTION).astype(int), RESOLUTION))
        results = np.array([beat_scores(score, depth, jitter, rng) for score in chosen])
        noticed = np.mean(np.array(shares) > PERFORMED_SHARE)
        print(
            f"{len(chosen)} performances, {name}: noticed {noticed:.1%}, smallest share {min(shares):.3f}; beats: F "
            f"{results[:, 0].mean():.2f} at the notated beat, {results[:, 1].mean():.2f} at the best level"
        )


def measure_repeats(works: int, seed: int) -> None:
    """Print how many works of music21's corpus with repeats are unfolded as music21 does."""
    from music21 import converter
    from music21.repeat import Expander, ExpanderException
    from music21.stream import Measure

    spec = find_spec("music21")
    assert spec and spec.submodule_search_locations
    files = sorted(Path(spec.submodule_search_locations[0], "corpus").rglob("*.mxl"))
    same, other = 0, []
    for index in np.random.default_rng(seed).permutation(len(files)):
        path = files[index]
        try:
            marks = marks_of_tree(musicxml_tree(path.read_bytes()))
        except MusicXMLTreeError:
            continue
        if all(mark == BarMarks() for mark in marks) or path.stat().st_size > 60_000:
            continue
        part = converter.parse(path).parts[0]
        for place, measure in enumerate(part.getElementsByClass(Measure)):
            measure.editorial.place = place
        try:
            order = [each.editorial.place for each in Expander(part).process().getElementsByClass(Measure)]
        except ExpanderException:
            order = []
        same += order == played_bars(marks)
        other += [path.name] if order != played_bars(marks) else []
        if same + len(other) == works:
            break
    print(f"repeats of {same + len(other)} works: {same} as music21; others: {', '.join(other)}")


def main() -> None:
    """Print all measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--pieces", type=int, default=100, help="performances of each kind")
    parser.add_argument("--repeats", type=int, default=50, help="works with repeats")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    paths = [path for folder in args.folders for path in sorted(folder.rglob("*.mid"))]
    measure_performances(paths, args.pieces, args.seed)
    measure_repeats(args.repeats, args.seed)


if __name__ == "__main__":
    main()
