"""Pieces that are sampled once: chunks of fixed size, kept with their measurements, so that a call can be resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from toccata._version import __version__
from toccata.agents.evaluation.overoptimise.evaluator import Evaluator
from toccata.agents.evaluation.players import player_of
from toccata.agents.ppo.composer_ppo import ComposerPPO
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.prior.likelihood import kl_per_piece
from toccata.agents.prior.trajectories import record_trajectories
from toccata.envs.pieces import Piece
from toccata.files import FileError, read_npz, write_atomically
from toccata.music.score import Score
from toccata.weights import sha256

CHUNK = 64  # pieces sampled and measured in one batch; a chunk is the same however many there are
WHEN_REWARDED = {"reward_at": "piece", "bars_per_reward": 2}  # of an environment; changes nothing of what is played
CACHE = "cache"  # in the folder of the study
KL = "kl"

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Sample:
    """Pieces of one model, measured.

    Attributes:
        scores: n.
        values: (n,) by name; with `kl`, nats a piece, where the model has a reference policy.
    """

    scores: tuple[Score, ...]
    values: Arrays

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Player:
    """A model that plays.

    Attributes:
        model: of a run.
        environment: arguments of `PianoEnv`.
        identity: differs between models and environments that play differently.
    """

    model: ComposerPPO
    environment: Mapping[str, Any]
    identity: str

    @classmethod
    def of(cls, model: ComposerPPO, environment: Mapping[str, Any]) -> Player:
        """The player of a model, whose weights are its identity."""
        played = {**environment, **WHEN_REWARDED}
        return cls(model, environment, _digest([__version__, sha256(model.policy.state_dict()), played]))

    def kl(self, pieces: list[Piece], reference: Player) -> np.ndarray | None:
        """(n,) nats a piece from `reference`; None where the policies give no likelihood of whole pieces."""
        ours, theirs = self.model, reference.model
        if not isinstance(ours, SequenceComposerPPO) or not isinstance(theirs, SequenceComposerPPO):
            return None
        piano = ours.policy.piano
        trajectories = record_trajectories(pieces, piano, tuple(self.environment["genres"]))
        return kl_per_piece(ours.policy.network, theirs.policy.network, trajectories, piano)


def chunk_count(count: int) -> int:
    """Chunks that hold `count` pieces."""
    return -(-count // CHUNK)


def sample(
    player: Player,
    count: int,
    seed: int,
    evaluator: Evaluator,
    folder: Path,
    reference: Player | None = None,
    on_chunk: Callable[[], object] = lambda: None,
) -> Sample:
    """Pieces of a model, measured; what is in the cache is read from there.

    Args:
        player: the model.
        count: number of pieces; the first of a longer sample with the same seed.
        seed: one seed gives one sample.
        evaluator: measures them.
        folder: of the cache.
        reference: from which the KL is taken; None: there is no KL.
        on_chunk: called after each chunk.

    Raises:
        FileError: naming a file of the cache that is damaged.
    """
    scores: list[Score] = []
    chunks: list[Arrays] = []
    for number in range(chunk_count(count)):
        key = [player.identity, seed, number, CHUNK]
        pieces = _pieces(cached(folder, "pieces", key, partial(_played, player, seed, number)), player.environment)
        values = cached(folder, "values", [key, evaluator.identity], partial(evaluator.measure, pieces))
        if reference is not None:
            values |= cached(folder, "kl", [key, reference.identity], partial(_kl, player, pieces, reference))
        scores += [piece.score for piece in pieces]
        chunks.append(values)
        on_chunk()
    return Sample(
        tuple(scores[:count]),
        {name: np.concatenate([each[name] for each in chunks])[:count] for name in chunks[0]},
    )


def cached(folder: Path, kind: str, key: Any, make: Callable[[], Arrays]) -> Arrays:
    """The arrays of `key`, from the cache, or made and then kept there.

    Raises:
        FileError: naming a file that is damaged.
    """
    path = folder / kind / f"{_digest(key)[:32]}.npz"
    if path.exists():
        return read_npz(path)
    arrays = make()
    buffer = BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # mypy takes the arrays for options
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())
    return arrays


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=list).encode()).hexdigest()


def _played(player: Player, seed: int, number: int) -> Arrays:
    """A chunk of pieces, as the cache holds them."""
    return _arrays(_play(player, seed, number))


def _play(player: Player, seed: int, number: int) -> list[Piece]:
    """Chunk `number`."""
    of_chunk = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return player_of(player.model, player.environment)(CHUNK, of_chunk).pieces


def _kl(player: Player, pieces: list[Piece], reference: Player) -> Arrays:
    nats = player.kl(pieces, reference)
    return {} if nats is None else {KL: nats}


def _arrays(pieces: list[Piece]) -> Arrays:
    """Pieces as arrays."""
    return {
        "notes": np.concatenate([piece.score.notes for piece in pieces]),
        "note_counts": np.array([len(piece.score.notes) for piece in pieces]),
        "actions": np.concatenate([np.asarray(piece.actions, np.int16) for piece in pieces]),
        "action_counts": np.array([len(np.asarray(piece.actions)) for piece in pieces]),
        "ticks": np.array([[piece.score.ticks_per_beat, piece.score.length_ticks] for piece in pieces]),
    }


def _pieces(arrays: Arrays, environment: Mapping[str, Any]) -> list[Piece]:
    """The inverse of `_arrays`."""
    try:
        notes = np.split(arrays["notes"], np.cumsum(arrays["note_counts"])[:-1])
        actions = np.split(arrays["actions"], np.cumsum(arrays["action_counts"])[:-1])
        metre = float(environment["beats_per_bar"]), float(environment["tempo_bpm"])
        return [
            Piece(Score(own, int(beat), *metre, int(length)), environment["genre"], actions=played)
            for own, played, (beat, length) in zip(notes, actions, arrays["ticks"], strict=True)
        ]
    except (KeyError, ValueError, TypeError) as error:
        raise FileError(f"a file of the cache holds no pieces: {error}; delete the folder of the cache") from error
