"""Recorded performances."""

import warnings

import numpy as np
import pytest

from toccata.music import Score
from toccata.music.midi import MidiError, MidiWarning, read_midi
from toccata.music.midi.beats import track_beats
from toccata.music.midi.performance import FEWEST_ONSETS, off_grid_share

TUNE = [0, 2, 4, 5, 7, 5, 4, 2, 0, 4, 7, 12, 7, 4, 0, 0]
NOTES = [(12 * i, 12, 72 + TUNE[i % 16], 80) for i in range(128)]
NOTES += [(24 * i, 24, (48, 43, 45, 41)[i % 4] + 4 * (i % 2), 80) for i in range(64)]
PIECE = Score(NOTES, tempo_bpm=96)


def perform(path, score, rubato, jitter, seed=0):
    """Write a performance at a nominal 120 beats a minute; its beats in seconds."""
    beats = np.arange(0, score.length_ticks / 24 + 1, 1 / 8)
    seconds_a_beat = 60 / score.tempo_bpm * np.exp(rubato * np.sin(beats / 5) + rubato / 2 * np.sin(beats / 1.7))
    clock = np.concatenate(([0], np.cumsum(seconds_a_beat[1:] / 8)))
    rng = np.random.default_rng(seed)
    notes = []
    for onset, duration, pitch, velocity in score.notes.tolist():
        start = max(np.interp(onset / 24, beats, clock) + rng.normal(0, jitter), 0)
        end = max(np.interp((onset + duration) / 24, beats, clock) - 0.01, start + 0.03)
        notes.append((round(start * 960), round((end - start) * 960), pitch, velocity))  # 480 ticks a beat
    write_plain(path, notes)
    return clock[::8]


def write_plain(path, notes, resolution=480):
    """A MIDI file of another program, without a tempo."""
    import mido

    events = [(start, 1, pitch, velocity) for start, _, pitch, velocity in notes]
    events += [(start + duration, 0, pitch, 0) for start, duration, pitch, _ in notes]
    midi, track, now = mido.MidiFile(ticks_per_beat=resolution), mido.MidiTrack(), 0
    for tick, _, pitch, velocity in sorted(events):
        track.append(mido.Message("note_on", note=pitch, velocity=velocity, time=tick - now))
        now = tick
    midi.tracks.append(track)
    midi.save(path)


def test_share_of_onsets_off_the_grid():
    assert off_grid_share(range(0, 20 * 100, 20), 480) == 0  # each on the grid
    assert off_grid_share(range(0, 1000, 7), 480) == pytest.approx(0.5, abs=0.06)  # everywhere: half are so near
    assert off_grid_share([round(i * 1024 / 24) for i in range(100)], 1024) == 0  # rounded by the program
    assert off_grid_share(range(FEWEST_ONSETS - 1), 480) == 0
    assert off_grid_share(range(100), 24) == off_grid_share(range(100), 1) == 0
    assert off_grid_share([7 + 20 * i for i in range(100)], 480) == 0  # on a grid that is later
    assert off_grid_share([20 * i + 7 * (i % 3) for i in range(99)], 480) == pytest.approx(1 / 3)


def test_a_performance_is_noticed(tmp_path):
    path = tmp_path / "a.mid"
    perform(path, PIECE, rubato=0.1, jitter=0.015)
    with pytest.warns(
        MidiWarning, match=r"a\.mid: \d\d% of its onsets are off the grid .*; beats=\"track\" finds them"
    ):
        read_midi(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_midi(path, ticks_per_beat=480)  # a finer grid keeps the times
        read_midi(path, beats="track")
        write_plain(path, [(20 * onset, 20 * duration, *rest) for onset, duration, *rest in NOTES])
        assert Score.from_midi(path).notes.tolist() == PIECE.notes.tolist()
        PIECE.to_midi(path)
        assert read_midi(path) == PIECE


@pytest.mark.parametrize("rubato", [0, 0.05, 0.1])
def test_tracked_beats_are_quarters(tmp_path, rubato):
    beats = perform(tmp_path / "a.mid", PIECE, rubato, jitter=0.008)
    score = read_midi(tmp_path / "a.mid", beats="track")
    onsets = {pitch: [] for pitch in PIECE.notes["pitch"].tolist()}
    for onset, _, pitch, _ in score.notes.tolist():
        onsets[pitch].append(onset)
    shift = score.notes["onset_tick"].min()
    error = np.concatenate([
        np.array(onsets[pitch]) - shift - PIECE.notes["onset_tick"][PIECE.notes["pitch"] == pitch] for pitch in onsets
    ])  # fmt: skip
    assert np.mean(np.abs(error) <= 2) > 0.95  # ticks: the jitter
    assert score.tempo_bpm == pytest.approx(60 / np.diff(beats).mean(), rel=0.03)
    assert score.offset_ticks.max() * score.seconds_per_tick == pytest.approx(beats[64], abs=1.5)
    assert (score.beats_per_bar, score.time_signatures) == (4, ())


def test_beats_of_equal_onsets():
    times = np.arange(40) * 0.6
    assert track_beats(times, times + 0.3, np.full(40, 60)) == pytest.approx(times)
    assert len(track_beats(np.zeros(3), np.ones(3), np.arange(3))) == 0
    assert len(track_beats(np.empty(0), np.empty(0), np.empty(0))) == 0
    far = track_beats(np.array([0.0, 50.0]), np.array([1.0, 51.0]), np.array([60, 60]))
    assert (np.diff(far) > 0).all() and far[0] >= -1.7 and far[-1] <= 51.7


def test_short_and_long_files(tmp_path):
    path = tmp_path / "a.mid"
    write_plain(path, [])
    assert len(read_midi(path, beats="track")) == 0
    write_plain(path, [(0, 480, 60, 80), (0, 480, 64, 80)])
    assert read_midi(path, beats="track") == read_midi(path)
    write_plain(path, [(0, 480, 60, 80), (480 * 2 * 3601, 480, 60, 80)])
    with pytest.raises(MidiError, match=r"a\.mid: lasts 3,60\d s, beats are tracked in at most 3,600 s"):
        read_midi(path, beats="track")
    with pytest.raises(MidiError, match=r"a\.mid: beats must be file or track, got 'x'"):
        read_midi(path, beats="x")
