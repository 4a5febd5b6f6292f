import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.rounding import float32_rounding
from toccata.envs.pieces import Piece, Pieces
from toccata.envs.reward_model import checked
from toccata.music.score import Score
from toccata.reward_models import RewardSpecError, load_reward
from toccata.reward_models.realism.model import Realism
from toccata.reward_models.realism.roll_windows import FRAMES
from toccata.weights import CONFIG_FILE, WeightsError

BAR = 96
LOWEST_SCORE, HIGHEST_SCORE = np.logaddexp(0, [-4, 4]).astype(np.float32)


def test_every_piece_has_a_score_in_range(
    random_realism: Callable[..., Realism], stepwise_piece: Callable[..., Score], random_piece: Callable[..., Score]
) -> None:
    rng = np.random.default_rng(0)
    pieces = [
        Score(),
        Score(length_ticks=768),
        Score([(0, 1, 127, 80)]),
        random_piece(rng),
        stepwise_piece(rng, bars=9),
    ]
    pieces += [Score([(tick, 6, pitch, 80) for tick in range(0, 768, 6) for pitch in range(21, 109)])]
    for realism in (random_realism(), load_reward("realism")):
        scores = checked(realism, Pieces(pieces))
        assert scores.dtype == np.float32
        assert ((scores >= LOWEST_SCORE) & (scores <= HIGHEST_SCORE)).all()
        np.testing.assert_array_equal(scores, realism.score(Pieces(pieces)))
    assert random_realism().score(Pieces([])).shape == (0,)


def test_score_is_minus_log_of_one_minus_d(
    random_realism: Callable[..., Realism], stepwise_piece: Callable[..., Score]
) -> None:
    realism = random_realism()
    pieces = Pieces([stepwise_piece(np.random.default_rng(0))])
    d = 1 / (1 + np.exp(-realism.logits(pieces).astype(float)))
    np.testing.assert_allclose(realism.score(pieces), -np.log(1 - d), rtol=float32_rounding(32))


def test_logits_do_not_depend_on_the_rest_of_the_batch(
    random_realism: Callable[..., Realism], stepwise_piece: Callable[..., Score]
) -> None:
    rng = np.random.default_rng(0)
    pieces = [stepwise_piece(rng, bars) for bars in (1, 2, 3, 5, 8, 13)] + [Score()]
    realism = random_realism()
    single = [realism.logits(Pieces([piece]))[0] for piece in pieces]
    np.testing.assert_allclose(realism.logits(Pieces(pieces)), single, rtol=0, atol=float32_rounding(FRAMES))
    assert np.ptp(single) > 0.01


def test_velocity_tempo_and_primer_have_no_effect(
    random_realism: Callable[..., Realism], stepwise_piece: Callable[..., Score], random_piece: Callable[..., Score]
) -> None:
    rng = np.random.default_rng(0)
    piece = stepwise_piece(rng)
    louder = Score([(*note[:3], 127) for note in piece.notes.tolist()], tempo_bpm=60)
    primed_rows = random_piece(rng, bars=4).notes.tolist()
    primed_rows += [(onset + 4 * BAR, *others) for onset, *others in piece.notes.tolist()]
    primed = Piece(Score(primed_rows), start_tick=4 * BAR)
    logits = random_realism().logits(Pieces([piece, louder, primed]))
    np.testing.assert_allclose(logits, logits[0], rtol=0, atol=float32_rounding(FRAMES))


def test_scoring_does_not_change_the_model(
    random_realism: Callable[..., Realism], stepwise_piece: Callable[..., Score]
) -> None:
    realism = random_realism()
    before = realism.weights_hash()
    realism.score(Pieces([stepwise_piece(np.random.default_rng(0))]))
    assert realism.weights_hash() == before
    assert not realism.discriminator.training


def test_the_shipped_weights_score_music_above_random_notes_and_silence(random_piece: Callable[..., Score]) -> None:
    melody = [60, 60, 67, 67, 69, 69, 67, 65, 65, 64, 64, 62, 62, 60]  # Twinkle, twinkle, little star
    onsets = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14]
    bass = [48, 52, 53, 52, 50, 48, 43, 48]
    notes = [(24 * beat, 48 if beat in (6, 14) else 24, key, 80) for beat, key in zip(onsets, melody, strict=True)]
    notes += [(48 * i, 48, key, 80) for i, key in enumerate(bass)]
    rng = np.random.default_rng(0)
    realism = load_reward("realism")
    assert sum(p.numel() for p in realism.discriminator.parameters()) < 250_000  # less than 1 MB
    melody_score, random_score, silence_score = realism.score(
        Pieces([Score(notes), random_piece(rng), Score(length_ticks=768)])
    )
    assert melody_score > random_score
    assert melody_score > silence_score


def test_update_trains_until_the_accuracy_gate_closes(
    random_realism: Callable[..., Realism], stepwise_piece: Callable[..., Score], random_piece: Callable[..., Score]
) -> None:
    rng = np.random.default_rng(0)
    real, fakes = [stepwise_piece(rng) for _ in range(32)], [random_piece(rng) for _ in range(32)]
    realism = random_realism()
    metrics = [realism.update(fakes, real, rng) for _ in range(12)]
    assert metrics[0]["updated"] == 1
    assert metrics[-1]["updated"] == 0
    assert metrics[-1]["loss"] < metrics[0]["loss"]
    before = realism.weights_hash()
    closed = realism.update(Pieces(fakes), real, rng)
    assert realism.weights_hash() == before
    assert closed["accuracy_real"] > 0.9
    assert closed["accuracy_fake"] > 0.9
    assert all(np.isfinite(value) for value in closed.values())
    means = [realism.score(Pieces([build(rng) for _ in range(8)])).mean() for build in (stepwise_piece, random_piece)]
    assert means[0] > means[1]


