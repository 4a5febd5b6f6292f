from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.agents.policies.sequence_network import NO_GENRE
from toccata.agents.prior.dataset import WHOLE_PASSAGES, PassageDataset
from toccata.agents.prior.trajectories import trajectories_of
from toccata.envs.codec import encode, play
from toccata.envs.core import GENRES, PianoCore
from toccata.envs.instrument import Piano
from toccata.envs.pieces import Piece
from toccata.music.corpus import Corpus, Work
from toccata.music.score import Score

BEATS = {"a4": 4.0, "b3": 3.0, "c7": 3.5, "d9": 4.5}  # beats in a bar, by work


def tune(bars: int, beats_per_bar: float = 4, seed: int = 0, rests: tuple[int, ...] = (), low: int = 60) -> Score:
    """Eighths over held basses; nothing begins on the bar lines `rests`."""
    rng = np.random.default_rng(seed)
    bar = round(24 * beats_per_bar)
    notes = []
    for onset in range(0, bars * bar, 12):
        if onset % bar == 0 and onset // bar in rests:
            continue
        notes.append((onset, 12, low + int(rng.choice([0, 2, 4, 5, 7, 9, 11, 12])), 80))
        if onset % bar == 0:
            notes += [(onset, 36, low - 12, 80), (onset, 24, low - 8, 80), (onset, 24, low - 5, 80)]
    return Score(notes, beats_per_bar=beats_per_bar, tempo_bpm=90, length_ticks=bars * bar)


def corpus(*works: tuple[str, str, Score]) -> Corpus:
    return Corpus("toy", tuple(Work(name, genre, score) for name, genre, score in works))


@pytest.fixture(scope="module")
def passages() -> PassageDataset:
    genres = ("classical", "folk", "jazz", "folk")
    works = [
        (name, genre, tune(20, beats, seed=i))
        for i, ((name, beats), genre) in enumerate(zip(BEATS.items(), genres, strict=True))
    ]
    return PassageDataset(corpus(*works))


@pytest.fixture(scope="module")
def drawn(passages: PassageDataset) -> list[Piece]:
    return passages.sample(300, np.random.default_rng(0))


def actions_of(piece: Piece) -> np.ndarray:
    assert piece.actions is not None
    return piece.actions


# Drawing passages


def test_passages_are_bars_of_their_works(passages: PassageDataset) -> None:
    """In their own metre and tempo, from a bar line on which something begins."""
    for piece in passages.sample(20, np.random.default_rng(1), transpose=False):
        (work,) = (work for work in passages.works if work.score.beats_per_bar == piece.score.beats_per_bar)
        bar = work.score.ticks_per_bar
        slices = [work.score.slice(i * bar, i * bar + piece.score.length_ticks) for i in range(work.score.bars)]
        assert piece.score in [encode(one)[1].score for one in slices]
        assert piece.genre == work.genre
        assert piece.score.tempo_bpm == 90
        assert piece.score.notes["onset_tick"][0] == 0


def test_actions_play_the_score(drawn: list[Piece]) -> None:
    for piece in drawn[:60]:
        again = play(actions_of(piece), beats_per_bar=piece.score.beats_per_bar)
        assert (again.notes[["onset_tick", "duration_ticks", "pitch"]].tolist()) == (
            piece.score.notes[["onset_tick", "duration_ticks", "pitch"]].tolist()
        )
        assert again.length_ticks == piece.score.length_ticks


def test_half_have_the_usual_length_and_the_others_every_length(drawn: list[Piece]) -> None:
    lengths = Counter(piece.score.bars for piece in drawn)
    assert 0.4 < lengths[8] / len(drawn) < 0.65
    assert min(lengths) >= 1
    assert set(lengths) >= {4, 5, 6, 10, 12, 16, 20}


def test_many_open_or_end_their_works() -> None:
    """Each bar of this work has its own pitch, so that a passage tells its place."""
    work = Score([(96 * i, 96, 40 + i, 80) for i in range(40)])
    pieces = PassageDataset(corpus(("a", "folk", work))).sample(400, np.random.default_rng(0), transpose=False)
    first = np.array([piece.score.notes["pitch"][0] - 40 for piece in pieces])
    last = np.array([piece.score.notes["pitch"][-1] - 40 for piece in pieces])
    assert 0.2 < (first == 0).mean() < 0.45
    assert 0.2 < (last == 39).mean() < 0.45
    assert set(first.tolist()) >= set(range(1, 20)), "and the others begin anywhere"


def test_every_key_is_drawn_and_none_leaves_the_keyboard() -> None:
    low = corpus(("a", "folk", tune(8, low=23 + 12)), ("b", "jazz", tune(8, low=92)))  # lowest key 23, highest 104
    pieces = PassageDataset(low).sample(400, np.random.default_rng(0))
    shifts: dict[str | None, set[int]] = {"folk": set(), "jazz": set()}
    for piece in pieces:
        bass = int(piece.score.notes["pitch"].min())
        shifts[piece.genre].add(bass - (23 if piece.genre == "folk" else 80))
        assert piece.score.notes["pitch"].min() >= 21
        assert piece.score.notes["pitch"].max() <= 108
    assert shifts["folk"] == set(range(-2, 7))
    assert shifts["jazz"] == set(range(-6, 5))


