from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from toccata import cli
from toccata.agents.rivals.dreaming import dream as dream_module
from toccata.agents.rivals.dreaming import mel_discriminator
from toccata.agents.rivals.dreaming.config import DreamConfig
from toccata.agents.rivals.dreaming.dream import dream, regularisers_of
from toccata.agents.rivals.dreaming.mel_discriminator import MelCritic
from toccata.agents.rivals.dreaming.regularisers import NONE, Regularisers
from toccata.agents.rivals.dreaming.sound_dream import SoundDreams, dream_sounds, spectral_flatness
from toccata.interrupts import Interrupted
from toccata.music.sound.audio_files import read_audio
from toccata.reward_models.rating.model import RatingModel
from toccata.reward_models.realism.model import ACCURACY_GATE

TOY = DreamConfig(seconds=1, steps=2, pieces=1)


def dreamt(config: DreamConfig) -> SoundDreams:
    return dream(config, Console(file=StringIO()))


@pytest.mark.parametrize("domain", ["mel", "waveform"])
def test_writes_sound_pictures_and_figures(
    tmp_path: Path, domain: str, corpus_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mel_discriminator, "REAL_PIECES", 2)
    config = replace(
        TOY,
        domain=domain,  # type: ignore[arg-type]  # one of the two
        with_realism=True,
        corpus=(str(corpus_folder),),
        out=tmp_path / "dreams",
    )
    dreams = dreamt(config)
    assert {path.name for path in (tmp_path / "dreams").iterdir()} == {
        "dream-000.wav",
        "dream-000.png",
        "ratings.png",
        "dream.json",
    }
    sound = read_audio(tmp_path / "dreams/dream-000.wav")
    np.testing.assert_allclose(sound, dreams.sounds[0], atol=1e-4)
    figures = json.loads((tmp_path / "dreams/dream.json").read_text())
    assert (figures["steps_done"], figures["settings"]["domain"]) == (2, domain)
    assert {"ascended", "realism", "accuracy", "score", "score of the sound", "sibling"} <= set(figures["history"][-1])
    again = dreamt(replace(config, out=tmp_path / "again"))
    np.testing.assert_array_equal(again.sounds, dreams.sounds)


def test_what_was_reached_is_written_when_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopping(*arguments: object, **options: object) -> SoundDreams:
        def stop(step: int) -> None:
            if step == 2:
                raise KeyboardInterrupt

        return dream_sounds(*arguments, **{**options, "on_step": stop})  # type: ignore[arg-type]  # as they were given

    monkeypatch.setattr(dream_module, "dream_sounds", stopping)
    with pytest.raises(Interrupted, match=f"stopped after 2 of 9 steps, which are in {tmp_path}"):
        dreamt(replace(TOY, steps=9, out=tmp_path / "dreams"))
    assert json.loads((tmp_path / "dreams/dream.json").read_text())["steps_done"] == 2
    monkeypatch.undo()
    whole = dreamt(replace(TOY, out=tmp_path / "whole"))
    np.testing.assert_allclose(read_audio(tmp_path / "dreams/dream-000.wav"), whole.sounds[0], atol=1e-4)


def test_an_ascent_ascends() -> None:
    dreams = dream_sounds(RatingModel.load(), NONE, seconds=1, steps=12, pieces=1)
    assert dreams.history[-1]["ascended"] > dreams.history[1]["ascended"]
    assert sorted(dreams.snapshots)[0] == 0
    assert sorted(dreams.snapshots)[-1] == 12


def test_a_discriminator_learns_to_tell_real_from_dreamt() -> None:
    rng = np.random.default_rng(0)
    real = (rng.normal(-9, 1, (16, 128, 160)).astype(np.float32), np.full(16, 160))
    real[0][:, 20:30] += 7
    critic, noise = MelCritic(real, 0), torch.from_numpy(rng.normal(-2, 1, (8, 128, 160)).astype(np.float32))
    valid = torch.full((8,), 160)
    accuracies = [critic.train(noise, valid)["accuracy"] for _ in range(20)]
    assert accuracies[-1] > ACCURACY_GATE
    of_real = critic.realism(torch.from_numpy(real[0][:8]), valid)
    assert float(of_real.mean()) > float(critic.realism(noise, valid).mean())


def test_naive_is_without_regularisers() -> None:
    assert regularisers_of(replace(TOY, regularise=False)) == NONE
    assert regularisers_of(TOY) == Regularisers()
    assert regularisers_of(replace(TOY, blur=2.5)) == Regularisers(blur=2.5)


def test_flatness_of_noise_tone_and_silence() -> None:
    noise = np.random.default_rng(0).standard_normal(32_000)
    assert spectral_flatness(noise) == pytest.approx(0.56, abs=0.02)
    assert spectral_flatness(np.sin(np.arange(32_000) * 0.3)) < 1e-3
    assert spectral_flatness(np.zeros(32_000)) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seconds", "0"], "seconds must be a number, at least 1 and at most 300, got 0"),
        (["--corpus", "nowhere", "--with-realism"], "unknown corpus 'nowhere'"),
        (["--rating", "nowhere"], "nowhere"),
        (["--no-regularise", "--blur", "3"], "blur is one of the regularisers: leave it out, or --no-regularise"),
        (["--realism-weight", "2"], "realism_weight is of the realism: leave it out, or give --with-realism too"),
        (["--out", "."], ".: exists already; choose another --out"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run_command("dream", ["--steps", "1", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
