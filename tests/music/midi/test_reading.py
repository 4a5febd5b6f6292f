"""Reading and writing of MIDI files."""

import random
import warnings

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music.midi import MAX_FILE_BYTES, MAX_TICKS, MidiError, read_midi, write_midi
from toccata.music.score import Score


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("midi")


def midi_file(path, *tracks, resolution=480, kind=1):
    """A file of tracks of (absolute tick, message) pairs."""
    midi = mido.MidiFile(ticks_per_beat=resolution, type=kind)
    for events in tracks:
        track = mido.MidiTrack()
        now = 0
        for tick, message in events:
            track.append(message.copy(time=tick - now))
            now = tick
        midi.tracks.append(track)
    midi.save(path)
    return path


def note(start, end, pitch=60, velocity=80, channel=0):
    return [
        (start, mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)),
        (end, mido.Message("note_off", note=pitch, channel=channel)),
    ]


def metre(tick, numerator, denominator):
    return tick, mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)


def tempo(tick, bpm):
    return tick, mido.MetaMessage("set_tempo", tempo=round(6e7 / bpm))


def rows(score):
    return [tuple(row) for row in score.notes.tolist()]


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


def test_files_of_other_programs_are_quantised(tmp_path):
    # 480 ticks a beat: 20 of them make one of the grid, halves are rounded up; the second note has one.
    events = [*note(0, 229), *note(230, 239, 62), *note(480, 970, 64)]
    score = read_midi(midi_file(tmp_path / "a.mid", events))
    assert rows(score) == [(0, 11, 60, 80), (12, 1, 62, 80), (24, 25, 64, 80)]
    assert (score.beats_per_bar, score.tempo_bpm, score.length_ticks) == (4, 120, 96)
    assert rows(read_midi(tmp_path / "a.mid", ticks_per_beat=4))[2] == (4, 4, 64, 80)


def test_notes_without_length_without_end_and_repeated(tmp_path):
    on, off = mido.Message("note_on", note=60, velocity=80), mido.Message("note_off", note=60)
    events = [(0, on), (0, off), (48, on), (48, off), (96, on), (192, on), (192, off), (240, off), (288, on)]
    score = read_midi(midi_file(tmp_path / "a.mid", [*events, (384, mido.MetaMessage("end_of_track"))], resolution=24))
    assert [row[:2] for row in rows(score)] == [(0, 1), (48, 1), (96, 96), (192, 48), (288, 96)]


def test_pitched_instruments_are_merged_drums_and_effects_left_out(tmp_path):
    def program(channel, number):
        return 0, mido.Message("program_change", channel=channel, program=number)

    path = midi_file(
        tmp_path / "a.mid",
        [program(0, 30), *note(0, 480, 60)],
        [program(1, 33), *note(0, 480, 36, channel=1)],
        [*note(0, 480, 38, channel=9)],
        [program(2, 122), *note(0, 480, 70, channel=2)],
    )
    assert [row[2] for row in rows(read_midi(path))] == [36, 60]


