"""What the rating network is fitted with besides real melodies: note features, variations, made-up music."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from toccata.music.score import TICKS_PER_BEAT, Score

TWO_BARS = 8 * TICKS_PER_BEAT
STEP = TICKS_PER_BEAT // 4  # a sixteenth
MAJOR = np.array([0, 2, 4, 5, 7, 9, 11])
TEMPI_BPM = (102.0, 111.0, 120.0, 129.0, 138.0)  # 120 x 0.85..1.15; few, so that the note bank's recordings are reused
VELOCITIES = (64, 80, 96)
LOWEST, HIGHEST = 21, 108  # the piano's keys

FEATURES = (
    "log_notes",
    "mean_interval",
    "greatest_interval",
    "share_of_steps",
    "share_of_leaps",
    "share_of_repeats",
    "scale_fit",
    "pitch_class_entropy",
    "rhythm_entropy",
    "mean_duration",
    "share_of_rests",
    "range",
    "share_of_new_pitches",
    "net_rise",
    "share_of_turns",
    "share_on_beat",
    "last_onset",
)


def note_features(score: Score) -> np.ndarray:
    """(len(FEATURES),) float64 description of the melody, the highest note struck at each tick; zeros for silence.

    Invariant to transposition and tempo. Intervals are in semitones, durations in sixteenths, entropies in bits,
    shares in [0, 1]; `log_notes` counts notes per two bars, `last_onset` is a share of the length.
    """
    notes = score.notes
    if not len(notes):
        return np.zeros(len(FEATURES))
    top = notes[np.append(np.diff(notes["onset_tick"]) > 0, True)]  # sorted by onset, then pitch: the last is highest
    pitch = top["pitch"].astype(np.int64)
    onset = top["onset_tick"].astype(np.int64)
    duration = top["duration_ticks"].astype(np.float64)
    intervals = np.diff(pitch)
    sizes = np.abs(intervals)
    turns = np.sign(intervals)
    classes = np.bincount(pitch % 12, duration, 12) / duration.sum()
    gaps = np.minimum(np.diff(onset) // STEP, 16)
    moves = max(len(intervals), 1)
    return np.array(
        [
            np.log(len(top) * TWO_BARS / score.length_ticks),
            sizes.sum() / moves,
            min(sizes.max(initial=0), 24),
            np.count_nonzero(sizes <= 2) / moves,
            np.count_nonzero(sizes > 7) / moves,
            np.count_nonzero(sizes == 0) / moves,
            max(classes[(MAJOR + key) % 12].sum() for key in range(12)),
            _entropy_bits(classes),
            _entropy_bits(np.bincount(gaps) / max(len(gaps), 1)),
            duration.mean() / STEP,
            1 - min(duration.sum() / score.length_ticks, 1),
            pitch.max() - pitch.min(),
            len(np.unique(pitch)) / len(pitch),
            pitch[-1] - pitch[0],
            np.count_nonzero(turns[1:] != turns[:-1]) / max(moves - 1, 1),
            np.count_nonzero(onset % TICKS_PER_BEAT == 0) / len(onset),
            onset[-1] / score.length_ticks,
        ]
    )


def _entropy_bits(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())


# Variations: the same melody for the listener, so its popularity stays


def vary(score: Score, rng: np.random.Generator, accompany_share: float = 0.5, repeat_share: float = 0.25) -> Score:
    """The same melody in another key, octave, tempo and dynamics, sometimes twice over or accompanied."""
    if rng.random() < repeat_share:
        score = repeated(score, 2)
    accompanied = rng.random() < accompany_share
    score = transposed_into_range(score, int(rng.integers(-6, 7)) + 12 * int(rng.integers(-1, 2)))
    notes = score.notes.copy()
    notes["velocity"] = rng.choice(VELOCITIES)
    score = replace(score, notes=notes, tempo_bpm=rng.choice(TEMPI_BPM))
    return accompany(score, rng) if accompanied else score


def repeated(score: Score, times: int) -> Score:
    """The piece played `times` times in a row."""
    copies = []
    for index in range(times):
        copy = score.notes.copy()
        copy["onset_tick"] += index * score.length_ticks
        copies.append(copy)
    return replace(score, notes=np.concatenate(copies), length_ticks=times * score.length_ticks)


def transposed_into_range(score: Score, semitones: int) -> Score:
    """The score moved by `semitones`, then by as many octaves as bring it onto the piano's keys."""
    if not len(score):
        return score
    lowest, highest = int(score.notes["pitch"].min()), int(score.notes["pitch"].max())
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


# Made-up music


