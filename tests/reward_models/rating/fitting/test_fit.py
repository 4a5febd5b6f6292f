"""A fit from the command to the reward: recordings, MIDI files, mixed data, counts, and a known function."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from toccata.envs.pieces import Pieces
from toccata.music.score import Score
from toccata.music.sound.audio_files import write_wav
from toccata.reward_models.loading import load_reward
from toccata.reward_models.preferences import read_preferences
from toccata.reward_models.rating.fitting import fit as fit_module
from toccata.reward_models.rating.fitting.config import FitRatingConfig, FitRatingError
from toccata.reward_models.rating.fitting.fit import fit, main
from toccata.reward_models.rating.fitting.sanity_probes import parse_melody
from toccata.reward_models.rating.model import RatingModel
from toccata.reward_models.rating.network import RatingConfig


def wav_rows(folder, count):
    """Write recordings, and return their rows of a manifest; popularity rises with the frequency."""
    folder.mkdir(exist_ok=True)
    for index in range(count):
        seconds = np.arange(8_000) / 16_000
        write_wav(folder / f"{index}.wav", 0.2 * np.sin(2 * np.pi * (200 + 100 * index) * seconds))
    return [(f"{index}.wav", 1_000, 10 + 20 * index) for index in range(count)]


def test_an_error_of_the_command_is_one_line(tmp_path):
    command = [sys.executable, "-m", "toccata", "fit-rating", "--data", str(tmp_path), "--out", "x"]
    process = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert process.returncode == 1
    assert process.stderr.startswith(f"error: {tmp_path}: holds no preference data; it can be ")
    assert process.stderr.count("\n") == 1


def test_a_fitted_network_is_not_overwritten(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FitRatingError, match="already holds"):
        main(FitRatingConfig(data=tmp_path, out=tmp_path))


def test_recordings_become_a_reward(small_network, short_fit, write_manifest, fit_facts, tmp_path, capsys):
    rows = wav_rows(tmp_path / "data", 12)
    (tmp_path / "data" / "broken.wav").write_bytes(b"RIFF nothing")
    rows += [("broken.wav", 10, 5), ("missing.wav", 10, 5), ("0.wav", 0, 0), ("1.wav", 10, 20)]
    data = write_manifest(tmp_path / "data", rows)
    main(short_fit(data, tmp_path / "a"))
    printed = capsys.readouterr()
    assert f"fitted: {tmp_path / 'a'}" in printed.out and f"--rewards rating:{tmp_path / 'a'} 1.0" in printed.out
    assert "12 pieces in 12 groups" in printed.out
    facts = fit_facts(tmp_path / "a")
    assert facts["pieces"] == 12
    assert facts["left_out"] == {
        "unreadable file": 1,
        "missing file": 1,
        "no plays": 1,
        "more likes than plays": 1,
    }
    assert set(facts["held_out"]["agreement"]) == {
        "score",
        "mean",
        "sibling member",
        "all members",
        "ridge",
        "constant",
    }
    assert {result["pieces"] for result in facts["held_out"]["agreement"].values()} == {12}
    assert len(facts["held_out"]["calibration"]) == 10
    assert facts["options"]["copies"] == 1 and "data" not in facts["options"]
    assert [set(f1) for f1 in facts["transcription_f1"]] == [{"onset", "held"}] * 3
    for name in ("rating.safetensors", "report.md", "curves.png"):
        assert (tmp_path / "a" / name).stat().st_size > 0
    reward = load_reward(f"rating:{tmp_path / 'a'}")
    assert np.isfinite(reward.score(Pieces([parse_melody("C4 D4 E4 F4"), Score()]))).all()

    main(short_fit(data, tmp_path / "b"))
    assert RatingModel.load(tmp_path / "b").weights_hash() == RatingModel.load(tmp_path / "a").weights_hash()
    assert fit_facts(tmp_path / "b") == facts


def test_midi_files_become_a_reward(
    small_network, short_fit, write_manifest, midi_rows, make_tune, fit_facts, tmp_path
):
    rows = midi_rows(tmp_path / "data", 12)
    parse_melody("C4 D4 E4").to_midi(tmp_path / "data" / "short.mid")
    parse_melody("C4 " * 12).to_midi(tmp_path / "data" / "one.mid")
    (tmp_path / "data" / "broken.mid").write_bytes(b"MThd")
    wide = Score([(24 * i, 24, p, 80) for i, p in enumerate((0, 127) * 5)], tempo_bpm=590)
    wide.to_midi(tmp_path / "data" / "wide.mid")
    rows += [(f"{name}.mid", 100, 50) for name in ("short", "one", "broken", "wide")]
    data = write_manifest(tmp_path / "data", rows)
    main(short_fit(data, tmp_path / "a"))
    main(short_fit(data, tmp_path / "b"))
    model = RatingModel.load(tmp_path / "a")
    assert model.weights_hash() == RatingModel.load(tmp_path / "b").weights_hash()
    facts = fit_facts(tmp_path / "a")
    assert facts["pieces"] == 13
    assert facts["left_out"] == {"fewer than 8 notes": 1, "one key only": 1, "unreadable file": 1}
    assert "\n## Invariances\n" in (tmp_path / "a" / "report.md").read_text()
    assert np.isfinite(model.score(Pieces([make_tune(99)]))).all()


def test_scores_and_recordings_can_be_mixed(small_network, short_fit, write_manifest, midi_rows, fit_facts, tmp_path):
    rows = [*wav_rows(tmp_path / "data", 6), *midi_rows(tmp_path / "data", 6)]
    data = write_manifest(tmp_path / "data", rows)
    main(short_fit(data, tmp_path / "a", folds=0, members=2, copies=0))
    facts = fit_facts(tmp_path / "a")
    assert facts["pieces"] == 12 and facts["held_out"] == {}
    assert RatingModel.load(tmp_path / "a").config.members == 2
    assert "Held-out" not in (tmp_path / "a" / "report.md").read_text()


def test_counts_without_likes_can_be_fitted(small_network, short_fit, make_tune, fit_facts, tmp_path):
    rows = []
    for index in range(12):
        notes = [[int(p), int(o) // 6, int(o + d) // 6] for o, d, p, _ in make_tune(index).notes.tolist()]
        counts = {"sessions": 2**index} if index % 2 else {"by_country": {"FR": [2**index, 2**index]}}
        rows.append(json.dumps({"notes": notes, **counts}))
    (tmp_path / "melodies.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    main(short_fit(tmp_path, tmp_path / "a"))
    facts = fit_facts(tmp_path / "a")
    assert facts["sources"] == {"worldwide": 6, "countries": 6}
    assert {"mean, worldwide", "mean, countries"} < set(facts["held_out"]["agreement"])
    assert facts["p_mean"] == pytest.approx(np.log(2) * np.mean(range(12)))


def test_pieces_of_a_single_group_can_be_fitted(small_network, short_fit, make_table, make_tune):
    table = make_table([make_tune(i) for i in range(12)], range(1, 13), group=["one artist"] * 12)
    _, facts, _, _ = fit(short_fit(), table, Console(quiet=True))
    assert facts["groups"] == 1


def test_there_are_many_negatives():
    assert FitRatingConfig(data=Path(), out=Path()).negatives >= 500  # and a tenth as many recordings of noise


@pytest.mark.slow
def test_a_known_function_is_fitted(small_network, short_fit, write_manifest, monkeypatch, tmp_path):
    """Popularity rises with the frequency of recordings; those held out are ranked by it."""
    rng = np.random.default_rng(0)
    rows = []
    (tmp_path / "data").mkdir()
    for index, hz in enumerate(rng.permutation(np.geomspace(200, 6_000, 60))):
        seconds = np.arange(8_000) / 16_000
        write_wav(tmp_path / "data" / f"{index}.wav", rng.uniform(0.1, 0.4) * np.sin(2 * np.pi * hz * seconds))
        rows.append((f"{index}.wav", 10_000, int(hz)))
    small = partial(RatingConfig, bins=4, channels=8, sound_channels=16, hidden=8)
    monkeypatch.setattr(fit_module, "RatingConfig", small)
    table = read_preferences(write_manifest(tmp_path / "data", rows))
    _, facts, _, _ = fit(short_fit(copies=0, epochs=25, members=1), table, Console(quiet=True))
    assert facts["held_out"]["agreement"]["mean"]["rank_correlation"] > 0.7


@pytest.mark.slow
def test_shipped_transcribers_are_used_by_default(write_manifest, midi_rows, fit_facts, tmp_path):
    data = write_manifest(tmp_path / "data", midi_rows(tmp_path / "data", 20))
    main(FitRatingConfig(data=data, out=tmp_path / "a", copies=1, epochs=3, members=4, folds=2))
    shipped, model = RatingModel.load(), RatingModel.load(tmp_path / "a")
    sibling = shipped.network[-1].transcriber.first.weight
    assert torch.equal(model.network[-1].transcriber.first.weight, sibling)
    assert not any(torch.equal(member.transcriber.first.weight, sibling) for member in list(model.network)[:-1])
    assert fit_facts(tmp_path / "a")["transcription_f1"] == "transcribers of the shipped rating"
