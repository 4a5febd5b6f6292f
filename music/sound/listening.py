"""The sound of a score for people: rendered by FluidSynth itself, with its reverb, in mono or stereo.

Networks hear the `NoteBank`: dry, mono, of the default sound font. What is here never reaches them.
"""

from __future__ import annotations

from os import PathLike

import numpy as np

from toccata.music.score import Score
from toccata.music.sound.bank import audio_samples, default_soundfont, play, schedule
from toccata.music.sound.synthesizer import BLOCK, VOICES_PER_NOTE, FluidPiano

REVERB = {  # a small hall: 60 dB less after 1.9 s
    "synth.reverb.active": 1,
    "synth.reverb.room-size": 0.5,
    "synth.reverb.damp": 0.3,
    "synth.reverb.width": 1.0,
    "synth.reverb.level": 0.7,
}
REVERB_SEND = 80  # of 127: with the default sound font the reverb is 15 dB below the piano
LOADING = {"synth.dynamic-sample-loading": 1}  # the samples of program 0 only: large fonts have hundreds more
TAIL_SECONDS = 1.0  # after the sound that networks hear, for the reverb
FADE_SECONDS = 0.5  # at the end, where a sound font has long releases


def render_for_listening(
    score: Score,
    sample_rate: int,
    soundfont: str | PathLike[str] | None = None,
    *,
    stereo: bool = False,
    reverb: bool = True,
) -> np.ndarray:
    """Render a score with FluidSynth for people.

    Equal scores give equal sound. It is not clipped: a cluster of all keys exceeds [-1, 1], see `at_loudness`.

    Args:
        score: the piece.
        sample_rate: samples a second, 8,000 to 96,000.
        soundfont: path of an SF2 or SF3 file, `default_soundfont()` by default; its program 0 is played.
        stereo: left and right as the sound font places the keys and the reverb spreads them; else their mean.
        reverb: FluidSynth's, a little.

    Returns:
        (samples,) float32, or (samples, 2); the length of the piece and 2 s.

    Raises:
        SoundError: when libfluidsynth is not installed or cannot read the sound font.
        FileNotFoundError: when there is no such sound font.
        ValueError: for a sample rate out of range.
    """
    notes = schedule(score, sample_rate)
    samples = audio_samples(score, sample_rate) + round(TAIL_SECONDS * sample_rate)
    blocks = -(-samples // BLOCK)
    audio = np.zeros((2, blocks * BLOCK) if stereo else blocks * BLOCK, np.float32)
    voices = (len(notes) + 4) * VOICES_PER_NOTE
    settings = {**LOADING, **(REVERB if reverb else {})}
    with FluidPiano(sample_rate, soundfont or default_soundfont(), voices, settings) as piano:
        if reverb:
            piano.send_to_reverb(REVERB_SEND)
        play(piano, notes, audio)
    audio = audio[..., :samples]
    fade = min(round(FADE_SECONDS * sample_rate), samples)
    audio[..., samples - fade :] *= np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2
    return audio.T if stereo else audio


def check_soundfont(soundfont: str | PathLike[str] | None) -> None:
    """Raise SoundError or FileNotFoundError, naming it, for a sound font that `render_for_listening` cannot use."""
    FluidPiano(16_000, soundfont or default_soundfont(), 4 * VOICES_PER_NOTE, LOADING).close()
