"""Parsing in processes."""

import subprocess
import sys

import mido
import pytest

from toccata.music.corpus import CorpusWarning, load_corpus, parsing


def test_many_files_are_parsed_in_processes_without_a_main_guard(tmp_path, tune):
    (tmp_path / "many/rock").mkdir(parents=True)
    for index in range(34):
        tune(30 + index).to_midi(tmp_path / f"many/rock/{index:02}.mid")
    (tmp_path / "many/rock/03.mid").write_bytes(b"junk")
    code = f"from toccata.music.corpus import load_corpus; print(len(load_corpus({str(tmp_path / 'many')!r})))"
    run = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, check=True)
    assert run.stdout == "33\n"
    with pytest.warns(CorpusWarning, match=r"1 of 34 files .*03\.mid"):
        corpus = load_corpus(tmp_path / "many")
    assert list(corpus.scores) == [tune(30 + index) for index in range(34) if index != 3]


def test_a_crash_costs_one_file(tmp_path, tune, monkeypatch):
    (tmp_path / "many/rock").mkdir(parents=True)
    for index in range(40):
        tune(30 + index).to_midi(tmp_path / f"many/rock/{index:02}.mid")
    code = (
        "import os, toccata.music.midi as m; plain = m.read_midi\n"
        "m.read_midi = lambda p: os._exit(1) if p.endswith('07.mid') else plain(p)\n"
        "from toccata.music.corpus.parsing import serve; serve()"
    )
    monkeypatch.setattr(parsing, "SERVE", code)
    with pytest.warns(CorpusWarning, match=r"1 of 40 files .*07\.mid: its parser crashed"):
        assert len(load_corpus(tmp_path / "many")) == 39


def test_recorded_performances_are_named(tmp_path, tune):
    (tmp_path / "many/rock").mkdir(parents=True)
    tune().to_midi(tmp_path / "many/rock/score.mid")
    track = mido.MidiTrack()
    for index in range(60):
        track.append(mido.Message("note_on", note=60, velocity=80, time=200 + 7 * (index * index % 13)))
        track.append(mido.Message("note_off", note=60, time=100))
    midi = mido.MidiFile(ticks_per_beat=480)
    midi.tracks.append(track)
    midi.save(tmp_path / "many/rock/played.mid")
    with pytest.warns(CorpusWarning, match=r"^1 of 2 files are like recorded performances, .*played\.mid: "):
        assert len(load_corpus(tmp_path / "many")) == 2
    assert len(load_corpus(tmp_path / "many")) == 2  # from the cache, without the warning
