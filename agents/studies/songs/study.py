"""`toccata study songs`: songs for poems, measured beside random play and real songs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from toccata.agents.devices import resolve_device
from toccata.agents.evaluation.overoptimise.samples import CACHE, Arrays, cached
from toccata.agents.generation.song_files import write_song
from toccata.agents.generation.songs import RANKING
from toccata.agents.prior.prior import Prior
from toccata.agents.studies.rivals.study import refuse_other_folder
from toccata.agents.studies.songs.composers import Compose, prior_composer, random_composer
from toccata.agents.studies.songs.config import StudySongsConfig
from toccata.agents.studies.songs.measure import values_of
from toccata.agents.studies.songs.tables import melody_table, table_of, words_table
from toccata.envs.pieces import Piece, Pieces
from toccata.files import FileError, is_folder, whole_folder, write_atomically
from toccata.interrupts import Interrupted
from toccata.music.corpus import load_corpus
from toccata.music.lyrics import Lyrics
from toccata.music.lyrics.lyrics import text_files
from toccata.music.originality import OriginalityIndex
from toccata.music.score import Score
from toccata.music.songs.corpus import corpus_songs
from toccata.reward_models import parse_rewards
from toccata.reward_models.lyrics.reward import LyricsReward
from toccata.stats import bootstrap_mean
from toccata.weights import sha256

POEMS = Path(__file__).parent / "poems"
RANDOM, PRIOR, REAL = "random legal play", "prior", "real songs"
SUMMARY_FILE = "songs.json"
SONGS = "songs"  # folder of the best songs
GROUP = "group"  # in the cache, beside figures

Figures = dict[str, Any]
Values = dict[str, np.ndarray]  # (n,) by name


def study_songs(config: StudySongsConfig, console: Console | None = None) -> Figures:
    """Compose and measure, and write songs.json, table.md, melody.md and songs/.

    Returns:
        what songs.json holds.

    Raises:
        LyricsError, FileError, PriorError, WeightsError, RewardSpecError, ConfigError: naming what cannot be read,
            before anything is composed.
        Interrupted: after a signal; what was measured stays.
        OSError: naming the file that cannot be written.
    """
    console = console or Console()
    refuse_other_folder(config.out)
    poems = read_poems(config.poems or POEMS, config.language)
    study = _Study(config, Prior.load(config.prior, resolve_device(config.device)))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    by_words, by_rewards = f"best of {config.drafts} by lyrics", f"best of {config.rewarded} by rewards"
    by_row: dict[str, list[Values]] = {RANDOM: [], PRIOR: [], by_words: [], by_rewards: []}
    best: dict[str, Piece] = {}
    try:
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("poems", total=len(poems) + 1)
            for name, lyrics in poems.items():
                progress.update(task, description=name)
                by_row[RANDOM].append(study.drafts(name, RANDOM, lyrics)[1])
                pieces, values = study.drafts(name, PRIOR, lyrics)
                by_row[PRIOR].append(values)
                chosen = int(np.argmax(study.rewards(name, pieces)))
                for row, number in ((by_words, int(np.argmax(values["lyrics"]))), (by_rewards, chosen)):
                    by_row[row].append({key: value[[number]] for key, value in values.items()})
                best[name] = pieces[chosen]
                progress.advance(task)
            progress.update(task, description=REAL)
            rows = {name: _means(values, config.seed) for name, values in by_row.items()}
            rows[REAL] = _means(study.real(), config.seed)
            progress.advance(task)
    except KeyboardInterrupt as stop:
        message = f"stopped; what was measured stays in {config.out / CACHE}: the same command goes on from there"
        raise Interrupted(message, stop.signal if isinstance(stop, Interrupted) else 2) from None
    summary = {
        "rows": rows,
        "poems": len(poems),
        "real": len(study.real()),
        "settings": {
            **{
                name: getattr(config, name)
                for name in ("voice", "prior", "genre", "drafts", "rewarded", "random_drafts")
            },
            **{name: getattr(config, name) for name in ("temperature", "top_p", "beats_per_bar", "tempo_bpm", "seed")},
            "rewards": [list(each) for each in study.ranking],
        },
    }
    files = {
        "table.md": words_table(summary),
        "melody.md": melody_table(summary),
        SUMMARY_FILE: json.dumps(summary, indent=2, allow_nan=False) + "\n",
    }
    for name, text in files.items():
        write_atomically(config.out / name, text.encode("utf-8", "backslashreplace"))
    _write_best(best, config, console)
    console.print(table_of(summary))
    console.print(f"read: {config.out / 'table.md'}   see: {config.out / SONGS}", soft_wrap=True, highlight=False)
    return summary


def read_poems(folder: Path, language: str) -> dict[str, Lyrics]:
    """The texts of a folder by name, in alphabetical order.

    Raises:
        FileError: for a folder without texts.
        LyricsError: naming the file, line and value.
    """
    if not is_folder(folder):
        raise FileError(f"{folder}: is no folder; poems are texts NAME.txt in a folder")
    files = text_files(folder)
    if not files:
        raise FileError(f"{folder}: has no text NAME.txt")
    return {path.stem: Lyrics.load(path, language) for path in files}


class _Study:
    """What is the same for all poems."""

    def __init__(self, config: StudySongsConfig, prior: Prior) -> None:
        self.config = config
        self.cache = config.out / CACHE
        self.ranking = config.rewards or RANKING
        self.reward, self.lyrics_reward = parse_rewards(self.ranking), LyricsReward.load()
        composers: dict[str, tuple[Compose, int]] = {
            RANDOM: (random_composer(config), config.random_drafts),
            PRIOR: (prior_composer(config, prior), config.drafts),
        }
        self.composers = composers
        metre = [config.voice, config.beats_per_bar, config.tempo_bpm]
        sampling = [sha256(prior.network.state_dict()), config.genre, config.temperature, config.top_p]
        self.keys = {RANDOM: [RANDOM, metre], PRIOR: [PRIOR, metre, sampling]}
        self._index: OriginalityIndex | None = None

    def drafts(self, name: str, composer: str, lyrics: Lyrics) -> tuple[list[Piece], Values]:
        """Songs of a composer for a poem, and their figures.

        Raises:
            FileError: naming a file of the cache that is damaged.
        """
        compose, count = self.composers[composer]
        seed = int(np.random.SeedSequence([self.config.seed, *name.encode()]).generate_state(1)[0])
        key = [self.keys[composer], str(lyrics), lyrics.language, count, seed]
        songs = cached(self.cache, "songs", key, lambda: _arrays(compose(lyrics, count, seed)))
        pieces = _pieces(songs, lyrics, self.config)
        measured = [key, self.lyrics_reward.weights_hash(), list(self.config.corpus)]
        return pieces, cached(self.cache, "values", measured, partial(self._values, pieces))

    def rewards(self, name: str, drafts: Sequence[Piece]) -> np.ndarray:
        """(rewarded,) float64, the sum of the rewards of the first drafts for a poem."""
        pieces = Pieces(drafts[: self.config.rewarded])
        music = [hash_of(piece.score) for piece in pieces]
        key = [name, music, [list(each) for each in self.ranking], self.lyrics_reward.weights_hash()]
        return cached(self.cache, "rewards", key, lambda: {"total": self.reward.score(pieces).astype(float)})["total"]

    def real(self) -> list[Values]:
        """The figures of the songs of music21's corpus that the reward is not fitted to, one group after the other."""
        held_out = self.lyrics_reward.agreement.about["held_out"]
        key = [REAL, held_out, self.lyrics_reward.weights_hash()]
        arrays = cached(self.cache, "real", key, partial(self._real_values, held_out))
        groups = arrays.pop(GROUP)
        return [{name: each[groups == group] for name, each in arrays.items()} for group in np.unique(groups)]

    @property
    def index(self) -> OriginalityIndex:
        """The training works that songs may have copied; built when it is first needed."""
        if self._index is None:
            works = load_corpus(self.config.corpus).split("train").works
            self._index = OriginalityIndex.build([work.score for work in works], [work.id for work in works])
        return self._index

    def _values(self, pieces: list[Piece]) -> Arrays:
        sung = [(piece.score, piece.underlay) for piece in pieces]
        rows = [values_of(score, words, self.lyrics_reward, self.index) for score, words in sung if words is not None]
        return {name: np.array([row[name] for row in rows], float) for name in rows[0]}

    def _real_values(self, works: Sequence[str]) -> Arrays:
        """Without originality: chorales may be among the training works, and would be found to copy themselves."""
        songs = corpus_songs(works)
        rows = [values_of(song.score, song.underlay, self.lyrics_reward, None) for song in songs]
        groups = np.unique([song.group for song in songs], return_inverse=True)[1]
        return {name: np.array([row[name] for row in rows], float) for name in rows[0]} | {GROUP: groups}


