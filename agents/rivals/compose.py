"""`toccata compose --with NAME`: pieces of any composer of the registry."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from rich.console import Console

from toccata.agents.devices import resolve_device
from toccata.agents.rivals.composer import OnProgress, RivalError, checked_genre
from toccata.agents.rivals.registry import Request, load_rival
from toccata.agents.runs.compose import progress_bar, read_primer, say_where, write_composed
from toccata.agents.runs.compose_config import ComposeConfig
from toccata.envs.pieces import Piece
from toccata.files import refuse_existing
from toccata.music.score import Score
from toccata.music.sound.listening import check_soundfont
from toccata.settings.options import check_length


@runtime_checkable
class Continuing(Protocol):
    """A composer that continues music."""

    def continue_primer(
        self,
        primer: Score,
        n: int,
        seed: int = 0,
        genre: str | None = None,
        on_progress: OnProgress = lambda done: None,
    ) -> list[Score]:
        """`n` scores that begin with `primer`, followed by as many bars as were asked for."""
        ...


def compose_with(config: ComposeConfig, console: Console | None = None) -> list[Piece]:
    """Compose with another composer and write the pieces.

    Args:
        config: of the command; its `composer` is set.
        console: shows progress and the path of the files.

    Returns:
        the pieces that were written.

    Raises:
        RivalError, ComposeError, ConfigError, FileError, SoundError: before anything is written.
        WeightsError: naming the file of weights that is missing or damaged.
        OSError: naming the file that cannot be written; nothing is left of the folder then.
    """
    console = console or Console()
    assert config.composer is not None
    assert config.bars is not None  # only with lyrics
    refuse_existing(config.out, "another --out")
    check_soundfont(config.sound.soundfont)
    primer = None if config.primer is None else read_primer(config)
    default = primer or Score()
    request = Request(
        bars=config.bars,
        beats_per_bar=default.beats_per_bar if config.beats_per_bar is None else config.beats_per_bar,
        tempo_bpm=default.tempo_bpm if config.tempo_bpm is None else config.tempo_bpm,
        drafts=config.drafts,
        temperature=config.temperature,
        top_p=config.top_p,
        device=str(resolve_device(config.device)),
    )
    check_length(request.bars, request.beats_per_bar, request.tempo_bpm)
    composer = load_rival(config.composer, request)
    genre = checked_genre(composer.name, config.genre, composer.genres)
    if primer is not None and not isinstance(composer, Continuing):
        others = "--with chord-lstm, --prior or --run"
        raise RivalError(f"{composer.name}: cannot continue music; leave out --primer, or use {others}")
    with progress_bar(console) as bar:
        task = bar.add_task("composing", total=1.0)

        def on_progress(done: float) -> None:
            bar.update(task, completed=done)

        if primer is not None and isinstance(composer, Continuing):
            scores = composer.continue_primer(primer, config.pieces, config.seed, genre, on_progress)
        else:
            scores = composer.compose(config.pieces, config.seed, genre, on_progress)
        start = 0 if primer is None else primer.bars * primer.ticks_per_bar
        pieces = [Piece(score, genre, start) for score in scores]
        place = write_composed(pieces, config, bar)
    say_where(place, pieces, console)
    return pieces
