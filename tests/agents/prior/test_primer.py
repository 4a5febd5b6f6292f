from __future__ import annotations

import pytest
import torch

from toccata.agents.generation.sampling import sample_pieces
from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork
from toccata.agents.prior.primer import CONTEXT_BARS, PreparedPrimer
from toccata.envs.codec import encode, play
from toccata.envs.instrument import Piano
from toccata.music.score import Score


def build_network(piano: Piano) -> SequenceNetwork:
    torch.manual_seed(0)
    network = SequenceNetwork(piano, NetworkConfig(width=16, layers=2, heads=2)).eval()
    with torch.no_grad():
        network.actor.weight.mul_(50.0)  # so that the logits depend on the observations
    return network


@pytest.fixture
def piano() -> Piano:
    return Piano(lowest=58, highest=65, values=(6, 12, 24))


@pytest.fixture
def primer() -> Score:
    """A bar of 3/4 and one note of the next."""
    return Score([(0, 24, 60, 90), (24, 24, 62, 80), (48, 24, 64, 70), (72, 12, 60, 50)], beats_per_bar=3, tempo_bpm=90)


def test_pieces_begin_with_the_primer_unchanged(piano: Piano, primer: Score) -> None:
    pieces = sample_pieces(build_network(piano), piano, 3, bars=2, seed=0, genre=None, primer=primer)
    for piece in pieces:
        assert piece.start_tick == 2 * 72  # to the bar line
        assert piece.score.slice(0, 144).notes.tolist() == primer.notes.tolist()
        assert (piece.score.beats_per_bar, piece.score.tempo_bpm) == (3, 90)
        assert piece.score.length_ticks == 4 * 72
    assert len({piece.score for piece in pieces}) == 3


def test_the_context_begins_in_the_bar_of_the_first_note(piano: Piano) -> None:
    primer = Score([(96 * 3 + 24, 24, 60, 80)], length_ticks=5 * 96)
    prepared = PreparedPrimer.from_score(primer, piano, 4, 120)
    assert prepared.score == primer
    assert prepared.context == Score([(24, 24, 60, 80)], length_ticks=2 * 96)
    assert play(prepared.actions, piano).slice(0, 192) == prepared.context


def test_a_primer_that_ends_in_long_silence_has_no_context(piano: Piano) -> None:
    primer = Score([(0, 24, 60, 80)], length_ticks=(CONTEXT_BARS + 2) * 96)
    (piece,) = sample_pieces(build_network(piano), piano, 1, bars=1, seed=0, genre=None, primer=primer)
    assert piece.score.bars == CONTEXT_BARS + 3
    assert piece.start_tick == primer.length_ticks


def test_a_primer_is_reduced_to_the_piano(piano: Piano) -> None:
    primer = Score([(0, 480, 20, 80), (0, 500, 60, 33), (7, 480, 64, 80)], ticks_per_beat=480)
    (piece,) = sample_pieces(build_network(piano), piano, 1, bars=1, seed=0, genre=None, primer=primer)
    assert piece.score.slice(0, 96).notes.tolist() == encode(primer, piano)[1].score.notes.tolist()
    assert piece.score.notes["pitch"][0] == 60
