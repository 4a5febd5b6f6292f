"""Music that is evaluated: files or scores, cut and encoded as real music is."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

import numpy as np

from toccata.agents.evaluation.players import EvaluationError, Played, Player
from toccata.agents.runs.config import TrainConfig
from toccata.agents.runs.run_folder import seed_runs
from toccata.envs.excerpts import as_piece, in_metre, random_excerpt
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.corpus import CorpusError, CorpusWarning, load_corpus
from toccata.music.score import Score
from toccata.settings.options import shown

ENCODED = ("notes", "dropped", "shortened", "lengthened", "moved")  # of `EncodeReport`


def folder_player(folder: Path, config: TrainConfig) -> Player:
    """Gives the music of a folder.

    Args:
        folder: of MIDI or MusicXML files, at any depth.
        config: says length, metre, tempo and genre.

    Raises:
        EvaluationError: for a folder without a readable file, naming the first and the reason, and for a run folder.
    """
    if (folder / "config.json").exists():
        raise EvaluationError(f"{folder}: is a run folder; evaluate it with: python evaluate.py {quote(str(folder))}")
    if runs := seed_runs(folder):
        each = " && ".join(f"python evaluate.py {quote(str(run))}" for run in runs)
        raise EvaluationError(f"{folder}: holds runs of several seeds; evaluate each: {each}")
    if not folder.is_dir():
        raise EvaluationError(f"{folder}: no such folder of music")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CorpusWarning)  # the report lists what was left out
            corpus = load_corpus(folder, genre=config.genre)
    except CorpusError as error:
        reason = str(error).removeprefix(f"{folder}: ")
        raise EvaluationError(f"{folder}: not a run folder, it has no config.json; as music: {reason}") from error
    names = [work.id for work in corpus.works]
    return music_player(list(corpus.scores), config, names, corpus.failures)


def music_player(
    music: Sequence[Score | Piece],
    config: TrainConfig,
    names: Sequence[str] | None = None,
    failures: Sequence[str] = (),
) -> Player:
    """Gives music that is there already: of each score one excerpt, and pieces of an environment as they are.

    Where there is more music than asked for, it is chosen at random. Scores that are no longer than the pieces they are
    compared with are used whole, silence at their beginning and whole silent ones included; longer ones are cut as real
    music is.

    Args:
        music: scores or pieces.
        config: says length, metre, tempo and genre.
        names: of the music; by default its numbers.
        failures: lines about files that could not be read.

    Raises:
        EvaluationError: for anything else than scores and pieces, and where no score has the metre.
    """
    names = [f"number {number}" for number in range(len(music))] if names is None else names
    usable, left_out = [], list(failures)
    for name, each in zip(names, music, strict=True):
        if not isinstance(each, (Score, Piece)):
            raise EvaluationError(f"{name} of the music must be a Score or a Piece, got {shown(each)}")
        score = each if isinstance(each, Score) else each.score
        if not score.length_ticks:
            left_out.append(f"{name}: is empty")
        elif isinstance(each, Score) and not in_metre(score, config.beats_per_bar):
            left_out.append(f"{name}: its bars of {score.beats_per_bar:g} beats do not divide {config.beats_per_bar:g}")
        else:
            usable.append((name, each))
    if not usable:
        reason = left_out[0] if left_out else "the list is empty"
        metres = {f"{each.beats_per_bar:g}" for each in music if isinstance(each, Score) and each.length_ticks}
        hint = f"; try beats_per_bar {min(metres)}" if metres else ""
        raise EvaluationError(f"no music to evaluate: {reason}{hint}")

    def play(count: int, seed: int) -> Played:
        rng, piano = np.random.default_rng([seed, 1]), Piano()
        chosen = [usable[i] for i in sorted(rng.permutation(len(usable))[:count])]
        counts: Counter[str] = Counter(files=len(usable), left_out=len(left_out))
        pieces = []
        for _, each in chosen:
            if isinstance(each, Piece):
                pieces.append(each)
                continue
            bar = int(config.beats_per_bar * each.ticks_per_beat)
            whole = each.length_ticks <= config.bars * bar
            excerpt = each if whole else random_excerpt(each, config.bars, config.beats_per_bar, rng)
            piece, report = as_piece(excerpt, piano, config.beats_per_bar, config.tempo_bpm, config.genre)
            pieces.append(piece)
            counts.update({name: getattr(report, name) for name in ENCODED})
            counts["shorter"] += each.length_ticks <= (config.bars - 1) * bar
        return Played(pieces, counts, tuple(name for name, _ in chosen), tuple(left_out))

    return play
