"""Jazz solos from seconds, and from a database of the Weimar Jazz Database's form."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from toccata.music.lead_sheets import LeadSheetError, from_seconds, on_beats, read_weimar


def swung_line(tempo_bpm: float, beats: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Quavers with swing and a drifting tempo: (notes, 3) in seconds, and the beats."""
    rng = np.random.default_rng(seed)
    times = np.concatenate(([0.0], np.cumsum(60 / tempo_bpm * (1 + 0.03 * np.sin(np.arange(beats) / 5)))))
    chords = ((62, 65, 69, 72), (67, 71, 74, 77), (60, 64, 67, 71), (60, 64, 67, 71))
    notes = []
    for beat in range(beats):
        period = times[beat + 1] - times[beat]
        for part in (0, 2 / 3):
            pitch = chords[beat // 4 % 4][rng.integers(4)]
            notes.append((pitch, times[beat] + part * period + rng.normal(0, 0.004), period / 4))
    return np.array(sorted(notes, key=lambda note: note[1])), times


@pytest.mark.parametrize("tempo_bpm", [110, 160, 230])
def test_beats_of_a_line_are_found(tempo_bpm):
    notes, _ = swung_line(tempo_bpm, 64)
    score = from_seconds(notes, tempo_bpm)
    places = score.notes["onset_tick"] % 24
    assert np.isin(places, [0, 16]).mean() > 0.9
    assert (places == 0).sum() == pytest.approx(64, abs=4)
    assert score.tempo_bpm == tempo_bpm
    assert score.beats_per_bar == 4


def test_given_beats_are_exact():
    notes, beats = swung_line(150, 32)
    score = on_beats(notes, beats, first_beat=2, tempo_bpm=150)
    expected = [24 * (beat + 2) + part for beat in range(32) for part in (0, 16)]
    assert score.notes["onset_tick"].tolist() == expected
    assert score.notes["pitch"].tolist() == notes[:, 0].astype(int).tolist()


def test_one_line_without_overlaps():
    notes = np.array([[60, 0.0, 5.0], [62, 0.5, 0.1], [64, 0.51, 0.1], [65, 1.0, 0.01]])
    score = on_beats(notes, np.arange(0, 4, 0.5), 0, 120)
    assert score.notes["onset_tick"].tolist() == [0, 24, 48]
    assert (score.offset_ticks[:-1] <= score.notes["onset_tick"][1:]).all()


def test_notes_before_the_first_beat_begin_a_bar_earlier():
    notes = np.array([[60, -0.5, 0.4], [62, 0.0, 0.4]])
    score = on_beats(notes, np.arange(0, 4, 0.5), 0, 120)
    assert score.notes["onset_tick"].tolist() == [72, 96]


def test_a_note_just_before_the_first_beat_is_on_it():
    score = on_beats(np.array([[60, -0.01, 0.4], [62, 0.5, 0.4]]), np.arange(0, 4, 0.5), 0, 120)
    assert score.notes["onset_tick"].tolist() == [0, 24]


@pytest.mark.parametrize("count", [1, 2])
def test_few_notes(count):
    notes = np.array([[60, 1.0, 0.5], [60, 1.0, 0.5]])[:count]
    assert len(from_seconds(notes)) == 1


def write_database(path: Path, chord: str = "Bbj7", first_onset: float = 0.0) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(
        """CREATE TABLE solo_info (melid INTEGER, performer TEXT, title TEXT, avgtempo REAL, signature TEXT);
        CREATE TABLE beats (beatid INTEGER, melid INTEGER, onset REAL, bar INTEGER, beat INTEGER, chord TEXT);
        CREATE TABLE melody (eventid INTEGER, melid INTEGER, onset REAL, pitch REAL, duration REAL);
        INSERT INTO solo_info VALUES (1, 'A', 'Tune', 120.0, '4/4'), (2, 'B', 'Waltz', 120.0, '3/4');"""
    )
    for index in range(16):
        symbol = {2: chord, 6: "G79b", 10: "NC"}.get(index, "")
        row = (index, 1, index * 0.5, index // 4, index % 4 + 3 if index % 4 < 2 else index % 4 - 1, symbol)
        connection.execute("INSERT INTO beats VALUES (?, ?, ?, ?, ?, ?)", row)
        note = (index, 1, index * 0.5 or first_onset, 70 + index % 3, 0.25)
        connection.execute("INSERT INTO melody VALUES (?, ?, ?, ?, ?)", note)
    connection.commit()
    connection.close()


def test_database_gives_melody_and_chords(tmp_path):
    write_database(tmp_path / "jazz.db")
    (sheet,) = read_weimar(tmp_path / "jazz.db")
    assert (sheet.id, sheet.performer, sheet.title) == ("weimar-001", "A", "Tune")
    # The first annotated beat is the third of its bar.
    assert sheet.melody.notes["onset_tick"].tolist() == list(range(48, 48 + 16 * 24, 24))
    assert sheet.melody.notes["duration_ticks"].tolist() == [12] * 16
    assert [span.onset_tick for span in sheet.chords] == [96, 192, 288]
    assert [span.chord and span.chord.root for span in sheet.chords] == [10, 7, None]


@pytest.mark.parametrize(("first_onset", "lead_in", "first_tick"), [(-0.01, 0, 48), (-1.5, 96, 72)])
def test_chords_stay_with_a_melody_that_begins_before_the_beats(tmp_path, first_onset, lead_in, first_tick):
    write_database(tmp_path / "jazz.db", first_onset=first_onset)
    (sheet,) = read_weimar(tmp_path / "jazz.db")
    assert sheet.melody.notes["onset_tick"][:2].tolist() == [first_tick, lead_in + 72]
    assert [span.onset_tick for span in sheet.chords] == [lead_in + 96, lead_in + 192, lead_in + 288]


def test_files_that_are_no_such_database(tmp_path):
    with pytest.raises(LeadSheetError, match=r"none\.db: cannot be read"):
        list(read_weimar(tmp_path / "none.db"))
    (tmp_path / "text.db").write_text("hello")
    with pytest.raises(LeadSheetError, match=r"text\.db: is no SQLite database"):
        list(read_weimar(tmp_path / "text.db"))
    sqlite3.connect(tmp_path / "other.db").executescript("CREATE TABLE a (b INTEGER);")
    with pytest.raises(LeadSheetError, match=r"other\.db: is not the Weimar Jazz Database"):
        list(read_weimar(tmp_path / "other.db"))
    write_database(tmp_path / "bad.db", "H7")
    with pytest.raises(LeadSheetError, match=r"bad\.db: unknown chord symbol 'H7'"):
        list(read_weimar(tmp_path / "bad.db"))
