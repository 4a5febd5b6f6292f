"""Songs with words of music21's corpus: Bach's chorales in German, and songs in English whose files state a licence."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from toccata.music.corpus.versions import version_groups
from toccata.music.lyrics import Lyrics, Syllable
from toccata.music.lyrics.underlay import Underlay
from toccata.music.lyrics.words import split_word
from toccata.music.musicxml.assembly import DEFAULT_VELOCITY
from toccata.music.musicxml.music21_score import score_from_stream
from toccata.music.score import TICKS_PER_BEAT, Score
from toccata.music.songs.german import german_stress

if TYPE_CHECKING:
    from music21.note import GeneralNote
    from music21.stream import Stream

# Those whose files state a licence; the words of others of the corpus have none, or are for study only.
ENGLISH = {
    "johnson_j_r/lift_every_voice": "CC0",
    "liliuokalani/aloha_oe": "CC0",
    "leadSheet/fosterBrownHair": "public domain",
    "beach/prayer_of_a_tired_child": "CC BY-SA",
}
HAWAIIAN = ("liliuokalani/aloha_oe", 1)  # a verse that is not English
FEWEST_FERMATAS = 3  # of a chorale: they end its lines
LEAST_SUNG = 0.6  # of the notes of a melody; a stanza that has less goes on elsewhere
LONG_TICKS = 2 * TICKS_PER_BEAT  # a syllable that ends a line where no rest does, at the end of a word,
LONGER = 2  # and so many times as long as the median
NUMBER = re.compile(r"^\s*\d+\.?\s*")  # of a stanza, before its first syllable


@dataclass(frozen=True)
class Song:
    """One stanza with its music."""

    name: str  # of the work in the corpus, and the number of the stanza
    work: str
    language: str  # "de" or "en"
    score: Score  # all parts
    underlay: Underlay
    group: str  # equal for versions of one melody or text


class _Sung(NamedTuple):
    """A written note of a melody."""

    tick: int
    text: str  # empty of one without a syllable
    syllabic: str
    fermata: bool


def corpus_songs(
    works: Sequence[str] | None = None, on_work: Callable[[int], object] = lambda works: None
) -> list[Song]:
    """Every stanza of the songs of music21's corpus that have words and a licence, in the order of their names.

    The melody is the first part with words. Lines of chorales end at fermatas; those of other songs where a word ends
    before a rest, or on a syllable of two beats or more that is twice as long as the median. Stress is that of
    `german_stress` and, in English, of `toccata.music.lyrics.words.split_word`.

    Args:
        works: names of those to read, such as "bach/bwv269"; by default all. `Song.group` says what is alike of these.
        on_work: called before each file, with the number of files.
    """
    from music21 import corpus

    files = {f"bach/{path.stem}": path for path in corpus.getComposer("bach") if path.suffix == ".mxl"}
    names = [*sorted(files), *sorted(ENGLISH)] if works is None else list(works)
    found: list[Song] = []
    for name in names:
        on_work(len(names))
        found += _songs(corpus.parse(files.get(name, name)), name, "en" if name in ENGLISH else "de")
    texts = [_first_words(song.underlay.lyrics) for song in found]
    groups = version_groups(texts, [sung_line(song.score, song.underlay) for song in found])
    return [replace(song, group=group) for song, group in zip(found, groups, strict=True)]


def sung_line(score: Score, underlay: Underlay) -> Score:
    """The notes that are sung, alone, in the bars of the score."""
    columns = (underlay.onset_ticks, underlay.duration_ticks, underlay.pitches)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return replace(score, notes=[(*row, DEFAULT_VELOCITY) for row in rows])  # type: ignore[arg-type]  # as its constructor takes


def _songs(stream: Stream, name: str, language: str) -> Iterator[Song]:
    """The stanzas of one work."""
    part = next(
        (part for part in getattr(stream, "parts", ()) if any(note.lyrics for note in part.flatten().notes)), None
    )
    if part is None:
        return
    score, melody = score_from_stream(stream, "written"), score_from_stream(part, "written")
    written = [note for note in part.flatten().notes if not note.duration.isGrace]
    for number in sorted({lyric.number for note in written for lyric in note.lyrics}):
        sung = [_sung(note, number) for note in written]
        if (name, number) == HAWAIIAN or sum(bool(each.text) for each in sung) < LEAST_SUNG * len(written):
            continue
        if language == "de" and sum(each.fermata for each in sung) < FEWEST_FERMATAS:
            continue
        yield Song(f"{name} {number}", name, language, score, _underlay(sung, melody, language), name)


def _sung(note: GeneralNote, number: int) -> _Sung:
    """A note with the syllable of one stanza."""
    lyric = next((lyric for lyric in note.lyrics if lyric.number == number and (lyric.text or "").strip()), None)
    tick = round(Fraction(note.offset) * TICKS_PER_BEAT)
    fermata = any("Fermata" in each.classes for each in note.expressions)
    if lyric is None:
        return _Sung(tick, "", "", fermata)
    text = "".join(NUMBER.sub("", lyric.text).split())
    return _Sung(tick, text, lyric.syllabic or "single", fermata)


def _underlay(sung: Sequence[_Sung], melody: Score, language: str) -> Underlay:
    """The underlay of a stanza: notes without a syllable go on with the last one, unless a rest is before them."""
    at = {each.tick: each for each in sung}
    shift = int(melody.notes["onset_tick"][0]) - sung[0].tick
    highest = {int(note["onset_tick"]): note for note in melody.notes}  # of equal onsets the last is the highest
    heads: list[_Sung] = []
    rows: list[list[int]] = []  # onset, duration, pitch, syllable
    fermatas: list[bool] = []
    for tick, note in sorted(highest.items()):
        each = at.get(tick - shift, _Sung(tick, "", "", False))
        if each.text:
            heads.append(each)
            fermatas.append(False)
        elif not heads or tick > rows[-1][0] + rows[-1][1]:
            continue
        if rows and rows[-1][0] + rows[-1][1] > tick:
            rows[-1][1] = tick - rows[-1][0]
        rows.append([tick, int(note["duration_ticks"]), int(note["pitch"]), len(heads) - 1])
        fermatas[-1] |= each.fermata
    ends = fermatas if language == "de" else _line_ends(rows)
    columns = np.array(rows, np.int64).T
    return Underlay(Lyrics(tuple(_syllables(heads, ends, columns[3], language)), language), *columns)


def _line_ends(rows: Sequence[Sequence[int]]) -> list[bool]:
    """Whether a line may end with each syllable: a rest follows it, or it is long."""
    table = np.array(rows)
    first = np.flatnonzero(np.diff(table[:, 3], prepend=-1))
    last = np.append(first[1:], len(table)) - 1
    begins, ends = table[first, 0], table[last, 0] + table[last, 1]
    ticks = ends - begins
    rests = np.append(begins[1:] > ends[:-1], True)
    return (rests | (ticks >= max(LONG_TICKS, LONGER * np.median(ticks)))).tolist()


def _syllables(heads: Sequence[_Sung], ends: Sequence[bool], numbers: np.ndarray, language: str) -> Iterator[Syllable]:
    """The syllables of a stanza.

    Args:
        heads: the note that each begins with.
        ends: whether a line ends with each, if its word does.
        numbers: (notes,) the syllable of each note.
        language: of the words.
    """
    notes = np.bincount(numbers).tolist()
    before = ["single", *(each.syllabic for each in heads)]
    begins = [
        each.syllabic in ("single", "begin") or last in ("single", "end")
        for last, each in zip(before, heads, strict=False)
    ]
    word_ends = [*begins[1:], True]
    starts = np.flatnonzero(begins).tolist()
    for start, end in zip(starts, [*starts[1:], len(heads)], strict=True):
        for number, stress in zip(range(start, end), _stress(heads[start:end], language), strict=True):
            line_end = number == len(heads) - 1 or (ends[number] and word_ends[number])
            yield Syllable(heads[number].text, stress, begins[number], word_ends[number], line_end, notes[number])


def _stress(word: Sequence[_Sung], language: str) -> Sequence[int | None]:
    """The stress of the syllables of a word; unknown where the dictionary counts others."""
    texts = [each.text for each in word]
    if language == "de":
        return german_stress(texts)
    letters = "".join(texts).strip(string.punctuation + "‘’“”").lower()
    known = [stress for _, stress in split_word(letters, language)] if letters else []
    return known if len(known) == len(texts) else [None] * len(texts)


def _first_words(lyrics: Lyrics) -> str:
    """What names a text: its first eight syllables, letters only."""
    return "".join(filter(str.isalpha, "".join(each.text for each in lyrics.syllables[:8]).lower()))
