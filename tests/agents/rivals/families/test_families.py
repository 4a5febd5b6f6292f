"""What all composers of the families promise, at toy size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork
from toccata.agents.prior.markov import Markov
from toccata.agents.prior.prior import Prior, frozen
from toccata.agents.prior.trajectories import record_trajectories
from toccata.agents.rivals.composer import Composer, RivalError, WithLikelihood
from toccata.agents.rivals.families import playing
from toccata.agents.rivals.families.best_of_n import BestOfN
from toccata.agents.rivals.families.likelihood import bits_of
from toccata.agents.rivals.families.markov import MarkovComposer
from toccata.agents.rivals.families.playing import steps_of
from toccata.agents.rivals.families.priors import PriorComposer, load_lstm
from toccata.agents.rivals.families.random_play import RandomPlay
from toccata.agents.rivals.registry import Request
from toccata.envs.codec import encode
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece, Pieces
from toccata.music.score import Score
from toccata.settings.genres import ALL_GENRES

SMALL = {
    "transformer": NetworkConfig("transformer", 16, 1, 2),
    "lstm": NetworkConfig("lstm", 16, 1),
    "wavenet": NetworkConfig("wavenet", 16, 2),
}


class Notes:
    """A reward: the number of notes."""

    name = "notes"

    def score(self, pieces: Pieces) -> np.ndarray:
        return np.array([len(piece.score) for piece in pieces], np.float32)


def tune(seed: int, genre: str | None) -> Piece:
    """Eight quarters of a scale."""
    rng = np.random.default_rng(seed)
    base = 60 if genre == "folk" else 48
    notes = [(24 * beat, 24, base + int(rng.choice([0, 2, 4, 5, 7])), 64) for beat in range(8)]
    actions, report = encode(Score(notes, length_ticks=192), Piano())
    return Piece(report.score, genre, actions=actions)


def chain(genre: str, order: int = 3) -> Markov:
    return Markov(order).fit(record_trajectories([tune(seed, genre) for seed in range(20)]))


def prior_of(backbone: str) -> Prior:
    torch.manual_seed(0)
    return Prior(frozen(SequenceNetwork(Piano(), SMALL[backbone])), Piano(), {})


def markov(request: Request) -> MarkovComposer:
    return MarkovComposer(
        {"classical": chain("classical"), "folk": chain("folk"), ALL_GENRES: chain("folk", 1)}, request
    )


MAKERS: dict[str, Callable[[Request], Any]] = {
    "random": RandomPlay,
    "markov": markov,
    **{name: lambda request, name=name: PriorComposer(name, prior_of(name), request) for name in SMALL},
    "best-of-n": lambda request: BestOfN(
        request.drafts, Notes(), PriorComposer("transformer", prior_of("transformer"), request)
    ),
}
REQUEST = Request(bars=1, beats_per_bar=2, tempo_bpm=90, drafts=3)


@pytest.fixture(params=list(MAKERS))
def make(request: pytest.FixtureRequest) -> Callable[[Request], Any]:
    return MAKERS[request.param]


def test_scores_are_as_long_as_asked_for_and_equal_for_equal_seeds(make: Callable[[Request], Any]) -> None:
    composer = make(REQUEST)
    assert isinstance(composer, Composer)
    genre = composer.genres[0] if composer.genres else None
    shares: list[float] = []
    scores = composer.compose(3, 1, genre, shares.append)
    assert [(s.length_ticks, s.beats_per_bar, s.tempo_bpm) for s in scores] == [(48, 2, 90)] * 3
    assert composer.compose(3, 1, genre) == scores != composer.compose(3, 2, genre)
    assert shares == sorted(shares)
    assert shares[0] >= 0
    assert shares[-1] == 1


@pytest.mark.parametrize(("bars", "beats"), [(1, 3), (2, 4), (1, 2.5)])
def test_any_metre(make: Callable[[Request], Any], bars: int, beats: float) -> None:
    (score,) = make(replace(REQUEST, bars=bars, beats_per_bar=beats)).compose(1)
    assert (score.length_ticks, score.beats_per_bar) == (int(bars * beats * 24), beats)


def test_bad_requests_are_one_line(make: Callable[[Request], Any]) -> None:
    composer = make(REQUEST)
    with pytest.raises(RivalError, match=r"fork|composes without genres"):
        composer.compose(1, 0, "fork")
    with pytest.raises(RivalError, match="the number of pieces must be at least 1"):
        composer.compose(0)
    with pytest.raises(RivalError, match="beats_per_bar"):
        make(replace(REQUEST, beats_per_bar=0.001)).compose(1)
    if composer.name != "random":
        for changes in ({"temperature": 0.0}, {"top_p": 1.5}):
            with pytest.raises(RivalError, match=r"(temperature|top_p) .*got"):
                make(replace(REQUEST, **changes)).compose(1)  # type: ignore[arg-type]  # floats, all of them


def test_batches_have_seeds_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "AT_ONCE", 2)
    shares: list[float] = []
    scores = RandomPlay(REQUEST).compose(5, 0, on_progress=shares.append)
    assert len(set(scores)) == 5
    assert shares == sorted(shares)
    assert shares[-1] == 1


# Likelihoods


def likelihoods() -> list[Any]:
    return [MAKERS[name](REQUEST) for name in MAKERS if name != "best-of-n"]


def test_only_best_of_n_has_no_likelihood() -> None:
    assert all(isinstance(composer, WithLikelihood) for composer in likelihoods())
    assert not isinstance(MAKERS["best-of-n"](REQUEST), WithLikelihood)


@pytest.mark.parametrize("composer", likelihoods(), ids=lambda composer: composer.name)
def test_probabilities_of_all_legal_actions_add_up_to_one(composer: Any) -> None:
    """Of the last action of a piece, which a rest and the notes that can still sound are legal for."""
    piece = tune(0, "folk")
    assert piece.actions is not None
    steps = steps_of([piece])
    last = int(steps.lengths[0]) - 1
    mask, whats = steps.unpacked_masks([0])[0, last], Piano().nvec[0]
    legal = np.argwhere(np.outer(mask[:whats], mask[whats:]))
    endings = [Piece(piece.score, "folk", actions=np.concatenate([piece.actions[:-1], each[None]])) for each in legal]
    log_probs = np.array([values[-1] for values in composer.log_prob(endings)])
    assert np.exp(log_probs).sum() == pytest.approx(1, abs=1e-4 * len(legal) ** 0.5)


@pytest.mark.parametrize("composer", likelihoods(), ids=lambda composer: composer.name)
def test_pieces_of_any_genre_have_a_likelihood(composer: Any) -> None:
    pieces = [tune(0, "folk"), tune(1, None), tune(2, "my own genre"), tune(3, "classical")]
    log_probs = composer.log_prob(pieces)
    assert [len(values) for values in log_probs] == [
        len(piece.actions) for piece in pieces if piece.actions is not None
    ]
    assert all(np.isfinite(values).all() and (values <= 0).all() for values in log_probs)


def test_bits_of_uniform_play() -> None:
    """An eighth rest before the end: log2 of the number of legal pairs."""
    piece = Piece(Score([(0, 12, 60, 64)], length_ticks=24), "folk")
    table = bits_of(RandomPlay(REQUEST), [piece], ["a work"])
    assert list(table) == ["folk", ALL_GENRES]
    (log_probs,) = RandomPlay(REQUEST).log_prob([piece])
    assert table["folk"].per_action.mean == pytest.approx(-log_probs.mean() / np.log(2))
    assert table["folk"].per_note.mean == pytest.approx(-log_probs.sum() / np.log(2))


# Sampling


def test_frequencies_of_a_markov_chain_are_its_probabilities() -> None:
    """Of the first and the third action of 1,000 pieces, within five standard errors."""
    composer = markov(replace(REQUEST, top_p=1.0))
    pieces = composer.sample(1000, 0, "folk", lambda done: None)
    chain, nothing = composer.chains["folk"], [-1, -1]
    masks = steps_of(pieces[:1]).unpacked_masks([0])[0]
    played = [piece.actions[:3] for piece in pieces if piece.actions is not None and len(piece.actions) > 2]
    first = np.array([np.asarray(piece.actions)[0] for piece in pieces])
    check_frequencies(first, chain.next_probs(np.array([[nothing] * 3]), masks[:1])[0])
    openings, count = np.unique([each[:2] for each in played], axis=0, return_counts=True)
    opening = openings[count.argmax()]  # the commonest, a note and a rest, and what follows it
    example = next(i for i, piece in enumerate(pieces) if (np.asarray(piece.actions)[:2] == opening).all())
    masks = steps_of([pieces[example]]).unpacked_masks([0])[0]
    third = np.array([each[2] for each in played if (each[:2] == opening).all()])
    history = np.array([[opening[1], opening[0], nothing]])
    check_frequencies(third, chain.next_probs(history, masks[2:3])[0])


def check_frequencies(actions: np.ndarray, probs: np.ndarray) -> None:
    values = Piano().nvec[1]
    seen = np.bincount(actions[:, 0] * values + actions[:, 1], minlength=len(probs)) / len(actions)
    errors = np.sqrt(probs * (1 - probs) / len(actions))
    common = probs > 0.01
    assert common.sum() >= 3
    assert (np.abs(seen - probs)[common] < 5 * errors[common]).all()
    assert not seen[probs == 0].any()


def test_a_low_temperature_plays_the_likeliest_actions() -> None:
    composer = markov(replace(REQUEST, temperature=0.01))
    pieces = composer.sample(20, 0, None, lambda done: None)
    assert len({piece.score for piece in pieces}) == 1


def test_a_genre_has_its_own_chain() -> None:
    composer = markov(REQUEST)
    assert composer.genres == ("classical", "folk")
    lows = [
        np.mean([s.notes["pitch"].mean() for s in composer.compose(20, 0, genre)]) for genre in ("classical", "folk")
    ]
    assert lows[0] < 57 < lows[1], "bass and treble in the music that the chains were fitted to"


def test_the_best_draft_is_chosen() -> None:
    """The pieces are the drafts with most notes, each of three."""
    composer = MAKERS["best-of-n"](REQUEST)
    drafts = composer.composer.compose(12, 5, "folk")
    best = [max(drafts[3 * i : 3 * i + 3], key=len) for i in range(4)]
    assert composer.compose(4, 5, "folk") == best


def test_best_of_one_is_the_prior() -> None:
    composer = MAKERS["best-of-n"](replace(REQUEST, drafts=1))
    assert composer.compose(3, 0) == composer.composer.compose(3, 0)


def test_a_prior_of_another_backbone_is_an_error(tmp_path: Path) -> None:
    prior_of("lstm").save(tmp_path / "mine")
    request = replace(REQUEST, folder=tmp_path / "mine")
    assert load_lstm(request).compose(1)
    prior_of("wavenet").save(tmp_path / "mine")
    with pytest.raises(RivalError, match=r"mine: is a prior of backbone wavenet, not lstm; load it as wavenet:FOLDER"):
        load_lstm(request)