def test_metre_and_tempo_of_any_track_are_read_without_warning(tmp_path):
    path = midi_file(tmp_path / "a.mid", note(0, 480), [metre(0, 7, 8), tempo(0, 90)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = read_midi(path)
    assert (score.beats_per_bar, score.tempo_bpm) == (3.5, 90)


@pytest.mark.parametrize(
    ("signatures", "beats_per_bar", "shift_beats"),
    [
        ([], 4, 0),
        ([(0, 6, 8)], 3, 0),
        ([(0, 1, 4), (1, 4, 4)], 4, 3),  # an upbeat in a bar of its own
        ([(0, 3, 4), (1, 3, 4)], 3, 2),  # the same, with a repeated signature
        ([(0, 3, 4), (4, 3, 4), (28, 3, 4)], 3, 2),
        ([(0, 4, 4), (4, 4, 4)], 4, 0),
        ([(0, 4, 4), (8, 3, 4)], 3, 1),  # an introduction of two bars of 4/4
        ([(0, 2, 4), (38, 6, 8)], 2, 0),
        ([(0, 0, 4), (0, 1, 128), (3, 3, 64)], 4, 0),  # no bars at all
    ],
)
def test_metre_and_upbeat(tmp_path, signatures, beats_per_bar, shift_beats):
    meta = [metre(480 * beat, numerator, denominator) for beat, numerator, denominator in signatures]
    score = read_midi(midi_file(tmp_path / "a.mid", meta, [*note(0, 480), *note(480 * 50, 480 * 64)]))
    assert score.beats_per_bar == beats_per_bar
    assert score.notes["onset_tick"].tolist() == [24 * shift_beats, 24 * (50 + shift_beats)]


def test_the_mean_of_a_changing_tempo_keeps_the_duration(tmp_path):
    # Four beats at 60 and four at 120 last six seconds, the silence before at 240 does not count.
    meta = [tempo(0, 240), tempo(1920, 60), tempo(2 * 1920, 120), tempo(3 * 1920, 30)]
    score = read_midi(midi_file(tmp_path / "a.mid", meta, note(1920, 3 * 1920)))
    assert score.tempo_bpm == 80


def test_a_wrong_key_signature_is_ignored(tmp_path):
    path = midi_file(tmp_path / "a.mid", [(0, mido.MetaMessage("key_signature", key="C")), *note(0, 480)])
    path.write_bytes(path.read_bytes().replace(b"\xff\x59\x02\x00", b"\xff\x59\x02\x55"))
    assert len(read_midi(path)) == 1


def broken_files(tmp_path):
    whole = midi_file(tmp_path / "whole.mid", note(0, 480)).read_bytes()
    long = midi_file(tmp_path / "long.mid", note(0, 480 * 200_000)).read_bytes()
    fast = midi_file(tmp_path / "fast.mid", [tempo(0, 6000), *note(0, 480)]).read_bytes()
    return {
        "empty": (b"", "ends too early"),
        "text": (b"This is not music.\n", "not a MIDI file"),
        "truncated": (whole[:-9], "ends too early"),
        "no tracks": (whole[:10] + b"\0\0" + whole[12:14], ""),
        "SMPTE": (whole[:12] + b"\xe7\x28" + whole[14:], "division"),
        "zero division": (whole[:12] + b"\0\0" + whole[14:], "division"),
        "format 2": (whole[:8] + b"\0\2" + whole[10:], "format 2"),
        "absurd ticks": (long, "far too long"),
        "absurd tempo": (fast, "tempo_bpm must be in 4..600"),
        "zero tempo": (fast.replace(b"\xff\x51\x03\x00\x27\x10", b"\xff\x51\x03\0\0\0"), "tempo of 0"),
        "absurd number": (whole[:22] + b"\xff" * 10_000, "damaged"),
        "absurd size": (bytes(MAX_FILE_BYTES + 1), "larger"),
    }


@pytest.mark.parametrize(
    "name", [
        "empty", "text", "truncated", "SMPTE", "zero division", "format 2", "absurd ticks", "absurd tempo",
        "zero tempo", "absurd number", "absurd size",
    ],
)  # fmt: skip
def test_broken_file_is_one_clear_error(tmp_path, name):
    data, reason = broken_files(tmp_path)[name]
    path = tmp_path / "broken_files.mid"
    path.write_bytes(data)
    with pytest.raises(MidiError, match=reason) as error:
        read_midi(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_folder_and_missing_file(tmp_path):
    with pytest.raises(MidiError, match="is a folder"):
        read_midi(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"missing\.mid"):
        read_midi(tmp_path / "missing.mid")


def test_file_without_tracks_is_an_empty_score(tmp_path):
    path = tmp_path / "a.mid"
    path.write_bytes(broken_files(tmp_path)["no tracks"][0])
    assert read_midi(path) == Score()


def test_ticks_per_beat_is_checked(tmp_path):
    path = midi_file(tmp_path / "a.mid", note(0, 480))
    for wrong in (0, -1, 961):
        with pytest.raises(MidiError, match=r"ticks_per_beat must be in 1..960"):
            read_midi(path, ticks_per_beat=wrong)


def test_too_long_a_score_is_not_written(tmp_path):
    with pytest.raises(MidiError, match=r"score.mid"):
        write_midi(Score(length_ticks=MAX_TICKS), tmp_path / "score.mid")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_no_file(tmp_path):
    with pytest.raises(OSError, match=r"score\.mid"):
        write_midi(Score(), tmp_path / "missing" / "score.mid")
    assert not list(tmp_path.iterdir())


def _mutants(data, count, seed):
    source = random.Random(seed)
    for _ in range(count):
        mutant = bytearray(data)
        for _ in range(source.randint(1, 6)):
            kind, at = source.randrange(4), source.randrange(len(mutant))
            if kind == 0:
                mutant[at] = source.randrange(256)
            elif kind == 1:
                mutant[at] ^= 1 << source.randrange(8)
            elif kind == 2:
                mutant[at : at + source.randint(1, 8)] = source.randbytes(source.randint(0, 8))
            else:
                del mutant[at + 1 :]
        yield bytes(mutant)


def test_mutated_files_are_scores_or_midi_errors(tmp_path):
    generator = np.random.default_rng(0)
    notes = [(int(t), 12, int(p), 80) for t, p in zip(range(0, 400, 8), generator.integers(30, 90, 50), strict=True)]
    write_midi(Score(notes, beats_per_bar=3, length_ticks=1000), tmp_path / "ours.mid")
    other_program = midi_file(
        tmp_path / "other_program.mid",
        [metre(0, 1, 4), tempo(0, 90), metre(480, 3, 4), tempo(960, 72)],
        [event for tick, _, pitch, _ in notes for event in note(tick * 20, tick * 20 + 150, pitch)],
    )
    path = tmp_path / "mutant.mid"
    read = 0
    for source in (tmp_path / "ours.mid", other_program):
        for mutant in _mutants(source.read_bytes(), 200, seed=1):
            path.write_bytes(mutant)
            try:
                score = read_midi(path)
            except MidiError as error:
                assert str(path) in str(error)
            else:
                assert isinstance(score, Score)
                read += 1
    assert read > 20  # the mutations leave some files readable


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_random_bytes_after_a_valid_header(folder, data):
    path = folder / "bytes.mid"
    path.write_bytes(b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0" + bytes([len(data)]) + data)
    try:
        read_midi(path)
    except MidiError as error:
        assert str(path) in str(error)
