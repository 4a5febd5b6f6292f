from __future__ import annotations

import numpy as np
import pytest
import torch

from toccata.agents.generation.rollouts import play_pieces
from toccata.agents.generation.sampling import sample_pieces
from toccata.agents.generation.songs import RANKING, best_songs
from toccata.agents.policies.sequence_network import NetworkConfig, SequenceNetwork
from toccata.agents.prior.trajectories import record_trajectories
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.dynamics import random_legal_actions
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece, Pieces
from toccata.music.lyrics import Lyrics, LyricsError, underlay
from toccata.music.score import Score
from toccata.reward_models import parse_rewards

PIANO = Piano(lowest=48, highest=72, values=(6, 12, 24))
WORDS = Lyrics.parse("Tyger Tyger,\nburning bright")


class Highest:
    """The highest sung pitch."""

    name = "highest"
    asked = 0

    def score(self, pieces: Pieces) -> np.ndarray:
        self.asked += len(pieces)
        return np.array([piece.underlay.pitches.max() for piece in pieces], np.float32)


@pytest.fixture(scope="module")
def network() -> SequenceNetwork:
    torch.manual_seed(0)
    return SequenceNetwork(PIANO, NetworkConfig(width=16, layers=1, heads=2)).eval()


def test_sampled_pieces_carry_the_words(network: SequenceNetwork) -> None:
    pieces = sample_pieces(network, PIANO, 3, bars=None, seed=0, genre=None, lyrics=WORDS, voice="tenor")
    for piece in pieces:
        assert piece.score.bars == 2
        assert piece.underlay == underlay(piece.score, WORDS, "tenor")
        assert len(piece.underlay) == 7
    again = sample_pieces(network, PIANO, 3, bars=None, seed=0, genre=None, lyrics=WORDS, voice="tenor")
    assert again == pieces


def test_lyrics_and_what_they_exclude(network: SequenceNetwork) -> None:
    primer = Score([(0, 24, 60, 80)])
    for arguments, error, message in (
        ({"bars": None}, ValueError, "bars must be given where there are no lyrics"),
        ({"bars": None, "lyrics": WORDS, "primer": primer}, ValueError, "a piece has a primer or lyrics, not both"),
        ({"bars": 1, "lyrics": WORDS}, LyricsError, "bars must be at least 2"),
        ({"bars": None, "lyrics": WORDS, "voice": "x"}, LyricsError, "unknown voice 'x'"),
    ):
        with pytest.raises(error, match=message):
            sample_pieces(network, PIANO, 1, seed=0, genre=None, **arguments)


def test_the_best_of_the_drafts(network: SequenceNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {"seed": 0, "bars": None, "genre": None}
    all_drafts = best_songs(network, PIANO, WORDS, 6, drafts=1, rewards=Highest(), **arguments)
    done: list[float] = []
    best = best_songs(network, PIANO, WORDS, 2, drafts=3, rewards=Highest(), on_progress=done.append, **arguments)
    highest = Highest().score(Pieces(all_drafts)).reshape(2, 3)
    assert best == [all_drafts[3 * k + int(highest[k].argmax())] for k in range(2)]
    assert done == sorted(done)
    assert done[-1] == 1
    monkeypatch.setattr("toccata.agents.generation.songs.AT_ONCE", 4)  # drafts of one song in two batches
    in_batches = best_songs(network, PIANO, WORDS, 2, drafts=3, rewards=Highest(), **arguments)
    assert len(in_batches) == 2


def test_a_single_draft_is_not_scored(network: SequenceNetwork) -> None:
    rewards = Highest()
    best_songs(network, PIANO, WORDS, 2, drafts=1, rewards=rewards, seed=0, bars=None, genre=None)
    assert rewards.asked == 0


def test_the_rewards_that_choose_by_default_can_be_loaded() -> None:
    assert parse_rewards(RANKING).weights["lyrics"] > 0


def test_the_masks_of_recorded_songs_are_those_that_were_played(network: SequenceNetwork) -> None:
    """Agents learn from recorded pieces: what was not legal has no probability there either."""
    env = PianoVecEnv(3, lyrics=WORDS, observation="actions", piano=PIANO, voice="alto", beats_per_bar=3)
    masks: list[list[np.ndarray]] = [[], [], []]
    rng = np.random.default_rng(0)

    def act(_: object, legal: np.ndarray, *__: object) -> tuple[np.ndarray, None]:
        for i in range(3):
            masks[i].append(legal[i])
        return random_legal_actions(legal, PIANO.nvec[0], rng), None

    songs = play_pieces(act, env, 0)[0]
    other = Piece(songs[0].score, actions=songs[0].actions)
    recorded = record_trajectories([other, *songs], PIANO)
    for i, piece in enumerate(songs):
        steps = len(piece.actions)
        of_piece = recorded.unpacked_masks([i + 1])[0, :steps]
        played = np.array(masks[i][:steps])
        rest = piece.actions[:, 0] == 0
        np.testing.assert_array_equal(of_piece[~rest], played[~rest])
        whats = PIANO.nvec[0]
        extra = of_piece[rest] & ~played[rest]
        extra[np.arange(rest.sum()), whats + piece.actions[rest, 1]] = False  # a rest that was shortened
        assert not extra.any()
        assert not (played[rest] & ~of_piece[rest]).any()
    assert recorded.unpacked_masks([0]).sum() > recorded.unpacked_masks([1]).sum()
