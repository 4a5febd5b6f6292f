import json
from pathlib import Path

import numpy as np
import pytest
import torch

from toccata.envs.codec import encode
from toccata.music.corpus import Corpus, Work
from toccata.music.metrics import loop_rate, note_density, polyphony
from toccata.music.score import Score
from toccata.reward_models import load_reward
from toccata.reward_models.realism import fit as fit_realism
from toccata.reward_models.realism.fit import auc, fakes_like, figures, fit
from toccata.reward_models.realism.negatives import CORRUPTIONS, corrupt, markov_pieces, random_pieces

DOTTED = [(48 * (i // 2) + 36 * (i % 2), 12 if i % 2 else 36) for i in range(32)]  # onset, duration
SCALE = Score([(*place, 60 + i, 80) for i, place in enumerate(DOTTED)])
CHORDS = Score([(*place, 40 + i // 2 + step, 80) for i, place in enumerate(DOTTED) for step in (0, 12, 16, 19)])


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("score", [SCALE, CHORDS, Score([(700, 5, 108, 80)], length_ticks=768)])
def test_a_spoilt_piece_is_another_of_the_same_length_that_can_be_played(name: str, score: Score) -> None:
    spoilt = CORRUPTIONS[name](score, np.random.default_rng(1))
    assert spoilt.length_ticks == score.length_ticks
    assert spoilt.beats_per_bar == score.beats_per_bar
    if len(score) > 1:
        assert spoilt != score
    (played,) = corrupt(name, [score, Score()], np.random.default_rng(1))
    assert played == encode(played)[1].score
    assert CORRUPTIONS[name](score, np.random.default_rng(1)) == spoilt


def test_each_spoils_one_thing() -> None:
    rng = np.random.default_rng(0)
    spoilt = {name: corruption(SCALE, rng) for name, corruption in CORRUPTIONS.items()}
    for name in ("shuffled_pitches", "wrong_notes", "clashing_hands"):
        np.testing.assert_array_equal(spoilt[name].notes["onset_tick"], SCALE.notes["onset_tick"])
    for name in ("shuffled_pitches", "shuffled_bars"):
        assert sorted(spoilt[name].notes["pitch"]) == sorted(SCALE.notes["pitch"])
    assert loop_rate(spoilt["stuck"]) > 0.7
    assert note_density(spoilt["thinned"]) < 0.5 * note_density(SCALE)
    assert polyphony(spoilt["thickened"]) > polyphony(SCALE)
    assert (spoilt["loose_timing"].notes["onset_tick"] % 24).any()


def test_improvised_pieces_are_whole_and_in_three_metres() -> None:
    rng = np.random.default_rng(0)
    for pieces in (random_pieces(6, 2, rng), markov_pieces(6, 2, [SCALE, CHORDS], rng)):
        assert [(piece.beats_per_bar, piece.bars) for piece in pieces] == [(b, 2) for b in (2, 2, 3, 3, 4, 4)]
    learned = {pitch for piece in markov_pieces(9, 4, [SCALE], rng) for pitch in piece.notes["pitch"].tolist()}
    assert learned <= set(range(60, 92))  # nothing random while what was learned is legal


def test_fitting_counts_every_kind_and_is_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(fit_realism, "BATCH", 16)
    rng = np.random.default_rng(0)
    real = {"scales": [SCALE.transpose(int(by)) for by in rng.integers(-12, 12, 8)], "chords": [CHORDS] * 4}
    fakes = fakes_like(real, 8, rng)
    assert set(fakes) == {*CORRUPTIONS, "markov_play", "random_play"}
    realism = fit(real, fakes, steps=2, seed=0)
    found = figures(realism, real, fakes)
    assert set(found["mean_reward"]) == {*real, *fakes}
    assert set(found["auc"]) == set(fakes)
    assert fit(real, fakes, steps=2, seed=0).weights_hash() == realism.weights_hash()


def test_auc_has_known_values() -> None:
    assert auc(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1
    assert auc(np.array([0.0]), np.array([0.0])) == 0.5
    assert auc(np.array([0.0, 2.0]), np.array([1.0])) == 0.5


def test_the_command_writes_weights_that_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tiny(source: object, genre: str | None = None) -> Corpus:
        works = tuple(
            Work(f"{source}/{i}", "folk", score, licence="Public Domain", group=f"{i}")
            for i, score in enumerate([SCALE, CHORDS] * 20)
        )
        return Corpus(str(source), works)

    monkeypatch.setattr(fit_realism, "load_corpus", tiny)
    monkeypatch.setattr(fit_realism, "BATCH", 16)
    monkeypatch.setattr(fit_realism, "PER_KIND", 8)
    monkeypatch.setattr(fit_realism, "HELD_OUT", 4)
    fit_realism.main([str(tmp_path), "--steps", "1", "--real", "more", "--licence", "Public Domain", "--fake", "hard"])
    realism = load_reward(f"realism:{tmp_path}")
    notes = json.loads((tmp_path / "config.json").read_text())["fit"]
    assert realism.weights_hash() == json.loads((tmp_path / "config.json").read_text())["sha256"]["realism.safetensors"]
    assert set(notes["pieces"]["fit real"]) == {"chorales", "folk", "more"}
    assert set(notes["held_out"]["auc"]) == {*CORRUPTIONS, "markov_play", "random_play", "hard"}
    assert sum(notes["works"].values()) > 0
