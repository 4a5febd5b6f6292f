from pathlib import Path

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.songs import song
from toccata.music.score import Score
from toccata.music.songs.midi import write_song_midi


def lyric_events(path: Path) -> list[tuple[int, str]]:
    """(tick, text) of the lyric events of the track of the voice."""
    file = mido.MidiFile(path, charset="utf-8")
    voice = next(track for track in file.tracks if track.name == "Voice")
    found, tick = [], 0
    for message in voice:
        tick += message.time
        if message.type == "lyrics":
            found.append((tick, message.text))
    return found


def test_a_lyric_event_at_each_syllable(tmp_path: Path) -> None:
    score, underlay = song("Ah well_-known Été, / so.", [60, 62, 64, 65, 67, 69], [1, 1, 1, 1, 2, 1], rest_after=[4])
    write_song_midi(score, underlay, tmp_path / "song.mid")
    events = [(0, "Ah "), (24, "well-"), (72, "known "), (96, "Été,\r"), (168, "so.\r")]
    assert lyric_events(tmp_path / "song.mid") == events
    assert b"\xff\x05\x03Ah " in (tmp_path / "song.mid").read_bytes()  # meta event 5


def test_the_voice_has_the_sung_notes_and_the_piano_the_others(tmp_path: Path) -> None:
    score, underlay = song("Ah well", [60, 62], [2, 2])
    write_song_midi(score, underlay, tmp_path / "song.mid")
    tracks = mido.MidiFile(tmp_path / "song.mid").tracks
    assert [track.name for track in tracks[1:]] == ["Voice", "Piano"]
    played = [[message.note for message in track if message.type == "note_on" and message.velocity] for track in tracks]
    assert played == [[], [60, 62], [43]]


@given(
    pitches=st.lists(st.integers(48, 84), min_size=6, max_size=6),
    lengths=st.lists(st.sampled_from([0.5, 1, 1.5]), min_size=6, max_size=6),
    rests=st.lists(st.integers(0, 4), max_size=3),
)
def test_the_file_is_read_back_as_an_equal_score(
    tmp_path_factory: pytest.TempPathFactory, pitches: list[int], lengths: list[float], rests: list[int]
) -> None:
    score, underlay = song("A-b c / D e-F", pitches[:5], lengths[:5], rests)
    path = tmp_path_factory.mktemp("midi") / "song.mid"
    write_song_midi(score, underlay, path)
    assert Score.from_midi(path) == score
    assert [tick for tick, _ in lyric_events(path)] == underlay.onset_ticks.tolist()
