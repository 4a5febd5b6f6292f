"""Notation files of any kind: nothing in them is executed, and what is damaged is one clear error."""

import contextlib
import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from helpers.musicxml import CUE, container, note, triples, write_mxl, xml
from toccata.music.musicxml import MusicXMLError, read_musicxml


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "suffix", ["musicxml", "xml", "mxl", "p", "pgz", "pickle", "json", "abc", "krn", "mei", "md", "zip"]
)
def test_nothing_is_executed(tmp_path, suffix):
    path, touched = tmp_path / f"a.{suffix}", tmp_path / "touched"
    for data in (pickle.dumps(Payload(touched)), pickle.dumps(Payload(touched), 0)):
        path.write_bytes(data)
        try:
            read_musicxml(path)
        except MusicXMLError as error:
            assert str(path) in str(error)
    write_mxl(path, {"a.p": pickle.dumps(Payload(touched)), "a.xml": xml(note("C4", 16))})
    assert triples(path) == [(0, 96, 60)]
    assert not touched.exists()


@pytest.mark.parametrize(("suffix", "text"), [("abc", "http://127.0.0.1:9/a.abc"), ("krn", "/etc/passwd")])
def test_no_address_and_no_name_in_a_text_is_followed(tmp_path, monkeypatch, suffix, text):
    import socket

    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("a connection was opened"))
    (tmp_path / f"a.{suffix}").write_text(text)
    with contextlib.suppress(MusicXMLError):
        assert not len(read_musicxml(tmp_path / f"a.{suffix}"))


def test_texts_are_read_and_bounded(tmp_path):
    (tmp_path / "a.abc").write_text("X:1\nM:4/4\nL:1/4\nK:C\nCDEF|\n")
    (tmp_path / "a.krn").write_text("**kern\n*M4/4\n=1\n4c\n4d\n4e\n4f\n*-\n")
    four = [(0, 24, 60), (24, 24, 62), (48, 24, 64), (72, 24, 65)]
    assert triples(tmp_path / "a.abc") == triples(tmp_path / "a.krn") == four
    (tmp_path / "a.abc").write_text("X:1\nK:C\n" + "C" * 2**18)
    with pytest.raises(MusicXMLError, match="has more than 8,192 characters"):
        read_musicxml(tmp_path / "a.abc")
    (tmp_path / "a.mid").write_bytes(b"MThd")
    with pytest.raises(MusicXMLError, match="is no MusicXML"):
        read_musicxml(tmp_path / "a.mid")


def mutated(data, rng):
    """The data with random bytes changed, moved, doubled or cut."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        at, length = int(rng.integers(len(data) + 1)), int(rng.integers(1, 40))
        kind = rng.integers(5)
        if kind == 0:
            data[at : at + 1] = rng.bytes(1)
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length] * int(rng.integers(1, 30))
        elif kind == 3:
            data[at:at] = bytes(rng.choice(list(b"<>&;/!['\"0123456789eE-+. ")) for _ in range(3))
        else:
            other = int(rng.integers(len(data) + 1))
            data[at:at] = data[other : other + length]
    return bytes(data)


@pytest.mark.parametrize("packed", [False, True])
def test_mutated_files_are_read_or_are_one_clear_error(tmp_path, packed):
    rng = np.random.default_rng(0)
    notes = note() + note("E4", 4, "<chord/>") + note("A5", 8, CUE)
    marks = '<sound tempo="90" dynamics="50" dacapo="yes"/><direction><direction-type><dynamics><p/></dynamics>'
    marks += "</direction-type></direction>"
    marks += '<barline><ending number="1" type="stop"/><repeat direction="backward" times="3"/></barline>'
    text = xml(notes + marks, note("G4", 16)).encode()
    buffer = io.BytesIO()
    write_mxl(buffer, {"META-INF/container.xml": container("a.xml"), "a.xml": text})
    path = tmp_path / "a.mxl"
    for _ in range(150):
        path.write_bytes(mutated(buffer.getvalue() if packed else text, rng))
        try:
            read_musicxml(path)
        except MusicXMLError as error:
            assert str(error).startswith(f"{path}: ")
            assert "\n" not in str(error)
