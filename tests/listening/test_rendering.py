import json
import signal
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from helpers.listening import tune, write_tunes
from toccata.agents.generation.sound_options import SoundOptions
from toccata.interrupts import Interrupted, on_signals
from toccata.listening import rendering
from toccata.listening.attention import attention_pairs
from toccata.listening.config import LOUDNESS
from toccata.listening.rendering import Rendered, excerpt, limit_for_people, render_all, roll_of
from toccata.listening.sources import Found, find_pieces
from toccata.music.score import Score
from toccata.music.sound.audio_files import write_wav
from toccata.music.sound.loudness import integrated_loudness

OPTIONS = SoundOptions(loudness=LOUDNESS)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOCCATA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/listening"


def pieces_of(tmp_path: Path, count: int = 2, bars: int = 1) -> list[Found]:
    pieces, _ = find_pieces([str(write_tunes(tmp_path / "a", count, bars=bars))], (), 100, 0)
    return pieces


def rendered_of(pieces: list[Found], seconds: float = 30.0, format: str = "opus") -> list[Rendered]:
    rendered, failures = render_all(pieces, seconds, format, OPTIONS)
    assert failures == []
    return rendered


def test_an_excerpt_ends_at_the_last_beat_in_time() -> None:
    score = Score([(0, 96, 60, 80), (72, 48, 64, 80), (96, 24, 67, 80)], tempo_bpm=60)  # a tick is 1/24 s, a beat 1 s
    for seconds in (4.0, 4.9):
        cut = excerpt(score, seconds)
        assert cut.notes.tolist() == [(0, 96, 60, 80), (72, 24, 64, 80)]
        assert cut.length_seconds == 4.0
    assert excerpt(score, 0.5).length_seconds == 0.5, "the first beat is longer"


def test_silence_at_both_ends_is_not_heard() -> None:
    score = Score([(60, 24, 60, 80), (84, 12, 62, 80)], length_ticks=960)
    cut = excerpt(score, 30.0)
    assert cut.notes.tolist() == [(0, 24, 60, 80), (24, 12, 62, 80)]
    assert cut.length_ticks == 36
    upbeat = excerpt(Score([(72, 24, 60, 80), (96, 96, 62, 80), (192, 96, 64, 80)], tempo_bpm=60), 6.0)
    assert upbeat.length_ticks == 144, "six beats from the upbeat on"


def test_music_by_people_is_heard_no_longer_than_that_of_machines(tmp_path: Path) -> None:
    pieces, _ = find_pieces(
        [str(write_tunes(tmp_path / "a", 3, bars=2))], [str(write_tunes(tmp_path / "b", 3, seed=1, bars=9))], 10, 0
    )
    assert limit_for_people(pieces, 30.0) == 4.0, "two bars of 2 s"
    assert limit_for_people(pieces, 3.2) == 3.0, "six beats"
    assert limit_for_people([piece for piece in pieces if piece.by_person], 7.0) == 7.0
    checks = [wrong for _, wrong in attention_pairs(pieces, 0)]
    rendered, _ = render_all([*pieces, *checks], 30.0, "opus", OPTIONS)
    assert {round(each.seconds) for each in rendered} == {6}, "and 2 s in which the last notes end"


@given(st.floats(0.1, 20), st.integers(0, 50))
def test_an_excerpt_is_never_longer(seconds: float, seed: int) -> None:
    cut = excerpt(tune(seed, bars=4), seconds)
    assert cut.length_seconds <= max(seconds, 0.03)
    assert excerpt(cut, seconds) == cut


def test_a_roll_is_in_seconds() -> None:
    score = Score([(24, 12, 60, 80), (48, 24, 64, 100)], tempo_bpm=60)
    assert roll_of(score, 6.0) == {"seconds": 6.0, "notes": [[1.0, 0.5, 60, 80], [2.0, 1.0, 64, 100]]}


