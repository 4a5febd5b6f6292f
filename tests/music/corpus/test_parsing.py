"""Parsing in processes."""

import subprocess
import sys

import pytest

from toccata.music.corpus import CorpusWarning, load_corpus


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
