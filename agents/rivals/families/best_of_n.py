"""Best-of-n: drafts of the transformer prior, of which the rewards of training choose."""

from __future__ import annotations

from dataclasses import dataclass

from toccata.agents.rivals.composer import OnProgress, RivalError, checked_genre
from toccata.agents.rivals.families.playing import in_batches
from toccata.agents.rivals.families.priors import PriorComposer, load_transformer
from toccata.agents.rivals.registry import Request
from toccata.agents.runs.config import DEFAULT_REWARDS
from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import RewardModel
from toccata.music.score import Score
from toccata.reward_models import parse_rewards


@dataclass(frozen=True)
class BestOfN:
    """The best of n drafts by a frozen reward.

    The KL divergence of its distribution from the prior is at most log n - (n - 1) / n nats a piece (Beirami et al.
    2024, "Theoretical guarantees on the best-of-n alignment policy"). It gives no likelihood: the probability of a
    piece depends on how many pieces of the prior have a lower reward, which only sampling can estimate.

    Args:
        drafts: n, and how they are sampled.
        reward: is frozen: nothing here fits it.
        composer: samples the drafts.
    """

    drafts: int
    reward: RewardModel
    composer: PriorComposer
    name: str = "best-of-n"

    @property
    def genres(self) -> tuple[str, ...]:
        """The genres that the prior is conditioned on."""
        return self.composer.genres

    def compose(
        self, n: int, seed: int = 0, genre: str | None = None, on_progress: OnProgress = lambda done: None
    ) -> list[Score]:
        """As `Composer.compose`."""
        checked_genre(self.name, genre, self.genres)
        best: list[tuple[float, Score]] = []
        drafted = 0

        def sample(count: int, seed: int, on_batch: OnProgress) -> list[Piece]:
            return self.composer.sample(count, seed, genre, on_batch)

        def choose(pieces: list[Piece]) -> None:
            nonlocal drafted
            for piece, reward in zip(pieces, self.reward.score(Pieces(pieces)).tolist(), strict=True):
                if drafted % self.drafts == 0:
                    best.append((reward, piece.score))
                elif reward > best[-1][0]:
                    best[-1] = reward, piece.score
                drafted += 1

        in_batches(self.name, sample, n * self.drafts, seed, on_progress, choose)
        return [score for _, score in best]


def load(request: Request) -> BestOfN:
    """Best-of-n of the transformer prior by the default rewards of training.

    Raises:
        RivalError: for a number of drafts below 1.
    """
    if request.drafts < 1:
        raise RivalError(f"drafts must be at least 1, got {request.drafts}")
    return BestOfN(request.drafts, parse_rewards(DEFAULT_REWARDS, request.device), load_transformer(request))
