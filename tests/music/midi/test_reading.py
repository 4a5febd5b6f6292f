"""Reading of MIDI files."""

import os
import warnings

import mido
import pytest

from helpers.midi_bytes import NOTE, smf
from toccata.errors import printable
from toccata.music.midi import MAX_FILE_BYTES, MidiError, read_midi
from toccata.music.midi.errors import MAX_EVENTS, MAX_NOTES
from toccata.music.score import Score


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
    assert printable(str(path)) in str(error.value)
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


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.mid")
    with pytest.raises(MidiError, match=r"pipe\.mid: is not a regular file"):
        read_midi(tmp_path / "pipe.mid")


@pytest.mark.parametrize("suffix", [".kar", ".rmi", ""])
def test_names_of_files_do_not_matter(tmp_path, suffix):
    path = tmp_path / os.fsdecode(b"na\xefve" + suffix.encode())  # not UTF-8
    path.write_bytes(smf(NOTE))
    assert rows(read_midi(path)) == [(0, 24, 60, 80)]
    path.write_bytes(b"")
    with pytest.raises(MidiError) as error:
        read_midi(path)
    assert printable(str(path)) in str(error.value)


def test_a_null_character_in_a_name(tmp_path):
    with pytest.raises(MidiError, match="null"):
        read_midi(tmp_path / "a\0.mid")


@pytest.mark.parametrize(
    ("track", "reason"),
    [
        (b"\0\x90\x3c\x50" + b"\0\x3c\x50" * MAX_NOTES, "has more than 200,000 notes"),
        (b"\0\xff\x06\0" * (MAX_EVENTS + 1), "has more than 500,000 events"),
    ],
)
def test_limits_are_named(tmp_path, track, reason):
    path = tmp_path / "large.mid"
    path.write_bytes(smf(track))
    with pytest.raises(MidiError) as error:
        read_midi(path)
    assert str(error.value) == f"{path}: {reason}"


@pytest.mark.parametrize("limit", [5, 6])
def test_events_of_all_tracks_are_counted(tmp_path, monkeypatch, limit):
    path = tmp_path / "a.mid"
    path.write_bytes(smf(NOTE, NOTE))  # of three events each
    monkeypatch.setattr("toccata.music.midi.content.MAX_EVENTS", limit)
    if limit == 6:
        assert len(read_midi(path)) == 1
    else:
        with pytest.raises(MidiError, match="has more than 5 events"):
            read_midi(path)


def test_the_end_of_the_score_moves_with_its_notes(tmp_path):
    upbeat = "00 ff 58 04 01 02 18 08 83 60 ff 58 04 04 02 18 08 00"
    end = b"\0\xff\x01\x0btoccata end"
    path = tmp_path / "a.mid"
    path.write_bytes(smf(bytes.fromhex(f"{upbeat} 90 3c 50 87 40 80 3c 40") + end))
    score = read_midi(path)
    assert (rows(score), score.length_ticks) == ([(96, 48, 60, 80)], 144)


def test_time_signatures_and_keys_are_kept(tmp_path):
    key = (0, mido.MetaMessage("key_signature", key="Ab"))
    changes = [key, metre(0, 6, 8), metre(2 * 1440, 4, 4), metre(2 * 1440 + 1920, 7, 8)]
    score = read_midi(midi_file(tmp_path / "a.mid", changes, note(0, 2 * 1440 + 1920 + 480)))
    assert score.time_signatures == ((0, 6, 8), (144, 4, 4), (240, 7, 8))
    assert score.bar_ticks.tolist() == [0, 72, 144, 240] and score.length_ticks == 240 + 84
    assert (score.beats_per_bar, score.key_signatures) == (3, ((0, -4),))
    assert read_midi(midi_file(tmp_path / "b.mid", [metre(0, 6, 8), *note(0, 480)])).time_signatures == ((0, 6, 8),)
    assert read_midi(midi_file(tmp_path / "c.mid", [metre(0, 3, 4), *note(0, 480)])).time_signatures == ()


def test_an_upbeat_with_its_own_signature_is_in_a_whole_bar(tmp_path):
    changes = [metre(0, 1, 4), metre(480, 4, 4), metre(480 + 4 * 1920, 3, 4)]
    score = read_midi(midi_file(tmp_path / "a.mid", changes, note(0, 480 + 4 * 1920 + 480)))
    assert score.notes["onset_tick"].tolist() == [72]
    assert score.time_signatures == ((0, 4, 4), (5 * 96, 3, 4))
