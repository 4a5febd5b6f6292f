"""The network of the sequence policies: exact distributions, equal heads however it is run, and all it can be shown."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from toccata.agents.policies import sequence_network
from toccata.agents.policies.distribution import JointDistribution
from toccata.agents.policies.sequence_network import (
    MAX_BARS,
    MAX_BEATS,
    NO_GENRE,
    NetworkConfig,
    SequenceNetwork,
    tensors_of,
    with_genres,
)
from toccata.agents.prior.trajectories import Trajectories, record_trajectories
from toccata.envs.env import PianoEnv
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.score import Score
from toccata.settings.genres import GENRES

SMALL = Piano(lowest=48, highest=72, chords=("maj", "min"), values=(6, 12, 24))
WHATS, VALUES = SMALL.nvec
CPU = torch.device("cpu")
# Sums over a width of 16 in the matrices of a layer and the heads; logits are below 10
NEAR = {"rtol": 0.0, "atol": float32_rounding(4 * 16, 10.0)}


def network_of(backbone: str, piano: Piano = SMALL) -> SequenceNetwork:
    torch.manual_seed(0)
    network = SequenceNetwork(piano, NetworkConfig(backbone, width=16, layers=1, heads=2))
    torch.nn.init.normal_(network.actor.weight, std=0.5)  # far from uniform, so that a mistake shows
    return network.eval().requires_grad_(False)


@pytest.fixture(params=["transformer", "lstm", "wavenet"])
def network(request: pytest.FixtureRequest) -> SequenceNetwork:
    return network_of(request.param)


@pytest.fixture(scope="module")
def music() -> Trajectories:
    """A tune over chords, a piece in three, and one without a genre."""
    chord = [(0, 24, pitch, 80) for pitch in (48, 52, 55)]
    tune = [(12 * i, 12, 60 + step, 80) for i, step in enumerate((0, 4, 7, 12, 11, 7, 5, 2))]
    waltz = [(24 * i, 24, 62 + step, 80) for i, step in enumerate((0, 3, 7))]
    pieces = [
        Piece(Score(sorted(chord + tune), length_ticks=96), "classical"),
        Piece(Score(waltz, beats_per_bar=3, length_ticks=72), "folk"),
        Piece(Score(tune[:4], length_ticks=96)),
    ]
    return record_trajectories(pieces, SMALL)


def episode_starts_of(music: Trajectories) -> torch.Tensor:
    begins = torch.zeros(music.actions.shape[:2], dtype=torch.bool)
    begins[:, 0] = True
    return begins


def test_the_actions_are_a_distribution_by_enumeration(network: SequenceNetwork, music: Trajectories) -> None:
    """Over what is legal; what is not legal has probability exactly 0."""
    logits, _ = network(tensors_of(music.observations, CPU, time=True), episode_starts_of(music))
    actions = torch.tensor(list(product(range(WHATS), range(VALUES))))
    masks = music.unpacked_masks(slice(None))
    for row, time in product(range(len(music)), (0, 1, 4)):
        distribution = JointDistribution(SMALL).proba_distribution(logits[row, time].expand(len(actions), -1))
        mask = masks[row, time]
        distribution.apply_masking(np.repeat(mask[None], len(actions), axis=0))
        found = distribution.log_prob(actions).exp().numpy()
        legal = mask[actions[:, 0]] & mask[WHATS + actions[:, 1]]
        assert found.sum() == pytest.approx(1, abs=float32_rounding(len(actions)))
        assert (found[~legal] == 0).all()
        assert found[legal].max() > 2 / legal.sum()


def test_a_piece_is_its_steps(network: SequenceNetwork, music: Trajectories) -> None:
    begins, cache = episode_starts_of(music), network.empty_cache(len(music))
    logits, values = network(tensors_of(music.observations, CPU, time=True), begins)
    assert logits.shape == (*begins.shape, WHATS + JointDistribution(SMALL).kinds * VALUES)
    for time in range(begins.shape[1]):
        shown = {key: value[:, time] for key, value in music.observations.items()}
        stepped, value, cache = network.step(tensors_of(shown, CPU), begins[:, time], cache)
        torch.testing.assert_close(stepped, logits[:, time], **NEAR)
        torch.testing.assert_close(value, values[:, time], **NEAR)


@pytest.mark.parametrize("count", [0, 3])
def test_what_is_remembered_of_a_primer(network: SequenceNetwork, music: Trajectories, count: int) -> None:
    observations, begins = tensors_of(music.observations, CPU, time=True), episode_starts_of(music)
    logits, _ = network(observations, begins)
    lengths = torch.full((len(music),), count)
    cache = network.prefill({key: value[:, :count] for key, value in observations.items()}, lengths)
    rest = {key: value[:, count:] for key, value in observations.items()}
    found, _ = network(rest, begins[:, count:], cache)
    torch.testing.assert_close(found, logits[:, count:], **NEAR)


def test_many_rows_are_remembered_in_parts(
    network: SequenceNetwork, music: Trajectories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where all rows of a part have not begun."""
    observations = tensors_of(music.observations, CPU, time=True)
    lengths = torch.tensor([0, 3, 2])
    whole = network.prefill(observations, lengths)
    monkeypatch.setattr(sequence_network, "PREFILL_STEPS", 1)
    parts = network.prefill(observations, lengths)
    assert torch.equal(parts.lengths, lengths)
    torch.testing.assert_close(parts.state, whole.state, rtol=0, atol=float32_rounding(4 * 16))


