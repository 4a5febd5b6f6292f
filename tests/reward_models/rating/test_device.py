"""The rating in large batches on a device against the rating on a CPU."""

import numpy as np
import pytest
import torch

from helpers.devices import DEVICES
from toccata.envs.pieces import Pieces
from toccata.music.score import Score
from toccata.music.sound.bank import note_bank
from toccata.reward_models.rating import device_mels
from toccata.reward_models.rating import model as model_module
from toccata.reward_models.rating.audio_windows import score_window_mels, windows_of_scores
from toccata.reward_models.rating.device_mels import WINDOW_BLOCKS, DeviceBank, device_window_mels
from toccata.reward_models.rating.fitting.synthetic import random_melody
from toccata.reward_models.rating.model import RatingModel

TOLERANCE = 1e-4  # standard deviations of the popularity that the rating was fitted to
SCORES = [
    Score(),
    Score([(0, 300, 21, 1)], length_ticks=768),
    Score([(t, 12, p, 127) for t in range(0, 48, 12) for p in range(128)]),  # louder than full scale
    Score([(0, 96 * 9, 45, 90), *[(24 * i, 20, 60 + i % 12, 40 + i) for i in range(36)]]),  # held over all windows
    *[random_melody(np.random.default_rng(seed), bars) for seed, bars in enumerate((1, 2, 4, 5))],
]


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    rating = RatingModel.load()
    pieces = Pieces(SCORES)
    return {"ratings": rating.member_ratings(pieces), "score": rating.score(pieces), "sibling": rating.sibling(pieces)}


@pytest.mark.parametrize("device", DEVICES)
def test_scores_equal_those_of_the_cpu(expected, device):
    rating = RatingModel.load().to(device, large_batches=True)
    pieces = Pieces(SCORES)
    found = {"ratings": rating.member_ratings(pieces), "score": rating.score(pieces), "sibling": rating.sibling(pieces)}
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], values, rtol=0, atol=TOLERANCE, err_msg=name)
    assert rating.score(Pieces([])).shape == (0,)
    assert rating.weights_hash() == RatingModel.load().weights_hash()


@pytest.mark.parametrize("device", DEVICES)
def test_sound_and_spectrograms_equal_those_of_the_cpu(device):
    windows = windows_of_scores(SCORES)
    index = np.arange(len(windows))[::-1].copy()
    parts = [windows[each] for each in index]
    audio = DeviceBank(torch.device(device)).mix(*windows.notes_of(index), len(index)).cpu().numpy()
    expected = note_bank().render_parts([part.notes for part in parts], WINDOW_BLOCKS * 64)
    np.testing.assert_allclose(audio, expected, rtol=0, atol=1e-6)
    assert np.abs(audio).max() == 1  # clipped
    mels, frames = device_window_mels(windows, index, torch.device(device))
    expected_mels, expected_frames = score_window_mels(parts)
    np.testing.assert_allclose(mels.cpu().numpy(), expected_mels, rtol=0, atol=1e-4)
    assert frames.tolist() == expected_frames.tolist()


def test_a_full_bank_is_cleared(monkeypatch):
    windows = windows_of_scores(SCORES[3:])
    arguments = *windows.notes_of(np.arange(len(windows))), len(windows)
    roomy = DeviceBank(torch.device("cpu"))
    expected = roomy.mix(*arguments)
    monkeypatch.setattr(device_mels, "BANK_BLOCKS", 5_000)
    monkeypatch.setattr(device_mels, "FIRST_BLOCKS", 100)
    bank = DeviceBank(torch.device("cpu"))
    most = 0
    for index in range(len(windows)):
        notes, window = windows.notes_of(np.array([index]))
        assert torch.equal(bank.mix(notes, window, 1)[0], expected[index])
        most = max(most, bank._used)
    assert 5_000 < most < roomy._used


def test_batches_are_bounded_by_windows_and_notes(monkeypatch):
    monkeypatch.setattr(model_module, "LARGE_BATCH", 3)
    monkeypatch.setattr(model_module, "LARGE_BATCH_NOTES", 100)
    notes = np.array([10, 10, 10, 10, 95, 10, 200, 0, 0, 0, 0, 100])
    batches = [batch.tolist() for batch in model_module._batches(np.arange(12), notes)]
    assert batches == [[0, 1, 2], [3], [4], [5], [6], [7, 8, 9], [10, 11]]
    assert list(model_module._batches(np.arange(0), notes[:0])) == []


def test_large_batches_are_cached_too(small_rating, monkeypatch):
    rating = small_rating().to("cpu", large_batches=True)
    score = rating.score(Pieces(SCORES[5:]))
    monkeypatch.setattr(model_module, "device_window_mels", None)
    np.testing.assert_array_equal(rating.score(Pieces(SCORES[:4:-1])), score[::-1])


def test_moving_back_gives_the_bits_of_the_cpu(small_rating):
    pieces = Pieces(SCORES[3:6])
    rating = small_rating()
    score = rating.score(pieces)
    rating.to("cpu", large_batches=True).score(pieces)
    assert rating.to("cpu") is rating
    np.testing.assert_array_equal(rating.score(pieces), score)


def test_recordings_are_rated_in_large_batches_too(small_rating):
    rating, audio = small_rating(), note_bank().render_one(SCORES[-1])
    expected = rating.score_audio(audio)
    assert rating.to("cpu", large_batches=True).score_audio(audio) == pytest.approx(expected, abs=TOLERANCE)
