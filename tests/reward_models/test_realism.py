import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import checked
from toccata.music.score import Score
from toccata.reward_models import load_reward
from toccata.reward_models.loading import RewardSpecError
from toccata.reward_models.realism import model as realism_module
from toccata.reward_models.realism.model import Realism
from toccata.reward_models.realism.replay_buffer import ReplayBuffer
from toccata.reward_models.realism.roll_windows import (
    FRAMES,
    SOUNDING,
    STRUCK,
    STRUCK_BETWEEN,
    covering_windows,
    random_windows,
    window_start_ticks,
)
from toccata.weights import CONFIG_FILE, WeightsError

BAR = 96
LOWEST_SCORE, HIGHEST_SCORE = np.logaddexp(0, [-4, 4]).astype(np.float32)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(realism_module, "BATCH", 16)


def fresh(seed: int = 0) -> Realism:
    torch.manual_seed(seed)
    return Realism()


def scale(rng: np.random.Generator, bars: int = 8) -> Score:
    """Stepwise lines in C major: "people"."""
    steps = np.cumsum(rng.choice([-1, 1], 4 * bars)) % 14
    pitches = 60 + 12 * (steps // 7) + np.array([0, 2, 4, 5, 7, 9, 11])[steps % 7]
    return Score([(24 * i, 24, int(pitch), 80) for i, pitch in enumerate(pitches)])


def noise(rng: np.random.Generator, bars: int = 8) -> Score:
    """Any keys at any time: "the agent"."""
    count = 6 * bars
    rows = zip(
        rng.integers(0, bars * BAR - 24, count), rng.integers(1, 24, count), rng.integers(21, 108, count), strict=True
    )
    return Score([(int(a), int(b), int(c), 80) for a, b, c in rows], length_ticks=bars * BAR)


# Windows


def test_a_window_shows_what_is_struck_and_what_sounds() -> None:
    windows = covering_windows([Score([(0, 3, 21, 80), (7, 2, 108, 1)], length_ticks=BAR)])
    assert windows.rolls.shape == (1, 3, FRAMES, 88)
    assert windows.frames.tolist() == [32]
    rolls = windows.rolls[0]
    assert rolls[STRUCK, 0, 0] == 1
    assert rolls[SOUNDING, 0, 0] == 1
    assert rolls[STRUCK_BETWEEN, 2, 87] == 1  # tick 7 lies between the frames of 6 and 9
    assert rolls[SOUNDING, 2, 87] == pytest.approx(2 / 3)
    assert rolls.sum() == pytest.approx(3 + 2 / 3)


@pytest.mark.parametrize(
    ("bars", "beats_per_bar", "starts"),
    [
        (1, 4, [0]),
        (4, 4, [0]),
        (5, 4, [0, 96]),
        (8, 4, [0, 192, 384]),
        (8, 3, [0, 216]),
        (1, 40, [0, 192, 384, 576]),  # a bar longer than a window
        (0, 4, [0]),
    ],
)
def test_windows_begin_at_bar_lines_and_leave_nothing_out(bars: int, beats_per_bar: int, starts: list) -> None:
    score = Score(beats_per_bar=beats_per_bar, length_ticks=bars * beats_per_bar * 24)
    assert window_start_ticks(score) == starts


def test_another_grid_shows_the_same() -> None:
    fine = Score([(480, 480, 60, 80)], ticks_per_beat=480, length_ticks=1920)
    coarse = Score([(24, 24, 60, 80)], length_ticks=96)
    np.testing.assert_array_equal(covering_windows([fine]).rolls, covering_windows([coarse]).rolls)
    assert covering_windows([fine]).frames == covering_windows([coarse]).frames


def test_random_windows_are_transposed_and_the_same_for_the_same_seed() -> None:
    scores = [Score([(0, 24, 60, 80)], length_ticks=384)]
    one = random_windows(scores, 50, np.random.default_rng(1))
    two = random_windows(scores, 50, np.random.default_rng(1))
    np.testing.assert_array_equal(one.rolls, two.rolls)
    keys = one.rolls[:, STRUCK, 0].argmax(1) + 21
    assert set(keys.tolist()) == set(range(54, 66))


rows = st.tuples(st.integers(0, 900), st.integers(1, 200), st.integers(0, 127), st.integers(1, 127))


@settings(max_examples=25)
@given(st.lists(rows, max_size=40), st.sampled_from([1, 7, 24, 480]), st.sampled_from([1, 3, 4, 7, 50]))
def test_every_score_makes_windows_within_bounds(notes: list, ticks_per_beat: int, beats_per_bar: int) -> None:
    windows = covering_windows([Score(notes, ticks_per_beat, beats_per_bar)])
    assert windows.rolls.min() >= 0
    assert windows.rolls.max() <= 1
    assert ((windows.frames >= 1) & (windows.frames <= FRAMES)).all()
    behind = np.arange(FRAMES) >= windows.frames[:, None]
    assert not windows.rolls.any(axis=(1, 3))[behind].any()


# The reward


def test_every_kind_of_piece_has_a_score_in_range() -> None:
    rng = np.random.default_rng(0)
    pieces = [Score(), Score(length_ticks=768), Score([(0, 1, 127, 80)]), noise(rng), scale(rng, bars=9)]
    pieces += [Score([(tick, 6, pitch, 80) for tick in range(0, 768, 6) for pitch in range(21, 109)])]
    for realism in (fresh(), load_reward("realism")):
        scores = checked(realism, Pieces(pieces))
        assert scores.dtype == np.float32
        assert ((scores >= LOWEST_SCORE) & (scores <= HIGHEST_SCORE)).all()
        np.testing.assert_array_equal(scores, realism.score(Pieces(pieces)))
    assert fresh().score(Pieces([])).shape == (0,)


def test_a_score_is_minus_log_of_what_is_left_of_certainty() -> None:
    realism = fresh()
    pieces = Pieces([scale(np.random.default_rng(0))])
    d = 1 / (1 + np.exp(-realism.logits(pieces)))
    np.testing.assert_allclose(realism.score(pieces), -np.log(1 - d), rtol=1e-5)


def test_no_piece_depends_on_those_beside_it() -> None:
    rng = np.random.default_rng(0)
    pieces = [scale(rng, bars) for bars in (1, 2, 3, 5, 8, 13)] + [Score()]
    realism = fresh()
    alone = [realism.logits(Pieces([piece]))[0] for piece in pieces]
    np.testing.assert_allclose(realism.logits(Pieces(pieces)), alone, atol=1e-5)


def test_padding_changes_nothing() -> None:
    """What lies behind the end of a short piece is as good as not there."""
    critic = fresh().discriminator
    windows = covering_windows([scale(np.random.default_rng(0), bars=2)])
    rolls, frames = torch.from_numpy(windows.rolls), torch.from_numpy(windows.frames)
    with torch.no_grad():
        assert critic(rolls, frames) == pytest.approx(critic(rolls[:, :, : int(frames)], frames), abs=1e-5)
        assert critic(rolls, frames) != pytest.approx(critic(rolls, torch.tensor([FRAMES])), abs=1e-5)


def test_only_notes_and_only_the_agents_own_count() -> None:
    rng = np.random.default_rng(0)
    own = scale(rng)
    louder = Score([(*note[:3], 127) for note in own.notes.tolist()], tempo_bpm=60)
    primed_rows = noise(rng, bars=4).notes.tolist()
    primed_rows += [(onset + 4 * BAR, *others) for onset, *others in own.notes.tolist()]
    primed = Piece(Score(primed_rows), start_tick=4 * BAR)
    logits = fresh().logits(Pieces([own, louder, primed]))
    np.testing.assert_allclose(logits, logits[0], atol=1e-6)


# Training


def test_it_learns_and_the_gate_closes_when_it_knows_enough() -> None:
    rng = np.random.default_rng(0)
    real, fakes = [scale(rng) for _ in range(32)], [noise(rng) for _ in range(32)]
    realism = fresh()
    figures = [realism.update(fakes, real, rng) for _ in range(12)]
    assert figures[0]["updated"] == 1
    assert figures[-1]["updated"] == 0
    assert figures[-1]["loss"] < figures[0]["loss"]
    before = realism.weights_hash()
    closed = realism.update(Pieces(fakes), real, rng)
    assert realism.weights_hash() == before
    assert closed["accuracy_real"] > 0.9
    assert closed["accuracy_fake"] > 0.9
    assert all(np.isfinite(value) for value in closed.values())
    new = [realism.score(Pieces([make(rng) for _ in range(8)])).mean() for make in (scale, noise)]
    assert new[0] > new[1]


def test_both_sides_are_needed() -> None:
    with pytest.raises(ValueError, match="0 of the agent's and 1 real"):
        fresh().update([], [Score()], np.random.default_rng(0))
    with pytest.raises(ValueError, match="1 of the agent's and 0 real"):
        fresh().update([Score()], [], np.random.default_rng(0))


def test_scoring_leaves_everything_as_it_was() -> None:
    realism = fresh()
    before = realism.weights_hash()
    realism.score(Pieces([scale(np.random.default_rng(0))]))
    assert realism.weights_hash() == before
    assert not realism.discriminator.training


def test_training_goes_on_after_loading_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    def train(realism: Realism, first: int, last: int) -> list[dict[str, float]]:
        figures = []
        for step in range(first, last):
            rng = np.random.default_rng(step)
            figures.append(realism.update([scale(rng, 2) for _ in range(4)], [scale(rng, 2) for _ in range(4)], rng))
        return figures

    straight, interrupted = fresh(), fresh()
    figures = train(straight, 0, 4)
    assert train(interrupted, 0, 2) == figures[:2]
    interrupted.save(tmp_path / "a")
    resumed = load_reward(f"realism:{tmp_path / 'a'}")
    assert train(resumed, 2, 4) == figures[2:]
    assert all(figure["updated"] for figure in figures)
    assert resumed.weights_hash() == straight.weights_hash()
    assert resumed.replay.scores == straight.replay.scores


def test_a_reservoir_keeps_each_with_equal_chance() -> None:
    rng = np.random.default_rng(0)
    scores = [Score([(0, 24, pitch, 80)]) for pitch in range(20)]
    kept = np.zeros(20)
    for _ in range(400):
        replay = ReplayBuffer(capacity=5)
        replay.add(scores, rng)
        assert len(replay.scores) == 5
        for score in replay.scores:
            kept[score.notes["pitch"][0]] += 1
    np.testing.assert_allclose(kept / 400, 0.25, atol=0.09)  # four standard deviations


def test_a_replay_comes_back_from_its_arrays() -> None:
    replay = ReplayBuffer(capacity=7)
    odd = Score([(3, 5, 60, 1)], ticks_per_beat=10, beats_per_bar=3.5, tempo_bpm=61.37, length_ticks=100)
    replay.add([odd, Score(), noise(np.random.default_rng(0))], np.random.default_rng(0))
    again = ReplayBuffer.from_arrays(replay.arrays())
    assert (again.scores, again.seen, again.capacity) == (replay.scores, replay.seen, replay.capacity)
    assert ReplayBuffer.from_arrays(ReplayBuffer().arrays()).scores == []


# Files


def test_saving_and_loading_keep_the_weights(tmp_path: Path) -> None:
    realism = fresh(3)
    realism.save(tmp_path, training=False, notes={"steps": 1})
    again = Realism.load(tmp_path)
    assert again.weights_hash() == realism.weights_hash()
    assert json.loads((tmp_path / CONFIG_FILE).read_text())["sha256"] == {"realism.safetensors": realism.weights_hash()}
    assert not (tmp_path / "training.safetensors").exists()
    assert fresh(4).weights_hash() != realism.weights_hash()
    pieces = Pieces([scale(np.random.default_rng(0))])
    np.testing.assert_array_equal(again.score(pieces), realism.score(pieces))


def test_saving_without_a_training_state_leaves_no_older_one(tmp_path: Path) -> None:
    fresh().save(tmp_path)
    fresh().save(tmp_path, training=False)
    assert not (tmp_path / "training.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("realism.safetensors", None, "no weights here, realism.safetensors is missing"),
        (CONFIG_FILE, None, "no weights here, config.json is missing"),
        (CONFIG_FILE, b"{", "config.json: not a configuration"),
        (CONFIG_FILE, b"[]", "config.json: not a configuration"),
        (CONFIG_FILE, b'{"width": 16}', "config.json: not a configuration of weights: it has no sha256"),
        (CONFIG_FILE, b'{"width": -2, "sha256": {}}', "config.json: not the configuration of realism"),
        (CONFIG_FILE, b'{"width": "wide", "sha256": {}}', "config.json: not the configuration of realism"),
        (CONFIG_FILE, b'{"width": 32, "sha256": {}}', "realism.safetensors: its SHA-256 is not the one in config.json"),
        ("realism.safetensors", b"not weights", "realism.safetensors: not a safetensors file"),
        ("training.safetensors", b"not weights", "training.safetensors: not a safetensors file"),
    ],
)
def test_a_broken_folder_is_named_in_one_line(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    fresh().save(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=reason) as caught:
        Realism.load(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(RewardSpecError, match=reason):
        load_reward(f"realism:{tmp_path}")


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    realism = fresh()
    with torch.no_grad():
        realism.discriminator.gain.fill_(float("nan"))
    realism.save(tmp_path)
    with pytest.raises(WeightsError, match="not finite"):
        Realism.load(tmp_path)


def test_the_shipped_weights_know_silence_noise_and_music() -> None:
    melody = [60, 60, 67, 67, 69, 69, 67, 65, 65, 64, 64, 62, 62, 60]  # Twinkle, twinkle, little star
    onsets = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14]
    bass = [48, 52, 53, 52, 50, 48, 43, 48]
    notes = [(24 * beat, 48 if beat in (6, 14) else 24, key, 80) for beat, key in zip(onsets, melody, strict=True)]
    notes += [(48 * i, 48, key, 80) for i, key in enumerate(bass)]
    rng = np.random.default_rng(0)
    realism = load_reward("realism")
    assert sum(p.numel() for p in realism.discriminator.parameters()) < 250_000  # less than 1 MB
    music, random, silence = realism.score(Pieces([Score(notes), noise(rng), Score(length_ticks=768)]))
    assert music > random
    assert music > silence
