"""Scores to ratings: new pieces, growing ones and repeated ones.

`python benchmarks/bench_rating.py` prints the table; `rows()` returns it: a list of dicts with `name`,
`ours_per_second`, `peer`, `peer_per_second`, `ratio`, `target`, `ok`. Rates are pieces scored a second, on one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
import torch
from bench_sound import BARS, PIECES, agent_like_score, as_pretty_midi, librosa_log_mel, seconds_of

from toccata.envs.pieces import Pieces
from toccata.music import Score
from toccata.music.sound.spectrogram import N_MELS, SAMPLE_RATE
from toccata.reward_models.rating.audio_windows import WINDOW_FRAMES, window_start_frames
from toccata.reward_models.rating.model import RatingModel

LONG_BARS, LONG_PIECES = 32, 16  # of these fewer, as scoring them anew at every other bar line takes long
BARS_PER_REWARD = 2  # the default of train.py
COPIES = 8  # of each repeated piece
ROUNDS = 3


def forgetful(model: RatingModel) -> RatingModel:
    """The same network, which has heard nothing yet."""
    return RatingModel(model.network, model.config)


def one_by_one(model: RatingModel, scores: list[Score]) -> np.ndarray:
    """(n,) ratings as they are had without Toccata's sound, spectrograms and batches."""
    members = list(model.network)[: model.config.reward_members]
    judged = []
    for score in scores:
        mel = librosa_log_mel(as_pretty_midi(score).fluidsynth(fs=SAMPLE_RATE).astype(np.float32))
        starts = window_start_frames(mel.shape[1])
        windows = np.zeros((len(starts), N_MELS, WINDOW_FRAMES), np.float32)
        for window, start in zip(windows, starts, strict=True):
            part = mel[:, start : start + WINDOW_FRAMES]
            window[:, : part.shape[1]] = part
        valid = torch.tensor([min(mel.shape[1] - start, WINDOW_FRAMES) for start in starts])
        with torch.no_grad():
            judged.append([member(torch.from_numpy(windows), valid).mean() for member in members])
    return model.pessimistic(np.array(judged, np.float32))


def growing(scores: list[Score]) -> list[Pieces]:
    """The pieces as the environment has them judged, at every other bar line."""
    return [
        Pieces([score.slice(0, bars * score.ticks_per_bar) for score in scores])
        for bars in range(BARS_PER_REWARD, scores[0].bars + 1, BARS_PER_REWARD)
    ]


def rows() -> list[dict]:
    """Measure everything; about two minutes."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    scores = [agent_like_score(rng) for _ in range(PIECES)]
    long = [agent_like_score(rng, LONG_BARS) for _ in range(LONG_PIECES)]
    repeated = [score for score in scores[: PIECES // COPIES] for _ in range(COPIES)]
    model = RatingModel.load()
    batches = {bars: growing(pieces) for bars, pieces in ((BARS, scores), (LONG_BARS, long))}

    def remembering(batches: list[Pieces]) -> None:
        transcriber = forgetful(model)
        for pieces in batches:
            transcriber.score(pieces)

    def anew(batches: list[Pieces]) -> None:
        for pieces in batches:
            forgetful(model).score(pieces)

    def timed(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float]:
        """Median seconds of both, which run in turns, so that a busy machine slows both."""
        ours()  # loads compiled loops, records the notes
        rounds = [(seconds_of(ours), seconds_of(peer)) for _ in range(ROUNDS)]
        mine, theirs = zip(*rounds, strict=True)
        return median(mine), median(theirs)

    def row(name: str, peer_name: str, pieces: int, seconds: tuple[float, float]) -> dict:
        ratio = seconds[1] / seconds[0]
        return {
            "name": name,
            "ours_per_second": pieces / seconds[0],
            "peer": peer_name,
            "peer_per_second": pieces / seconds[1],
            "ratio": ratio,
            "target": None,
            "ok": True,
        }

    one_by_one(model, scores[:1])
    answer = [
        row(
            "scores to rating, new pieces",
            "one by one: pretty_midi, librosa, forward",
            PIECES,
            timed(lambda: forgetful(model).score(Pieces(scores)), lambda: one_by_one(model, scores)),
        )
    ]
    for bars, parts in batches.items():
        answer.append(
            row(
                f"rating every {BARS_PER_REWARD} bars up to {bars}",
                "the whole piece anew",
                sum(map(len, parts)),
                timed(partial(remembering, parts), partial(anew, parts)),
            )
        )
    answer.append(
        row(
            f"rating of pieces that come {COPIES} times",
            "of different pieces",
            PIECES,
            timed(lambda: forgetful(model).score(Pieces(repeated)), lambda: forgetful(model).score(Pieces(scores))),
        )
    )
    return answer


def main() -> None:
    """Print the table."""
    print("rates are pieces scored a second")
    for row in rows():
        rates = f"{row['ours_per_second']:10.1f}{row['peer_per_second']:10.1f}"
        print(f"{row['name']:36}{rates}  {row['peer']:44}{row['ratio']:8.3g}")


if __name__ == "__main__":
    main()
