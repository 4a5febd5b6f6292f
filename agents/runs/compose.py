"""`toccata compose`: pieces of a prior or a trained agent, unconditional or continuing the user's own music."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from toccata.agents.devices import resolve_device
from toccata.agents.generation.sampling import sample_pieces
from toccata.agents.generation.song_files import write_song
from toccata.agents.generation.songs import RANKING, best_songs
from toccata.agents.policies.sequence_network import SequenceNetwork, with_genres
from toccata.agents.policies.sequence_policy import SequencePolicy
from toccata.agents.prior.prior import Prior
from toccata.agents.runs.builders import load_agent
from toccata.agents.runs.compose_config import ComposeConfig
from toccata.agents.runs.config import SEQUENCE_NAMES, SEQUENCE_POLICIES, TrainConfig
from toccata.agents.runs.run_folder import Run, next_free
from toccata.envs.dynamics.song import most_bars
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.errors import ToccataError
from toccata.files import refuse_existing, whole_folder
from toccata.music.corpus.parsing import NOTATION_SUFFIXES
from toccata.music.lyrics import Lyrics, LyricsError
from toccata.music.score import Score
from toccata.music.songs.sketch import check_espeak
from toccata.music.sound.listening import check_soundfont
from toccata.reward_models import parse_rewards
from toccata.settings.genres import check_genres, genre_index, with_added
from toccata.settings.options import check_length

FOLDER = Path("composed")  # where new folders go
LONGEST_PRIMER_SECONDS = 3600  # a stray note of a damaged file would make days of sound


class ComposeError(ToccataError, ValueError):
    """A request that cannot be met; the message names the file or value and what is allowed."""


def compose(config: ComposeConfig, console: Console | None = None) -> list[Piece]:
    """Generate pieces and write them.

    Args:
        config: of the command.
        console: shows progress and the path of the files.

    Returns:
        the pieces that were written.

    Raises:
        ComposeError, FileError, LyricsError, MidiError, MusicXMLError, PriorError, RunError, ConfigError, SoundError,
            SketchError: before anything is written.
        OSError: naming the file that cannot be read or written; nothing is left of the folder then.
    """
    console = console or Console()
    refuse_existing(config.out, "another --out")
    check_soundfont(config.sound.soundfont)
    if config.sketch:
        check_espeak()
    primer = None if config.primer is None else read_primer(config)
    lyrics = None if config.lyrics is None else Lyrics.load(config.lyrics, config.language)
    network, piano, run = load_composer(config)
    try:
        network = with_genres(network, check_genres(with_added(config.genres, network.config.genres)))
    except ValueError as error:
        raise ComposeError(str(error)) from None
    try:
        if config.genre is not None:
            genre_index(config.genre, network.config.genres)
    except ValueError as error:
        raise ComposeError(f"{error}; to add it: --genres {quote(str(config.genre))}") from None
    default = primer or run or Score()
    beats_per_bar = default.beats_per_bar if config.beats_per_bar is None else config.beats_per_bar
    tempo_bpm = default.tempo_bpm if config.tempo_bpm is None else config.tempo_bpm
    if lyrics is not None:
        config = with_song_bars(config, lyrics, piano, beats_per_bar)
    assert config.bars is not None
    check_length(config.bars, beats_per_bar, tempo_bpm)
    sampling: dict[str, Any] = {
        "bars": config.bars,
        "seed": config.seed,
        "genre": run.genre if config.genre is None and run else config.genre,
        "beats_per_bar": beats_per_bar,
        "tempo_bpm": tempo_bpm,
        "temperature": config.temperature,
        "top_p": config.top_p,
    }
    with progress_bar(console) as bar:
        task = bar.add_task("composing", total=1.0)
        try:
            sampling["on_progress"] = lambda done: bar.update(task, completed=done)
            if lyrics is None:
                pieces = sample_pieces(network, piano, config.pieces, primer=primer, **sampling)
            else:
                sampling |= {"drafts": config.drafts, "rewards": parse_rewards(RANKING), "voice": config.voice}
                pieces = best_songs(network, piano, lyrics, config.pieces, **sampling)
        except ValueError as error:
            raise ComposeError(f"{config.primer}: {error}" if config.primer else str(error)) from error
        place = write_composed(pieces, config, bar)
    say_where(place, pieces, console)
    return pieces


def with_song_bars(config: ComposeConfig, lyrics: Lyrics, piano: Piano, beats_per_bar: float) -> ComposeConfig:
    """The configuration with the bars of a song, where none are given.

    Raises:
        ComposeError: naming the file of the words, when these need more bars than are given; and for a metre that is
            no whole number of ticks.
    """
    try:
        ticks_per_bar = Score(beats_per_bar=beats_per_bar).ticks_per_bar
        return replace(config, bars=most_bars([lyrics], piano, ticks_per_bar, config.bars))
    except LyricsError as error:
        raise ComposeError(f"{config.lyrics}: {error}") from error
    except ValueError as error:
        raise ComposeError(str(error)) from error


def progress_bar(console: Console) -> Progress:
    """A bar with percentage and remaining time, which disappears at its end."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True)


