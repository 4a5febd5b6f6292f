from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from toccata.agents.generation.sampling import joint_probs, nucleus, sample_actions, sample_pieces
from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import OBSERVATION_KEYS, NetworkConfig, SequenceNetwork
from toccata.agents.prior.primer import CONTEXT_BARS
from toccata.agents.prior.trajectories import record_trajectories
from toccata.envs.codec import encode, play
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import Score

SMALL = Piano(lowest=58, highest=65, values=(6, 12, 24))


def build_network(piano: Piano, backbone: str = "transformer") -> SequenceNetwork:
    torch.manual_seed(0)
    network = SequenceNetwork(piano, NetworkConfig(backbone, width=16, layers=2, heads=2)).eval()
    with torch.no_grad():
        network.actor.weight.mul_(50.0)  # so that the logits depend on the observations
    return network


def constant_network(piano: Piano, what: int, value: int, logit: float = 1.0) -> SequenceNetwork:
    """A network whose logits prefer one action at every step."""
    network = build_network(piano)
    with torch.no_grad():
        network.actor.weight.zero_()
        network.actor.bias.zero_()
        network.actor.bias[what + 12 * (what > 0)] = logit  # rest, pitch classes, keys
        values = network.actor.bias[-network.value_logits :].view(-1, piano.nvec[1])
        values[:, value] = logit
    return network


@pytest.fixture
def piano() -> Piano:
    return SMALL


@pytest.fixture
def primer() -> Score:
    """A bar of 3/4 and one note of the next."""
    return Score([(0, 24, 60, 90), (24, 24, 62, 80), (48, 24, 64, 70), (72, 12, 60, 50)], beats_per_bar=3, tempo_bpm=90)


# Actions


def masked_logits(piano: Piano, rows: int = 3) -> tuple[torch.Tensor, np.ndarray]:
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
def test_joint_probabilities_by_enumeration(piano: Piano, temperature: float) -> None:
    logits, masks = masked_logits(piano)
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
    probs = joint_probs(distribution, logits, masks, temperature)
    assert probs.numpy() == pytest.approx(expected.reshape(3, -1), abs=1e-12)


