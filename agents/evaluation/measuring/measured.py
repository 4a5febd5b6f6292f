"""What is measured of the pieces of each composer, and the summary of it that metrics.json holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toccata.agents.evaluation.comparison import summarise
from toccata.agents.evaluation.measuring.originality import originality_of, training_works
from toccata.agents.evaluation.measuring.set_metrics import set_metrics
from toccata.agents.evaluation.measuring.windows import along_pieces
from toccata.agents.evaluation.report.page import SIBLING
from toccata.agents.evaluation.subject import Subject
from toccata.agents.ppo.sequence_ppo import SequenceComposerPPO
from toccata.agents.prior.likelihood import kl_per_piece
from toccata.agents.prior.trajectories import record_trajectories
from toccata.agents.runs.config import TrainConfig
from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import total
from toccata.music.metrics import diversity, measure_each, vendi_score
from toccata.music.originality import Match
from toccata.reward_models import WeightedSum
from toccata.reward_models.judges.panel import Panel, beside_real
from toccata.reward_models.rating.model import RatingModel
from toccata.stats import bootstrap_mean

SCHEMA_VERSION = 1  # of metrics.json, see metrics.schema.json; increase it when a key changes its name or meaning
STEPS = 5  # of `measured` beside one a composer


@dataclass(frozen=True)
class Measured:
    """What was found.

    Attributes:
        summary: for metrics.json.
        matches: what each piece shares with the training works, by composer.
    """

    summary: dict[str, Any]
    matches: dict[str, list[Match]]


def measured(
    composed: Mapping[str, list[Piece]],
    subject: Subject,
    counts: Mapping[str, int],
    seed: int,
    on_step: Callable[[], object] = lambda: None,
) -> Measured:
    """Measure the pieces of all composers.

    Args:
        composed: pieces by composer; "agent" and "real" are there.
        subject: what is evaluated.
        counts: of the agent's actions, or of files and notes.
        seed: of bootstraps and of the excerpts that sets are compared with.
        on_step: called after each composer, and `STEPS` times more.
    """
    rating, panel = sibling_rating(subject.rewards), Panel.load()
    values: dict[str, dict[str, np.ndarray]] = {}
    for name, pieces in composed.items():
        batch = Pieces(pieces)
        values[name] = measurements(batch, subject.rewards, rating) | panel.judge(batch)
        on_step()
    works = training_works(subject.config)
    originality, matches = originality_of(composed, works)
    on_step()
    for name in composed:
        values[name] |= beside_real(values[name], values["real"]) | originality[name]
    summary: dict[str, Any] = {"schema_version": SCHEMA_VERSION, **summarise(values, seed)}
    on_step()
    summary["vendi_score"] = {name: vendi_score(Pieces(each).own) for name, each in composed.items()}
    summary["sets"] = set_metrics(composed, subject.real, panel.typicality, seed)
    on_step()
    summary["originality"] = {
        "works": len(works),
        "matches": {name: [_said(match) for match in each] for name, each in matches.items()},
    }
    if (windows := along_pieces(composed, subject.config.bars, panel.typicality, seed)) is not None:
        summary["windows"] = windows
    on_step()
    summary["counts"] = {"real_works": len(subject.real.scores), **counts}
    if subject.model_sha256 is not None:
        summary["model_sha256"] = subject.model_sha256
    agent, reference = (subject.models.get(name) for name in ("agent", "reference"))
    if isinstance(agent, SequenceComposerPPO) and isinstance(reference, SequenceComposerPPO):
        summary["kl"] = {"nats_per_piece": _kl(composed["agent"], agent, reference, subject.config, seed)}
    on_step()
    return Measured(summary, matches)


def measurements(pieces: Pieces, rewards: WeightedSum, rating: RatingModel | None) -> dict[str, np.ndarray]:
    """Metrics and scores of pieces, each (n,) by name.

    Every metric; `diversity` among these pieces; the score of every reward model, not weighted, as `score/NAME`; the
    sum of the terms that PPO maximises, as `reward/total`; and as `sibling_rating` that of the sibling
    member of `rating`, where there is one: no agent is rewarded for it.
    """
    values = measure_each(pieces.own)
    values["diversity"] = diversity(pieces.own)
    scores = rewards.scores(pieces)
    values |= {f"score/{name}": score.astype(float) for name, score in scores.items()}
    values["reward/total"] = total({term: each.astype(float) for term, each in rewards.weighted(scores).items()})
    if rating is not None:
        values[SIBLING] = rating.sibling(pieces).astype(float)
    return values


def sibling_rating(rewards: WeightedSum) -> RatingModel | None:
    """The rating whose sibling member evaluates a run: the run's own, or the shipped one where the run had none.

    None where the run's own is an ensemble of less than three, which has no sibling member.
    """
    own = [model for model in rewards.models.values() if isinstance(model, RatingModel)]
    ratings = own or [RatingModel.load()]
    return next((each for each in ratings if each.config.reward_members < each.config.members), None)


def caption(match: Match) -> str:
    """What a piece shares with training works, in a line."""
    if match.passage is None:
        work = match.coinciding_work
        return f"{work} (no passage of eight onsets shared)" if work else "none"
    passage = match.passage
    return (
        f"{passage.work} ({passage.notes} notes of the {passage.voice}, bars {_bars(passage.piece_bars)}; "
        f"there bars {_bars(passage.work_bars)})"
    )


def _bars(bars: tuple[int, int]) -> str:
    """`3`, or `3 to 5`."""
    first, last = bars
    return f"{first}" if first == last else f"{first} to {last}"


def _said(match: Match) -> dict[str, Any]:
    """The names in a match, as JSON; its numbers are in the rows of metrics."""
    passage = None if match.passage is None else match.passage._asdict()
    return {"nearest_work": match.nearest_work, "coinciding_work": match.coinciding_work, "passage": passage}


def _kl(
    pieces: list[Piece], agent: SequenceComposerPPO, reference: SequenceComposerPPO, config: TrainConfig, seed: int
) -> dict[str, Any]:
    """KL of the agent from the reference policy, in nats a piece."""
    piano = agent.policy.piano
    trajectories = record_trajectories(pieces, piano, config.all_genres)
    nats = kl_per_piece(agent.policy.network, reference.policy.network, trajectories, piano)
    return {**bootstrap_mean(nats, np.random.default_rng(seed))._asdict(), "values": nats.tolist()}