def write_composed(pieces: Sequence[Piece], config: ComposeConfig, bar: Progress) -> Path:
    """Write pieces into the folder of `config`, whole or not at all, and return it.

    Raises:
        OSError: naming the file that cannot be written.
    """
    source = config.primer or config.lyrics
    named = source.stem if source else config.genre or "piece"
    place = config.out or next_free(FOLDER, named)
    task = bar.add_task("writing", total=len(pieces))
    with whole_folder(place) as folder:
        for number, piece in enumerate(pieces):
            composer = f"Toccata, seed {config.seed}"
            write_song(piece, folder, f"piece-{number:03d}", config.sound, composer, sketch=config.sketch)
            bar.advance(task)
    return place


def say_where(place: Path, pieces: Sequence[Piece], console: Console) -> None:
    """Print the path of the files, and which bars are new."""
    first = pieces[0].start_tick // pieces[0].score.ticks_per_bar + 1
    new = f"composed: bars {first} to {pieces[0].score.bars}"
    console.print(f"listen: {place}/piece-000.wav ...   {new}", soft_wrap=True, markup=False, highlight=False)


def read_primer(config: ComposeConfig) -> Score:
    """The primer of `config`, in the requested metre and tempo.

    Raises:
        ComposeError, MidiError, MusicXMLError, OSError: when it cannot be read, has no notes, or not this metre.
    """
    path = config.primer
    assert path is not None
    primer = Score.from_musicxml(path) if path.suffix.lower() in NOTATION_SUFFIXES else Score.from_midi(path)
    if not len(primer):
        raise ComposeError(f"{path}: has no notes to continue")
    if primer.length_seconds > LONGEST_PRIMER_SECONDS:
        minutes, most = primer.length_seconds / 60, LONGEST_PRIMER_SECONDS // 60
        raise ComposeError(f"{path}: lasts {minutes:.0f} minutes; a primer can last at most {most}")
    if config.tempo_bpm is not None:
        primer = replace(primer, tempo_bpm=config.tempo_bpm)
    if config.beats_per_bar is None:
        return primer
    try:
        return primer.barred(config.beats_per_bar)
    except ValueError as error:
        raise ComposeError(str(error)) from error


def load_composer(config: ComposeConfig) -> tuple[SequenceNetwork, Piano, TrainConfig | None]:
    """The network that composes, its instrument, and the configuration of its run; None for a prior.

    Raises:
        ComposeError: for a run whose policy cannot continue music.
        PriorError, RunError, ConfigError: when it cannot be loaded.
    """
    device = resolve_device(config.device)
    if config.run is None:
        prior = Prior.load(config.prior or "transformer", device)
        return prior.network, prior.piano, None
    run = Run.open(config.run)
    if run.config.policy not in SEQUENCE_POLICIES:
        raise ComposeError(
            f"{run.folder}: compose needs policy {SEQUENCE_NAMES}, this run's is {run.config.policy!r}. "
            f"Pieces of this agent without a primer are written by: python evaluate.py {quote(str(run.folder))}"
        )
    policy: SequencePolicy = load_agent(run.model_path, run.config, device).policy  # type: ignore[assignment]  # as above
    return policy.network, policy.piano, run.config
