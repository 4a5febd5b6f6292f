"""The same piece for the transcriber, so that its popularity stays: other keys, tempi, dynamics, accompaniments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toccata.music.score import TICKS_PER_BEAT, Score

TEMPO_RATIOS = (0.85, 0.925, 1.0, 1.075, 1.15)  # few, so that the note bank's recordings are reused
VELOCITIES = (64, 80, 96)
SLOWEST_BPM, FASTEST_BPM = 4.0, 600.0  # that a score can have
LOWEST, HIGHEST = 21, 108  # the piano's keys
MAJOR = np.array([0, 2, 4, 5, 7, 9, 11])
ACCOMPANIED_SHARE = 0.5  # of the variations of a single line
REPEATED_SHARE = 0.25  # of those of a single line of two bars or less
LATE_SHARE = 0.3  # of all variations: they begin with a rest
LATEST_BEATS = 1.0


def augment(score: Score, rng: np.random.Generator) -> Score:
    """The same piece in another key and tempo, perhaps after a rest; a single line also softer, twice, accompanied."""
    notes = score.notes
    single_line = len(notes) > 0 and bool((score.offset_ticks[:-1] <= notes["onset_tick"][1:]).all())
    if single_line and score.bars <= 2 and rng.random() < REPEATED_SHARE:
        score = repeated(score, 2)
    accompanied = single_line and rng.random() < ACCOMPANIED_SHARE
    score = transposed_into_range(score, int(rng.integers(-6, 7)) + 12 * int(rng.integers(-1, 2)))
    if single_line:
        notes = score.notes.copy()
        notes["velocity"] = rng.choice(VELOCITIES)
        score = replace(score, notes=notes)
    score = at_tempo(score, rng.choice(TEMPO_RATIOS))
    if accompanied:
        score = accompany(score, rng)
    return delayed(score, rng.uniform(0, LATEST_BEATS)) if rng.random() < LATE_SHARE else score


def at_tempo(score: Score, ratio: float) -> Score:
    """The score `ratio` times as fast, as far as a score can be so slow or fast."""
    return replace(score, tempo_bpm=min(max(score.tempo_bpm * ratio, SLOWEST_BPM), FASTEST_BPM))


def delayed(score: Score, beats: float) -> Score:
    """The score after a rest."""
    ticks = round(beats * TICKS_PER_BEAT)
    notes = score.notes.copy()
    notes["onset_tick"] += ticks
    return replace(score, notes=notes, length_ticks=score.length_ticks + ticks)


def repeated(score: Score, times: int) -> Score:
    """The piece played `times` times in a row."""
    copies = []
    for index in range(times):
        copy = score.notes.copy()
        copy["onset_tick"] += index * score.length_ticks
        copies.append(copy)
    return replace(score, notes=np.concatenate(copies), length_ticks=times * score.length_ticks)


def transposed_into_range(score: Score, semitones: int) -> Score:
    """The score moved by `semitones`, then by as many octaves as bring it onto the piano's keys.

    A score of more keys than the piano has stays where it is.
    """
    pitch = score.notes["pitch"]
    if not len(pitch) or int(pitch.max()) - int(pitch.min()) > HIGHEST - LOWEST:
        return score
    lowest, highest = int(pitch.min()), int(pitch.max())
    while lowest + semitones < LOWEST:
        semitones += 12
    while highest + semitones > HIGHEST:
        semitones -= 12
    return score.transpose(semitones)


def accompany(score: Score, rng: np.random.Generator) -> Score:
    """The score with a bass, chords, broken chords or three more voices under it, from triads that fit the melody."""
    if not len(score):
        return score
    melody = score.notes
    classes = np.bincount(melody["pitch"] % 12, melody["duration_ticks"], 12)
    tonic = int(np.argmax([classes[(MAJOR + key) % 12].sum() for key in range(12)]))
    triads = [(tonic + MAJOR[[d, (d + 2) % 7, (d + 4) % 7]]) % 12 for d in range(6)]
    texture = (_bass, _block_chord, _broken_chord, _voices)[rng.integers(4)]
    span = int(rng.choice([1, 2]) if texture is _voices else rng.choice([2, 4])) * TICKS_PER_BEAT
    added = []
    for start in range(0, score.length_ticks - span + 1, span):
        here = melody[(melody["onset_tick"] < start + span) & (score.offset_ticks > start)]
        weights = np.bincount(here["pitch"] % 12, here["duration_ticks"], 12)
        triad = max(triads, key=lambda triad: weights[triad].sum() + 0.3 * weights[triad[0]] + rng.random())
        ceiling = int(here["pitch"].min()) if len(here) else int(melody["pitch"].min())
        added += [
            (start + onset, duration, pitch, min(VELOCITIES))
            for onset, duration, pitch in texture([int(c) for c in triad], ceiling, span)
            if LOWEST <= pitch < ceiling
        ]
    return replace(score, notes=np.concatenate([melody, np.array(added, melody.dtype)]))


def _bass(triad: list[int], ceiling: int, span: int) -> list[tuple[int, int, int]]:
    return [(0, span, _below(triad[0], min(ceiling, 52)))]


def _block_chord(triad: list[int], ceiling: int, span: int) -> list[tuple[int, int, int]]:
    root = _below(triad[0], min(ceiling, 60))
    return [(0, span, root + (pitch - triad[0]) % 12) for pitch in triad]


def _broken_chord(triad: list[int], ceiling: int, span: int) -> list[tuple[int, int, int]]:
    chord, part = _block_chord(triad, ceiling, span), span // 4
    return [(index * part, part, chord[voice][2]) for index, voice in enumerate((0, 2, 1, 2))]


def _voices(triad: list[int], ceiling: int, span: int) -> list[tuple[int, int, int]]:
    """As a hymn is set: two chord tones close under the melody, and a bass."""
    inner = sorted((_below(pitch, ceiling) for pitch in triad), reverse=True)[:2]
    return [(0, span, pitch) for pitch in (*inner, _below(triad[0], min(inner[-1], 53)))]


def _below(pitch_class: int, ceiling: int) -> int:
    """The highest key of a pitch class under `ceiling`."""
    return ceiling - 1 - (ceiling - 1 - pitch_class) % 12