def test_the_last_action_of_another_episode_is_not_heard(network: SequenceNetwork, music: Trajectories) -> None:
    observations = tensors_of(music.observations, CPU, time=True)
    plain, _ = network(observations, episode_starts_of(music))
    observations["last"] = observations["last"].clone()
    observations["last"][:, 0] = torch.tensor([7, 1])
    torch.testing.assert_close(network(observations, episode_starts_of(music))[0], plain, rtol=0, atol=0)


def test_no_genre_is_a_genre_of_its_own(network: SequenceNetwork, music: Trajectories) -> None:
    assert music.observations["genre"][2, 0] == NO_GENRE
    observations = tensors_of(music.observations, CPU, time=True)
    plain, _ = network(observations, episode_starts_of(music))
    observations["genre"] = torch.full_like(observations["genre"], NO_GENRE)
    found, _ = network(observations, episode_starts_of(music))
    changed = (found - plain).abs().amax(dim=(1, 2))
    assert (changed[:2] > 1e-3).all()
    assert changed[2] == 0


def test_intervals_and_chords_are_heard_from_the_highest_key(network: SequenceNetwork) -> None:
    """Two semitones up, all logits move two semitones up with it, but for what is known of keys and pitch classes."""
    up = 2
    network.actor.weight[1 : 1 + 12 + SMALL.keys] = 0
    x = torch.randn(1, 16, generator=torch.Generator().manual_seed(1))
    low, _ = network.heads(x, torch.tensor([5]))
    high, _ = network.heads(x, torch.tensor([5 + up]))
    keys = SMALL.keys
    assert low[0, 0] == high[0, 0]
    torch.testing.assert_close(high[0, 1 + up : 1 + keys], low[0, 1 : 1 + keys - up], rtol=0, atol=0)
    torch.testing.assert_close(high[0, WHATS:], low[0, WHATS:], rtol=0, atol=0)
    for what in range(1 + keys, WHATS):
        moved = SMALL.chord_index.get(tuple(pitch + up for pitch in SMALL.pitches_of(what)))
        if moved is not None:
            assert high[0, moved] == low[0, what]
    first, _ = network.heads(x, torch.tensor([0]))
    middle, _ = network.heads(x, torch.tensor([keys // 2 + 1]))
    torch.testing.assert_close(first, middle, rtol=0, atol=0)


def test_long_bars_and_long_pieces_can_be_shown(network: SequenceNetwork) -> None:
    place = torch.tensor([[24 * (MAX_BEATS + 9), 24 * (MAX_BEATS + 20), MAX_BARS + 50, MAX_BARS + 50]])
    shown = {
        "place": place,
        "top": torch.tensor([SMALL.keys]),
        "last": torch.tensor([[WHATS - 1, VALUES - 1]]),
        "genre": torch.tensor([NO_GENRE]),
    }
    logits, value, _ = network.step(shown, torch.tensor([False]), network.empty_cache(1))
    assert torch.isfinite(logits).all()
    assert torch.isfinite(value).all()


@pytest.mark.parametrize("backbone", ["transformer", "lstm", "wavenet"])
@pytest.mark.parametrize("chords", [(), ("maj",)])
def test_the_environment_can_be_shown_as_it_is(backbone: str, chords: tuple[str, ...]) -> None:
    piano = Piano(lowest=40, highest=70, chords=chords, values=(6, 24))
    env = PianoEnv(bars=1, observation="actions", piano=piano)
    observation, _ = env.reset(seed=0)
    network = network_of(backbone, piano)
    shown = tensors_of({key: np.asarray(value)[None] for key, value in observation.items()}, CPU)
    logits, value, _ = network.step(shown, torch.tensor([True]), network.empty_cache(1))
    assert logits.shape == (1, piano.nvec[0] + JointDistribution(piano).kinds * 2)
    assert value.shape == (1,)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"backbone": "rnn"}, "backbone must be one of transformer, lstm, wavenet, got 'rnn'"),
        ({"width": 0}, r"width must be a whole number in 1\.\.4096, got 0"),
        ({"layers": -1}, r"layers must be a whole number in 1\.\.64, got -1"),
    ],
)
def test_shapes_that_cannot_be(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("backbone", ["transformer", "lstm", "wavenet"])
def test_genres_are_added_at_the_mean_of_the_known(backbone: str, music: Trajectories) -> None:
    network = network_of(backbone)
    genres = (*GENRES, "ragtime", "tango")
    more = with_genres(network, genres)
    assert with_genres(network, GENRES) is network
    assert more.config == replace(network.config, genres=genres)
    rows, before = more.genre.weight, network.genre.weight
    assert rows.shape == (9, 16)
    assert torch.equal(rows[:6], before[:6])
    assert all(torch.equal(row, before[:6].mean(dim=0)) for row in rows[6:8]), "the mean without unconditional music"
    assert torch.equal(rows[NO_GENRE], before[NO_GENRE])
    assert more.state_dict().keys() == network.state_dict().keys()
    observations = tensors_of(music.observations, CPU, time=True)
    starts = torch.zeros(observations["genre"].shape, dtype=torch.bool)
    for ours, theirs in zip(more(observations, starts), network(observations, starts), strict=True):
        assert torch.equal(ours, theirs), "known genres and unconditional music sound as before"
    new = {**observations, "genre": torch.full_like(observations["genre"], 6)}
    assert not torch.equal(more(new, starts)[0], more(observations, starts)[0])
    with pytest.raises(IndexError):
        more({**new, "genre": new["genre"] + 3}, starts)

    again = with_genres(more, ("tango", *GENRES))
    assert torch.equal(again.genre.weight, torch.stack([rows[7], *rows[:6], rows[8]]))
    assert again.genre.weight.requires_grad == network.genre.weight.requires_grad


@pytest.mark.parametrize(
    ("genres", "message"), [((), "1 to 100 genres"), (("a", "a"), "named once"), (("/",), "the name of a genre")]
)
def test_genres_of_a_configuration_are_checked(genres: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NetworkConfig(genres=genres)
    assert NetworkConfig(genres=["a", "b"]).genres == ("a", "b")  # type: ignore[arg-type]  # as JSON has it
