"""MusicXML files made of text."""

import zipfile

from toccata.music.musicxml import read_musicxml

DOCTYPE = '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://x.org/partwise.dtd">'


SIGNATURE = "<attributes><divisions>4</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"

CUE = "<cue/>"


def note(pitch="C4", duration=4, first="", then=""):
    tags = f"<step>{pitch[0]}</step><octave>{pitch[1:]}</octave>"
    return f"<note>{first}<pitch>{tags}</pitch><duration>{duration}</duration>{then}</note>"


def xml(*bars, head='<?xml version="1.0"?>' + DOCTYPE):
    first, *others = bars or ("",)
    text = "".join(f"<measure>{bar}</measure>" for bar in (SIGNATURE + first, *others))
    return f'{head}<score-partwise version="4.0"><part id="P1">{text}</part></score-partwise>'


def container(path, kind=""):
    return f'<container><rootfiles><rootfile full-path="{path}"{kind}/></rootfiles></container>'


def write_mxl(path, files, packing=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, text in files.items():
            archive.writestr(name, text if isinstance(text, bytes) else text.encode())
    return path


def triples(path):
    return [tuple(row)[:3] for row in read_musicxml(path).notes.tolist()]


def read(tmp_path, text, name="a.musicxml"):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return triples(tmp_path / name)
