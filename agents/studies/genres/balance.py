"""Works of several genres in equal sizes, written as a corpus that all composers are fitted to."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toccata.agents.rivals.composer import RivalError
from toccata.envs.excerpts import usable_scores
from toccata.files import naming, whole_folder, write_atomically
from toccata.music.corpus import Corpus, Work
from toccata.music.corpus.works import SPLITS, unknown_name_message
from toccata.music.reduction import reduce_to_two_hands
from toccata.music.score import Score

BEATS_PER_BAR = 4
LONGEST = 1500  # notes of a work; longer ones are cut there, or few works would be most of a genre
FEWEST = {"train": 8, "valid": 2, "test": 4}  # works of a genre in each split
COLUMNS = ("file", "genre", "title", "composer", "licence", "split")

BySplit = dict[str, list[Work]]


def balanced(corpus: Corpus, genres: Sequence[str], seed: int) -> dict[str, BySplit]:
    """The works of each genre by split: as many of each, with about as many notes.

    Works in other metres than 4/4 and 2/4, and those of one bar, are left out, and the others are reduced to two hands.
    Of each split all genres have as many works as the smallest, drawn at random, and all are cut at bar lines to a
    length with which a genre has as many notes as the one with the fewest.

    Args:
        corpus: music of all genres.
        genres: which; those of the corpus if empty.
        seed: of the draw.

    Raises:
        RivalError: for an unknown genre, for fewer than two, and for one with too few works.
    """
    for genre in genres:
        if genre not in corpus.genres:
            raise RivalError(unknown_name_message("genre", genre, corpus.genres, f" in {corpus.name}"))
    names = tuple(genres) or corpus.genres
    if len(names) < 2:
        raise RivalError(
            f"{corpus.name}: has one genre, {names[0]}; a study compares two or more, and others than classical and "
            "folk need folders of music: --data bach FOLDER"
        )
    rng = np.random.default_rng(seed)
    result: dict[str, BySplit] = {name: {} for name in names}
    for split, fewest in FEWEST.items():
        usable = {name: _usable(corpus.genre(name).split(split)) for name in names}
        for name, works in usable.items():
            if len(works) < fewest:
                raise RivalError(
                    f"{corpus.name}: genre {name} has {len(works)} works in 4/4 or 2/4 in split {split}, the study "
                    f"needs at least {fewest}; add music, or leave it out with --genres"
                )
        count = min(len(works) for works in usable.values())
        drawn = {
            name: [works[i] for i in sorted(rng.permutation(len(works))[:count])] for name, works in usable.items()
        }
        for name, works in _of_equal_length(drawn).items():
            result[name][split] = works
    return result


def _usable(corpus: Corpus) -> list[Work]:
    """The works that excerpts can be taken from."""
    return [work for work in corpus if usable_scores([work.score], BEATS_PER_BAR)]


def _of_equal_length(works: Mapping[str, Sequence[Work]]) -> dict[str, list[Work]]:
    """The works of each genre, reduced and cut to about as many notes as those of the smallest."""
    reduced = {
        name: [replace(work, score=reduce_to_two_hands(work.score)[0]) for work in each] for name, each in works.items()
    }
    smallest = min(_notes(each, LONGEST) for each in reduced.values())
    cut = {}
    for name, each in reduced.items():
        longest = min(range(10, LONGEST + 1, 10), key=lambda notes: abs(_notes(each, notes) - smallest))
        cut[name] = [replace(work, score=cut_to(work.score, longest)) for work in each]
    return cut


def _notes(works: Sequence[Work], longest: int) -> int:
    """Notes of the works when each is cut."""
    return sum(_cut_tick(work.score, longest)[1] for work in works)


def cut_to(score: Score, longest: int) -> Score:
    """The beginning of a score, to the last bar line with at most `longest` notes before it, and two bars at least."""
    tick, _ = _cut_tick(score, longest)
    return score if tick >= score.length_ticks else score.slice(0, tick)


def _cut_tick(score: Score, longest: int) -> tuple[int, int]:
    """Where `cut_to` cuts, and the notes before it."""
    bars = np.append(score.bar_ticks, score.length_ticks)
    counts = np.searchsorted(score.notes["onset_tick"], bars)
    last = max(int(np.searchsorted(counts, longest, side="right")) - 1, min(2, len(bars) - 1))
    return int(bars[last]), int(counts[last])


def write_corpus(works: Mapping[str, BySplit], folder: Path) -> None:
    """Write the works as a folder corpus for each genre: midi/ and metadata.csv with the splits.

    Raises:
        OSError: naming the file that cannot be written.
    """
    with whole_folder(folder, "replace") as part:
        for genre, by_split in works.items():
            place = part / genre
            with naming(folder):
                (place / "midi").mkdir(parents=True)
            table = io.StringIO(newline="")
            rows = csv.writer(table)
            rows.writerow(COLUMNS)
            for split in SPLITS:
                for number, work in enumerate(by_split[split]):
                    name = f"{split}-{number:04}.mid"
                    work.score.to_midi(place / "midi" / name)
                    rows.writerow([name, genre, work.title or work.id, "", work.licence, split])
            write_atomically(place / "metadata.csv", table.getvalue().encode("utf-8", "backslashreplace"))