def test_no_passage_begins_with_silence() -> None:
    work = tune(20, rests=(0, 3, 4, 9, 17))
    pieces = PassageDataset(corpus(("a", "folk", work)), bars=2).sample(200, np.random.default_rng(0))
    assert all(piece.score.notes["onset_tick"][0] == 0 for piece in pieces)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(20, 200), st.integers(0, 5))
def test_passages_have_at_most_max_steps_unless_they_are_one_bar(
    bars: int, usual: int, max_steps: int, seed: int
) -> None:
    passages = PassageDataset(corpus(("a", "folk", tune(bars, seed=seed))), bars=usual, max_steps=max_steps)
    for piece in [*passages.sample(20, np.random.default_rng(seed)), *passages.whole()]:
        assert len(actions_of(piece)) <= max_steps or piece.score.bars == 1
        assert piece.score.length_ticks % 96 == 0


def test_short_works_are_taken_whole() -> None:
    score = tune(3, beats_per_bar=3)
    for piece in PassageDataset(corpus(("a", "folk", score))).sample(20, np.random.default_rng(0), transpose=False):
        assert piece.score == encode(score)[1].score


def test_an_incomplete_last_bar_is_filled() -> None:
    score = Score([(0, 24, 60, 80), (96, 24, 62, 80)], length_ticks=120)
    (piece,) = PassageDataset(corpus(("a", "folk", score))).whole()
    assert piece.score.length_ticks == 192
    values = np.array(Piano().values)
    actions = actions_of(piece)
    assert values[actions[actions[:, 0] == 0, 1]].sum() == 192


def test_small_genres_are_heard_more_than_their_share() -> None:
    """Sixteen times the notes are drawn four times as often."""
    many = [(f"f{i}", "folk", tune(4, seed=i)) for i in range(16)]
    pieces = PassageDataset(corpus(*many, ("j", "jazz", tune(4, seed=99)))).sample(1000, np.random.default_rng(0))
    assert np.mean([piece.genre == "jazz" for piece in pieces]) == pytest.approx(0.2, abs=0.04)


def test_one_seed_draws_the_same(passages: PassageDataset, drawn: list[Piece]) -> None:
    again = passages.sample(300, np.random.default_rng(0))
    assert [piece.score for piece in again] == [piece.score for piece in drawn]
    assert [piece.score for piece in passages.sample(300, np.random.default_rng(1))] != [p.score for p in drawn]


def test_whole_works_in_order(passages: PassageDataset) -> None:
    pieces = passages.whole()
    assert [(p.score.beats_per_bar, p.score.bars) for p in pieces] == [
        (beats, bars) for beats in BEATS.values() for bars in (8, 8, 4)
    ]
    first = passages.works[0].score
    assert pieces[1].score == encode(first.slice(8 * 96, 16 * 96))[1].score
    assert [p.score for p in passages.whole()] == [p.score for p in pieces]
    long = PassageDataset(corpus(("a", "folk", tune(100)))).whole()
    assert [piece.score.bars for piece in long] == [8] * WHOLE_PASSAGES


def test_what_cannot_be_drawn_from_is_told() -> None:
    with pytest.raises(ValueError, match="mine/x: its genre 'polka' must be one of classical, folk"):
        PassageDataset(corpus(("a", "folk", tune(2)), ("mine/x", "polka", tune(2))))
    with pytest.raises(ValueError, match="none of the 1 works of corpus toy"):
        PassageDataset(corpus(("a", "folk", Score(length_ticks=960))))
    drums = Score([(24 * beat, 24, 12, 80) for beat in range(8)], length_ticks=192)
    with pytest.raises(ValueError, match="none of the 1 works of corpus toy has notes on the keyboard"):
        PassageDataset(corpus(("drums", "rock", drums)))
    assert [work.id for work in PassageDataset(corpus(("a", "folk", tune(2)), ("drums", "rock", drums))).works] == ["a"]
    with pytest.raises(ValueError, match="at least 1, got 0 and 512"):
        PassageDataset(corpus(("a", "folk", tune(2))), bars=0)


def test_works_whose_bars_the_piano_cannot_count_are_left_out() -> None:
    coarse = Piano(values=(24, 48))
    works = PassageDataset(
        corpus(("a", "folk", tune(2)), ("b", "folk", tune(2, beats_per_bar=3.5))), piano=coarse
    ).works
    assert [work.id for work in works] == ["a"]


# Recording what an agent sees