@pytest.mark.parametrize("format", ["opus", "wav"])
def test_sounds_are_equally_loud_and_say_nothing_else(tmp_path: Path, format: str) -> None:
    soft = tune(7)
    soft = replace(soft, notes=[(*note[:3], 30 + number) for number, note in enumerate(soft.notes.tolist())])
    (tmp_path / "a").mkdir()
    soft.to_midi(tmp_path / "a/soft.mid")
    rate = 8_000
    loud = 0.9 * np.sin(2 * np.pi * 440 * np.arange(3 * rate) / rate).astype(np.float32)
    write_wav(tmp_path / "a/recording.wav", loud, rate)
    pieces = pieces_of(tmp_path, 1)
    assert len(pieces) == 3
    for each in rendered_of(pieces, format=format):
        audio, rate = soundfile.read(each.sound)
        assert rate == {"opus": 48_000, "wav": 44_100}[format]
        assert integrated_loudness(audio, rate) == pytest.approx(LOUDNESS, abs=0.3), "Opus changes it by less"
        assert each.seconds == pytest.approx(len(audio) / rate, abs=0.03)
        roll = json.loads(each.roll.read_text())
        assert roll["seconds"] == pytest.approx(each.seconds, abs=0.001)
        assert len(roll["notes"]) == (0 if each.piece.score is None else 4)
        for word in (b"tune", b"soft", b"recording", b"TITLE", b"oundfile", b"LIST"):
            assert word not in each.sound.read_bytes()


def test_what_is_in_the_cache_is_not_rendered_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = pieces_of(tmp_path)
    first = rendered_of(pieces[:1])
    renderings = []
    render = rendering._render
    monkeypatch.setattr(rendering, "_render", lambda piece, *rest: renderings.append(piece) or render(piece, *rest))
    steps = []
    second, _ = render_all(pieces, 30.0, "opus", OPTIONS, lambda: steps.append(1))
    assert renderings == pieces[1:], "it goes on where it was stopped"
    assert len(steps) == 2
    assert second[0] == first[0]
    first[0].roll.write_text("{")
    second[1].sound.unlink()
    assert rendered_of(pieces) == second
    assert renderings == [pieces[1], *pieces], "what is damaged or missing is made again"
    assert rendered_of(pieces, seconds=20.0)[0].sound != second[0].sound
    assert not list(cache.glob(".*")), "no temporary files"


def test_a_signal_while_a_sound_is_encoded_stops_the_rendering() -> None:
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 60 * 48_000).astype(np.float32)
    timer = threading.Timer(0.02, signal.raise_signal, [signal.SIGTERM])
    with on_signals(), pytest.raises(Interrupted):
        timer.start()
        rendering._encoded(noise, 48_000, "opus")
        timer.join()


def test_long_recordings_fade_out(tmp_path: Path) -> None:
    rate = 8_000
    (tmp_path / "a").mkdir()
    write_wav(tmp_path / "a/x.wav", 0.3 * np.sin(np.arange(5 * rate)).astype(np.float32), rate)
    pieces, _ = find_pieces([str(tmp_path / "a")], (), 10, 0)
    (each,) = rendered_of(pieces, seconds=3.0, format="wav")
    audio, rate = soundfile.read(each.sound)
    assert len(audio) / rate == 3.0
    assert np.abs(audio[-50:]).max() < 0.001 < np.abs(audio[: rate // 10]).max()


def test_of_a_recording_silence_at_both_ends_is_not_heard(tmp_path: Path) -> None:
    rate = 8_000
    (tmp_path / "a").mkdir()
    tone = 0.3 * np.sin(np.arange(2 * rate)).astype(np.float32)
    write_wav(tmp_path / "a/x.wav", np.concatenate([np.zeros(rate), tone, np.zeros(3 * rate)]).astype(np.float32), rate)
    pieces, _ = find_pieces([str(tmp_path / "a")], (), 10, 0)
    (each,) = rendered_of(pieces, format="wav")
    assert each.seconds == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("samples", [np.zeros(24_000), np.full(1, 0.5), np.r_[np.zeros(8_000), 0.5, np.zeros(8_000)]])
def test_recordings_in_which_nothing_is_heard_are_left_out(tmp_path: Path, samples: np.ndarray) -> None:
    folder = write_tunes(tmp_path / "a", 1)
    write_wav(folder / "quiet.wav", samples.astype(np.float32), 8_000)
    pieces, _ = find_pieces([str(folder)], (), 10, 0)
    rendered, failures = render_all(pieces, 30.0, "opus", OPTIONS)
    assert len(rendered) == 1
    assert len(failures) == 1
    assert "quiet.wav: holds 0.0 s of sound, at least 1 are needed" in failures[0]


def test_a_damaged_recording_is_left_out(tmp_path: Path) -> None:
    folder = write_tunes(tmp_path / "a", 1)
    (folder / "broken.wav").write_text("no sound")
    pieces, _ = find_pieces([str(folder)], (), 10, 0)
    rendered, failures = render_all(pieces, 30.0, "opus", OPTIONS)
    assert len(rendered) == 1
    assert len(failures) == 1
    assert "broken.wav" in failures[0]