def _means(values: Sequence[Mapping[str, np.ndarray]], seed: int) -> dict[str, dict[str, float]]:
    """The mean over poems, or groups of real songs, of the mean of each figure, with its bootstrap interval."""
    found = {}
    for name in values[0]:
        means = np.array([each[name].mean() for each in values])
        found[name] = bootstrap_mean(means, np.random.default_rng(seed))._asdict()
    return found


def hash_of(score: Score) -> str:
    """SHA-256 of the notes of a score, 64 hexadecimal digits."""
    return hashlib.sha256(score.notes.tobytes()).hexdigest()


def _arrays(pieces: Sequence[Piece]) -> Arrays:
    """Songs as the cache holds them."""
    return {
        "notes": np.concatenate([piece.score.notes for piece in pieces]),
        "counts": np.array([len(piece.score) for piece in pieces]),
        "ticks": np.array([piece.score.length_ticks for piece in pieces]),
    }


def _pieces(arrays: Arrays, lyrics: Lyrics, config: StudySongsConfig) -> list[Piece]:
    """The inverse of `_arrays`.

    Raises:
        FileError: for arrays that are no songs.
    """
    try:
        notes = np.split(arrays["notes"], np.cumsum(arrays["counts"])[:-1])
        scores = [
            Score(own, beats_per_bar=config.beats_per_bar, tempo_bpm=config.tempo_bpm, length_ticks=int(length))
            for own, length in zip(notes, arrays["ticks"], strict=True)
        ]
    except (KeyError, ValueError, TypeError) as error:
        raise FileError(f"a file of the cache holds no songs: {error}; delete the folder of the cache") from error
    return [Piece(score, config.genre, lyrics=lyrics, voice=config.voice) for score in scores]


def _write_best(best: Mapping[str, Piece], config: StudySongsConfig, console: Console) -> None:
    """Write the best song for each poem, unless an earlier call did."""
    place = config.out / SONGS
    if place.exists():
        return
    with Progress(console=console, transient=True) as progress, whole_folder(place) as folder:
        task = progress.add_task("writing songs", total=len(best))
        for name, piece in best.items():
            write_song(piece, folder, name, composer=f"Toccata, seed {config.seed}")
            progress.advance(task)
