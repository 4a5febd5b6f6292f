"""The pieces of an evaluation: sound, piano roll, first bars, links, and what rewards and judges say of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from toccata.agents.evaluation.report.audio import data_uri, opus_of_wav
from toccata.agents.evaluation.report.families import by_family, spoken
from toccata.agents.evaluation.report.findings import Summary
from toccata.agents.evaluation.report.notation import (
    INSTALL,
    MAX_MUSICXML_BYTES,
    Engraver,
    has_verovio,
    packed_musicxml,
)
from toccata.agents.evaluation.report.piano_roll import piano_roll, pitch_range, velocities
from toccata.agents.evaluation.report.text import listed, number, safe
from toccata.music.midi import MidiError
from toccata.music.score import Score

MAX_EMBEDDED = 24  # of the agent's pieces; the others are links to their files
MAX_SECONDS = 120.0  # of a piece that are heard and shown
MAX_LISTED = 1000  # links
MAX_EMBEDDED_BYTES = 2**18  # of a MIDI or packed MusicXML file
ENGRAVED_BARS = 4
OTHERS = {"reference": "the reference", "real": "real music", "random": "random play"}  # stems of single pieces
FILES = (".wav", ".mid", ".musicxml", ".png")


@dataclass(frozen=True)
class Shown:
    """A piece in the page.

    Attributes:
        stem: of its files.
        composer: who wrote it.
        number: of the piece among those of its composer.
        score: its beginning, at most `MAX_SECONDS`; None where there is no readable MIDI file.
        bars: of the whole piece.
    """

    stem: str
    composer: str
    number: int
    score: Score | None
    bars: int

    @classmethod
    def read(cls, folder: Path, stem: str, composer: str, number: int) -> Shown:
        """The piece in the MIDI file of that stem."""
        try:
            whole = Score.from_midi(folder / f"{stem}.mid")
        except (MidiError, OSError):
            return cls(stem, composer, number, None, 0)
        bars = max(int(MAX_SECONDS / (whole.ticks_per_bar * whole.seconds_per_tick)), 1)
        score = whole if whole.bars <= bars else whole.slice(0, bars * whole.ticks_per_bar)
        return cls(stem, composer, number, score, whole.bars)

    @property
    def title(self) -> str:
        """As a heading."""
        return f"Piece {self.number + 1}" if self.composer == "agent" else OTHERS[self.stem].capitalize()


def pieces_section(
    folder: Path, summary: Summary, count: int, captions: Mapping[str, str], matches: Mapping[str, str]
) -> str:
    """The section of all pieces.

    Args:
        folder: with their files; what is missing there is missing in the page.
        summary: what metrics.json holds; piece i of a composer has value i.
        count: number of the agent's pieces in files.
        captions: by stem the file that a piece is from.
        matches: by stem the nearest work of a corpus.
    """
    ours = [Shown.read(folder, f"piece-{i:03d}", "agent", i) for i in range(min(count, MAX_EMBEDDED))]
    others = [
        Shown.read(folder, stem, stem, 0)
        for stem in OTHERS
        if stem in summary["composers"] and (folder / f"{stem}.mid").exists()
    ]
    scores = [each.score for each in (*ours, *others) if each.score is not None]
    pitches, axis = pitch_range(scores), max((score.length_seconds for score in scores), default=1.0) or 1.0
    engraver = Engraver() if has_verovio() and scores else None

    def cards(shown: Sequence[Shown]) -> str:
        each = "".join(_card(piece, folder, summary, pitches, axis, engraver, captions, matches) for piece in shown)
        return f'<div class="grid">{each}</div>'

    notes = ["All piano rolls have one scale of time and pitch; numbers below are of bars."]
    if varying := velocities(scores):
        notes.append(f"Louder notes are darker (velocities {varying[0]} to {varying[1]}).")
    if any(each.score is not None and each.bars > each.score.bars for each in (*ours, *others)):
        notes.append(f"Of longer pieces the first {MAX_SECONDS:g} seconds are heard and shown; their files hold all.")
    notes.append(
        "They are the first pieces, not selected. WAV, MIDI, MusicXML and PNG files are in the folder of this page."
    )
    hint = "" if engraver else f'<p class="quiet">{escape(INSTALL)}</p>'
    shown = f"<h3>By the agent</h3>{cards(ours)}" if ours else ""
    compared = f"<h3>For comparison</h3>{cards(others)}" if others else ""
    glyphs = engraver.definitions() if engraver else ""
    return (
        f'<section><h2>Pieces</h2>{glyphs}<p class="quiet">{" ".join(map(safe, notes))}</p>{hint}'
        f"{shown}{_more(count, captions)}{compared}</section>"
    )


def _card(
    piece: Shown,
    folder: Path,
    summary: Summary,
    pitches: tuple[int, int],
    axis: float,
    engraver: Engraver | None,
    captions: Mapping[str, str],
    matches: Mapping[str, str],
) -> str:
    """One piece."""
    stem, name = piece.stem, piece.title
    parts = [f"<h4>{safe(name)} <small>{safe(captions.get(stem) or stem)}</small></h4>"]
    parts.append(_sound(folder / f"{stem}.wav", name))
    if piece.score is not None:
        parts.append(piano_roll(piece.score, name, pitches, axis, f"var(--{piece.composer})"))
    if stem in matches:
        parts.append(f'<p class="quiet">Nearest work of the corpus: {safe(matches[stem])}</p>')
    parts.append(_said_of(piece, summary))
    musicxml = folder / f"{stem}.musicxml"
    data = musicxml.read_bytes() if musicxml.is_file() and musicxml.stat().st_size <= MAX_MUSICXML_BYTES else b""
    engraved, bars = engraver.engrave(data, min(ENGRAVED_BARS, piece.bars)) if engraver and data else ("", 0)
    if engraved:
        which = f"bar{f's 1 to {bars}' if bars > 1 else ' 1'} of {name}"
        parts.append(
            f'<div class="notation scroll" role="region" tabindex="0" aria-label="{safe(which)}, engraved">'
            f"{engraved}</div>"
        )
    parts.append(_downloads(folder, stem, name, data))
    return f'<article class="piece" aria-label="{safe(name)}">{"".join(parts)}</article>'


def _sound(path: Path, name: str) -> str:
    """The player of a piece."""
    if not path.is_file():
        return ""
    uri = data_uri(opus_of_wav(path, MAX_SECONDS), "audio/ogg; codecs=opus")
    return f'<audio controls preload="metadata" aria-label="sound of {safe(name)}" src="{uri}"></audio>'


def _downloads(folder: Path, stem: str, name: str, musicxml: bytes) -> str:
    """Links that hold the MIDI and the packed MusicXML file."""
    files = {}
    midi = folder / f"{stem}.mid"
    if midi.is_file() and midi.stat().st_size <= MAX_EMBEDDED_BYTES:
        files[f"{stem}.mid"] = ("MIDI", midi.read_bytes(), "audio/midi")
    if musicxml:
        files[f"{stem}.mxl"] = ("MusicXML", packed_musicxml(musicxml), "application/vnd.recordare.musicxml")
    links = [
        f'<a download="{file}" href="{data_uri(data, media)}">{kind}<span class="hidden"> of {safe(name)}</span></a>'
        for file, (kind, data, media) in files.items()
        if len(data) <= MAX_EMBEDDED_BYTES
    ]
    return f'<p class="no-print"><small>{" · ".join(links)}</small></p>' if links else ""


def _said_of(piece: Shown, summary: Summary) -> str:
    """What rewards and judges say of a piece, in small text."""
    metrics = summary["composers"].get(piece.composer, {})
    values = {
        metric: each["values"][piece.number]
        for metric, each in metrics.items()
        if piece.number < len(each.get("values", ()))
    }
    families = by_family(values)
    parts = []
    for family in ("rewards", "judges"):
        said = [
            f"{safe(spoken(metric.rpartition('/')[2]))} {number(values[metric])}" for metric in families.get(family, ())
        ]
        if said:
            parts.append(f"<p><small>{family}: {', '.join(said)}</small></p>")
    return "".join(parts)


def _more(count: int, captions: Mapping[str, str]) -> str:
    """The pieces that are not in the page, as links to their files."""
    if count <= MAX_EMBEDDED:
        return ""
    last = min(count, MAX_EMBEDDED + MAX_LISTED)
    items = []
    for i in range(MAX_EMBEDDED, last):
        stem = f"piece-{i:03d}"
        links = " ".join(f'<a href="{quote(stem + suffix)}">{suffix[1:]}</a>' for suffix in FILES)
        items.append(f"{safe(captions.get(stem) or stem)} {links}")
    more = f"<p>And {count - last:,} more in the folder of this page.</p>" if count > last else ""
    return (
        f"<details><summary>{count - MAX_EMBEDDED:,} more pieces, as files in the folder of this page</summary>"
        f"{listed(items)}{more}</details>"
    )