@pytest.mark.parametrize("temperature", [5e-324, 1e-30, 1e-6, 1e6, 1e300])
def test_masked_actions_have_no_probability_at_any_temperature(piano: Piano, temperature: float) -> None:
    logits, masks = masked_logits(piano)
    probs = joint_probs(JointDistribution(piano), logits, masks, temperature).view(3, *piano.nvec).numpy()
    assert probs.sum(axis=(1, 2)) == pytest.approx(1)
    whats = piano.nvec[0]
    assert not probs[~(masks[:, :whats, None] & masks[:, None, whats:])].any()
    if temperature <= 1e-6:
        assert (probs > 0).sum(axis=(1, 2)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("top_p", [1e-9, 0.1, 0.5, 0.9, 0.999])
def test_the_nucleus_by_enumeration(piano: Piano, top_p: float) -> None:
    logits, masks = masked_logits(piano)
    probs = joint_probs(JointDistribution(piano), logits, masks, 1.0)
    kept = nucleus(probs, top_p).numpy()
    for row, kept_row in zip(probs.numpy(), kept, strict=True):
        ranked = sorted(range(len(row)), key=lambda i, row=row: -row[i])
        count = next(n for n in range(1, len(row) + 1) if sum(row[ranked[:n]]) >= top_p)
        assert set(np.flatnonzero(kept_row)) == set(ranked[:count])
        assert kept_row[kept_row > 0] == pytest.approx(row[kept_row > 0])


def test_actions_are_sampled_from_the_nucleus(piano: Piano) -> None:
    logits, masks = masked_logits(piano)
    distribution = JointDistribution(piano)
    kept = nucleus(joint_probs(distribution, logits, masks, 1.0), 0.5)
    generator = torch.Generator().manual_seed(0)
    rows = np.repeat(np.arange(3), 4000)
    actions = sample_actions(distribution, logits[rows], masks[rows], 1.0, 0.5, generator)
    counts = np.zeros(kept.shape)
    np.add.at(counts, (rows, actions[:, 0] * piano.nvec[1] + actions[:, 1]), 1)
    expected = (kept / kept.sum(dim=1, keepdim=True)).numpy()
    assert not counts[expected == 0].any()
    assert counts / 4000 == pytest.approx(expected, abs=0.04)  # five standard deviations


# Pieces


def test_a_low_temperature_plays_the_likeliest_action(piano: Piano) -> None:
    pieces = sample_pieces(constant_network(piano, 0, 1), piano, 2, bars=2, seed=0, genre=None, temperature=1e-3)
    for piece in pieces:
        assert piece.actions is not None
        assert piece.actions.tolist() == [[0, 1]] * 16  # rests of an eighth note
        assert len(piece.score) == 0
        assert piece.score.length_ticks == 192


def test_a_sounding_key_is_masked(piano: Piano) -> None:
    network = constant_network(piano, 3, 2, logit=10.0)
    with torch.no_grad():
        network.actor.bias[0] = 5.0
    (piece,) = sample_pieces(
        network, piano, 1, bars=1, seed=0, genre="folk", temperature=1e-3, beats_per_bar=3, tempo_bpm=70
    )
    assert piece.score.notes.tolist() == [(24 * i, 24, 60, 80) for i in range(3)]
    assert (piece.score.beats_per_bar, piece.score.tempo_bpm, piece.genre, piece.start_tick) == (3, 70, "folk", 0)


def test_one_seed_gives_one_set_of_pieces(piano: Piano) -> None:
    network = build_network(piano)
    scores = {
        seed: [
            [piece.score for piece in sample_pieces(network, piano, 3, bars=1, seed=seed, genre=None)] for _ in range(2)
        ]
        for seed in (0, 1)
    }
    assert scores[0][0] == scores[0][1]
    assert scores[0][0] != scores[1][0]
    assert len(set(scores[0][0])) == 3


def test_pieces_are_legal_and_complete(piano: Piano) -> None:
    progress: list[float] = []
    pieces = sample_pieces(build_network(piano), piano, 5, bars=3, seed=0, genre="jazz", on_progress=progress.append)
    for piece in pieces:
        assert piece.actions is not None
        assert play(piece.actions, piano).slice(0, 288).notes.tolist() == piece.score.notes.tolist()
        assert piece.score.length_ticks == 288
    assert progress == sorted(progress)
    assert progress[-1] == 1


def test_max_steps_ends_a_piece_in_silence(piano: Piano, primer: Score) -> None:
    (piece,) = sample_pieces(build_network(piano), piano, 1, bars=4, seed=0, genre=None, primer=primer, max_steps=3)
    assert piece.actions is not None
    assert len(piece.actions) == 3
    assert piece.score.bars == 2 + 4


class StepRecorder:
    """Records the observations and logits of a network's steps."""

    def __init__(self, network: SequenceNetwork, patch: pytest.MonkeyPatch) -> None:
        self.steps: list[dict[str, np.ndarray]] = []
        self.logits: list[np.ndarray] = []
        step = network.step

        def recorded(observations, episode_starts, cache):
            self.steps.append({key: observations[key].numpy().copy() for key in OBSERVATION_KEYS})
            logits, values, cache = step(observations, episode_starts, cache)
            self.logits.append(logits.numpy().copy())
            return logits, values, cache

        patch.setattr(network, "step", recorded)


@pytest.mark.parametrize("backbone", ["transformer", "lstm", "wavenet"])
@pytest.mark.parametrize("genre", [None, "rock"])
@pytest.mark.parametrize("has_primer", [False, True])
def test_observations_are_those_of_the_recorded_piece(
    piano: Piano, primer: Score, backbone: str, genre: str | None, has_primer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build_network(piano, backbone)
    recorder = StepRecorder(network, monkeypatch)
    (piece,) = sample_pieces(network, piano, 1, bars=2, seed=0, genre=genre, primer=primer if has_primer else None)
    context = encode(replace(primer, length_ticks=144), piano)[0] if has_primer else np.empty((0, 2), np.int64)
    actions = np.concatenate([context, piece.actions])
    trajectories = record_trajectories([Piece(piece.score, genre, actions=actions)], piano)
    for key in OBSERVATION_KEYS:
        observed = np.concatenate([step[key] for step in recorder.steps])
        assert observed.tolist() == trajectories.observations[key][0, len(context) :].tolist()
    episode_starts = torch.zeros(trajectories.actions.shape[:2], dtype=torch.bool)
    episode_starts[:, 0] = True
    observations = {key: torch.as_tensor(trajectories.observations[key]).long() for key in OBSERVATION_KEYS}
    with torch.no_grad():
        logits, _ = network(observations, episode_starts)
    expected = logits[0, len(context) :].numpy()
    rounding = float32_rounding(8 * 16, np.abs(expected).max())  # sums over the width, in matrices of two layers
    np.testing.assert_allclose(np.concatenate(recorder.logits), expected, rtol=0, atol=rounding)


def test_finished_pieces_do_not_change_the_others(piano: Piano, primer: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_network(piano)
    recorder = StepRecorder(network, monkeypatch)
    pieces = sample_pieces(network, piano, 4, bars=2, seed=3, genre="folk", primer=primer)
    assert len({len(piece.actions) for piece in pieces if piece.actions is not None}) > 1
    context = encode(replace(primer, length_ticks=144), piano)[0]
    full = [Piece(p.score, "folk", actions=np.concatenate([context, p.actions])) for p in pieces]
    trajectories = record_trajectories(full, piano)
    for t, step in enumerate(recorder.steps):
        rows = [i for i in range(4) if trajectories.lengths[i] > len(context) + t]
        for key in OBSERVATION_KEYS:
            assert step[key].tolist() == trajectories.observations[key][rows, len(context) + t].tolist()


def test_the_context_is_the_last_bars_of_a_long_primer(piano: Piano, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = CONTEXT_BARS + 6
    primer = Score([(96 * bar, 24, 58 + bar % 8, 80) for bar in range(bars)])
    network = build_network(piano)
    recorder = StepRecorder(network, monkeypatch)
    (piece,) = sample_pieces(network, piano, 1, bars=2, seed=0, genre=None, primer=primer)
    assert piece.score.slice(0, bars * 96).notes.tolist() == primer.notes.tolist()
    assert piece.score.bars == bars + 2
    assert recorder.steps[0]["place"].tolist() == [[0, 96, CONTEXT_BARS, 2]]


# Errors


@pytest.mark.parametrize(
    ("changes", "message"),
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
def test_arguments_out_of_range_are_errors(piano: Piano, changes: dict, message: str) -> None:
    arguments = {"count": 1, "bars": 1, "seed": 0, "genre": None, **changes}
    with pytest.raises(ValueError, match=message):
        sample_pieces(build_network(piano), piano, **arguments)
