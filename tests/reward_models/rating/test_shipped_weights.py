"""The shipped rating: its files and model card, finite scores of degenerate pieces, and the order of the probes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from toccata.envs.pieces import Pieces
from toccata.envs.reward_model import RewardModel, checked
from toccata.music.score import Score
from toccata.music.sound.spectrogram import N_MELS
from toccata.reward_models.rating.fitting.report import agreement_table, calibration_table
from toccata.reward_models.rating.fitting.sanity_probes import parse_melody, sanity_probes, score_probes, superpose
from toccata.reward_models.rating.model import RATING_LIMIT, SHIPPED, RatingModel
from toccata.weights import CONFIG_FILE

TUNE = parse_melody("C4 C4 G4 G4 A4 A4 G4:2 F4 F4 E4 E4 D4 D4 C4:2")


@pytest.fixture(scope="module")
def shipped():
    return RatingModel.load()


@pytest.fixture(scope="module")
def probe_scores(shipped):
    probes = sanity_probes()
    return dict(zip(probes, score_probes(shipped, list(probes.values())), strict=True))


def test_weights_are_those_of_the_config(shipped):
    config = json.loads((SHIPPED / CONFIG_FILE).read_text())
    assert config["sha256"] == {"rating.safetensors": shipped.weights_hash()}
    assert isinstance(shipped, RewardModel)
    assert shipped.name == "rating"
    assert shipped.config.members == 3 and shipped.config.mels == N_MELS


def test_the_model_card_has_the_results_of_the_config():
    facts = json.loads((SHIPPED / CONFIG_FILE).read_text())["fit"]
    card = (SHIPPED / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert agreement_table(facts) in card and calibration_table(facts) in card
    assert all(str(f1["held"]) in card and str(f1["onset"]) in card for f1 in facts["transcription_f1"])
    assert facts["held_out"]["agreement"]["mean"]["rank_correlation"] > 0.45


def test_the_model_card_has_the_scores_of_the_probes(probe_scores):
    card = (SHIPPED / "MODEL_CARD.md").read_text(encoding="utf-8")
    section = card.partition("## Sanity probes")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| ")][1:]
    table = {name.strip(): float(score) for name, score in rows}
    assert set(table) == set(probe_scores)
    for name, score in table.items():
        assert probe_scores[name] == pytest.approx(score, abs=0.05), name  # rounding, and that of other processors


def test_weights_are_small():
    assert (SHIPPED / "rating.safetensors").stat().st_size < 6.5e6
    assert (SHIPPED / "MODEL_CARD.md").is_file()


@pytest.mark.parametrize(
    "score",
    [
        pytest.param(Score(), id="no length"),
        pytest.param(Score(length_ticks=96), id="silence"),
        pytest.param(Score([(0, 1, 21, 1)]), id="one soft short note"),
        pytest.param(Score([(0, 9_999, 127, 127)]), id="one long note above the piano"),
        pytest.param(Score([(0, 3, p, 127) for p in range(128)], tempo_bpm=600), id="all keys, fast"),
        pytest.param(replace(TUNE, tempo_bpm=4), id="very slow"),
    ],
)
def test_degenerate_pieces_have_finite_scores(shipped, score):
    assert np.abs(checked(shipped, Pieces([score]))).max() <= RATING_LIMIT
    assert np.isfinite(shipped.sibling(Pieces([score]))).all()


@pytest.mark.parametrize("real", ["Twinkle Twinkle, melody", "Ode to Joy, melody", "chorale in four parts"])
def test_degenerate_probes_score_below_music(probe_scores, real):
    for name in (
        "random keys, 400 notes",
        "random keys, 2000 notes",
        "cluster of all 88 keys",
        "one key, repeated",
        "one note",
        "silence",
        "white noise",
    ):
        assert probe_scores[name] < probe_scores[real] - 0.5, name


def test_an_accompanied_melody_scores_above_random_keys(shipped, probe_scores):
    bass = parse_melody("C3:4 F2:2 C3:2 F2:2 C3:2 G2:2 C3:2")
    score = shipped.score(Pieces([superpose(TUNE, bass)]))[0]
    assert score > probe_scores["random keys, 400 notes"] + 0.5


def test_members_have_different_transcribers(shipped):
    first, *others = (member.transcriber.first.weight for member in shipped.network)
    assert not any(torch.equal(first, other) for other in others)


def test_the_sibling_member_rates_music_above_degenerate_probes(shipped):
    probes = sanity_probes()
    music = Pieces([probes["Twinkle Twinkle, melody"], probes["Ode to Joy, melody"]])
    degenerate = Pieces([probes["silence"], probes["cluster of all 88 keys"], probes["one note"]])
    assert shipped.sibling(music).min() > shipped.sibling(degenerate).max()
