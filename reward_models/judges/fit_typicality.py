"""Fit the weights of the typicality judge: `python -m toccata.reward_models.judges.fit_typicality OUT`.

By default on music21's corpora; the model card names the further folders of the shipped weights. Training works only,
and of these 70 % by a hash of its own, so that the judge knows other music than the priors that agents start from.

With --sibling it fits the weights of the reward `typicality`, to works that the judge is not fitted to.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from toccata.envs.codec import actions_of, encode
from toccata.envs.excerpts import TRANSPOSITION
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece, Pieces
from toccata.music.corpus import Work, load_corpus
from toccata.music.reduction import shortened_to_values
from toccata.music.score import TICKS_PER_BEAT, Score
from toccata.reward_models.judges.typicality import Typicality
from toccata.reward_models.typicality.action_model import ActionModel, action_batch
from toccata.reward_models.typicality.model import TypicalityReward

FITTED_SHARE = 0.7  # of the training works; the others choose when to stop
SIBLING_SHARE = 0.85  # of these others: the sibling is fitted to them
STEPS = 256  # of the longest sequence: about eight bars of several voices
BATCH = 32  # sequences
WORK_POWER = 0.75  # works are drawn in proportion to their notes to this power
GENRE_POWER = 0.5  # and genres likewise
WARM_UP = 0.02
VALID_PIECES = 300
BARS = 8  # of the pieces that the card measures


def is_fitted(work: Work) -> bool:
    """Whether the judge is fitted to a training work, by a hash of its group that no other split uses."""
    return _hashed("typicality", work) < FITTED_SHARE


def is_fitted_by_sibling(work: Work) -> bool:
    """Whether the reward is, of the training works that the judge is not fitted to; the others choose when to stop."""
    return not is_fitted(work) and _hashed("typicality-reward", work) < SIBLING_SHARE


def _hashed(salt: str, work: Work) -> float:
    """A number in [0, 1) that depends on the group of a work and a salt."""
    digest = hashlib.sha256(f"{salt}:{work.group or work.id}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


class Passages:
    """Random passages of works, in random keys, as actions.

    Args:
        works: those whose bars are whole ticks.
        piano: the instrument.
    """

    def __init__(self, works: Sequence[Work], piano: Piano) -> None:
        self.piano = piano
        played = [(work.genre, encode(work.score, piano)[1].score) for work in works]
        self.scores = [score for _, score in played if len(score)]
        genres = np.array([genre for genre, score in played if len(score)])
        notes = np.array([len(score) for score in self.scores], np.float64)
        weights = np.zeros(len(notes))
        for genre in np.unique(genres):
            some = genres == genre
            weights[some] = (
                notes[some].sum() ** GENRE_POWER * notes[some] ** WORK_POWER / (notes[some] ** WORK_POWER).sum()
            )
        self.probabilities = weights / weights.sum()

    def sample(self, count: int, rng: np.random.Generator) -> tuple[list[np.ndarray], list[int]]:
        """Actions (steps, 2) of `count` passages of at most `STEPS` actions, and the ticks of their bars."""
        actions, bars = [], []
        for index in rng.choice(len(self.scores), count, p=self.probabilities):
            score = self.scores[index]
            bar = score.ticks_per_bar
            starts = np.unique(score.notes["onset_tick"] // bar)
            start = int(rng.choice(starts)) * bar
            passage = shortened_to_values(score.slice(start, start + STEPS * bar // 4), self.piano.values)
            pitch = passage.notes["pitch"]
            low = max(-TRANSPOSITION, self.piano.lowest - int(pitch.min()))
            high = min(TRANSPOSITION, self.piano.highest - int(pitch.max()))
            passage = passage.transpose(int(rng.integers(low, high + 1))) if low <= high else passage
            actions.append(actions_of(first_notes(passage), self.piano)[:STEPS])
            bars.append(bar)
        return actions, bars


def first_notes(score: Score) -> Score:
    """The score without the notes that `STEPS` actions cannot reach."""
    return Score(score.notes[: 4 * STEPS], score.ticks_per_beat, score.beats_per_bar, score.tempo_bpm)


def fit(
    train: Passages, valid: Passages, minutes: float, seed: int, width: int, layers: int
) -> tuple[Typicality, dict]:
    """Fit a model for some minutes; the weights of the best of ten validations are kept."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = ActionModel(train.piano, width, layers)
    matrices = [each for each in network.parameters() if each.ndim > 1]
    others = [each for each in network.parameters() if each.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}], betas=(0.9, 0.98)
    )
    held_out = [action_batch(*valid.sample(BATCH, np.random.default_rng([seed, i])), valid.piano) for i in range(10)]
    losses: list[float] = []
    best = copy.deepcopy(network.state_dict())
    bar = Progress(TextColumn("fitting"), BarColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn())
    task = bar.add_task("", total=1.0, note="")
    started, steps, done = time.monotonic(), 0, 0.0
    with bar:
        while done < 1:
            done = min(1.0, (time.monotonic() - started) / (60 * minutes))
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * min(done / WARM_UP + 0.01, 1 - done)
            batch = action_batch(*train.sample(BATCH, rng), train.piano)
            loss = -torch.where(batch.inside, network(batch), 0.0).sum() / batch.inside.sum()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            steps += int(batch.inside.sum())
            if done >= (len(losses) + 1) / 10:
                with torch.no_grad():
                    sums = [(float(-network(each)[each.inside].sum()), int(each.inside.sum())) for each in held_out]
                losses.append(sum(nats for nats, _ in sums) / sum(count for _, count in sums))
                if losses[-1] == min(losses):
                    best = copy.deepcopy(network.state_dict())
                bar.console.print(f"{done:4.0%}  {steps:,} steps  held out {losses[-1]:.3f} nats an action")
            bar.update(
                task, completed=done, note=f"{loss.item():.2f} nats, {steps / (time.monotonic() - started):,.0f}/s"
            )
    network.load_state_dict(best)
    return Typicality(network), {"steps": steps, "valid_nats": [round(each, 4) for each in losses]}