def random_melody(rng: np.random.Generator, bars: int = 2) -> Score:
    """A melody made by chance: random walk in a scale, rhythm of random density, at times with a repeated motif."""
    steps = bars * 16
    values = np.array([1, 2, 3, 4, 6, 8])
    rhythm = rng.dirichlet([0.5, 0.8, 0.3, 0.4, 0.1, 0.15])
    rest_share = rng.choice([0, 0, 0, 0.05, 0.2])
    legato = rng.random() < 0.7
    jumps = np.arange(-12, 13)
    taste = np.exp(-np.abs(jumps) / rng.uniform(0.7, 8)) * rng.gamma(0.7, 1, len(jumps))
    taste[12] *= rng.choice([0.1, 1, 4])
    taste /= taste.sum()
    scale = (MAJOR + rng.integers(12)) % 12 if rng.random() < 0.7 else np.arange(12)
    low = int(rng.integers(40, 66))
    high = low + int(rng.integers(8, 40))
    pitch, step, notes = int(rng.integers(low, high)), 0, []
    while step < steps:
        value = int(min(rng.choice(values, p=rhythm), steps - step))
        if rng.random() >= rest_share:
            sounding = value if legato else int(rng.integers(1, value + 1))
            notes.append((step * STEP, sounding * STEP, pitch))
            move = int(rng.choice(jumps, p=taste))
            aim = int(np.clip(pitch + (move if low <= pitch + move <= high else -move), low, high))
            pitch = aim if aim % 12 in scale else aim + (1 if (aim + 1) % 12 in scale else -1)
        step += value
    if rng.random() < 0.3:  # a motif, repeated to the end
        period = int(rng.choice([4, 8, 16])) * STEP
        motif = [(onset, min(duration, period - onset), pitch) for onset, duration, pitch in notes if onset < period]
        notes = [
            (onset + start, duration, pitch)
            for start in range(0, steps * STEP, period)
            for onset, duration, pitch in motif
        ]
    return Score([(*note, 80) for note in notes], length_ticks=steps * STEP)


def recombined(first: Score, second: Score, rng: np.random.Generator) -> Score:
    """A new melody: the first half of one, the second half of another moved to join it, and a few notes changed."""
    half = first.length_ticks // 2
    head, tail = first.slice(0, half), second.slice(second.length_ticks // 2, second.length_ticks)
    if not len(head) or not len(tail):
        return first
    end = tail.notes.copy()
    end["onset_tick"] += half
    gap = int(end["pitch"][0]) - int(head.notes["pitch"][-1])
    if rng.random() < 0.5 or abs(gap) > 12:
        end["pitch"] -= gap - int(rng.integers(-5, 6))
    notes = np.concatenate([head.notes, end])
    changed = rng.random(len(notes)) < rng.choice([0, 0.05, 0.2])
    notes["pitch"][changed] += rng.integers(-4, 5, int(changed.sum())).astype(np.int16)
    notes["pitch"] = np.clip(notes["pitch"], LOWEST, HIGHEST)
    return replace(first, notes=notes, length_ticks=half + tail.length_ticks)


def random_texture(rng: np.random.Generator) -> Score:
    """Two bars of random notes, from a few to several hundred: what an untrained agent plays."""
    count = int(np.exp(rng.uniform(np.log(4), np.log(300))))
    return _scatter(rng, count, int(rng.choice([21, 36, 48])), int(rng.choice([72, 84, 109])))


def _scatter(rng: np.random.Generator, count: int, low: int, high: int) -> Score:
    onset = rng.integers(0, 32, count) * STEP
    duration = np.minimum(rng.choice([1, 1, 2, 3, 4, 8, 16], count) * STEP, TWO_BARS - onset)
    notes = zip(onset, duration, rng.integers(low, high, count), rng.choice(VELOCITIES, count), strict=True)
    return Score(notes, length_ticks=TWO_BARS)


def _silence(_rng: np.random.Generator) -> Score:
    return Score(length_ticks=TWO_BARS)


def _one_note(rng: np.random.Generator) -> Score:
    """One key, once or over and over."""
    period = int(rng.choice([1, 2, 3, 4, 6, 8, 16, 32])) * STEP
    pitch = int(rng.integers(LOWEST, HIGHEST + 1))
    onsets = range(0, TWO_BARS, period)
    return Score([(onset, min(period, TWO_BARS - onset), pitch, 80) for onset in onsets], length_ticks=TWO_BARS)


def _wall(rng: np.random.Generator) -> Score:
    """Very many keys at once, struck once or over and over."""
    period = int(rng.choice([2, 4, 8, 16, 32])) * STEP
    low = int(rng.choice([21, 36, 48]))
    keys = range(low, int(rng.choice([72, 84, 109])), int(rng.choice([1, 1, 2])))
    onsets = range(0, TWO_BARS, period)
    return Score([(o, period, pitch, 80) for o in onsets for pitch in keys], length_ticks=TWO_BARS)


def _clusters(rng: np.random.Generator) -> Score:
    """White noise on keys: dense random notes."""
    return _scatter(rng, int(rng.integers(60, 600)), LOWEST, HIGHEST + 1)


def _repeated_chord(rng: np.random.Generator) -> Score:
    """The same few random keys, over and over."""
    period = int(rng.choice([1, 2, 4, 8, 16])) * STEP
    keys = rng.choice(np.arange(30, 90), int(rng.integers(2, 9)), replace=False)
    onsets = range(0, TWO_BARS, period)
    return Score([(o, period, int(pitch), 80) for o in onsets for pitch in keys], length_ticks=TWO_BARS)


NEGATIVES: tuple[Callable[[np.random.Generator], Score], ...] = (
    _silence,
    _one_note,
    _one_note,  # twice: it is the easiest to fall into
    _wall,
    _clusters,
    _repeated_chord,
    random_texture,
)


def negative(rng: np.random.Generator) -> Score:
    """Two bars that nobody would ask to hear again: silence, one note, a wall of keys, noise, random play."""
    score = NEGATIVES[rng.integers(len(NEGATIVES))](rng)
    if rng.random() < 0.5:
        score = repeated(score, 2)
    return replace(score, tempo_bpm=rng.choice(TEMPI_BPM))
