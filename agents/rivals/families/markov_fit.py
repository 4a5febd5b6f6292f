"""Fitting Markov chains: one for each genre, and one for all music, pruned to a file of a few megabytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from toccata.agents.prior.bits import bits
from toccata.agents.prior.fitting.dataset import PassageDataset, as_played
from toccata.agents.prior.fitting.markov_chain import fit_markov
from toccata.agents.prior.fitting.report import bits_table, markdown_table, passages_with_works
from toccata.agents.prior.markov import Markov, uniform_log_prob
from toccata.agents.rivals.composer import RivalError
from toccata.agents.rivals.families.markov import MarkovComposer, save_chains
from toccata.agents.rivals.families.playing import steps_of
from toccata.agents.rivals.fitting.job import FitJob
from toccata.agents.rivals.fitting.state import load_state, reading_state, save_state
from toccata.agents.rivals.registry import Request
from toccata.envs.pieces import Piece
from toccata.music.corpus import Corpus, Work
from toccata.music.score import Score
from toccata.settings.genres import ALL_GENRES, with_added

MAX_NGRAMS = 50_000  # with a context, of each chain: some 400 kB
PASSAGE_STEPS = 2048  # of the longest one
ENCODING = 0.3  # share of the fit
CHAIN = "chain"  # file of the checkpoint


def fit(job: FitJob) -> str:
    """Fit the chains, and write them into `job.folder`.

    Args:
        job: of `toccata fit-rival markov`.

    Returns:
        the text of the model card.

    Raises:
        RivalError: for music that the piano cannot play.
        WeightsError: for a damaged checkpoint.
    """
    config = job.config
    works = {name: corpus.split("train").works for name, corpus in job.works.items()}
    works[ALL_GENRES] = tuple(work for of_genre in works.values() for work in of_genre)
    genres = with_added(job.works)
    everything = tuple(work for corpus in job.works.values() for work in corpus)
    playable = Corpus(ALL_GENRES, _dataset(ALL_GENRES, everything, genres, {}).works)
    played = as_played(playable, on_progress=lambda done: job.on_progress(ENCODING * done, "encoding"))
    fitted: dict[str, tuple[Markov, int]] = {}
    for number, (name, of) in enumerate(works.items()):
        job.on_progress(ENCODING + (1 - ENCODING) * number / len(works), name)
        chain = _resumed(job, name) or fit_markov(_dataset(name, of, genres, played), config.seed, config.order)
        fitted[name] = chain
        _save(job, name, *chain)
    chains = {name: chain.pruned(MAX_NGRAMS) for name, (chain, _) in fitted.items()}
    save_chains(job.folder, chains, {"order": config.order, "seed": config.seed})
    pieces: list[Piece] = []
    groups: list[str] = []
    for name, corpus in job.works.items():
        if len(held_out := corpus.split("test")):
            of_genre = passages_with_works(_dataset(name, held_out.works, genres, played))
            pieces, groups = pieces + of_genre[0], groups + of_genre[1]
    return _card(chains, fitted, pieces, groups)


def _dataset(name: str, works: Sequence[Work], genres: Sequence[str], played: Mapping[str, Score]) -> PassageDataset:
    """Passages of works.

    Raises:
        RivalError: when the piano can play none of them.
    """
    try:
        return PassageDataset(Corpus(name, tuple(works)), max_steps=PASSAGE_STEPS, genres=genres, played=played)
    except ValueError as error:
        raise RivalError(str(error)) from error


def _resumed(job: FitJob, name: str) -> tuple[Markov, int] | None:
    """The chain and its number of training steps in the checkpoint of an interrupted fit, if it is there.

    Raises:
        WeightsError: for a checkpoint that is damaged or holds no chain.
    """
    kept = load_state(job.checkpoint / name, [CHAIN]) if job.config.resume else None
    if kept is None:
        return None
    tensors, about = kept
    with reading_state(job.checkpoint / name):
        return Markov.from_arrays({key: tensor.numpy() for key, tensor in tensors[CHAIN].items()}), int(about["steps"])


def _save(job: FitJob, name: str, chain: Markov, steps: int) -> None:
    """Write a chain into the checkpoint."""
    tensors = {key: torch.from_numpy(array) for key, array in chain.arrays().items()}
    save_state(job.checkpoint / name, {CHAIN: tensors}, {"steps": steps})


def _card(
    chains: dict[str, Markov], fitted: dict[str, tuple[Markov, int]], pieces: list[Piece], works: list[str]
) -> str:
    """The text of the model card: sizes, and bits of the passages `pieces` of held-out works."""
    order = chains[ALL_GENRES].order
    rows = [["chain", "training steps", "n-grams", "n-grams kept"]]
    rows += [
        [name, f"{steps:,}", f"{full.ngrams:,}", f"{chains[name].ngrams:,}"] for name, (full, steps) in fitted.items()
    ]
    sections = [
        "# Markov chains",
        f"N-gram models of order {order} over the actions of the piano, renormalised over the legal actions of each "
        "step, with Kneser-Ney smoothing: one for each genre, and one for all music together. They were fitted to "
        f"passages in random keys. Of each, about {MAX_NGRAMS:,} of the n-grams with a context are kept, those that "
        "were counted most; the probability of the others goes to the lower orders.",
        markdown_table(rows),
    ]
    if pieces:
        trajectories = steps_of(pieces)
        unpruned = {name: full for name, (full, _) in fitted.items()}
        log_probs = {
            "uniform over legal": uniform_log_prob(trajectories),
            "all music": chains[ALL_GENRES].log_prob(trajectories),
            "the genre's own": MarkovComposer(chains, Request()).log_prob(pieces),
            "the genre's own, nothing left out": MarkovComposer(unpruned, Request()).log_prob(pieces),
        }
        table = bits_table({name: bits(each, pieces, works) for name, each in log_probs.items()}, "action")
        sections += [
            "## Held-out works",
            "The first passages of eight bars of works that no chain was fitted to, untransposed, with 95 % bootstrap "
            "intervals over works.",
            markdown_table(table),
        ]
    sections += [
        "## Limits",
        f"A chain knows the last {order} actions and nothing else: no bar lines, no phrases, no form. Which notes "
        "sound it knows by the legal actions alone.",
    ]
    return "\n\n".join(sections)
