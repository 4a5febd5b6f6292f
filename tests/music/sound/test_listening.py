"""Renderings for people."""

import struct
from io import BytesIO

import numpy as np
import pytest
import soundfile

from toccata.music import Score
from toccata.music.sound.bank import default_soundfont, note_bank, render_fluidsynth
from toccata.music.sound.listening import FADE_SECONDS, check_soundfont, render_for_listening
from toccata.music.sound.loudness import at_loudness, integrated_loudness, true_peak
from toccata.music.sound.synthesizer import SoundError

RATE = 22_050
MELODY = Score([(0, 24, 60, 80), (24, 24, 64, 90), (48, 48, 67, 70)])


def test_dry_it_is_the_rendering_of_fluidsynth():
    dry = render_for_listening(MELODY, RATE, reverb=False)
    reference = render_fluidsynth(MELODY, RATE)
    assert dry.shape == (len(reference) + RATE,) and dry.dtype == np.float32
    same = len(reference) - round(FADE_SECONDS * RATE)
    np.testing.assert_allclose(dry[:same], reference[:same], rtol=0, atol=1e-6)


def test_mono_is_the_mean_of_left_and_right():
    for reverb in (False, True):
        both = render_for_listening(MELODY, RATE, stereo=True, reverb=reverb)
        mono = render_for_listening(MELODY, RATE, reverb=reverb)
        assert both.shape == (len(mono), 2)
        np.testing.assert_allclose(both.mean(axis=1), mono, rtol=0, atol=1e-6)


def test_reverb_sounds_on_below_the_piano_and_is_the_same_every_time():
    dry, wet = (render_for_listening(MELODY, RATE, reverb=reverb) for reverb in (False, True))
    np.testing.assert_array_equal(wet, render_for_listening(MELODY, RATE))
    added = 10 * np.log10(np.square(wet - dry).sum() / np.square(dry).sum())
    assert -25 < added < -6
    end = slice(round(2.6 * RATE), round(2.9 * RATE))  # after the release of the last key
    assert np.abs(wet[end]).max() > 3 * np.abs(dry[end]).max()
    assert np.abs(wet[-RATE // 100 :]).max() < 1e-4


def test_88_keys_as_loud_as_possible_do_not_clip():
    every_key = Score([(0, 24, pitch, 127) for pitch in range(21, 109)])
    for stereo in (False, True):
        sound = render_for_listening(every_key, RATE, stereo=stereo)
        assert np.abs(sound).max() > 1  # before the gain
        for loudness in (None, -5, -18):
            assert true_peak(at_loudness(sound, RATE, loudness), RATE) < -1 + 1e-3


def test_an_empty_score_stays_silent_and_a_short_one_is_levelled():
    assert np.abs(at_loudness(render_for_listening(Score(), RATE), RATE, -18)).max() < 1 / 2**16
    short = at_loudness(render_for_listening(Score([(0, 1, 60, 30)], length_ticks=1), RATE), RATE, -18)
    assert -25 < integrated_loudness(short, RATE) < -17.9


def test_networks_hear_the_same_after_a_rendering_for_people():
    before = note_bank().render_one(MELODY)
    render_for_listening(MELODY, RATE, stereo=True)
    np.testing.assert_array_equal(note_bank().render_one(MELODY), before)


def test_other_sound_fonts(tmp_path):
    font = tmp_path / "one key.sf2"
    font.write_bytes(one_sample_font())
    check_soundfont(font)
    ours = render_for_listening(MELODY, RATE, font)
    assert np.abs(ours).max() > 0.01
    assert not np.allclose(ours, render_for_listening(MELODY, RATE))


def test_compressed_sound_fonts(tmp_path):
    for suffix, compressed in (("sf2", False), ("sf3", True)):
        (tmp_path / f"sine.{suffix}").write_bytes(one_sample_font(compressed))
    expected = render_for_listening(MELODY, RATE, tmp_path / "sine.sf2")
    try:
        sound = render_for_listening(MELODY, RATE, tmp_path / "sine.sf3")
    except SoundError:
        pytest.skip("this FluidSynth was built without libsndfile")
    assert np.corrcoef(sound, expected)[0, 1] > 0.99


@pytest.mark.parametrize("damage", ["missing", "folder", "empty", "text", "truncated", "no samples"])
def test_a_missing_or_damaged_sound_font_is_named(tmp_path, damage, capfd):
    font = tmp_path / "mine.sf2"
    data = one_sample_font()
    if damage == "folder":
        font.mkdir()
    elif damage != "missing":
        contents = {
            "empty": b"",
            "text": b"no sound font",
            "truncated": data[: len(data) // 2],
            "no samples": data[:12],
        }
        font.write_bytes(contents[damage])
    with pytest.raises((SoundError, FileNotFoundError), match=r"mine\.sf2"):
        check_soundfont(font)
    assert capfd.readouterr() == ("", "")


def test_the_default_sound_font_can_be_used():
    check_soundfont(None)
    check_soundfont(default_soundfont())


def one_sample_font(compressed: bool = False) -> bytes:
    """An SF2 file of one decaying sine for all keys (SoundFont 2.04, section 4), or SF3: its sample is OGG Vorbis."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)

    time = np.arange(22_050) / 22_050
    sound = (20_000 * np.sin(2 * np.pi * 261.6 * time) * np.exp(-3 * time)).astype("<i2")
    sample, end, version, kind = sound.tobytes() + bytes(92), 22_050, (2, 1), 1
    if compressed:
        vorbis = BytesIO()
        soundfile.write(vorbis, sound, 22_050, format="OGG", subtype="VORBIS")
        sample, end, version, kind = vorbis.getvalue(), len(vorbis.getvalue()), (3, 0), 0x11
    parts = {
        b"phdr": b"piano".ljust(20, b"\0")
        + struct.pack("<HHHIII", 0, 0, 0, 0, 0, 0)
        + b"EOP".ljust(20, b"\0")
        + struct.pack("<HHHIII", 0, 0, 1, 0, 0, 0),
        b"pbag": struct.pack("<HHHH", 0, 0, 1, 0),
        b"pmod": bytes(10),
        b"pgen": struct.pack("<HHI", 41, 0, 0),
        b"inst": b"piano".ljust(20, b"\0") + struct.pack("<H", 0) + b"EOI".ljust(20, b"\0") + struct.pack("<H", 1),
        b"ibag": struct.pack("<HHHH", 0, 0, 1, 0),
        b"imod": bytes(10),
        b"igen": struct.pack("<HHI", 53, 0, 0),
        b"shdr": b"sine".ljust(20, b"\0")
        + struct.pack("<5IBbHH", 0, end, 0, 22_049, 22_050, 60, 0, 0, kind)
        + b"EOS".ljust(20, b"\0")
        + bytes(26),
    }
    information = chunk(b"ifil", struct.pack("<HH", *version)) + chunk(b"isng", b"EMU8000\0") + chunk(b"INAM", b"test")
    lists = (
        chunk(b"LIST", b"INFO" + information)
        + chunk(b"LIST", b"sdta" + chunk(b"smpl", sample))
        + chunk(b"LIST", b"pdta" + b"".join(chunk(name, part) for name, part in parts.items()))
    )
    return chunk(b"RIFF", b"sfbk" + lists)
