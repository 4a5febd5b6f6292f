"""A sketch of a sung line: words by the speech synthesizer eSpeak NG, with the pitches and lengths of the notes.

It shows which syllable is on which note, not how a singer sounds. A word is spoken as a whole and cut into its
syllables; each is analysed by linear prediction, stretched to its notes, and synthesized with pulses at their pitches.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import lru_cache

import numpy as np

from toccata.errors import ToccataError, one_line
from toccata.music.lyrics.underlay import Underlay
from toccata.music.score import Score

PROGRAM = "espeak-ng"
INSTALL = "the sung sketch needs the program espeak-ng: install the package of that name (apt install espeak-ng)"
RATE = 22_050  # samples a second of eSpeak NG
HEADER_BYTES = 44  # of its WAV files
LEAST_LEVEL = 0.02  # of speech; below it is silence
WORDS_A_MINUTE = 120  # slow, so that syllables are clear
ORDER = 24  # of linear prediction: two a kilohertz of the sound, and some
HOP, WINDOW = 220, 660  # samples: 10 and 30 ms
VOICED = 0.35  # least autocorrelation at a period of speech; below it a frame is noise
PERIODS = RATE // 400, RATE // 60  # samples: voices of 60 to 400 Hz
EDGE_FRAMES = 6  # at the beginning of a syllable that are not stretched: its consonants
PEAK = 0.5  # of the sketch
SECONDS_OF_SPEECH = 20  # a program that takes longer for a word hangs
BREATH = 0.02  # of noise in voiced frames


class SketchError(ToccataError, RuntimeError):
    """A sketch that cannot be made: the program is missing, or failed for a word, which is named."""


def has_espeak() -> bool:
    """Whether the program is installed."""
    return shutil.which(PROGRAM) is not None


def check_espeak() -> None:
    """Raise SketchError unless the program is installed."""
    if not has_espeak():
        raise SketchError(INSTALL)


def sung_sketch(score: Score, underlay: Underlay) -> np.ndarray:
    """The words of a song at the pitches and times of its notes, (samples,) float32 at `RATE` in [-0.5, 0.5].

    Equal songs give equal sound, with one version of the program.

    Args:
        score: the whole song, whose tempo and length count.
        underlay: its words.

    Raises:
        SketchError: when the program is missing, or fails.
    """
    samples_a_tick = score.seconds_per_tick * RATE
    audio = np.zeros(round(score.length_ticks * samples_a_tick) + RATE // 2)
    spoken = _syllables(underlay)
    first = np.flatnonzero(np.diff(underlay.syllables, prepend=-1)).tolist()
    for place, (start, end) in enumerate(zip(first, [*first[1:], len(underlay)], strict=True)):
        begin = round(int(underlay.onset_ticks[start]) * samples_a_tick)
        ends = underlay.onset_ticks[start:end] + underlay.duration_ticks[start:end]
        changes = [*underlay.onset_ticks[start + 1 : end].tolist(), int(ends[-1])]
        bounds = [round(tick * samples_a_tick) - begin for tick in changes]
        pitch = np.repeat(underlay.pitches[start:end], np.diff([0, *bounds]).clip(0))
        sound = _sung(spoken[place], 440 * 2 ** ((pitch - 69) / 12))
        audio[begin : begin + len(sound)] += sound[: len(audio) - begin]
    peak = np.abs(audio).max(initial=0)
    return (audio * (PEAK / peak if peak > 0 else 0)).astype(np.float32)


def _syllables(underlay: Underlay) -> list[np.ndarray]:
    """The speech of each syllable that is sung."""
    found: list[np.ndarray] = []
    syllables = underlay.lyrics.syllables[: int(underlay.syllables[-1]) + 1] if len(underlay) else ()
    word: list[str] = []
    for syllable in syllables:
        word.append(syllable.text)
        if syllable.word_end:
            found += _parts(_speech("".join(word), underlay.lyrics.language), len(word))
            word = []
    return found + (_parts(_speech("".join(word), underlay.lyrics.language), len(word)) if word else [])


@lru_cache(maxsize=512)
def _speech(word: str, language: str) -> np.ndarray:
    """A spoken word without the silence around it, (samples,) float64 in [-1, 1].

    Raises:
        SketchError: when the program is missing, or fails.
    """
    command = [PROGRAM, "-v", language.replace("_", "-").lower(), "-s", str(WORDS_A_MINUTE), "--stdout", "--stdin"]
    try:
        made = subprocess.run(command, input=word.encode(), capture_output=True, timeout=SECONDS_OF_SPEECH, check=True)
    except FileNotFoundError:
        raise SketchError(INSTALL) from None
    except (subprocess.SubprocessError, OSError) as error:
        raise SketchError(f"{PROGRAM} cannot say {word!r}: {one_line(error)}") from error
    rate = int.from_bytes(made.stdout[24:28], "little")
    if rate != RATE:
        raise SketchError(f"{PROGRAM} speaks with {rate} samples a second, expected {RATE}")
    speech = np.frombuffer(made.stdout[HEADER_BYTES:], "<i2") / 2**15
    loud = np.flatnonzero(np.abs(speech) > LEAST_LEVEL)
    return speech[loud[0] : loud[-1] + 1] if len(loud) else np.zeros(WINDOW)


def _parts(speech: np.ndarray, count: int) -> list[np.ndarray]:
    """The speech of a word in `count` parts, cut where it is softest near the ends of equal parts."""
    level = np.convolve(np.abs(speech), np.ones(HOP) / HOP, "same")
    cuts = [0]
    for number in range(1, count):
        middle, near = len(speech) * number // count, len(speech) // (4 * count)
        cuts.append(middle - near + int(np.argmin(level[middle - near : middle + near + 1])))
    return np.split(speech, cuts[1:])


def _sung(speech: np.ndarray, hertz: np.ndarray) -> np.ndarray:
    """Speech with another pitch at each sample, (samples,) hertz; it has as many samples as these."""
    from scipy.signal import lfilter

    frames = _frames(speech)
    wanted = max(len(hertz) // HOP, 1)
    order = _stretched(len(frames), wanted)
    rng = np.random.default_rng(0)
    phase = np.cumsum(hertz / RATE)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    sound = np.zeros(len(hertz))
    state = np.zeros(ORDER)
    for frame, source in enumerate(order):
        start, stop = frame * HOP, len(hertz) if frame == wanted - 1 else (frame + 1) * HOP
        filter_, gain, voiced = frames[source]
        noise = rng.standard_normal(stop - start)
        excitation = pulses[start:stop] * np.sqrt(RATE / hertz[start:stop]) + BREATH * noise if voiced else noise
        sound[start:stop], state = lfilter([gain], filter_, excitation, zi=state)
    fade = min(HOP, len(sound))
    sound[len(sound) - fade :] *= np.linspace(1, 0, fade)
    return sound


def _stretched(frames: int, wanted: int) -> np.ndarray:
    """Which frame to take at each of `wanted` steps: consonants at their speed, the rest stretched or shortened."""
    edge = min(EDGE_FRAMES, frames // 3, wanted // 3)
    middle = np.linspace(edge, max(frames - edge - 1, edge), max(wanted - 2 * edge, 0)).round().astype(int)
    return np.concatenate([np.arange(edge), middle, np.arange(frames - edge, frames)])[:wanted]


def _frames(speech: np.ndarray) -> list[tuple[np.ndarray, float, bool]]:
    """The filter of linear prediction, its gain, and whether it is voiced, of each frame of speech.

    Source: the autocorrelation method of Makhoul 1975, "Linear prediction: a tutorial review", Proceedings of the IEEE.
    """
    from scipy.linalg import solve_toeplitz

    padded = np.pad(speech, (WINDOW // 2, WINDOW))
    found = []
    for start in range(0, max(len(speech), 1), HOP):
        windowed = padded[start : start + WINDOW] * np.hanning(WINDOW)
        correlation = np.correlate(windowed, windowed, "full")[WINDOW - 1 :]
        energy = correlation[0] + 1e-9
        correlation[0] = energy * 1.0001  # a little white noise, so that the filter is stable
        predictor = solve_toeplitz(correlation[:ORDER], correlation[1 : ORDER + 1])
        error = max(correlation[0] - predictor @ correlation[1 : ORDER + 1], 1e-12)
        low, high = PERIODS
        voiced = bool(correlation[low:high].max() > VOICED * energy)
        found.append((np.concatenate(([1.0], -predictor)), float(np.sqrt(error / WINDOW)), voiced))
    return found
