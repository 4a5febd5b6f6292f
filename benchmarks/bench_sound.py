"""Scores to sound and to spectrograms, versus pretty_midi and librosa on the same scores in the same run.

`python benchmarks/bench_sound.py` prints the table; `rows()` returns it: a list of dicts with `name`,
`ours_per_second`, `peer`, `peer_per_second`, `ratio`, `target`, `ok`. In the row of the greatest difference the
rates are None and `ratio` is the difference, which must not exceed `target`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from statistics import median
from unittest.mock import patch

import numpy as np
import pretty_midi

from toccata.music import Score
from toccata.music.sound.bank import NoteBank, audio_samples, render_fluidsynth
from toccata.music.sound.spectrogram import F_MAX, F_MIN, FLOOR, HOP, N_FFT, N_MELS, SAMPLE_RATE, log_mel

PIECES = 64
BARS = 8  # 16 s at 120 bpm
NOTE_VALUES = (1, 3, 4, 6, 8, 12, 16, 18, 24, 36, 48, 72, 96)  # ticks, those of the default piano
SOUND_TARGET, MEL_TARGET = 50, 10  # times faster than the peer, at least
DIFFERENCE_TARGET = 1e-3  # of full scale
ROUNDS = 3  # in each the peers run once
OUR_REPEATS = 5  # in each round, because ours are short; the medians over all rounds count


def agent_like_score(rng: np.random.Generator, bars: int = BARS) -> Score:
    """Bars of random chords and single notes, 12 to 32 notes in each, as pieces of agents have."""
    end, tick, notes = bars * 96, 0, []
    while tick < end:
        lowest = int(rng.integers(30, 84))
        chord = {lowest, *(lowest + rng.integers(1, 24, rng.integers(0, 5))).tolist()}
        notes += [(tick, min(int(rng.choice(NOTE_VALUES)), end - tick), pitch, 80) for pitch in sorted(chord)]
        tick += int(rng.choice(NOTE_VALUES[3:9]))
    return Score(notes, length_ticks=end)


def as_pretty_midi(score: Score) -> pretty_midi.PrettyMIDI:
    """The score for the peer."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=score.tempo_bpm)
    piano = pretty_midi.Instrument(program=0)
    seconds = score.seconds_per_tick
    for onset, duration, pitch, velocity in score.notes.tolist():
        piano.notes.append(pretty_midi.Note(velocity, pitch, onset * seconds, (onset + duration) * seconds))
    midi.instruments.append(piano)
    return midi


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def librosa_log_mel(audio: np.ndarray) -> np.ndarray:
    """The log-mel spectrogram of librosa with our settings."""
    import librosa

    mel = librosa.feature.melspectrogram(
        y=audio, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS, fmin=F_MIN, fmax=F_MAX, pad_mode="constant"
    )
    return np.log(mel + FLOOR)


def rows() -> list[dict]:
    """Measure everything; about a minute."""
    rng = np.random.default_rng(0)
    scores = [agent_like_score(rng) for _ in range(PIECES)]
    midis = [as_pretty_midi(score) for score in scores]
    NoteBank().render(scores[:1])  # load the compiled loop
    log_mel(np.zeros((1, SAMPLE_RATE)))
    librosa_log_mel(np.zeros(SAMPLE_RATE, np.float32))

    def peer_sound() -> list[np.ndarray]:
        return [midi.fluidsynth(fs=SAMPLE_RATE) for midi in midis]

    with patch.dict(os.environ, {"TOCCATA_CACHE": os.devnull}):  # no recordings on disk
        bank = NoteBank()
    cold = PIECES / seconds_of(lambda: bank.render(scores))
    timed: dict[str, list[float]] = {"sound": [], "mel": [], "peer": [], "peer_mel": []}
    for _ in range(ROUNDS):  # alternating, so that other processes slow both
        for _ in range(OUR_REPEATS):
            timed["sound"].append(seconds_of(lambda: bank.render(scores)))
            timed["mel"].append(seconds_of(lambda: log_mel(bank.render(scores))))
        timed["peer"].append(seconds_of(peer_sound))
        timed["peer_mel"].append(seconds_of(lambda: [librosa_log_mel(audio) for audio in peer_sound()]))
    sound, mel, peer, peer_mel = (PIECES / median(seconds) for seconds in timed.values())

    audio = bank.render(scores)
    difference = max(
        float(np.abs(ours[: audio_samples(score)] - render_fluidsynth(score)).max())
        for score, ours in zip(scores, audio, strict=True)
    )

    def row(name: str, ours: float, peer_name: str, peer_rate: float, target: float | None) -> dict:
        ratio = ours / peer_rate
        return {
            "name": name,
            "ours_per_second": ours,
            "peer": peer_name,
            "peer_per_second": peer_rate,
            "ratio": ratio,
            "target": target,
            "ok": target is None or ratio >= target,
        }

    return [
        row("scores to sound, warm bank", sound, "pretty_midi.fluidsynth", peer, SOUND_TARGET),
        row("scores to sound, empty bank", cold, "pretty_midi.fluidsynth", peer, None),
        row("scores to log-mel, warm bank", mel, "pretty_midi.fluidsynth + librosa", peer_mel, MEL_TARGET),
        {
            "name": "greatest difference of sound",
            "ours_per_second": None,
            "peer": "FluidSynth",
            "peer_per_second": None,
            "ratio": difference,
            "target": DIFFERENCE_TARGET,
            "ok": difference <= DIFFERENCE_TARGET,
        },
    ]


def main() -> None:
    """Print the table."""
    print(f"{PIECES} pieces of {BARS} bars; rates are pieces a second")
    for row in rows():
        rates = "".join(f"{row[key]:10.1f}" if row[key] else " " * 10 for key in ("ours_per_second", "peer_per_second"))
        target = "" if row["target"] is None else f"target {row['target']:g}: {'ok' if row['ok'] else 'MISSED'}"
        print(f"{row['name']:30}{rates}  {row['peer']:34}{row['ratio']:10.5g}  {target}")


if __name__ == "__main__":
    main()
