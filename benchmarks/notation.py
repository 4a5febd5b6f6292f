"""Scores written as MusicXML and read back: what is lost, how pitches are spelled, how long it takes.

python benchmarks/notation.py --works 300 --seconds 600
python benchmarks/notation.py --folder FOLDER_OF_MIDI_OR_MUSICXML

Works of music21's corpus are spread over its collections. "spelled" compares the names of notes with those of the
source: with the key of the source, and with an estimated one. "music21" reads short files that were written, as a
second reader, and compares onsets, durations and names; it also counts voices a staff and ratios of tuplets.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from music21 import converter, corpus, harmony
from music21.chord import ChordBase
from music21.note import Note
from music21.stream import Measure, Stream

from toccata.music.midi import read_midi
from toccata.music.musicxml import read_musicxml, score_from_stream, write_musicxml
from toccata.music.notation.keys import keys
from toccata.music.notation.spelling import spelled, step_alter_octave
from toccata.music.score import TICKS_PER_BEAT, Score

MOST_NOTES = 4_000  # of a work
SECOND_READER_NOTES = 500  # music21 takes seconds for more
LEFT_OUT = {"rntxt", "capella"}  # no notes
MIDI_SUFFIXES = (".mid", ".midi")
NOTATION = (".musicxml", ".xml", ".mxl")
Names = dict[tuple[int, int], set[tuple[str, int]]]  # (onset tick, pitch) -> (step, alteration) of the source


def corpus_paths(count: int) -> list[Path]:
    """Files of the corpus, in turns from its collections, the smallest of each first."""
    collections: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(map(Path, corpus.getCorePaths()), key=lambda path: (path.stat().st_size, path.name)):
        if path.suffix[1:] not in LEFT_OUT:
            collections[path.parent.name].append(path)
    for collection in collections.values():
        del collection[1 + len(collection) * 9 // 10 :]  # the longest take most of the time
    turns = []
    while len(turns) < count and any(collections.values()):
        turns += [collection.pop(len(collection) // 2) for collection in collections.values() if collection]
    return turns[:count]


def source_names(stream: Stream) -> Names:
    """The names of the notes of a music21 stream."""
    names: Names = defaultdict(set)
    for part in list(getattr(stream, "parts", ())) or [stream]:
        if any(instrument.transposition for instrument in part.getInstruments(recurse=True)):
            part = part.toSoundingPitch()
        for element in part.flatten().notes:
            if isinstance(element, harmony.Harmony) or element.duration.isGrace:
                continue
            for note in element.notes if isinstance(element, ChordBase) else (element,):
                if isinstance(note, Note) and float(note.pitch.alter).is_integer():
                    onset = round(Fraction(element.offset) * TICKS_PER_BEAT)
                    names[onset, note.pitch.midi].add((note.pitch.step, int(note.pitch.alter)))
    return names


def agreement(score: Score, names: Names, shift: int) -> tuple[int, int]:
    """Notes that are spelled as in the source, and notes that have a name there.

    Args:
        score: any score.
        names: of its source.
        shift: ticks from the source to the score: an upbeat is moved to the end of its bar.
    """
    equal = known = 0
    positions = spelled(score, keys(score)).tolist()
    for (onset, _, pitch, _), position in zip(score.notes.tolist(), positions, strict=True):
        source = names.get((onset - shift, pitch))
        if source:
            known += 1
            equal += step_alter_octave(pitch, position)[:2] in source
    return equal, known


def differences(score: Score, again: Score) -> list[str]:
    """What of a score is not read back."""
    same = {
        "notes": score.notes[["onset_tick", "duration_ticks", "pitch"]].tolist()
        == again.notes[["onset_tick", "duration_ticks", "pitch"]].tolist(),
        "velocities": score.notes["velocity"].tolist() == again.notes["velocity"].tolist(),
        "metre": (score.beats_per_bar, score.time_signatures) == (again.beats_per_bar, again.time_signatures),
        "tempo": score.tempo_bpm == again.tempo_bpm,
        "length": score.length_ticks == again.length_ticks,
        "key": not score.key_signatures or score.key_signatures == again.key_signatures,
    }
    return [name for name, equal in same.items() if not equal]


def second_reader(path: Path, score: Score, found: Counter[str]) -> list[str]:
    """What music21 reads otherwise; counts voices and tuplets."""
    stream = converter.parse(path, forceSource=True)
    for note in stream.recurse().notesAndRests:
        for tuplet in note.duration.tuplets:
            found[f"tuplet {tuplet.numberNotesActual}:{tuplet.numberNotesNormal}"] += 1
    for measure in stream.recurse().getElementsByClass(Measure):
        found[f"measures with {max(len(measure.voices), 1)} voices"] += 1
    read = score_from_stream(stream)
    names = source_names(stream)
    upbeat = int(score.notes["onset_tick"][0]) - min(onset for onset, _ in names)
    equal, known = agreement(score, names, upbeat)
    same = score.notes.tolist() == read.notes.tolist()
    return ([] if same else ["notes"]) + ([] if equal == known == len(score) else ["names"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--works", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="files in place of music21's corpus")
    parser.add_argument("--seconds", type=float, default=900.0, help="after which no further work is begun")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    paths = corpus_paths(args.works)
    if args.folder:
        files = sorted(path for path in args.folder.rglob("*") if path.suffix.lower() in (*MIDI_SUFFIXES, *NOTATION))
        paths = files[:: max(len(files) // args.works, 1)][: args.works]
    began, notes, bars, write_seconds, read_seconds = time.monotonic(), 0, 0, 0.0, 0.0
    count = Counter({"read back otherwise": 0, "read otherwise by music21": 0})
    spelling: dict[str, list[int]] = {"key of the source": [0, 0], "estimated key": [0, 0]}
    below: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "written.musicxml"
        for path in paths:
            if time.monotonic() - began > args.seconds:
                break
            try:
                score, names = source(path)
            except Exception as error:  # music21 raises any kind for what it cannot read
                count["not read"] += 1
                print(f"{path.name}: {error}", file=sys.stderr)
                continue
            if not 10 <= len(score) <= MOST_NOTES:
                continue
            count["works"] += 1
            before = time.process_time()
            write_musicxml(score, written)
            between = time.process_time()
            again = read_musicxml(written)
            write_seconds, read_seconds = write_seconds + between - before, read_seconds + time.process_time() - between
            notes, bars = notes + len(score), bars + score.bars
            if different := differences(score, again):
                count["read back otherwise"] += 1
                print(f"{path.name}: {', '.join(different)}")
            if len(score) <= SECOND_READER_NOTES:
                count["read by music21"] += 1
                if different := second_reader(written, score, count):
                    count["read otherwise by music21"] += 1
                    print(f"{path.name}: music21: {', '.join(different)}")
            if names and score.key_signatures:
                shift = int(score.notes["onset_tick"][0]) - min(onset for onset, _ in names)
                for kind, kept in (("key of the source", score.key_signatures), ("estimated key", ())):
                    equal, known = agreement(replace(score, key_signatures=kept), names, shift)
                    spelling[kind][0] += equal
                    spelling[kind][1] += known
                    if kept and equal < 0.95 * known:
                        below.append(f"{path.name} {equal / known:.3f}")
    for name, value in sorted(count.items()):
        print(f"{name}: {value:,}")
    for kind, (equal, known) in spelling.items():
        print(f"spelled as in the source, {kind}: {100 * equal / max(known, 1):.2f} % of {known:,} notes")
    print(f"works below 95 %: {', '.join(below) or 'none'}")
    print(f"{notes:,} notes, {bars:,} bars; written: {8000 * write_seconds / max(bars, 1):.1f} ms for 8 bars, ", end="")
    print(f"read: {8000 * read_seconds / max(bars, 1):.1f} ms")


def source(path: Path) -> tuple[Score, Names]:
    """The score of a file, and the names of its notes where music21 reads it."""
    if path.suffix.lower() in MIDI_SUFFIXES:
        return read_midi(path), {}
    stream = converter.parse(path)
    if not hasattr(stream, "parts"):
        raise ValueError("several pieces")
    return score_from_stream(stream), source_names(stream)


if __name__ == "__main__":
    main()
