"""Augmentation of scores that keeps their popularity: other keys, tempi, dynamics and accompaniments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toccata.music.score import TICKS_PER_BEAT, Score

TEMPO_RATIOS = (0.85, 0.925, 1.0, 1.075, 1.15)  # few, so that recordings in the note bank are reused
VELOCITIES = (64, 80, 96)
MIN_BPM, MAX_BPM = 4.0, 600.0  # of a `Score`
LOWEST, HIGHEST = 21, 108  # MIDI numbers of the piano's keys
MAJOR = np.array([0, 2, 4, 5, 7, 9, 11])
ACCOMPANIED_SHARE = 0.5  # of the copies of a single line
REPEATED_SHARE = 0.25  # of the copies of a single line of at most two bars
DELAYED_SHARE = 0.3  # of all copies
MAX_DELAY_BEATS = 1.0


def augment(score: Score, rng: np.random.Generator) -> Score:
    """A random transposition at a random tempo, perhaps after a rest; a single line may be repeated and accompanied."""
    notes = score.notes
    single_line = len(notes) > 0 and bool((score.offset_ticks[:-1] <= notes["onset_tick"][1:]).all())
    if single_line and score.bars <= 2 and rng.random() < REPEATED_SHARE:
        score = repeat(score, 2)
    accompanied = single_line and rng.random() < ACCOMPANIED_SHARE
    score = transpose_into_range(score, int(rng.integers(-6, 7)) + 12 * int(rng.integers(-1, 2)))
    if single_line:
        notes = score.notes.copy()
        notes["velocity"] = rng.choice(VELOCITIES)
        score = replace(score, notes=notes)
    score = change_tempo(score, rng.choice(TEMPO_RATIOS))
    if accompanied:
        score = add_accompaniment(score, rng)
    return delay(score, rng.uniform(0, MAX_DELAY_BEATS)) if rng.random() < DELAYED_SHARE else score


def change_tempo(score: Score, ratio: float) -> Score:
    """The score at `ratio` times its tempo, clipped to the tempi a score can have."""
    return replace(score, tempo_bpm=min(max(score.tempo_bpm * ratio, MIN_BPM), MAX_BPM))


def delay(score: Score, beats: float) -> Score:
    """The score after a rest."""
    ticks = round(beats * TICKS_PER_BEAT)
    notes = score.notes.copy()
    notes["onset_tick"] += ticks
    return replace(score, notes=notes, length_ticks=score.length_ticks + ticks)


def repeat(score: Score, times: int) -> Score:
    """The score `times` times in succession."""
    copies = []
    for index in range(times):
        copy = score.notes.copy()
        copy["onset_tick"] += index * score.length_ticks
        copies.append(copy)
    return replace(score, notes=np.concatenate(copies), length_ticks=times * score.length_ticks)


def transpose_into_range(score: Score, semitones: int) -> Score:
    """The score transposed by `semitones`, then by as many octaves as bring it onto the piano's keys.

    A score of a wider range than the piano's is returned unchanged.
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


def add_accompaniment(score: Score, rng: np.random.Generator) -> Score:
    """The score with a bass, chords, broken chords or three voices below it, of the triads that fit the melody best."""
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
        sounding = melody[(melody["onset_tick"] < start + span) & (score.offset_ticks > start)]
        weights = np.bincount(sounding["pitch"] % 12, sounding["duration_ticks"], 12)
        triad = max(triads, key=lambda triad: weights[triad].sum() + 0.3 * weights[triad[0]] + rng.random())
        ceiling = int(sounding["pitch"].min()) if len(sounding) else int(melody["pitch"].min())
        added += [
            (start + onset, duration, pitch, min(VELOCITIES))
            for onset, duration, pitch in texture([int(c) for c in triad], ceiling, span)
            if LOWEST <= pitch < ceiling
        ]
    return replace(score, notes=np.concatenate([melody, np.array(added, melody.dtype)]))


# Textures: (onset tick, duration in ticks, pitch) of the notes of a triad within a span of ticks, below `ceiling`


def _bass(triad: list[int], ceiling: int, span: int) -> list[tuple[int, int, int]]:
    return [(0, span, _highest_below(triad[0], min(ceiling, 52)))]


def _block_chord(triad: list[int], ceiling: int, span: int) -> list[tuple[int, int, int]]:
    root = _highest_below(triad[0], min(ceiling, 60))
    return [(0, span, root + (pitch - triad[0]) % 12) for pitch in triad]


def _broken_chord(triad: list[int], ceiling: int, span: int) -> list[tuple[int, int, int]]:
    chord, quarter = _block_chord(triad, ceiling, span), span // 4
    return [(index * quarter, quarter, chord[voice][2]) for index, voice in enumerate((0, 2, 1, 2))]


def _voices(triad: list[int], ceiling: int, span: int) -> list[tuple[int, int, int]]:
    """Four-part harmony: two chord tones in close position below the melody, and a bass."""
    inner = sorted((_highest_below(pitch, ceiling) for pitch in triad), reverse=True)[:2]
    return [(0, span, pitch) for pitch in (*inner, _highest_below(triad[0], min(inner[-1], 53)))]


def _highest_below(pitch_class: int, ceiling: int) -> int:
    """The highest pitch of a pitch class below `ceiling`."""
    return ceiling - 1 - (ceiling - 1 - pitch_class) % 12
