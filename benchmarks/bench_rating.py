"""Ratings of scores: of new pieces, of growing ones and of repeated ones.

`python benchmarks/bench_rating.py` prints the table; `rows()` returns it: a list of dicts with `name`,
`ours_per_second`, `peer`, `peer_per_second`, `ratio`, `target`, `ok`. Rates are pieces per second, on one thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
import torch
from bench_sequences import Products, median_seconds, products_seconds
from bench_sound import BARS, PIECES, agent_like_score, as_pretty_midi, librosa_log_mel, seconds_of

from toccata.envs.pieces import Pieces
from toccata.music import Score
from toccata.music.sound.spectrogram import N_MELS, SAMPLE_RATE
from toccata.reward_models.rating.audio_windows import WINDOW_FRAMES, window_start_frames
from toccata.reward_models.rating.model import RatingModel

LONG_BARS, LONG_PIECES = 32, 16  # fewer than `PIECES`, because without the cache they take long
BARS_PER_REWARD = 2  # the default of train.py
COPIES = 8  # of each repeated piece
ROUNDS = 3


def empty_cache(model: RatingModel) -> RatingModel:
    """The same network with an empty cache."""
    return RatingModel(model.network, model.config)


def score_one_by_one(model: RatingModel, scores: list[Score]) -> np.ndarray:
    """(n,) scores without Toccata's sound, spectrograms and batches."""
    members = list(model.network)[: model.config.reward_members]
    ratings = []
    for score in scores:
        mel = librosa_log_mel(as_pretty_midi(score).fluidsynth(fs=SAMPLE_RATE).astype(np.float32))
        starts = window_start_frames(mel.shape[1])
        windows = np.zeros((len(starts), N_MELS, WINDOW_FRAMES), np.float32)
        for window, start in zip(windows, starts, strict=True):
            part = mel[:, start : start + WINDOW_FRAMES]
            window[:, : part.shape[1]] = part
        valid = torch.tensor([min(mel.shape[1] - start, WINDOW_FRAMES) for start in starts])
        with torch.no_grad():
            ratings.append([member(torch.from_numpy(windows), valid).mean() for member in members])
    return model.pessimistic(np.array(ratings, np.float32))


def products_of_members(model: RatingModel, pieces: int) -> Counter[tuple[int, int, int]]:
    """The matrix products that the reward members compute for new pieces, convolutions among them, by (m, k, n)."""
    windows = pieces * len(window_start_frames(int(Pieces([Score([], length_ticks=BARS * 96)]).mel_frames[0])))
    mels = np.zeros((windows, N_MELS, WINDOW_FRAMES), np.float32)
    with Products() as products:
        model.rate_windows(mels, np.full(windows, WINDOW_FRAMES), range(model.config.reward_members))
    return products.counts


def growing(scores: list[Score]) -> list[Pieces]:
    """The pieces at every `BARS_PER_REWARD`-th bar line, where the environment has them scored."""
    return [
        Pieces([score.slice(0, bars * score.ticks_per_bar) for score in scores])
        for bars in range(BARS_PER_REWARD, scores[0].bars + 1, BARS_PER_REWARD)
    ]


def rows() -> list[dict]:
    """Measure everything; about two minutes."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    scores = [agent_like_score(rng) for _ in range(PIECES)]
    long_scores = [agent_like_score(rng, LONG_BARS) for _ in range(LONG_PIECES)]
    repeated = [score for score in scores[: PIECES // COPIES] for _ in range(COPIES)]
    model = RatingModel.load()
    growing_pieces = {BARS: growing(scores), LONG_BARS: growing(long_scores)}

    def with_cache(batches: list[Pieces]) -> None:
        cached = empty_cache(model)
        for pieces in batches:
            cached.score(pieces)

    def without_cache(batches: list[Pieces]) -> None:
        for pieces in batches:
            empty_cache(model).score(pieces)

    def timed(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float]:
        """Median seconds of both, which run in turns, so that a busy machine slows both."""
        ours()  # loads compiled loops, records the notes
        rounds = [(seconds_of(ours), seconds_of(peer)) for _ in range(ROUNDS)]
        ours_seconds, peer_seconds = zip(*rounds, strict=True)
        return median(ours_seconds), median(peer_seconds)

    def row(name: str, peer_name: str, pieces: int, seconds: tuple[float, float]) -> dict:
        return {
            "name": name,
            "ours_per_second": pieces / seconds[0],
            "peer": peer_name,
            "peer_per_second": pieces / seconds[1],
            "ratio": seconds[1] / seconds[0],
            "target": None,
            "ok": True,
        }

    score_one_by_one(model, scores[:1])
    results = [
        row(
            "rating of new pieces",
            "one by one: pretty_midi, librosa, forward",
            PIECES,
            timed(lambda: empty_cache(model).score(Pieces(scores)), lambda: score_one_by_one(model, scores)),
        )
    ]
    mm_seconds = products_seconds(products_of_members(model, PIECES))
    results.append(
        row(
            "rating of new pieces",
            "torch.mm, same shapes as its network's",
            PIECES,
            (median_seconds(lambda: empty_cache(model).score(Pieces(scores)), ROUNDS), mm_seconds),
        )
    )
    for bars, batches in growing_pieces.items():
        results.append(
            row(
                f"rating every {BARS_PER_REWARD} bars up to {bars}",
                "all windows each time",
                sum(map(len, batches)),
                timed(partial(with_cache, batches), partial(without_cache, batches)),
            )
        )
    results.append(
        row(
            f"rating of pieces in {COPIES} copies",
            "different pieces",
            PIECES,
            timed(lambda: empty_cache(model).score(Pieces(repeated)), lambda: empty_cache(model).score(Pieces(scores))),
        )
    )
    return results


def main() -> None:
    """Print the table."""
    print("rates are pieces scored per second")
    for row in rows():
        rates = f"{row['ours_per_second']:10.1f}{row['peer_per_second']:10.1f}"
        print(f"{row['name']:36}{rates}  {row['peer']:44}{row['ratio']:8.3g}")


if __name__ == "__main__":
    main()
