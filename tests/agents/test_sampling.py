from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from toccata.agents.generation.primer import PreparedPrimer
from toccata.agents.generation.sampling import draw, genre_index, joint_probs, nucleus, sample_pieces
from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import NO_GENRE, OBSERVATION_KEYS, NetworkConfig, SequenceNetwork
from toccata.agents.prior.dataset import LONGEST_BARS
from toccata.agents.prior.trajectories import trajectories_of
from toccata.envs.codec import encode, play
from toccata.envs.core import GENRES
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import Score

SMALL = Piano(lowest=58, highest=65, values=(6, 12, 24))


def network_of(piano: Piano, backbone: str = "transformer") -> SequenceNetwork:
    torch.manual_seed(0)
    network = SequenceNetwork(piano, NetworkConfig(backbone, width=16, layers=2, heads=2)).eval()
    with torch.no_grad():
        network.actor.weight.mul_(50.0)  # so that what it sees matters
    return network


def stubborn(piano: Piano, what: int, value: int, by: float = 1.0) -> SequenceNetwork:
    """A network that prefers one action everywhere, whatever was played."""
    network = network_of(piano)
    with torch.no_grad():
        network.actor.weight.zero_()
        network.actor.bias.zero_()
        network.actor.bias[what] = by
        values = network.actor.bias[-network.value_logits :].view(-1, piano.nvec[1])
        values[:, value] = by
    return network


@pytest.fixture
def piano() -> Piano:
    return SMALL


@pytest.fixture
def primer() -> Score:
    """A bar of 3/4 and one note of the next."""
    return Score([(0, 24, 60, 90), (24, 24, 62, 80), (48, 24, 64, 70), (72, 12, 60, 50)], beats_per_bar=3, tempo_bpm=90)


# Chance


def some_logits(piano: Piano, rows: int = 3) -> tuple[torch.Tensor, np.ndarray]:
    whats, values = piano.nvec
    distribution = JointDistribution(piano)
    logits = torch.randn(rows, whats + distribution.kinds * values, generator=torch.Generator().manual_seed(1)) * 2
    masks = np.ones((rows, whats + values), bool)
    masks[1, 3:whats] = False
    masks[1, whats] = False
    masks[2, 1:whats] = False
    masks[2, whats + 1 :] = False
    return logits, masks


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_probabilities_are_those_of_enumeration(piano: Piano, temperature: float) -> None:
    logits, masks = some_logits(piano)
    whats, values = piano.nvec
    distribution = JointDistribution(piano)
    kinds = distribution.kind_of_what.tolist()
    expected = np.zeros((3, whats, values))
    for row, what, value in product(range(3), range(whats), range(values)):
        if masks[row, what] and masks[row, whats + value]:
            by_what = logits[row, :whats].numpy().astype(float)
            by_value = logits[row, whats + kinds[what] * values :][:values].numpy().astype(float)
            of_what = np.exp(by_what / temperature) * masks[row, :whats]
            of_value = np.exp(by_value / temperature) * masks[row, whats:]
            expected[row, what, value] = of_what[what] / of_what.sum() * of_value[value] / of_value.sum()
    found = joint_probs(distribution, logits, masks, temperature)
    assert found.numpy() == pytest.approx(expected.reshape(3, -1), abs=1e-12)


