"""Writing of MIDI files, and reading them back."""

import subprocess
import sys

import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.midi import MAX_TICKS, MidiError, read_midi, write_midi
from toccata.music.midi.errors import MAX_NOTES
from toccata.music.score import NOTE_DTYPE, Score


@st.composite
def scores(draw):
    ticks_per_beat = draw(st.sampled_from([24, 1, 4, 10, 480, 960]))
    ticks_per_bar = draw(st.integers(1, 12 * ticks_per_beat))
    row = st.tuples(st.integers(0, 5000), st.integers(1, 700), st.integers(0, 127), st.integers(1, 127))
    score = Score(
        draw(st.lists(row, max_size=12)),
        ticks_per_beat=ticks_per_beat,
        beats_per_bar=draw(st.sampled_from([3, 4, ticks_per_bar / ticks_per_beat])),
        tempo_bpm=draw(st.integers(400, 60_000)) / 100,
    )
    extra = draw(st.sampled_from([0, 1, 700]))
    return Score(score.notes, ticks_per_beat, score.beats_per_bar, score.tempo_bpm, score.length_ticks + extra)


@given(scores())
@settings(max_examples=150, deadline=None)
def test_written_and_read_back_is_equal(folder, score):
    score.to_midi(folder / "round.mid")
    assert Score.from_midi(folder / "round.mid") == score


@st.composite
def sections(draw):
    """Time signatures, some of them after an incomplete bar."""
    signatures, tick = [], 0
    for _ in range(draw(st.integers(1, 5))):
        signatures.append((tick, draw(st.integers(1, 13)), draw(st.sampled_from([1, 2, 4, 8, 16, 32]))))
        tick += draw(st.integers(1, 500))
    return signatures


@given(scores(), sections())
@settings(max_examples=150, deadline=None)
def test_time_signatures_return(folder, score, signatures):
    score = Score(score.notes, tempo_bpm=score.tempo_bpm, time_signatures=signatures)
    score.to_midi(folder / "round.mid")
    assert Score.from_midi(folder / "round.mid") == score


@pytest.mark.parametrize(
    "score",
    [
        Score(),
        Score(length_ticks=100),
        Score([(12, 24, 60, 80)], beats_per_bar=3.5, tempo_bpm=600, length_ticks=1001),
        Score([(24, 1, 60, 80)], tempo_bpm=600),  # the file's tempo comes out as 600.0000000000001
        Score([(0, 24, 60, 80)], beats_per_bar=1 / 3),
        Score([(0, 24, 60, 80), (24, 24, 60, 1)], beats_per_bar=1200, tempo_bpm=4),
        Score([(MAX_TICKS - 25, 24, 60, 80)], beats_per_bar=1 / 24),
    ],
)
def test_corner_cases_round_trip(tmp_path, score):
    write_midi(score, tmp_path / "score.mid")
    assert read_midi(tmp_path / "score.mid") == score


def test_nothing_is_printed(tmp_path, monkeypatch):
    monkeypatch.setenv("CI", "true")  # what pretty_midi loads prints a line then
    program = "import sys; from toccata.music.score import Score; Score().to_midi(sys.argv[1])"
    command = [sys.executable, "-c", program, str(tmp_path / "score.mid")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def test_every_tempo_of_two_decimals_survives(tmp_path):
    for hundredths in [*range(400, 60_001, 977), 59_999, 60_000]:
        score = Score(tempo_bpm=hundredths / 100)
        write_midi(score, tmp_path / "tempo.mid")
        assert read_midi(tmp_path / "tempo.mid") == score


def test_pretty_midi_reads_written_files(tmp_path):
    write_midi(Score([(24, 12, 60, 80)], beats_per_bar=3.5, tempo_bpm=60), tmp_path / "score.mid")
    midi = pretty_midi.PrettyMIDI(str(tmp_path / "score.mid"))
    (piano,) = midi.instruments
    (only,) = piano.notes
    assert (only.start, only.end, only.pitch, only.velocity) == pytest.approx((1.0, 1.5, 60, 80))
    (signature,) = midi.time_signature_changes
    assert (signature.numerator, signature.denominator) == (7, 8)
    assert midi.get_tempo_changes()[1] == pytest.approx([60])


def test_too_long_a_score_is_not_written(tmp_path):
    with pytest.raises(MidiError, match=r"score.mid"):
        write_midi(Score(length_ticks=MAX_TICKS), tmp_path / "score.mid")
    assert not list(tmp_path.iterdir())


def test_what_is_not_read_is_not_written(tmp_path):
    notes = np.zeros(MAX_NOTES + 1, NOTE_DTYPE)
    notes["onset_tick"], notes["duration_ticks"], notes["velocity"] = np.arange(len(notes)), 1, 80
    with pytest.raises(MidiError, match=r"score.mid: the score has 200,001 notes, more than 200,000"):
        write_midi(Score(notes), tmp_path / "score.mid")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_no_file(tmp_path):
    with pytest.raises(OSError, match=r"score\.mid"):
        write_midi(Score(), tmp_path / "missing" / "score.mid")
    assert not list(tmp_path.iterdir())


def test_every_key_signature_returns(tmp_path):
    keys = tuple((100 * index, fifths) for index, fifths in enumerate(range(-7, 8)))
    score = Score([(0, 1500, 60, 80)], 24.0, time_signatures=[(0, 3, 4), (50, 6, 8)], key_signatures=keys)
    write_midi(score, tmp_path / "keys.mid")
    again = read_midi(tmp_path / "keys.mid")
    assert (again, again.key_signatures) == (score, keys)
