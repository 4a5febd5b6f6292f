"""Windows of scores and recordings: start frames, agreement with the whole piece, and keys."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.rounding import float32_rounding
from toccata.music.score import Score
from toccata.music.sound import bank as sound
from toccata.music.sound.bank import audio_samples, note_bank, schedule
from toccata.music.sound.spectrogram import FLOOR, HOP, N_FFT, N_MELS, SAMPLE_RATE, log_mel, mel_frames
from toccata.music.sound.synthesizer import BLOCK
from toccata.reward_models.rating.audio_windows import (
    MAX_UNCOVERED_FRAMES,
    RELEASED_FRAMES,
    STRIDE_FRAMES,
    WINDOW_FRAMES,
    audio_window_mels,
    score_window_mels,
    score_windows,
    window_start_frames,
)
from toccata.reward_models.rating.fitting.augmentation import repeat
from toccata.reward_models.rating.fitting.sanity_probes import sanity_probes

TWO_BARS = Score([(24 * beat, 24, pitch, 80) for beat, pitch in enumerate((60, 62, 64, 65, 67, 65, 64, 62))])
FRAMES = st.integers(1, 5_000)


def keys(score):
    return [window.key for window in score_windows(score)]


# Start frames


@pytest.mark.parametrize(
    ("frames", "starts"),
    [
        (1, [0]),
        (RELEASED_FRAMES, [0]),  # two bars at 120 bpm and the release
        (160, [0]),
        (164, [0]),  # four frames may stay uncovered
        (165, [0, 5]),
        (280, [0, 120]),
        (281, [0, 125]),
        (282, [0, 125]),  # four bars at 120 bpm and the release
        (289, [0, 125]),
        (290, [0, 125, 130]),
        (407, [0, 125, 250]),
    ],
)
def test_known_start_frames(frames, starts):
    assert window_start_frames(frames) == starts


@given(FRAMES)
def test_windows_cover_all_but_a_few_frames(frames):
    starts = window_start_frames(frames)
    assert starts[0] == 0
    assert all(0 < gap <= STRIDE_FRAMES for gap in np.diff(starts))
    assert (
        frames - MAX_UNCOVERED_FRAMES <= starts[-1] + WINDOW_FRAMES <= max(frames + MAX_UNCOVERED_FRAMES, WINDOW_FRAMES)
    )


@given(FRAMES, FRAMES)
def test_a_longer_sound_keeps_all_start_frames_but_the_last(frames, more):
    before = window_start_frames(frames)[:-1]
    assert window_start_frames(frames + more)[: len(before)] == before


# Windows of scores


def assert_equal_to_the_whole_piece(score, atol=2e-3):
    """The first four seconds of each window equal those of the whole piece.

    A note that begins just before the end of a window is recorded shorter there, in finer steps of its 16 bits: hence
    the tolerance.
    """
    whole = log_mel(note_bank().render([score]))[0]
    windows = score_windows(score)
    mels, frames = score_window_mels(windows)
    starts = window_start_frames(whole.shape[1])
    assert mels.shape == (len(starts), N_MELS, WINDOW_FRAMES) and mels.dtype == np.float32
    for mel, count, start in zip(mels, frames, starts, strict=True):
        part = whole[:, start : start + STRIDE_FRAMES]
        np.testing.assert_allclose(mel[:, : part.shape[1]], part, atol=atol)
        assert count == (RELEASED_FRAMES if start != starts[-1] else min(whole.shape[1] - start, WINDOW_FRAMES))


def random_piece(seed, lowest, highest, bars=8, notes=60):
    rng = np.random.default_rng(seed)
    length = 96 * bars
    onset = rng.integers(0, length, notes)
    duration = np.minimum(rng.choice([1, 6, 12, 24, 48, 300], notes), length - onset)
    rows = zip(onset, duration, rng.integers(lowest, highest + 1, notes), rng.integers(1, 128, notes), strict=True)
    return Score(rows, length_ticks=length, tempo_bpm=float(rng.choice([97, 120, 141.37])))


@pytest.mark.parametrize("seed", range(4))
def test_windows_equal_the_whole_piece(seed):
    assert_equal_to_the_whole_piece(random_piece(seed, 21, 93))


@pytest.mark.parametrize("seed", range(3))
def test_a_window_has_the_release_of_a_piece_that_ends_there(seed):
    score = replace(random_piece(seed, 21, 93), tempo_bpm=120)
    mels, frames = score_window_mels(score_windows(score))
    assert len(mels) == 4 and (frames == RELEASED_FRAMES).all()
    for index, mel in enumerate(mels):
        end = 192 * (index + 1)
        notes = score.notes[score.notes["onset_tick"] < end].copy()
        notes["duration_ticks"] = np.minimum(notes["duration_ticks"], end - notes["onset_tick"])
        ended = log_mel(note_bank().render([Score(notes, length_ticks=end)]))[0]
        first = STRIDE_FRAMES * index
        np.testing.assert_allclose(mel[:, :RELEASED_FRAMES], ended[:, first : first + RELEASED_FRAMES], atol=1e-3)


@settings(max_examples=50)
@given(st.integers(1, 600), st.sampled_from([97, 120, 141.37, 33.3]))
def test_every_note_is_in_a_window(length_ticks, tempo_bpm):
    score = Score([(t, 1, 60 + t % 7, 80) for t in range(length_ticks)], tempo_bpm=tempo_bpm)
    score = replace(score, length_ticks=length_ticks)
    contained = set()
    for window, start in zip(score_windows(score), window_start_frames(mel_frames(audio_samples(score))), strict=True):
        first = (start - 1) * HOP // BLOCK
        contained |= {(on + first, pitch) for on, _, pitch, _ in window.notes.tolist()}
    assert {(on, pitch) for on, _, pitch, _ in schedule(score, SAMPLE_RATE).tolist()} <= contained


def test_windows_equal_the_whole_piece_for_undamped_strings():
    for seed in range(4):
        assert_equal_to_the_whole_piece(random_piece(seed, 94, 108))


@pytest.mark.parametrize(
    "score",
    [
        pytest.param(Score(), id="no length"),
        pytest.param(Score(length_ticks=900), id="silence"),
        pytest.param(Score([(0, 1, 60, 80)]), id="one short note"),
        pytest.param(Score([(0, 24 * 60, 33, 127)]), id="a note of half a minute"),
        pytest.param(Score([(24, 216, 84, 127)], length_ticks=96 * 6), id="a note that ends between two windows"),
        pytest.param(Score([(t, 3, 60, 80) for t in range(0, 700, 3)]), id="one key, repeated"),
        pytest.param(
            Score([(t, 48, p, 127) for t in range(0, 576, 48) for p in range(21, 94)]), id="clusters, clipped"
        ),
    ],
)
def test_windows_equal_the_whole_piece_for_degenerate_scores(score):
    assert_equal_to_the_whole_piece(score)


def test_windows_equal_the_whole_piece_without_the_note_bank(monkeypatch):
    score = random_piece(7, 21, 93, bars=5, notes=12)
    monkeypatch.setattr(sound, "BANK_SAMPLES", 1_000)
    assert_equal_to_the_whole_piece(score)


def test_a_spectrogram_does_not_depend_on_the_batch():
    windows = [window for seed in range(3) for window in score_windows(random_piece(seed, 21, 93))]
    mels, _ = score_window_mels(windows)
    for window, mel in zip(windows, mels, strict=True):
        np.testing.assert_array_equal(score_window_mels([window])[0][0], mel)


def test_gains_are_factors_of_the_amplitude():
    windows = score_windows(repeat(TWO_BARS, 2))
    plain, _ = score_window_mels(windows)
    changed, _ = score_window_mels(windows, np.array([1.0, 2.0, 1.0][: len(windows)]))
    np.testing.assert_array_equal(changed[0], plain[0])
    power = np.exp(plain[1].astype(float)) - FLOOR
    np.testing.assert_allclose(changed[1], np.log(4 * power + FLOOR), atol=1e-3)


# Keys


def test_windows_with_equal_sound_have_equal_keys():
    assert keys(TWO_BARS) == keys(replace(TWO_BARS))
    fine = TWO_BARS.notes.copy()
    fine["onset_tick"] *= 2
    fine["duration_ticks"] *= 2
    assert keys(Score(fine, ticks_per_beat=48)) == keys(TWO_BARS)
    twice_as_fast = replace(Score(fine, length_ticks=2 * TWO_BARS.length_ticks), tempo_bpm=240)
    assert keys(twice_as_fast) == keys(TWO_BARS)


def test_a_repeated_piece_has_few_different_windows():
    many = keys(repeat(TWO_BARS, 20))  # its two bars last as long as the stride of the windows
    assert len(many) == 20
    assert len(set(many)) == 2  # the first, without release of earlier notes, and the others


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"pitch": 61}, id="pitch"),
        pytest.param({"velocity": 81}, id="velocity"),
        pytest.param({"duration_ticks": 23}, id="duration"),
        pytest.param({"onset_tick": 1}, id="onset"),
    ],
)
def test_windows_with_other_notes_have_other_keys(change):
    notes = TWO_BARS.notes.copy()
    for name, value in change.items():
        notes[name][0] = value
    assert keys(replace(TWO_BARS, notes=notes)) != keys(TWO_BARS)


def test_the_end_of_a_piece_is_part_of_the_key():
    assert keys(Score(TWO_BARS.notes, length_ticks=170 + 24)) != keys(TWO_BARS)
    assert keys(Score(length_ticks=100)) != keys(Score(length_ticks=150))


def test_notes_after_their_release_are_not_part_of_the_key():
    late = (24 * 26, 24, 60, 80)
    low, high = (keys(Score([(0, 24 * 6, pitch, 80), late], length_ticks=96 * 8)) for pitch in (50, 53))
    assert len(low) == len(high) == 4
    # Released after 3 s, it still sounds in the window that begins at 4 s, but not in that at 8 s.
    assert [a == b for a, b in zip(low, high, strict=True)] == [False, False, True, True]


@settings(max_examples=30)
@given(st.integers(1, 15), st.integers(1, 6), st.integers(0, 1000))
def test_a_piece_that_grows_by_two_bars_keeps_all_its_windows(halves, more, seed):
    whole = replace(random_piece(seed, 21, 93, 2 * (halves + more), 8 * (halves + more)), tempo_bpm=120)
    before = keys(whole.slice(0, 192 * halves))
    assert len(before) == halves
    assert keys(whole)[: len(before)] == before


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(1, 6), st.integers(0, 1000), st.floats(60, 200))
def test_a_growing_piece_keeps_all_windows_but_the_last(bars, more, seed, tempo_bpm):
    whole = replace(random_piece(seed, 21, 93, bars + more, 4 * (bars + more)), tempo_bpm=tempo_bpm)
    before = keys(whole.slice(0, 96 * bars))[:-1]
    assert keys(whole)[: len(before)] == before


def test_sanity_probes_have_windows():
    for piece in sanity_probes().values():
        if isinstance(piece, Score):
            assert all(1 <= window.frames <= WINDOW_FRAMES for window in score_windows(piece))


# Windows of recordings


@pytest.mark.parametrize("samples", [0, 1, HOP, 5 * SAMPLE_RATE, 6 * SAMPLE_RATE, 13 * SAMPLE_RATE + 7])
def test_windows_of_a_recording_are_frames_of_its_spectrogram(samples):
    audio = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
    mels, frames = audio_window_mels(audio)
    whole = log_mel(audio[None])[0]
    starts = window_start_frames(whole.shape[1])
    assert mels.shape == (len(starts), N_MELS, WINDOW_FRAMES) and mels.dtype == np.float32
    for mel, count, start in zip(mels, frames, starts, strict=True):
        np.testing.assert_array_equal(mel[:, :count], whole[:, start : start + WINDOW_FRAMES])
        assert not mel[:, count:].any()


def test_a_stretched_recording_has_as_many_windows_as_a_longer_one():
    audio = np.zeros(40 * SAMPLE_RATE, np.float32)
    _, frames = audio_window_mels(audio, HOP // 2)
    assert len(frames) == len(window_start_frames(mel_frames(len(audio), HOP // 2))) == 20


def test_a_score_and_its_recording_have_equal_windows():
    for bars in range(1, 9):
        score = random_piece(3, 21, 93, bars)
        recorded, _ = audio_window_mels(note_bank().render_one(score))
        rendered, frames = score_window_mels(score_windows(score))
        assert len(recorded) == len(rendered)
        common = min(STRIDE_FRAMES, int(frames[-1]))
        recorded, rendered = recorded[:, :, :common], rendered[:, :, :common]
        np.testing.assert_allclose(recorded, rendered, rtol=0, atol=float32_rounding(N_FFT))