@pytest.mark.parametrize("beats_per_bar", [2, 3, 4, 4.5])
def test_what_is_recorded_is_what_the_environment_shows(beats_per_bar: float) -> None:
    """Pieces of many metres and lengths side by side, against an environment of each."""
    pieces = [encoded(tune(bars, beats, seed=bars)) for bars, beats in [(2, beats_per_bar), (1, 4), (3, 3.5)]]
    sequences = trajectories_of(pieces)
    for row, (piece, genre) in enumerate(zip(pieces, ["jazz"] * 3, strict=True)):
        core = PianoCore(
            1,
            bars=piece.score.bars,
            genre=genre,
            observation="actions",
            beats_per_bar=piece.score.beats_per_bar,
        )
        core.reset([0], [np.random.default_rng(0)])
        assert sequences.lengths[row] == len(actions_of(piece))
        masks = sequences.mask_of([row])[0]
        for step, action in enumerate(actions_of(piece)):
            shown = core.observe()
            assert set(shown) == set(sequences.observations)
            for key, value in shown.items():
                recorded = sequences.observations[key]
                assert recorded.dtype == value.dtype
                assert (recorded[row, step] == value[0]).all()
            assert (masks[step] == core.dynamics.masks[0]).all()
            assert (sequences.actions[row, step] == action).all()
            ended = core.step(action[None].astype(np.int64)).terminated[0]
        assert ended


def encoded(score: Score, genre: str | None = "jazz") -> Piece:
    actions, report = encode(score)
    return Piece(report.score, genre=genre, actions=actions)


def test_every_recorded_action_is_legal_and_so_is_what_follows(drawn: list[Piece]) -> None:
    sequences = trajectories_of(drawn[:50])
    assert len(sequences) == 50
    masks = sequences.mask_of(slice(None))
    whats = sequences.nvec[0]
    for part, chosen in ((masks[..., :whats], 0), (masks[..., whats:], 1)):
        assert np.take_along_axis(part, sequences.actions[..., chosen : chosen + 1], axis=-1).all()
    assert (sequences.lengths == [len(actions_of(piece)) for piece in drawn[:50]]).all()
    assert sequences.actions.shape[1] == sequences.lengths.max()


def test_masks_of_some_rows(drawn: list[Piece]) -> None:
    sequences = trajectories_of(drawn[:5])
    every = sequences.mask_of(slice(None))
    assert every.shape == (*sequences.actions.shape[:2], sum(sequences.nvec))
    assert every.dtype == np.bool_
    for rows in ([3, 1], np.array([0, 4]), slice(1, 3)):
        assert (sequences.mask_of(rows) == every[rows]).all()


def test_genres_are_numbers(passages: PassageDataset) -> None:
    pieces = [encoded(tune(1), genre) for genre in (*GENRES, None)]
    genre = trajectories_of(pieces).observations["genre"]
    assert genre[:, 0].tolist() == [*range(len(GENRES)), NO_GENRE]
    assert (genre == genre[:, :1]).all()


def test_a_piece_without_actions_is_encoded() -> None:
    score = tune(2)
    bare, spelled = trajectories_of([Piece(score)]), trajectories_of([encoded(score, None)])
    assert (bare.actions == spelled.actions).all()
    assert (bare.observations["place"] == spelled.observations["place"]).all()


def test_what_was_written_after_a_primer() -> None:
    """The agent's own part alone is recorded; its bars count from the primer's end."""
    primer, own = tune(2), tune(3, seed=5)
    later = own.notes.copy()
    later["onset_tick"] += 192
    whole = Score(np.concatenate([primer.notes, later]), length_ticks=5 * 96)
    piece = Piece(whole, "folk", start_tick=192, actions=encode(own)[0])
    core = PianoCore(1, bars=3, genre="folk", observation="actions", primer=primer)
    core.reset([0], [np.random.default_rng(0)])
    sequences = trajectories_of([piece])
    for step, action in enumerate(actions_of(piece)):
        for key, value in core.observe().items():
            assert (sequences.observations[key][0, step] == value[0]).all()
        assert (sequences.mask_of([0])[0, step] == core.dynamics.masks[0]).all()
        core.step(action[None].astype(np.int64))


def test_what_cannot_be_recorded_is_told() -> None:
    good = encoded(tune(1))
    struck_twice = np.array([[40, 8], [40, 8]])
    with pytest.raises(ValueError, match=r"piece 1: action 1, C4 for 24, is not legal at tick 0"):
        trajectories_of([good, Piece(good.score, actions=struck_twice)])
    with pytest.raises(ValueError, match=r"piece 0: action \[0, 13\] is outside"):
        trajectories_of([Piece(good.score, actions=np.array([[0, 13]]))])
    with pytest.raises(ValueError, match="piece 0: its genre 'polka' must be one of"):
        trajectories_of([Piece(good.score, "polka", actions=good.actions)])
    with pytest.raises(ValueError, match="piece 0 has no actions"):
        trajectories_of([Piece(Score())])
    with pytest.raises(ValueError, match="no piece"):
        trajectories_of([])