def test_update_needs_both_classes(random_realism: Callable[..., Realism]) -> None:
    with pytest.raises(ValueError, match="0 of the agent's and 1 real"):
        random_realism().update([], [Score()], np.random.default_rng(0))
    with pytest.raises(ValueError, match="1 of the agent's and 0 real"):
        random_realism().update([Score()], [], np.random.default_rng(0))


def test_training_resumes_exactly_after_loading(
    random_realism: Callable[..., Realism], stepwise_piece: Callable[..., Score], tmp_path: Path
) -> None:
    def train(realism: Realism, first: int, last: int) -> list[dict[str, float]]:
        metrics = []
        for step in range(first, last):
            rng = np.random.default_rng(step)
            metrics.append(
                realism.update(
                    [stepwise_piece(rng, 2) for _ in range(4)], [stepwise_piece(rng, 2) for _ in range(4)], rng
                )
            )
        return metrics

    uninterrupted, interrupted = random_realism(), random_realism()
    metrics = train(uninterrupted, 0, 4)
    assert train(interrupted, 0, 2) == metrics[:2]
    interrupted.save(tmp_path / "a")
    resumed = load_reward(f"realism:{tmp_path / 'a'}")
    assert train(resumed, 2, 4) == metrics[2:]
    assert all(values["updated"] for values in metrics)
    assert resumed.weights_hash() == uninterrupted.weights_hash()
    assert resumed.replay.scores == uninterrupted.replay.scores


def test_a_discriminator_that_is_not_trained_has_no_optimizer_and_keeps_its_state(
    random_realism: Callable[..., Realism], random_piece: Callable, stepwise_piece: Callable, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    trained = random_realism()
    trained.update([random_piece(rng)], [stepwise_piece(rng)], rng)
    trained.save(tmp_path / "trained")
    loaded = Realism.load(tmp_path / "trained").to("cpu")
    loaded.score(Pieces([stepwise_piece(rng)]))
    loaded.save(tmp_path / "again")
    assert "optimizer" in vars(trained)
    assert "optimizer" not in vars(loaded), "torch would import its compiler"
    state = [(tmp_path / folder / "training.safetensors").read_bytes() for folder in ("trained", "again")]
    assert state[0] == state[1]
    assert b"adam.gain.exp_avg" in state[0]


def test_load_is_the_inverse_of_save(
    random_realism: Callable[..., Realism], stepwise_piece: Callable[..., Score], tmp_path: Path
) -> None:
    realism = random_realism(3)
    realism.save(tmp_path, training=False, notes={"steps": 1})
    loaded = Realism.load(tmp_path)
    assert loaded.weights_hash() == realism.weights_hash()
    assert json.loads((tmp_path / CONFIG_FILE).read_text())["sha256"] == {"realism.safetensors": realism.weights_hash()}
    assert not (tmp_path / "training.safetensors").exists()
    assert random_realism(4).weights_hash() != realism.weights_hash()
    pieces = Pieces([stepwise_piece(np.random.default_rng(0))])
    np.testing.assert_array_equal(loaded.score(pieces), realism.score(pieces))


def test_saving_without_training_state_deletes_an_older_one(
    random_realism: Callable[..., Realism], tmp_path: Path
) -> None:
    random_realism().save(tmp_path)
    random_realism().save(tmp_path, training=False)
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
def test_a_damaged_folder_is_an_error_of_one_line(
    random_realism: Callable[..., Realism], tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    random_realism().save(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=reason) as caught:
        Realism.load(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(RewardSpecError, match=reason):
        load_reward(f"realism:{tmp_path}")


def test_weights_must_be_finite(random_realism: Callable[..., Realism], tmp_path: Path) -> None:
    realism = random_realism()
    with torch.no_grad():
        realism.discriminator.gain.fill_(float("nan"))
    with pytest.raises(WeightsError, match="not finite; it is not written"):
        realism.save(tmp_path)


def test_a_fitted_discriminator_is_kept_beside_the_one_that_is_trained(
    tmp_path: Path, random_piece: Callable, stepwise_piece: Callable
) -> None:
    rng = np.random.default_rng(0)
    own, real = [random_piece(rng, 2) for _ in range(20)], [stepwise_piece(rng, 2) for _ in range(20)]
    shipped, realism = Realism.load(), Realism.load()
    realism.save(tmp_path / "before")
    first = Realism.load(tmp_path / "before")
    for model in (realism, first):
        model._keep_anchor()
        model._training_step(own, real, np.random.default_rng(1))
    pieces = Pieces(own)
    np.testing.assert_array_equal(first.logits(pieces), realism.logits(pieces))
    alone = Realism(realism.discriminator)
    expected = (alone.logits(pieces) + shipped.logits(pieces)) / 2
    np.testing.assert_allclose(realism.logits(pieces), expected, rtol=0, atol=1e-5)
    assert not np.array_equal(realism.logits(pieces), shipped.logits(pieces))
    realism.save(tmp_path / "after")
    resumed = Realism.load(tmp_path / "after")
    np.testing.assert_array_equal(resumed.logits(pieces), realism.logits(pieces))
    made = Realism()
    made.load_state_dict(realism.state_dict())
    np.testing.assert_array_equal(made.logits(pieces), realism.logits(pieces))
