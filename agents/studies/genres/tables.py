"""The tables of the genre study, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from toccata.errors import shortened

LONGEST_TITLE = 60  # characters


def markdown(summary: Mapping[str, Any]) -> str:
    """All tables of a summary, `genres.json`, in the order of the study."""
    genres = summary["genres"]
    parts = [
        "# Genre study\n",
        _paragraph(summary["remarks"]),
        "## Music\n\n" + _music(summary["music"]),
        "## Classifier\n\n" + _classifier(summary["classifier"], genres),
    ]
    if any(None not in minutes for minutes in summary["minutes"].values()):
        parts.append("## Minutes to fit\n\n" + _minutes(summary["minutes"], genres))
    if summary["bits"]:
        parts.append("## Bits of held-out works\n\n" + _bits(summary["bits"], genres))
    if summary["chord_nats"]:
        parts.append("## Classes of notes and chords\n\n" + _chords(summary["chord_nats"]))
    parts.append("## Genre of what is composed\n\n" + _matrix(summary["recognised"], genres, 2))
    parts.append("## Distance from real music\n\n" + _matrix(summary["distances"], genres, 1))
    if summary["mse"]:
        parts.append("## Mean squared error of pictures\n\n" + _mse(summary["mse"], genres))
    parts.append("## Which genre is the most generative\n\n" + _winners(summary["winners"]))
    parts.append(_paragraph(summary["verdict"]))
    parts.append("## Held-out works\n\n" + _works(summary["works"], genres))
    return "\n".join(parts)


def interval(figure: Mapping[str, float], digits: int = 2) -> str:
    """`0.94 [0.90, 0.98]`."""
    return f"{figure['mean']:.{digits}f} [{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _paragraph(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n\n" for line in lines)


def _music(music: Mapping[str, Any]) -> str:
    """Works and notes of each genre by split."""
    splits = list(next(iter(music.values())))
    rows = (
        [genre, *(f"{own[split]['works']} works, {own[split]['notes']:,} notes" for split in splits)]
        for genre, own in music.items()
    )
    return _table(["genre", *splits], rows)


def _classifier(controls: Mapping[str, Any], genres: Sequence[str]) -> str:
    """Accuracy by control; then the confusion matrix of whole pieces."""
    rows = [
        [name, interval(own["accuracy"]), f"{own['calibration_error']:.3f}", f"{own['log_loss']:.2f}"]
        + [interval(each) for each in own["recall"]]
        for name, own in controls.items()
    ]
    head = ["told of", "accuracy", "calibration error", "log loss", *(f"{genre} found" for genre in genres)]
    first = next(iter(controls.values()))
    confusion = [
        [genre, *(f"{share:.2f}" for share in row)] for genre, row in zip(genres, first["confusion"], strict=True)
    ]
    return (
        _table(head, rows) + "\n" + _table(["real excerpts of", *(f"taken for {each}" for each in genres)], confusion)
    )


def _minutes(minutes: Mapping[str, Sequence[float | None]], genres: Sequence[str]) -> str:
    rows = ([name, *(f"{each:.1f}" for each in own)] for name, own in minutes.items() if None not in own)
    return _table(["composer", *genres], rows)


def _bits(bits: Mapping[str, Any], genres: Sequence[str]) -> str:
    """Bits an action of each genre under the model of the same genre, then bits a note, then under all models."""
    own = ([name, *(interval(table[genre][genre]["per_action"]) for genre in genres)] for name, table in bits.items())
    notes = ([name, *(interval(table[genre][genre]["per_note"]) for genre in genres)] for name, table in bits.items())
    cross = (
        [name, fitted, *(f"{table[fitted][genre]['per_action']['mean']:.2f}" for genre in genres)]
        for name, table in bits.items()
        for fitted in genres
    )
    return "\n".join(
        (
            _table(["bits an action, fitted to the genre", *genres], own),
            _table(["bits a note, fitted to the genre", *genres], notes),
            _table(["bits an action", "fitted to", *(f"works of {genre}" for genre in genres)], cross),
        )
    )


def _chords(chords: Mapping[str, Any]) -> str:
    rows = (
        [genre, interval(own["nats"]), f"{own['unigram']:.2f}", f"{own['unknown']:.2f}", f"{own['classes']:,}"]
        for genre, own in chords.items()
    )
    return _table(["genre", "nats a class", "by frequency alone", "share of unknown classes", "classes"], rows)


def _matrix(rows: Sequence[Mapping[str, Any]], genres: Sequence[str], digits: int) -> str:
    """A row for each source: its values by genre, its own genre in bold."""
    body = []
    for row in rows:
        cells = [interval(row["values"][genre], digits) for genre in genres]
        cells = [f"**{cell}**" if genre == row["genre"] else cell for genre, cell in zip(genres, cells, strict=True)]
        body.append([row["family"], row["genre"], *cells])
    return _table(["composer", "genre", *genres], body)


def _mse(rows: Sequence[Mapping[str, Any]], genres: Sequence[str]) -> str:
    body = []
    for row in rows:
        nearest = min(genres, key=lambda genre: row["values"][genre])
        body.append([row["family"], row["genre"], *(f"{row['values'][genre]:.4f}" for genre in genres), nearest])
    return _table(["pictures of", "genre", *genres, "least for"], body)


def _works(rows: Sequence[Mapping[str, Any]], genres: Sequence[str]) -> str:
    body = ([_cell(row["title"]), row["genre"], *(f"{row['shares'][genre]:.2f}" for genre in genres)] for row in rows)
    return _table(["work", "genre", *(f"taken for {genre}" for genre in genres)], body)


def _cell(text: str) -> str:
    """A text of a file as the cell of a table."""
    return shortened(text, LONGEST_TITLE).replace("|", "\\|")


def _winners(winners: Sequence[Mapping[str, Any]]) -> str:
    rows = (
        [
            each["measure"],
            f"{each['genre']} {interval(each['value'])}",
            f"{each['second']} {interval(each['second_value'])}",
            "yes" if each["apart"] else "no",
        ]
        for each in winners
    )
    return _table(["measure", "best", "next", "intervals apart"], rows)
