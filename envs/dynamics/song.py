"""The dynamics of pianos that compose for words: a sung line on top, accompaniment below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from types import ModuleType

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike

from toccata.envs.dynamics.batch import STATE_ARRAYS, Dynamics
from toccata.envs.dynamics.song_schedule import Schedule, schedule, shortest_sung
from toccata.envs.instrument import Piano
from toccata.music.lyrics import Lyrics, LyricsError
from toccata.music.lyrics.parsing import MAX_LINE_NOTES
from toccata.music.lyrics.voices import LARGEST_LEAP, voice_range
from toccata.music.score import TICKS_PER_BEAT, Score
from toccata.settings.options import MAX_BARS

SYLLABLES_AHEAD = 8  # sung notes in an observation: a line of most songs
SYLLABLE_FEATURES, VOICE_FEATURES = 6, 5
MOST_BEATS_AHEAD = 16.0  # in an observation
OBSERVED_STRESS = {None: -1.0, 0: 0.0, 2: 0.5, 1: 1.0}
NO_LIMIT = 2**30  # steps, when those of an episode are not known
WINDOW_ARRAYS = ("earliest", "latest", "rest_after", "stress", "melisma", "lines_left")


def _load_kernels() -> ModuleType:
    """The compiled rules of the sung line, imported with the first piano that has words."""
    from toccata.envs.dynamics import song_kernels

    return song_kernels


def texts_of(lyrics: Lyrics | str | Sequence[Lyrics | str]) -> tuple[Lyrics, ...]:
    """The texts of an environment: one, or several of which each episode draws one; strings are parsed as English.

    Raises:
        LyricsError: for anything else, and for a text that cannot be sung.
    """
    given = [lyrics] if isinstance(lyrics, (Lyrics, str)) or not isinstance(lyrics, Sequence) else list(lyrics)
    if not given:
        raise LyricsError("lyrics must be a text or a sequence of at least one, got none")
    return tuple(each if isinstance(each, Lyrics) else Lyrics.parse(each) for each in given)


def most_bars(lyrics: Sequence[Lyrics], piano: Piano, ticks_per_bar: int, bars: int | None) -> int:
    """The bars of the longest song.

    Raises:
        LyricsError: when `bars` are too few for one of them.
    """
    return max(schedule(each, piano, ticks_per_bar, bars).bars for each in lyrics)


def bars_of_four_beats(bars: int, ticks_per_bar: int) -> int:
    """How many bars of 4/4 are as long, rounded up, but at least `bars`: longer bars hold more syllables."""
    return max(bars, -(-bars * ticks_per_bar // (4 * TICKS_PER_BEAT)))


def song_spaces() -> dict[str, spaces.Space]:
    """The spaces of what is observed of the words."""
    return {
        "syllables": spaces.Box(-1, MOST_BEATS_AHEAD, (SYLLABLES_AHEAD, SYLLABLE_FEATURES), np.float32),
        "voice": spaces.Box(0, 1, (VOICE_FEATURES,), np.float32),
    }


class SongDynamics(Dynamics):
    """`Dynamics` whose masks make the highest line carry the syllables of a text.

    Args:
        lyrics: the texts that an episode can have.
        voice: who sings them, a name of `VOICES`.
        bars: of each song; None: as many as its text needs.
        num_envs: as of `Dynamics`, like `piano`, `max_steps` and `keep_roll`.
        piano: must have keys of the voice.
        max_steps: of an episode; when few are left the words come first.
        keep_roll: for the observation of the roll.
        is_limited: whether episodes end after `max_steps`; otherwise these are only how many actions are kept.

    Raises:
        LyricsError: for an unknown voice, and for a piano that has none of its keys or no value for a sung note.

    Attributes:
        lyrics: the texts that an episode can have.
        text: (n,) int32, index of the text of each env.
        voices: (n,) records of `song_kernels.VOICE_DTYPE`.
    """

    state_arrays = (*STATE_ARRAYS, "words", "text", "voices", *WINDOW_ARRAYS)

    def __init__(
        self,
        lyrics: Sequence[Lyrics],
        voice: str,
        bars: int | None,
        num_envs: int,
        piano: Piano,
        max_steps: int,
        *,
        keep_roll: bool = False,
        is_limited: bool = True,
    ) -> None:
        super().__init__(num_envs, piano, max_steps, keep_roll=keep_roll)
        kernels = _load_kernels()
        sung = voice_range(voice)
        if max(sung.lowest, piano.lowest) > min(sung.highest, piano.highest):
            keys = f"the piano has the keys {piano.lowest}..{piano.highest}"
            raise LyricsError(f"the {voice} sings {sung.lowest}..{sung.highest}, {keys}")
        self.lyrics = tuple(lyrics)
        self.bars = bars
        self._schedules: dict[tuple[int, int, int | None], Schedule] = {}
        most = max(len(each.note_syllables) for each in self.lyrics)
        digest = sha256(repr((self.lyrics, voice, bars)).encode()).digest()
        self.words = np.frombuffer(digest, np.uint8)  # tells whether a state is of the same words
        self.text = np.zeros(num_envs, np.int32)
        self.voices = np.zeros(num_envs, kernels.VOICE_DTYPE)
        self.earliest = np.zeros((num_envs, most), np.int32)
        self.latest = np.zeros((num_envs, most + 1), np.int32)
        self.rest_after = np.zeros((num_envs, most), np.int32)
        self.stress = np.zeros((num_envs, most), np.float32)
        self.melisma = np.zeros((num_envs, most), np.bool_)
        self.lines_left = np.zeros((num_envs, most + 1), np.int32)
        self._limits = kernels.VoiceLimits(
            sung.lowest, sung.highest, LARGEST_LEAP, shortest_sung(piano), max_steps if is_limited else NO_LIMIT
        )

    def schedule(self, text: int, ticks_per_bar: int, bars: int | None = None) -> Schedule:
        """The windows of the text of that index in this metre, in `bars` or those of all songs.

        Raises:
            LyricsError: as the function `schedule`, and when `max_steps` may be too few for the words.
        """
        key = text, ticks_per_bar, self.bars if bars is None else bars
        if key not in self._schedules:
            windows = schedule(self.lyrics[text], self.piano, *key[1:])
            notes, most = len(windows.earliest), self._limits.max_steps
            needed = _load_kernels().steps_needed(notes, windows.latest[-1], self.piano.values[-1])
            if most < needed:
                raise LyricsError(f"max_steps must be at least {needed} for lyrics of {notes} notes, got {most}")
            self._schedules[key] = windows
        return self._schedules[key]

    def begin_songs(
        self,
        rows: Sequence[int] | np.ndarray,
        rngs: Sequence[np.random.Generator],
        *,
        ticks_per_bar: int,
        primer: Score | None = None,
    ) -> None:
        """Reset the envs `rows` (k,) to songs, as `begin_song`; of several texts each draws one with its generator."""
        for row, rng in zip(rows, rngs, strict=True):
            text = int(rng.integers(len(self.lyrics))) if len(self.lyrics) > 1 else 0
            self.begin_song(int(row), text, ticks_per_bar=ticks_per_bar, primer=primer)

    def begin_song(
        self, row: int, text: int, *, ticks_per_bar: int, bars: int | None = None, primer: Score | None = None
    ) -> None:
        """Reset env `row` to a song of the text of that index, after the primer if there is one.

        Args:
            row: index of the env.
            text: index in `lyrics`.
            ticks_per_bar: of the song.
            bars: of the song, without the primer; by default those of all songs.
            primer: in the same metre.

        Raises:
            LyricsError: as `schedule`, and when primer and song together have too many bars.
        """
        windows = self.schedule(text, ticks_per_bar, bars)
        start, before = (0, 0) if primer is None else (primer.length_ticks, primer.bars)
        if before + windows.bars > MAX_BARS:
            raise LyricsError(
                f"a piece has at most {MAX_BARS:,} bars, its primer included, got {before + windows.bars:,}"
            )
        lyrics = self.lyrics[text]
        notes = lyrics.note_syllables
        count = len(notes)
        self.text[row] = text
        self.voices[row] = (0, count, -1, start, -1, -1, start - 1, start - 1)
        self.earliest[row, :count] = windows.earliest + start
        self.latest[row, : count + 1] = windows.latest + start
        self.rest_after[row, :count] = windows.rest_after
        self.stress[row, :count] = [OBSERVED_STRESS[lyrics.syllables[k].stress] for k in notes]
        self.melisma[row, :count] = np.diff(notes, prepend=-1) == 0
        last_of_line = np.append(np.diff(notes) > 0, True) & [lyrics.syllables[k].line_end for k in notes]
        self.lines_left[row, : count + 1] = np.append(last_of_line[::-1].cumsum()[::-1], 0)
        end_tick = int(self.latest[row, count])
        super().begin([row], ticks_per_bar=ticks_per_bar, end_tick=end_tick, primer=primer)
        self._restrict(np.array([row]))

    def begin(self, rows: ArrayLike, *, ticks_per_bar: int, end_tick: int, primer: Score | None = None) -> None:
        """Not for songs, whose length follows from their text: `begin_songs`."""
        raise TypeError("songs begin with begin_songs")

    def set_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """As `Dynamics.set_arrays`; raises ValueError for the state of other words, voice or bars, too."""
        if not np.array_equal(arrays.get("words", ()), self.words):
            raise ValueError("the state is of other lyrics, another voice or other bars")
        super().set_arrays(arrays)

    def step(self, actions: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Play `actions` as `Dynamics.step` does, after `song_kernels.choose` has replaced some of them."""
        playing = self._all if rows is None else rows
        chosen = actions
        actions = actions.copy()
        legal = np.ones(self.num_envs, np.bool_)
        kernels = _load_kernels()
        kernels.choose(
            actions,
            legal,
            self.masks,
            self.states,
            self.voices,
            self._windows,
            playing,
            self._keyboard,
            self._limits,
        )
        self.masks = np.ones_like(self.masks) if rows is None else self._all_legal_in(playing)
        super().step(actions, rows)
        illegal = playing[~legal[playing]]
        for dimension, name in enumerate(("what", "value")):  # what was chosen is observed, as without words
            self.states[name][illegal] = chosen[illegal, dimension]
        self._restrict(playing)
        return legal

    def allow_rests(self, actions: np.ndarray) -> None:
        """Make the values of those `actions` (n, 2) legal that are rests where a rest is legal.

        For actions that were recorded: a rest that was shortened may have a value that is not in the mask of its step.
        """
        rests = (actions[:, 0] == 0) & self.masks[:, 0]
        self.masks[rests, self.whats + actions[rests, 1]] = True

    def _all_legal_in(self, rows: np.ndarray) -> np.ndarray:
        """The masks, with every action legal in the envs `rows`, whose actions are legal as they are."""
        masks = self.masks.copy()
        masks[rows] = True
        return masks

    def _restrict(self, rows: np.ndarray) -> None:
        """Take out of the masks of the envs `rows` what the sung line forbids."""
        _load_kernels().restrict_masks(
            self.masks, self.states, self.voices, self._windows, self.sounding, rows, self._keyboard, self._limits
        )

    @property
    def _windows(self) -> tuple[np.ndarray, ...]:
        """The arrays of `song_kernels.Windows`."""
        return _load_kernels().Windows(*(getattr(self, name) for name in WINDOW_ARRAYS))

    # Observations, each a new array

    def observe(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """What is observed of the words in the envs `rows` (k,), in the spaces of `song_spaces`."""
        return {"syllables": self.syllables(rows), "voice": self.voice(rows)}

    def syllables(self, rows: np.ndarray) -> np.ndarray:
        """(k, 8, 6) float32 for the envs `rows` (k,): the next sung notes; see `song_kernels.write_syllables`."""
        syllables = np.empty((len(rows), SYLLABLES_AHEAD, SYLLABLE_FEATURES), np.float32)
        _load_kernels().write_syllables(
            syllables, self.states, self.voices, self._windows, rows, TICKS_PER_BEAT, MOST_BEATS_AHEAD
        )
        return syllables

    def voice(self, rows: np.ndarray) -> np.ndarray:
        """(k, 5) float32 in [0, 1] for the envs `rows` (k,): the sung line and what is left; see `write_voice`."""
        voice = np.empty((len(rows), VOICE_FEATURES), np.float32)
        _load_kernels().write_voice(
            voice,
            self.states,
            self.voices,
            self._windows,
            rows,
            self.piano.lowest,
            self.piano.keys,
            TICKS_PER_BEAT,
            MOST_BEATS_AHEAD,
            MAX_LINE_NOTES,
        )
        return voice
