"""Jazz solos as a corpus for the piano, each with a left hand: `python examples/jazz_corpus.py wjazzd.db OUT`.

The source is the Weimar Jazz Database, a download of jazzomat.hfm-weimar.de, with its beats and chords; or a file of
JSON lines with `performer`, `title`, `bpm` and `notes`, [pitch, onset, duration] in seconds, whose beats and chords are
estimated. OUT can be given to `--corpus`, `--data` and `load_corpus`. A performer is on one side of the split only.
The database is under the Open Database License 1.0: a corpus made from it that is published stays under it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from toccata.files import whole_folder, write_atomically
from toccata.music.accompaniment import RHYTHMS, comp
from toccata.music.chord_estimation import SEVENTH_CHORDS, estimate_chords
from toccata.music.corpus.works import SPLITS
from toccata.music.lead_sheets import LeadSheet, from_seconds, read_weimar
from toccata.music.reduction import reduce_to_two_hands
from toccata.music.score import Score

LICENCE = "ODbL 1.0"
STRUCK = ("halves", "charleston", "whole")  # rhythms of the left hand, one after the other, lest one tells the genre


def solos_in_seconds(path: Path) -> Iterator[LeadSheet]:
    """The solos of a file of JSON lines that give a tempo, without chords."""
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines()):
        solo = json.loads(text)
        if solo.get("bpm") and solo["notes"]:
            melody = from_seconds(np.array(solo["notes"], float), float(solo["bpm"]))
            yield LeadSheet(f"solo-{number:03}", solo["performer"], solo["title"], melody)


def accompanied(sheet: LeadSheet, rhythm: str) -> Score:
    """The solo over its chords, or over estimated ones where none are given, as two hands can play it."""
    chords = sheet.chords or estimate_chords(sheet.melody, sheet.melody.ticks_per_bar, SEVENTH_CHORDS)
    return reduce_to_two_hands(comp(sheet.melody, chords, rhythm))[0]


def split_of(performer: str) -> str:
    """The split of all solos of a performer, however the name is spaced: 80, 10 and 10 % of the performers."""
    name = "".join(performer.lower().split())
    tenth = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) % 10
    return next(split for split, tenths in SPLITS.items() if tenth in tenths)


def write_corpus(sheets: Iterator[LeadSheet], out: Path, rhythm: str) -> int:
    """Write the corpus, whole or not at all; returns the number of solos."""
    table = io.StringIO(newline="")
    rows = csv.writer(table)
    rows.writerow(["file", "genre", "title", "composer", "licence", "split"])
    count = 0
    with whole_folder(out) as folder:
        (folder / "midi").mkdir()
        for count, sheet in enumerate(sheets, 1):
            name = f"{sheet.id}.mid"
            struck = STRUCK[count % len(STRUCK)] if rhythm == "mixed" else rhythm
            score = sheet.melody if rhythm == "none" else accompanied(sheet, struck)
            score.to_midi(folder / "midi" / name)
            rows.writerow([name, "jazz", sheet.title, sheet.performer, LICENCE, split_of(sheet.performer)])
        write_atomically(folder / "metadata.csv", table.getvalue().encode())
    return count


def main() -> None:
    """Read the arguments and write the corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="wjazzd.db, or JSON lines")
    parser.add_argument("out", type=Path, help="folder to write; it must not exist")
    parser.add_argument("--rhythm", choices=[*RHYTHMS, "mixed", "none"], default="mixed", help="of the left hand")
    arguments = parser.parse_args()
    read = solos_in_seconds if arguments.source.suffix == ".jsonl" else read_weimar
    count = write_corpus(read(arguments.source), arguments.out, arguments.rhythm)
    print(f"{count} solos in {arguments.out}")


if __name__ == "__main__":
    main()
