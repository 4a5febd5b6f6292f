"""Votes and likes as the data of `toccata fit-rating`: a manifest, votes on pairs, and the pieces beside them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from shutil import copyfile

import numpy as np

from toccata.files import is_file, naming, write_atomically
from toccata.listening.results.ballots import Survey
from toccata.music.score import Score

MANIFEST_FILE, PAIRS_FILE, PIECES_FOLDER = "manifest.csv", "pairs.csv", "pieces"
CHOICES = {1.0: "first", 0.0: "second", 0.5: "tie"}
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")  # that `fit-rating` reads


def write_data(folder: Path, survey: Survey, scores: Sequence[Score | None], seed: int) -> int:
    """Write the data of `toccata fit-rating --data FOLDER`.

    manifest.csv has `file,plays,likes,genre` of the pieces that were played on the radio, pairs.csv
    `first,second,choice,listener`, a row a vote on which is better, pieces/ all that these name: scores as MIDI, as far
    as they were heard, and sound files. Names and numbers are drawn: they say nothing of sources, and a listener is a
    number.

    Args:
        folder: that is there.
        survey: of the database.
        scores: (n,) of `heard_score`.
        seed: of the names.

    Returns:
        how many pieces were asked about or played, but cannot be read, and are left out with their votes.

    Raises:
        OSError: naming the file that cannot be written.
    """
    rng = np.random.default_rng(seed)
    ballots = survey.better
    heard = sorted({*ballots.first.tolist(), *ballots.second.tolist(), *np.flatnonzero(survey.plays).tolist()})
    numbers = rng.permutation(len(heard))
    (folder / PIECES_FOLDER).mkdir()
    files: dict[int, str] = {}
    for index, number in zip(heard, numbers.tolist(), strict=True):
        if (name := _write_piece(folder, f"{PIECES_FOLDER}/{number:05d}", survey, scores, index)) is not None:
            files[index] = name
    in_order = sorted(files, key=files.__getitem__)
    manifest = [["file", "plays", "likes", "genre"]]
    manifest += [
        [files[index], str(survey.plays[index]), str(survey.likes[index]), survey.pieces[index].genre or ""]
        for index in in_order
        if survey.plays[index]
    ]
    listeners = rng.permutation(int(ballots.listener.max(initial=-1)) + 1)
    votes = [
        [files[a], files[b], CHOICES[share], str(listeners[who])]
        for a, b, share, who in zip(ballots.first, ballots.second, ballots.share, ballots.listener, strict=True)
        if a in files and b in files
    ]
    if len(manifest) > 1:
        write_atomically(folder / MANIFEST_FILE, _csv(manifest))
    if votes:
        write_atomically(folder / PAIRS_FILE, _csv([["first", "second", "choice", "listener"], *sorted(votes)]))
    return len(heard) - len(files)


def _write_piece(folder: Path, stem: str, survey: Survey, scores: Sequence[Score | None], index: int) -> str | None:
    """Write a piece, and return its name in the folder; None where it cannot be read."""
    score, file = scores[index], survey.pieces[index].file
    if score is not None:
        name = f"{stem}.mid"
        with naming(folder / name):
            score.to_midi(folder / name)
        return name
    if file.suffix.lower() not in SOUND_SUFFIXES or not is_file(file):
        return None
    name = f"{stem}{file.suffix.lower()}"
    copyfile(file, folder / name)
    return name


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")
