"""The cache of recordings: equal sound, several processes, damaged, foreign and unwritable files."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from toccata.music.score import Score
from toccata.music.sound import recordings as module
from toccata.music.sound.bank import NoteBank, default_soundfont
from toccata.music.sound.recordings import RecordingCache

TUNE = Score([(12 * i, 12, 60 + i, 80) for i in range(6)])
OTHER = Score([(12 * i, 12, 70 + i, 70) for i in range(4)])
DATA = np.arange(1, 50, dtype=np.int16)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TOCCATA_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    gc.collect()


def recorded(bank: NoteBank, score: Score) -> tuple[np.ndarray, int]:
    """The sound of a score, and how many notes had to be recorded for it."""
    count, record = 0, bank._piano.record

    def counted(*arguments):
        nonlocal count
        count += 1
        return record(*arguments)

    bank._piano.record = counted  # type: ignore[method-assign]  # to count
    return bank.render_one(score), count


def saved(score: Score = TUNE) -> Path:
    """The file of a bank that has rendered a score."""
    bank = NoteBank()
    bank.render_one(score)
    bank._cache.save()
    return bank._cache.path


def test_sound_from_the_cache_equals_sound_recorded_afresh(folder: Path) -> None:
    fresh, count = recorded(bank := NoteBank(), TUNE)
    assert count == len(bank) == 6
    assert not folder.exists()  # little is written at exit
    del bank
    gc.collect()
    (file,) = folder.iterdir()
    assert file.stat().st_size < 2**20
    cached, count = recorded(NoteBank(), TUNE)
    assert count == 0
    np.testing.assert_array_equal(cached, fresh)
    assert recorded(NoteBank(), Score([*TUNE.notes.tolist(), (96, 24, 50, 80)]))[1] == 1


def test_much_is_written_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_SAMPLES", 1000)
    bank = NoteBank()
    bank.render_one(TUNE)
    (file,) = folder.iterdir()
    before = file.stat().st_mtime_ns
    bank.render_one(Score([(0, 3, 50, 80)]))  # less than half of what is there
    assert file.stat().st_mtime_ns == before
    bank.recording(60, 81, 700)
    assert recorded(NoteBank(), Score([(0, 3, 50, 80)]))[1] == 0


def test_processes_add_to_what_others_have_written() -> None:
    first, second = NoteBank(), NoteBank()
    first.render_one(TUNE)
    second.render_one(OTHER)
    first._cache.save()
    second._cache.save()
    assert [recorded(NoteBank(), score)[1] for score in (TUNE, OTHER)] == [0, 0]


CODE = """
import sys
from toccata.music.score import Score
from toccata.music.sound.bank import NoteBank
NoteBank().render_one(Score([(12 * i, 12, int(sys.argv[1]) + i, 80) for i in range(6)]))
"""


def test_processes_in_parallel_and_their_end() -> None:
    processes = [subprocess.Popen([sys.executable, "-c", CODE, str(pitch)]) for pitch in (40, 60)]
    assert [process.wait(60) for process in processes] == [0, 0]
    cache = NoteBank()._cache
    assert len(cache._stored) in (6, 12)  # of two that write in one moment one wins
    assert all(cache.get(key) is not None for key in list(cache._stored))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:40],
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: b"toccatb" + data[7:],
        lambda data: data[:8] + bytes(32) + data[40:],  # another sound font
        lambda data: data[:40] + (2**60).to_bytes(8, "little") + data[48:],
        lambda data: data[:60] + b"\xff\xff" + data[62:],  # the index
        lambda data: data[:-5000] + bytes(4000) + data[-1000:],  # the sound of the last note
    ],
)
def test_notes_of_a_damaged_file_are_recorded_again(damage) -> None:
    file = saved()
    file.write_bytes(damage(file.read_bytes()))
    fresh = recorded(NoteBank(), TUNE)
    assert fresh[1] >= 1
    gc.collect()
    again = recorded(NoteBank(), TUNE)
    assert again[1] == 0  # the file was replaced
    np.testing.assert_array_equal(again[0], fresh[0])


def test_a_folder_that_cannot_be_written_is_no_error(folder: Path) -> None:
    folder.write_text("a file where the folder should be")
    bank = NoteBank()
    sound = bank.render_one(TUNE)
    bank._cache.save()
    bank._cache.save()
    np.testing.assert_array_equal(NoteBank().render_one(TUNE), sound)
    assert folder.is_file()


def test_the_file_depends_on_font_rate_and_settings(tmp_path: Path) -> None:
    font = default_soundfont()
    copy, changed = tmp_path / "copy.sf2", tmp_path / "changed.sf2"
    copy.write_bytes(font.read_bytes())
    changed.write_bytes(font.read_bytes() + b"x")
    first = RecordingCache(font, 16_000).path
    assert RecordingCache(copy, 16_000).path == first
    others = [RecordingCache(changed, 16_000), RecordingCache(font, 22_050), RecordingCache(font, 16_000, (1,))]
    assert len({first, *(other.path for other in others)}) == 4


def test_a_full_file_loses_its_oldest_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SAMPLES", 3 * len(DATA))
    cache = RecordingCache(default_soundfont(), 16_000)
    for pitch in range(5):
        cache.add((pitch, 80, 10), (DATA * pitch, pitch / 7))
        cache.save()
    cache = RecordingCache(default_soundfont(), 16_000)
    assert [cache.get((pitch, 80, 10)) is None for pitch in range(5)] == [True, True, False, False, False]
    samples, step = cache.get((4, 80, 10)) or (DATA, 0)
    np.testing.assert_array_equal(samples, DATA * 4)
    assert step == 4 / 7