def bands(judge: Typicality | TypicalityReward, works: Sequence[Work], seed: int) -> dict[str, list[float]]:
    """5, 50 and 95 % of the bits an action of excerpts of eight bars, by genre."""
    rng, found = np.random.default_rng(seed), {}
    for genre in sorted({work.genre for work in works}):
        pieces = []
        for work in (work for work in works if work.genre == genre):
            score = encode(work.score)[1].score
            bar = score.ticks_per_bar
            starts = range(0, score.length_ticks - BARS * bar + 1, bar)
            if starts and len(excerpt := score.slice(start := int(rng.choice(starts)), start + BARS * bar)):
                pieces.append(Piece(excerpt, genre))
        if pieces:
            bits = judge.bits(Pieces(pieces))
            found[genre] = [len(pieces), *(round(float(each), 2) for each in np.percentile(bits, [5, 50, 95]))]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, measure the bands of held-out works, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the weights")
    parser.add_argument("--data", nargs="*", default=["bach", "folk"], help="corpora and folders of music")
    parser.add_argument("--minutes", type=float, default=30.0, help="of fitting")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sibling", action="store_true", help="fit the reward, to works that the judge did not see")
    options = parser.parse_args(arguments)
    corpus, piano = load_corpus(options.data), Piano()
    train = [work for work in corpus.split("train") if work.score.beats_per_bar * TICKS_PER_BEAT % 1 == 0]
    if options.sibling:
        train = [work for work in train if not is_fitted(work)]
    chosen = is_fitted_by_sibling if options.sibling else is_fitted
    fitted, rest = [work for work in train if chosen(work)], [work for work in train if not chosen(work)]
    judge, about = fit(
        Passages(fitted, piano), Passages(rest, piano), options.minutes, options.seed, options.width, options.layers
    )
    about |= {
        "data": [Path(name).name for name in options.data],
        "works": {"fit": len(fitted), "valid": len(rest)},
        "minutes": options.minutes,
        "seed": options.seed,
    }
    test = list(corpus.split("test"))
    if options.sibling:
        save_sibling(judge.network, options.out, about, rest, test, options.seed)
    else:
        judge.save(options.out, about)
        judge = Typicality.load(options.out)  # in the precision of the file
        about["bands"] = bands(judge, test, options.seed)
        judge.save(options.out, about)
    print(json.dumps(about, indent=2))


def save_sibling(
    network: ActionModel, out: Path, about: dict, valid: Sequence[Work], test: Sequence[Work], seed: int
) -> None:
    """Write the reward with the band of works that it is not fitted to, all genres together; `about` is added to."""
    TypicalityReward(network, 0.0, 1.0).save(out)
    reward = TypicalityReward.load(out)  # in the precision of the file
    about["bands"] = bands(reward, test, seed)
    scores = [encode(work.score)[1].score for work in valid]
    excerpts = [score.slice(0, BARS * score.ticks_per_bar) for score in scores]
    reward = reward.with_band_of(Pieces([each for each in excerpts if len(each)]))
    about["band"] = [round(reward.low, 2), round(reward.high, 2)]
    reward.about = about
    reward.save(out)


if __name__ == "__main__":
    main()
