"""Transcription: targets and their alignment with the sound, F1, and the fit of transcribers."""

import io

import numpy as np
import pytest
import torch
from rich.console import Console
from rich.progress import Progress

from toccata.music.score import Score
from toccata.music.sound.bank import note_bank
from toccata.music.sound.spectrogram import SAMPLE_RATE
from toccata.reward_models.rating.audio_windows import STRIDE_FRAMES, WINDOW_FRAMES, score_window_mels, score_windows
from toccata.reward_models.rating.fitting import transcription
from toccata.reward_models.rating.fitting.sanity_probes import parse_melody
from toccata.reward_models.rating.fitting.transcription import (
    LOWEST,
    fit_transcribers,
    key_targets,
    synthetic_pieces,
    transcription_f1,
)
from toccata.reward_models.rating.melody_statistics import KEYS
from toccata.reward_models.rating.network import RatingConfig, equal_loudness

BANK = note_bank(SAMPLE_RATE)
BEAT = 15.625  # frames at 120 bpm


def progress():
    return Progress(console=Console(file=io.StringIO()))


# Targets


def test_targets_of_a_known_score():
    score = Score([(0, 24, 60, 80), (48, 48, 64, 80), (48, 24, 67, 80)])
    (target,) = key_targets(score_windows(score))
    assert target.shape == (2 * KEYS, WINDOW_FRAMES) and target.dtype == np.float32
    onsets, held = target[:KEYS], target[KEYS:]
    assert [(int(key) + LOWEST, int(frame)) for key, frame in np.argwhere(onsets)] == [
        (60, 0),
        (64, round(2 * BEAT)),
        (67, round(2 * BEAT)),
    ]
    for pitch, first, last in ((60, 0, BEAT), (64, 2 * BEAT, 4 * BEAT), (67, 2 * BEAT, 3 * BEAT)):
        frames = np.flatnonzero(held[pitch - LOWEST])
        assert frames[0] == round(first) and abs(frames[-1] + 1 - last) <= 1 and (np.diff(frames) == 1).all()
    assert set(np.flatnonzero(target.any(1)).tolist()) == {k - LOWEST + p for k in (60, 64, 67) for p in (0, KEYS)}


def test_onset_targets_are_aligned_with_the_sound():
    score = Score([(onset, 12, 60 + onset, 127) for onset in (12, 30, 44)])
    windows = score_windows(score)
    mels, _ = score_window_mels(windows)
    onsets = np.flatnonzero(key_targets(windows)[0, :KEYS].any(0))
    loudness = np.exp(mels[0]).sum(0)
    rise = np.diff(np.log(loudness), prepend=np.log(loudness[0]))
    for frame in onsets:
        assert abs(int(rise[max(frame - 3, 0) : frame + 4].argmax()) - min(frame, 3)) <= 1


def test_a_note_over_several_windows_has_one_onset():
    score = Score([(0, 24 * 30, 60, 80)])
    targets = key_targets(score_windows(score))
    assert len(targets) >= 3
    assert targets[:, 60 - LOWEST].sum() == 1
    held = targets[:-1, KEYS + 60 - LOWEST]  # the last window contains its end
    assert (held[:, :STRIDE_FRAMES] == 1).all() and not held[
        :, STRIDE_FRAMES:
    ].any()  # keys are released at the end of a window


def test_targets_of_keys_out_of_range_and_of_the_shortest_notes():
    (target,) = key_targets(score_windows(Score([(0, 24, 0, 80), (0, 24, 127, 80), (10, 1, 21, 80), (10, 1, 108, 80)])))
    assert sorted(set(np.flatnonzero(target.any(1)).tolist())) == [0, KEYS - 1, KEYS, 2 * KEYS - 1]
    assert target.sum() == 4  # an onset and a held frame each
    assert not key_targets(score_windows(Score(length_ticks=96))).any()


def test_synthetic_pieces_are_melodies_and_negatives():
    pieces = synthetic_pieces(200, np.random.default_rng(0))
    assert len(pieces) == 200
    assert any(not len(piece) for piece in pieces)
    assert 0.5 < np.mean([len(set(piece.notes["pitch"].tolist())) > 2 for piece in pieces]) < 1


