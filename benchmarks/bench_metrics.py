"""Metrics of a score, versus MusPy, Pypianoroll, miditoolkit and music21 on the same notes in the same run.

`python benchmarks/bench_metrics.py [FOLDER]` prints the table, for the chorales of music21 or a folder of MIDI files;
`rows()` returns it: a list of dicts with `name`, `ours_per_second`, `peer`, `peer_per_second`, `ratio`, `target`, `ok`.
Where peers compute the same, `ratio` is the greatest difference, which must not exceed `target`. Where a peer has
an error or another definition, `ratio` is the share of files whose values differ; docs/metrics.md shows why.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from toccata.errors import ToccataError
from toccata.music import Score, load_corpus
from toccata.music.corpus.parsing import MIDI_SUFFIXES
from toccata.music.metrics import CORE_METRICS, METRICS, measure_each
from toccata.music.metrics.files import files_of
from toccata.music.metrics.pitch import best_keys

FILES = 200
LONGEST = 20_000  # ticks: peers make piano rolls of 128 numbers a tick
SAME = 1e-6
SPEED_TARGET = 1  # times as fast as MusPy, at least
ROUNDS = 3


def to_the_last_note(score: Score) -> Score:
    """The score that ends with its last note, as those of the peers do."""
    return replace(score, length_ticks=int(score.offset_ticks.max()))


def to_whole_beats(score: Score) -> Score:
    """The score that ends with the beat of its last note, as piano rolls of Pypianoroll do."""
    beats = -(-int(score.offset_ticks.max()) // score.ticks_per_beat)
    return replace(score, length_ticks=beats * score.ticks_per_beat)


def as_muspy(score: Score) -> Any:
    """The notes as a `muspy.Music` of one track."""
    import muspy

    notes = [muspy.Note(onset, pitch, duration, velocity) for onset, duration, pitch, velocity in score.notes.tolist()]
    return muspy.Music(resolution=score.ticks_per_beat, tracks=[muspy.Track(notes=notes)])


def of_muspy(music: Any, ticks_per_bar: int) -> dict[str, float]:
    """What MusPy computes, by our names; where it differs, its own name follows in brackets."""
    import muspy

    return {
        "pitch_range": muspy.pitch_range(music),
        "distinct_pitches": muspy.n_pitches_used(music),
        "pitch_class_count": muspy.n_pitch_classes_used(music),
        "pitch_class_entropy": muspy.pitch_class_entropy(music),
        "scale_consistency": muspy.scale_consistency(music),
        "polyphony": muspy.polyphony(music),
        "polyphony_rate": muspy.polyphony_rate(music, threshold=1),
        "polyphony_rate (threshold 2)": muspy.polyphony_rate(music),
        "empty_beat_rate (empty_beat_rate)": muspy.empty_beat_rate(music),
        "empty_bar_rate (empty_measure_rate)": muspy.empty_measure_rate(music, ticks_per_bar),
        "groove_similarity (groove_consistency)": muspy.groove_consistency(music, ticks_per_bar),
    }


def of_pypianoroll(score: Score) -> dict[str, float]:
    """What Pypianoroll computes from the piano roll, as `of_muspy`."""
    from pypianoroll import metrics as peer

    roll, to_the_end = to_whole_beats(score).roll(), to_the_last_note(score).roll()
    return {
        "pitch_range": peer.pitch_range(roll),
        "distinct_pitches": peer.n_pitches_used(roll),
        "polyphony_rate": peer.polyphonic_rate(to_the_end, threshold=1),
        "empty_beat_rate": 1 - peer.empty_beat_rate(roll, score.ticks_per_beat),
        "empty_beat_rate (empty_beat_rate)": peer.empty_beat_rate(roll, score.ticks_per_beat),
        "pitch_class_count (n_pitch_classes_used)": peer.n_pitch_classes_used(roll),
        # of 0 and 1 with a sign: of bytes or truth values the differences never fall below 0, and it raises an error
        "qualified_note_rate (qualified_note_rate)": peer.qualified_note_rate(
            (roll > 0).astype(int), threshold=score.ticks_per_beat / 8
        ),
    }


def of_miditoolkit(score: Score) -> dict[str, float]:
    """Shares of the piano roll that miditoolkit makes of the notes."""
    from miditoolkit import Note
    from miditoolkit.pianoroll.parser import notes2pianoroll

    notes = [
        Note(velocity, pitch, onset, onset + duration) for onset, duration, pitch, velocity in score.notes.tolist()
    ]
    sounding = (notes2pianoroll(notes) > 0).sum(1)
    return {
        "polyphony": sounding[sounding > 0].mean(),
        "polyphony_rate": (sounding > 1).mean(),
        "silence_rate": (sounding == 0).mean(),
    }


def of_music21(score: Score) -> dict[str, float]:
    """What music21 computes from a part of the notes; keys are numbers as those of `best_keys`."""
    from music21.analysis.discrete import KrumhanslKessler
    from music21.features import jSymbolic
    from music21.note import Note
    from music21.stream import Part

    part = Part()
    for onset, duration, pitch, _ in score.notes.tolist():
        part.insert(onset / score.ticks_per_beat, Note(pitch, quarterLength=duration / score.ticks_per_beat))
    key = KrumhanslKessler().getSolution(part)
    return {
        "key": key.tonic.pitchClass + 12 * (key.mode == "minor"),
        "key_clarity": key.correlationCoefficient,
        "pitch_range": jSymbolic.RangeFeature(part).extract().vector[0],
        "distinct_pitches": jSymbolic.PitchVarietyFeature(part).extract().vector[0],
        "pitch_class_count": jSymbolic.PitchClassVarietyFeature(part).extract().vector[0],
    }


def ours(score: Score, names: Sequence[str]) -> dict[str, float]:
    """Our values of the metrics that a peer computes."""
    of_beats = ("empty_beat_rate", "empty_bar_rate", "groove_similarity")
    values = {}
    for name in names:
        metric = name.partition(" ")[0]
        if metric == "key":
            values[name] = float(best_keys(score)[0])
        else:
            values[name] = METRICS[metric](to_whole_beats(score) if metric in of_beats else to_the_last_note(score))
    return values


def comparison(scores: Sequence[Score]) -> list[dict]:
    """The rows of agreement: the greatest difference from each peer, or the share of files in which it differs."""
    peers = {
        "MusPy": lambda score: of_muspy(as_muspy(score), score.ticks_per_bar),
        "Pypianoroll": of_pypianoroll,
        "miditoolkit": of_miditoolkit,
        "music21": of_music21,
    }
    rows = []
    for peer, function in peers.items():
        theirs = [function(score) for score in track(scores, peer, console=Console(stderr=True), transient=True)]
        names = list(theirs[0])
        mine = [ours(score, names) for score in scores]
        for name in names:
            differences = np.array([abs(a[name] - b[name]) for a, b in zip(mine, theirs, strict=True)])
            same = "(" not in name
            ratio = float(differences.max()) if same else float((~(differences <= SAME)).mean())
            rows.append(
                {
                    "name": f"greatest difference of {name}" if same else f"share of files that differ: {name}",
                    "ours_per_second": None,
                    "peer": peer,
                    "peer_per_second": None,
                    "ratio": ratio,
                    "target": SAME if same else None,
                    "ok": not same or ratio <= SAME,
                }
            )
    return rows


def speed(scores: Sequence[Score]) -> dict:
    """The row of speed: our functions of the same name as MusPy's, and MusPy's, on their own classes of a score."""
    music = [as_muspy(score) for score in scores]
    names = list(of_muspy(music[0], scores[0].ticks_per_bar))
    functions = [METRICS[name.partition(" ")[0]] for name in names]

    def mine() -> None:
        for score in scores:
            for function in functions:
                function(score)

    def theirs() -> None:
        for score, each in zip(scores, music, strict=True):
            of_muspy(each, score.ticks_per_bar)

    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(ROUNDS):
        seconds["ours"].append(seconds_of(mine))
        seconds["peer"].append(seconds_of(theirs))
    rate, peer_rate = (len(scores) / median(each) for each in seconds.values())
    return {
        "name": f"files, {len(functions)} metrics",
        "ours_per_second": rate,
        "peer": "MusPy",
        "peer_per_second": peer_rate,
        "ratio": rate / peer_rate,
        "target": SPEED_TARGET,
        "ok": rate / peer_rate >= SPEED_TARGET,
    }


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds of one processor that `work` takes; other processes do not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def scores_of(folder: Path | None) -> list[Score]:
    """The first `FILES` scores that are not too long for a piano roll, of the chorales or of a folder of MIDI files."""
    if folder is None:
        scores = [work.score for work in load_corpus("bach")]
    else:
        paths = [path for path in files_of([folder])[0] if path.suffix.lower() in MIDI_SUFFIXES]
        scores = []

        def read() -> None:
            for path in paths:
                with suppress(ToccataError):
                    scores.append(Score.from_midi(path))

        print(f"reading: {len(paths) / seconds_of(read):.0f} of {len(paths)} MIDI files a second")
    return [score for score in scores if len(score) and score.length_ticks <= LONGEST][:FILES]


def rows(scores: Sequence[Score] | None = None) -> list[dict]:
    """Compare and measure everything; about a minute."""
    scores = scores or scores_of(None)
    return [speed(scores), *comparison(scores)]


def main() -> None:
    """Print the table, and how fast reading, all metrics, those without structure and the core ones are."""
    scores = scores_of(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    notes = sum(len(score) for score in scores)
    print(f"{len(scores)} files of {notes / len(scores):.0f} notes on average; rates are files a second on one core")
    no_structure = {name: metric for name, metric in METRICS.items() if metric.family != "structure"}
    for metrics in (METRICS, no_structure, CORE_METRICS):
        rate = len(scores) / seconds_of(lambda metrics=metrics: measure_each(scores, metrics))
        print(f"{len(metrics)} metrics: {rate:.0f} files a second")
    for row in rows(scores):
        rates = "".join(f"{row[key]:10.1f}" if row[key] else " " * 10 for key in ("ours_per_second", "peer_per_second"))
        target = "" if row["target"] is None else f"target {row['target']:g}: {'ok' if row['ok'] else 'MISSED'}"
        print(f"{row['name']:75}{rates}  {row['peer']:14}{row['ratio']:10.4g}  {target}")


if __name__ == "__main__":
    main()
