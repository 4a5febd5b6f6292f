"""Songs for a text: by random legal play, and by a prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from toccata.agents.generation.rollouts import play_pieces
from toccata.agents.generation.sampling import sample_pieces
from toccata.agents.prior.prior import Prior
from toccata.agents.studies.songs.config import StudySongsConfig
from toccata.agents.vec_env import PianoVecEnv
from toccata.envs.dynamics import random_legal_actions
from toccata.envs.pieces import Piece
from toccata.music.lyrics import Lyrics

Compose = Callable[[Lyrics, int, int], list[Piece]]  # of the words, the number of songs and a seed


def random_composer(config: StudySongsConfig) -> Compose:
    """Uniformly random legal play under the mask of the words."""

    def compose(lyrics: Lyrics, count: int, seed: int) -> list[Piece]:
        env = PianoVecEnv(
            count,
            lyrics=lyrics,
            voice=config.voice,
            observation="actions",
            beats_per_bar=config.beats_per_bar,
            tempo_bpm=config.tempo_bpm,
        )
        rng, whats = np.random.default_rng(seed), env.core.piano.nvec[0]

        def act(_: Any, masks: np.ndarray, *__: Any) -> tuple[np.ndarray, None]:
            return random_legal_actions(masks, whats, rng), None

        return play_pieces(act, env, seed)[0]

    return compose


def prior_composer(config: StudySongsConfig, prior: Prior) -> Compose:
    """A prior, which does not see the words: they act through the masks."""

    def compose(lyrics: Lyrics, count: int, seed: int) -> list[Piece]:
        return sample_pieces(
            prior.network,
            prior.piano,
            count,
            bars=None,
            seed=seed,
            genre=config.genre,
            lyrics=lyrics,
            voice=config.voice,
            beats_per_bar=config.beats_per_bar,
            tempo_bpm=config.tempo_bpm,
            temperature=config.temperature,
            top_p=config.top_p,
        )

    return compose
