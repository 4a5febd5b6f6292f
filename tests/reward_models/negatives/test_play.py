import numpy as np

from toccata.music.score import Score
from toccata.reward_models.negatives.play import markov_pieces, random_notes, random_pieces

DOTTED = [(48 * (i // 2) + 36 * (i % 2), 12 if i % 2 else 36) for i in range(32)]  # onset, duration
SCALE = Score([(*timing, 60 + i, 80) for i, timing in enumerate(DOTTED)])
CHORDS = Score([(*timing, 40 + i // 2 + step, 80) for i, timing in enumerate(DOTTED) for step in (0, 12, 16, 19)])


def test_random_and_markov_pieces_are_complete_and_in_three_metres() -> None:
    rng = np.random.default_rng(0)
    for pieces in (random_pieces(6, 2, rng), markov_pieces(6, 2, [SCALE, CHORDS], rng)):
        assert [(piece.beats_per_bar, piece.bars) for piece in pieces] == [(b, 2) for b in (2, 2, 3, 3, 4, 4)]
    pitches = {pitch for piece in markov_pieces(9, 4, [SCALE], rng) for pitch in piece.notes["pitch"].tolist()}
    assert pitches <= set(range(60, 92))  # no random action while a transition is legal


def test_random_notes_are_of_every_density_and_on_the_keyboard() -> None:
    pieces = random_notes(60, 2, np.random.default_rng(0))
    assert len(pieces) == 60 and {piece.length_ticks for piece in pieces} == {192}
    for piece in pieces:
        assert piece.notes["pitch"].min() >= 21 and piece.notes["pitch"].max() <= 108
        assert piece.offset_ticks.max() <= 192
    counts = [len(piece) for piece in pieces]
    assert min(counts) < 30 and max(counts) > 1000
    assert random_notes(60, 2, np.random.default_rng(0)) == pieces