# F1


class FixedMember:
    """A member with fixed predictions."""

    def __init__(self, keys):
        self.keys = keys

    def standardise(self, log_mel, mask):
        return log_mel

    def transcriber(self, sound, mask):
        return torch.from_numpy(self.keys) * 2 - 1


def test_f1_of_known_predictions():
    windows = score_windows(parse_melody("C4 E4 G4 C5"))
    keys = key_targets(windows)
    assert transcription_f1(FixedMember(keys), windows) == {"onset": 1, "held": 1}
    assert transcription_f1(FixedMember(0 * keys), windows) == {"onset": 0, "held": 0}
    half = keys.copy()
    half[:, :, 2 * int(BEAT) :] = 0  # two of four notes: precision 1, recall 0.5
    assert transcription_f1(FixedMember(half), windows)["onset"] == pytest.approx(2 / 3, abs=0.01)
    padded = keys.copy()
    padded[:, :, windows[0].frames :] = 1  # frames in the padding do not count
    assert transcription_f1(FixedMember(padded), windows) == {"onset": 1, "held": 1}


# Fitting


def test_bands_without_music_are_not_amplified():
    mels = np.random.default_rng(0).normal(-8, 2, (4, 3, 160))
    mels[:, 2] = -11.5  # as the highest bands of a sound font without overtones there
    mean, scale = transcription._band_scale(mels.astype(np.float16))
    np.testing.assert_allclose(mean[:, 0], [-8, -8, -11.5], atol=0.3)
    np.testing.assert_allclose(scale[:, 0], [0.5, 0.5, 1], atol=0.05)


def test_every_window_gets_an_equaliser_of_its_own():
    torch.manual_seed(0)
    mels = torch.full((50, 128, 4), -5.0)
    curves = transcription._equalised(mels) + 5
    assert torch.equal(curves[:, :, 0], curves[:, :, 3])  # constant over time
    assert 0.7 < float(curves.std()) < 1.1 and float(curves.diff(dim=1).abs().max()) < 0.6  # smooth over the bands
    np.testing.assert_allclose(transcription._equalised(torch.full((2, 128, 4), -20.0)), np.log(1e-5), atol=1e-5)


@pytest.fixture
def few_test_pieces(monkeypatch):
    monkeypatch.setattr(transcription, "TEST_PIECES", 6)


def test_transcribers_are_fitted(few_test_pieces, monkeypatch):
    tune = parse_melody("C4 E4 G4 C5 B4 G4 E4 C4")
    monkeypatch.setattr(
        transcription, "synthetic_pieces", lambda count, rng: [tune.transpose(i % 3) for i in range(count)]
    )
    config = RatingConfig(bins=4, channels=96, sound_channels=4, hidden=8, members=2)
    with progress() as bar:
        members, f1 = fit_transcribers(config, pieces=32, epochs=18, seed=0, banks=[BANK], progress=bar)
    first, second = members
    for member in members:
        assert transcription_f1(member, score_windows(tune))["held"] > 0.8
        assert not member.training
    assert [set(each) for each in f1] == [{"onset", "held"}] * 2
    assert not torch.equal(first.transcriber.first.weight, second.transcriber.first.weight)
    assert torch.equal(first.mel_mean, second.mel_mean) and torch.equal(first.mel_scale, second.mel_scale)
    mels, _ = score_window_mels(score_windows(tune))
    mask = torch.ones(len(mels), 1, WINDOW_FRAMES)
    standardised = first.standardise(equal_loudness(torch.from_numpy(mels), mask), mask)
    assert abs(float(standardised.mean())) < 0.5 and 0.5 < float(standardised.std()) < 2


def test_equal_seeds_give_equal_transcribers(few_test_pieces):
    def fitted(seed):
        with progress() as bar:
            (member,), _ = fit_transcribers(
                RatingConfig(bins=4, channels=4, sound_channels=4, hidden=8, members=1), 10, 1, seed, [BANK], bar
            )
        return torch.cat([value.flatten() for value in member.transcriber_state().values()])

    assert torch.equal(fitted(0), fitted(0))
    assert not torch.equal(fitted(0), fitted(1))
