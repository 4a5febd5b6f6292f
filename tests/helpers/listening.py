"""What tests of the listening application share: pieces in tables only, the state of a server, a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from toccata.listening.selection import AttentionCheck
from toccata.listening.server.state import Served, ServerState
from toccata.listening.store import PieceRow, Store
from toccata.music.score import Score

SOURCES = ("one", "other", "people")


def tune(seed: int, bars: int = 1) -> Score:
    """Quarter notes at random."""
    rng = np.random.default_rng(seed)
    notes = [(24 * beat, 24, int(rng.integers(60, 84)), 80) for beat in range(4 * bars)]
    return Score(notes, length_ticks=96 * bars)


def write_tunes(folder: Path, count: int, seed: int = 0, bars: int = 1) -> Path:
    """Write MIDI files of such tunes into a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        tune(100 * seed + number, bars).to_midi(folder / f"tune-{number}.mid")
    return folder


def piece_row(number: int, source: str = "a", by_person: bool = False, seconds: float = 12.0) -> PieceRow:
    """A row of a piece that exists in tables only."""
    return PieceRow(f"{number:064x}", source, f"{number}.mid", by_person, None, seconds)


def make_state(folder: Path, store: Store, each: int = 3, checks: int = 2, seconds: float = 12.0) -> ServerState:
    """The state of a server: `each` pieces of two machines and of people, attention checks; sounds are any bytes."""
    rows = [
        piece_row(100 * place + number, source, source == "people", seconds)
        for place, source in enumerate(SOURCES)
        for number in range(each)
    ]
    rows += [piece_row(1000 + number, "attention check") for number in range(checks)]
    served = []
    for number, row in zip(store.add_pieces(rows), rows, strict=True):
        sound, roll = folder / f"{row.digest[-8:]}.ogg", folder / f"{row.digest[-8:]}.json"
        sound.write_bytes(bytes(range(256)) * 4)
        roll.write_text(json.dumps({"seconds": row.seconds, "notes": [[0.0, 1.0, 60, 80]]}))
        check = row.source == "attention check"
        served.append(Served(number, row.source, row.by_person, row.seconds, sound, roll, check))
    people = [piece for piece in served if piece.by_person]
    wrong = [piece for piece in served if piece.check]
    pairs = [AttentionCheck(right.id, other.id) for right, other in zip(people, wrong, strict=False)]
    return ServerState(store, served, pairs, "Do you agree?")


class Browser:
    """What the page sends, over any client that has `request` as httpx has."""

    def __init__(self, client: Any) -> None:
        self.client, self.csrf = client, ""

    def get(self, path: str, **options: Any) -> Any:
        return self.client.get(path, **options)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in {"x_csrf_token": self.csrf, **headers}.items()}
        return self.client.post(path, json={} if body is None else body, headers=named)

    def enter(self) -> dict[str, Any]:
        """Agree to take part; the session."""
        self.csrf = self.get("/api/session").json()["csrf"]
        answer = self.post("/api/consent")
        assert answer.status_code == 200, answer.text
        return answer.json()
