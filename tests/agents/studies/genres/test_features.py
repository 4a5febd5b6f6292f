"""What a classifier of genres is told of a piece."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toccata.agents.studies.genres.features import CONTROLS, excerpts_of_works, genre_features, on_sixteenths, under
from toccata.envs.pieces import Piece
from toccata.music.corpus import load_corpus
from toccata.music.score import Score
from toccata.reward_models.judges.features import FEATURE_COUNT
from toccata.reward_models.judges.typicality import Typicality


def test_swing_and_short_notes_are_rounded():
    swung = Score([(0, 16, 60, 80), (16, 8, 62, 80), (40, 4, 64, 80), (95, 1, 65, 80)], length_ticks=96)
    straight = on_sixteenths(swung)
    assert straight.notes["onset_tick"].tolist() == [0, 18, 42]
    assert straight.notes["duration_ticks"].tolist() == [18, 6, 6]
    assert straight.length_ticks == 96
    assert on_sixteenths(straight) == straight


def test_controls_leave_pieces_that_can_be_measured(two_genres: Path):
    works = load_corpus(two_genres).works[:2]
    pieces, owner = excerpts_of_works(works, 2, 2, 4, np.random.default_rng(0))
    assert owner.tolist() == [0, 0, 1, 1]
    judge = Typicality.load()
    for control in CONTROLS:
        features = genre_features(under(control, pieces), judge)
        assert np.isfinite(features).all()
        assert features.shape[0] == 4
        assert features.shape[1] > FEATURE_COUNT
    assert all(len(piece.score) == 2 for piece in under("melody alone", pieces))


def test_features_know_neither_key_nor_tempo_nor_velocity():
    judge = Typicality.load()
    score = Score([(24 * i, 24, 60 + (0, 4, 7, 2, 5, 9, 11, 12)[i % 8], 80) for i in range(16)])
    louder = Score([(*note[:3], 100) for note in score.notes.tolist()], tempo_bpm=60)
    silence = Score(length_ticks=384)
    ours, key, other, nothing = (
        genre_features([Piece(each)], judge) for each in (score, score.transpose(3), louder, silence)
    )
    np.testing.assert_allclose(ours[:, :FEATURE_COUNT], key[:, :FEATURE_COUNT])
    np.testing.assert_allclose(ours, other)
    assert np.isfinite(nothing).all()