@pytest.mark.parametrize("temperature", [5e-324, 1e-30, 1e-6, 1e6, 1e300])
def test_no_temperature_breaks_the_mask(piano: Piano, temperature: float) -> None:
    logits, masks = some_logits(piano)
    probs = joint_probs(JointDistribution(piano), logits, masks, temperature).view(3, *piano.nvec).numpy()
    assert probs.sum(axis=(1, 2)) == pytest.approx(1)
    whats = piano.nvec[0]
    assert not probs[~(masks[:, :whats, None] & masks[:, None, whats:])].any()
    if temperature <= 1e-6:
        assert (probs > 0).sum(axis=(1, 2)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("top_p", [1e-9, 0.1, 0.5, 0.9, 0.999])
def test_the_nucleus_is_the_one_of_enumeration(piano: Piano, top_p: float) -> None:
    logits, masks = some_logits(piano)
    probs = joint_probs(JointDistribution(piano), logits, masks, 1.0)
    kept = nucleus(probs, top_p).numpy()
    for row, own in zip(probs.numpy(), kept, strict=True):
        ranked = sorted(range(len(row)), key=lambda i, row=row: -row[i])
        count = next(n for n in range(1, len(row) + 1) if sum(row[ranked[:n]]) >= top_p)
        assert set(np.flatnonzero(own)) == set(ranked[:count])
        assert own[own > 0] == pytest.approx(row[own > 0])


def test_nothing_outside_the_nucleus_is_drawn(piano: Piano) -> None:
    logits, masks = some_logits(piano)
    distribution = JointDistribution(piano)
    kept = nucleus(joint_probs(distribution, logits, masks, 1.0), 0.5)
    chance = torch.Generator().manual_seed(0)
    rows = np.repeat(np.arange(3), 4000)
    actions = draw(distribution, logits[rows], masks[rows], 1.0, 0.5, chance)
    counts = np.zeros(kept.shape)
    np.add.at(counts, (rows, actions[:, 0] * piano.nvec[1] + actions[:, 1]), 1)
    expected = (kept / kept.sum(dim=1, keepdim=True)).numpy()
    assert not counts[expected == 0].any()
    assert counts / 4000 == pytest.approx(expected, abs=0.04)  # five standard deviations


# Pieces


def test_a_low_temperature_plays_the_likeliest(piano: Piano) -> None:
    pieces = sample_pieces(stubborn(piano, 0, 1), piano, 2, bars=2, seed=0, genre=None, temperature=1e-3)
    for piece in pieces:
        assert piece.actions is not None
        assert piece.actions.tolist() == [[0, 1]] * 16  # waits of an eighth note
        assert len(piece.score) == 0
        assert piece.score.length_ticks == 192


def test_a_key_that_is_down_gives_way_to_the_next_likeliest(piano: Piano) -> None:
    network = stubborn(piano, 3, 2, by=10.0)
    with torch.no_grad():
        network.actor.bias[0] = 5.0
    (piece,) = sample_pieces(
        network, piano, 1, bars=1, seed=0, genre="folk", temperature=1e-3, beats_per_bar=3, tempo_bpm=70
    )
    assert piece.score.notes.tolist() == [(24 * i, 24, 60, 80) for i in range(3)]
    assert (piece.score.beats_per_bar, piece.score.tempo_bpm, piece.genre, piece.start_tick) == (3, 70, "folk", 0)


def test_one_seed_gives_one_set_of_pieces(piano: Piano) -> None:
    network = network_of(piano)
    scores = {
        seed: [
            [piece.score for piece in sample_pieces(network, piano, 3, bars=1, seed=seed, genre=None)] for _ in range(2)
        ]
        for seed in (0, 1)
    }
    assert scores[0][0] == scores[0][1]
    assert scores[0][0] != scores[1][0]
    assert len(set(scores[0][0])) == 3


def test_pieces_are_legal_and_whole(piano: Piano) -> None:
    progress: list[float] = []
    pieces = sample_pieces(network_of(piano), piano, 5, bars=3, seed=0, genre="jazz", on_progress=progress.append)
    for piece in pieces:
        assert piece.actions is not None
        assert play(piece.actions, piano).slice(0, 288).notes.tolist() == piece.score.notes.tolist()
        assert piece.score.length_ticks == 288
    assert progress == sorted(progress)
    assert progress[-1] == 1


def test_max_steps_ends_a_piece_in_silence(piano: Piano, primer: Score) -> None:
    (piece,) = sample_pieces(network_of(piano), piano, 1, bars=4, seed=0, genre=None, primer=primer, max_steps=3)
    assert piece.actions is not None
    assert len(piece.actions) == 3
    assert piece.score.bars == 2 + 4


# Primers


def test_a_primer_stands_unchanged_at_the_beginning(piano: Piano, primer: Score) -> None:
    pieces = sample_pieces(network_of(piano), piano, 3, bars=2, seed=0, genre=None, primer=primer)
    for piece in pieces:
        assert piece.start_tick == 2 * 72  # filled up to the bar line
        assert piece.score.slice(0, 144).notes.tolist() == primer.notes.tolist()
        assert (piece.score.beats_per_bar, piece.score.tempo_bpm) == (3, 90)
        assert piece.score.length_ticks == 4 * 72
    assert len({piece.score for piece in pieces}) == 3


class Spy:
    """Notes what a network is shown."""

    def __init__(self, network: SequenceNetwork, patch: pytest.MonkeyPatch) -> None:
        self.steps: list[dict[str, np.ndarray]] = []
        self.logits: list[np.ndarray] = []
        step = network.step

        def noted(observations, begins, cache):
            self.steps.append({key: observations[key].numpy().copy() for key in OBSERVATION_KEYS})
            logits, values, cache = step(observations, begins, cache)
            self.logits.append(logits.numpy().copy())
            return logits, values, cache

        patch.setattr(network, "step", noted)


@pytest.mark.parametrize("backbone", ["transformer", "lstm"])
@pytest.mark.parametrize("genre", [None, "rock"])
@pytest.mark.parametrize("primed", [False, True])
def test_the_network_sees_what_it_is_fitted_to(
    piano: Piano, primer: Score, backbone: str, genre: str | None, primed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = network_of(piano, backbone)
    spy = Spy(network, monkeypatch)
    (piece,) = sample_pieces(network, piano, 1, bars=2, seed=0, genre=genre, primer=primer if primed else None)
    past = encode(replace(primer, length_ticks=144), piano)[0] if primed else np.empty((0, 2), np.int64)
    actions = np.concatenate([past, piece.actions])
    recorded = trajectories_of([Piece(piece.score, genre, actions=actions)], piano)
    for key in OBSERVATION_KEYS:
        shown = np.concatenate([step[key] for step in spy.steps])
        assert shown.tolist() == recorded.observations[key][0, len(past) :].tolist()
    begins = torch.zeros(recorded.actions.shape[:2], dtype=torch.bool)
    begins[:, 0] = True
    observations = {key: torch.as_tensor(recorded.observations[key]).long() for key in OBSERVATION_KEYS}
    with torch.no_grad():
        logits, _ = network(observations, begins)
    assert np.concatenate(spy.logits) == pytest.approx(logits[0, len(past) :].numpy(), abs=1e-5)


def test_rows_that_end_do_not_disturb_the_others(piano: Piano, primer: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of(piano)
    spy = Spy(network, monkeypatch)
    pieces = sample_pieces(network, piano, 4, bars=2, seed=3, genre="folk", primer=primer)
    assert len({len(piece.actions) for piece in pieces if piece.actions is not None}) > 1
    past = encode(replace(primer, length_ticks=144), piano)[0]
    whole = [Piece(p.score, "folk", actions=np.concatenate([past, p.actions])) for p in pieces]
    recorded = trajectories_of(whole, piano)
    for t, step in enumerate(spy.steps):
        rows = [i for i in range(4) if recorded.lengths[i] > len(past) + t]
        for key in OBSERVATION_KEYS:
            assert step[key].tolist() == recorded.observations[key][rows, len(past) + t].tolist()


def test_of_a_long_primer_the_last_bars_are_heard(piano: Piano, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = LONGEST_BARS + 6
    primer = Score([(96 * bar, 24, 58 + bar % 8, 80) for bar in range(bars)])
    network = network_of(piano)
    spy = Spy(network, monkeypatch)
    (piece,) = sample_pieces(network, piano, 1, bars=2, seed=0, genre=None, primer=primer)
    assert piece.score.slice(0, bars * 96).notes.tolist() == primer.notes.tolist()
    assert piece.score.bars == bars + 2
    assert spy.steps[0]["place"].tolist() == [[0, 96, LONGEST_BARS, 2]]


def test_silence_before_the_first_note_is_not_heard(piano: Piano) -> None:
    primer = Score([(96 * 3 + 24, 24, 60, 80)], length_ticks=5 * 96)
    opening = PreparedPrimer.of(primer, piano, 4, 120)
    assert opening.score == primer
    assert opening.heard == Score([(24, 24, 60, 80)], length_ticks=2 * 96)
    assert play(opening.actions, piano).slice(0, 192) == opening.heard


def test_a_primer_that_ends_in_long_silence_is_a_fresh_beginning(piano: Piano) -> None:
    primer = Score([(0, 24, 60, 80)], length_ticks=(LONGEST_BARS + 2) * 96)
    (piece,) = sample_pieces(network_of(piano), piano, 1, bars=1, seed=0, genre=None, primer=primer)
    assert piece.score.bars == LONGEST_BARS + 3
    assert piece.start_tick == primer.length_ticks


def test_a_primer_is_reduced_to_what_the_piano_plays(piano: Piano) -> None:
    primer = Score([(0, 480, 20, 80), (0, 500, 60, 33), (7, 480, 64, 80)], ticks_per_beat=480)
    (piece,) = sample_pieces(network_of(piano), piano, 1, bars=1, seed=0, genre=None, primer=primer)
    assert piece.score.slice(0, 96).notes.tolist() == encode(primer, piano)[1].score.notes.tolist()
    assert piece.score.notes["pitch"][0] == 60


# Errors


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bars": 0}, "bars must be at least 1, got 0"),
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"max_steps": 0}, "max_steps must be at least 1, got 0"),
        ({"temperature": 0.0}, "temperature must be greater than 0"),
        ({"temperature": float("nan")}, "temperature must be greater than 0"),
        ({"top_p": 0.0}, "top_p must be greater than 0 and at most 1, got 0"),
        ({"top_p": 1.01}, "top_p must be greater than 0 and at most 1"),
        ({"genre": "clasical"}, "did you mean 'classical'"),
        ({"genre": "Jazz"}, "did you mean 'jazz'"),
        ({"primer": Score()}, "the primer has no notes"),
        ({"primer": Score([(0, 24, 20, 80)])}, "none of the primer's 1 notes is on the piano's keys 58..65"),
        ({"primer": Score([(0, 24, 60, 80)], beats_per_bar=3.125)}, "75 ticks is no multiple .* shortest value, 6"),
        ({"beats_per_bar": 3.125}, "75 ticks is no multiple of the piano's shortest value, 6"),
        ({"tempo_bpm": 3}, "tempo_bpm must be in 4..600"),
        ({"bars": 10_001}, "at most 10000 bars"),
    ],
)
def test_what_is_out_of_range_is_named(piano: Piano, wrong: dict, message: str) -> None:
    arguments = {"count": 1, "bars": 1, "seed": 0, "genre": None, **wrong}
    with pytest.raises(ValueError, match=message):
        sample_pieces(network_of(piano), piano, **arguments)


def test_genres_have_numbers() -> None:
    assert [genre_index(genre) for genre in (*GENRES, None)] == [*range(len(GENRES)), NO_GENRE]
