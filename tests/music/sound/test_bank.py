"""The bank of notes against FluidSynth itself."""

import multiprocessing
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toccata.music import Score
from toccata.music.sound import bank as bank_module
from toccata.music.sound.bank import NoteBank, audio_samples, note_bank, render_fluidsynth, schedule
from toccata.music.sound.synthesizer import BLOCK

TOLERANCE = 1e-3  # of full scale, as documented

MELODY = Score([(0, 24, 60, 80), (24, 24, 64, 80), (48, 48, 67, 80)])


@pytest.fixture(scope="module", autouse=True)
def cache_of_its_own(tmp_path_factory):
    """Random notes do not fill the cache that all tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOCCATA_CACHE", str(tmp_path_factory.mktemp("cache")))
        note_bank.cache_clear()
        yield
    note_bank.cache_clear()


def difference(score: Score, sample_rate: int = 16_000) -> float:
    return float(np.abs(note_bank(sample_rate).render_one(score) - render_fluidsynth(score, sample_rate)).max())


def test_length_is_that_of_the_score_and_one_second():
    assert audio_samples(Score(length_ticks=8 * 96)) == 16 * 16_000 + 16_000
    assert audio_samples(Score(length_ticks=96, tempo_bpm=60), 22_050) == 5 * 22_050
    assert audio_samples(Score(length_ticks=1, ticks_per_beat=1, tempo_bpm=90)) == 26_667  # 2/3 s, rounded up
    assert audio_samples(Score()) == 16_000
    assert MELODY.audio().shape == (audio_samples(MELODY),)


def test_an_empty_score_is_silence():
    empty = Score(length_ticks=96)
    assert not note_bank().render_one(empty).any()
    assert not render_fluidsynth(empty).any()
    assert note_bank().render([]).shape == (0, 0)


def test_shorter_pieces_are_padded_with_zeros():
    short, long = MELODY, Score([(0, 6, 72, 80)], length_ticks=4 * 96)
    audio = note_bank().render([short, long])
    assert audio.shape == (2, audio_samples(long)) and audio.dtype == np.float32
    np.testing.assert_array_equal(audio[0, : audio_samples(short)], note_bank().render_one(short))
    assert not audio[0, audio_samples(short) :].any()


NOTE = st.tuples(st.integers(0, 96), st.integers(1, 60), st.integers(0, 127), st.integers(1, 127))


@settings(max_examples=15, deadline=None)
@given(
    notes=st.lists(NOTE, max_size=30),
    tempo_bpm=st.floats(40, 600),
    ticks_per_beat=st.sampled_from([4, 24, 480]),
)
def test_bank_equals_fluidsynth(notes, tempo_bpm, ticks_per_beat):
    assert difference(Score(notes, tempo_bpm=tempo_bpm, ticks_per_beat=ticks_per_beat)) < TOLERANCE


@pytest.mark.parametrize(
    ("notes", "tempo_bpm"),
    [
        pytest.param([(3 * i, 3, 60, 80) for i in range(40)], 97, id="one repeated key"),
        pytest.param([(i, 1, 65, 106) for i in range(80)], 600, id="shorter than a block"),
        pytest.param([(i, 96, 21 + i, 127) for i in range(88)], 333, id="every key, held"),
        pytest.param([(i, 6, 60 + i % 12, i) for i in range(1, 128)], 121, id="every velocity"),
        pytest.param([(12 * i, 5, 96 + i, 90) for i in range(13)], 120, id="keys without dampers"),
        pytest.param([(0, 24 * 60, 33, 100)], 120, id="a note of half a minute"),
    ],
)
def test_bank_equals_fluidsynth_for_difficult_scores(notes, tempo_bpm):
    assert difference(Score(notes, tempo_bpm=tempo_bpm)) < TOLERANCE / 4


def test_bank_equals_fluidsynth_at_other_sample_rates():
    assert difference(MELODY, 22_050) < TOLERANCE / 4


def test_recordings_end_without_a_click():
    note = Score([(0, 24, 60, 127)], length_ticks=4 * 96)
    assert difference(note) < 2 * bank_module.SILENCE


def test_sound_does_not_depend_on_what_was_rendered_before():
    others = [Score([(i, 7, 50 + i, 60 + i)]) for i in range(20)]
    fresh = NoteBank().render_one(MELODY)
    used = NoteBank()
    used.render(others)
    np.testing.assert_array_equal(used.render([*others, MELODY])[-1, : len(fresh)], fresh)
    np.testing.assert_array_equal(used.render_one(MELODY), fresh)
    np.testing.assert_array_equal(render_fluidsynth(MELODY), render_fluidsynth(MELODY))


def test_a_full_bank_is_cleared(monkeypatch):
    scores = [Score([(0, 12 + i, 60 + i, 80)]) for i in range(6)]
    expected = NoteBank().render(scores)
    monkeypatch.setattr(bank_module, "BANK_SAMPLES", 20_000)  # about two of these notes
    bank = NoteBank()
    np.testing.assert_array_equal(bank.render(scores), expected)
    assert 1 <= len(bank) < len(scores)
    assert bank.nbytes < 4 * 40_000


def test_a_score_too_large_for_a_bank_is_rendered_by_fluidsynth(monkeypatch):
    monkeypatch.setattr(bank_module, "BANK_SAMPLES", 1_000)
    bank = NoteBank()
    np.testing.assert_array_equal(bank.render_one(MELODY), render_fluidsynth(MELODY))
    assert len(bank) == 0


def part_of(score: Score, begin: int, end: int) -> np.ndarray:
    """The notes of a score that sound between two blocks, for `render_parts`."""
    notes = schedule(score, 16_000)
    notes = notes[(notes["on_block"] < end) & (notes["off_block"] + 600 > begin)]
    notes["on_block"] -= begin
    notes["off_block"] -= begin
    return notes


LONG = Score([(0, 400, 40, 100), (10, 12, 100, 90), (24, 90, 60, 80), (150, 3, 64, 80), (300, 100, 67, 127)])


@pytest.mark.parametrize(("begin", "end"), [(0, 100), (-8, 50), (30, 31), (777, 1_500), (1_900, 3_000)])
def test_a_part_equals_the_same_samples_of_the_piece(begin, end):
    whole = np.pad(note_bank().render_one(LONG), (8 * BLOCK, 3_000 * BLOCK))
    part = note_bank().render_parts([part_of(LONG, begin, end)], (end - begin) * BLOCK)
    assert part.dtype == np.float32
    np.testing.assert_array_equal(part, whole[None, (begin + 8) * BLOCK : (end + 8) * BLOCK])


def test_silent_parts_and_no_parts():
    parts = [part_of(LONG, 0, 9), part_of(Score(), 0, 9)]
    assert [bool(row.any()) for row in note_bank().render_parts(parts, 100)] == [True, False]
    assert note_bank().render_parts([], 100).shape == (0, 100)


@pytest.mark.parametrize(("begin", "end"), [(0, 100), (30, 31), (777, 1_500), (1_900, 3_000)])
def test_a_part_too_large_for_a_bank_is_rendered_by_fluidsynth(monkeypatch, begin, end):
    expected = note_bank().render_parts([part_of(LONG, begin, end)], (end - begin) * BLOCK)
    monkeypatch.setattr(bank_module, "BANK_SAMPLES", 1_000)
    bank = NoteBank()
    np.testing.assert_allclose(
        bank.render_parts([part_of(LONG, begin, end)], (end - begin) * BLOCK), expected, atol=TOLERANCE
    )
    assert len(bank) == 0


def test_the_schedule_counts_blocks():
    score = Score([(0, 24, 60, 80), (24, 1, 60, 70), (24, 24, 72, 90)], tempo_bpm=60)  # a beat is 250 blocks
    assert schedule(score, 16_000).tolist() == [(0, 250, 60, 80), (250, 261, 60, 70), (250, 500, 72, 90)]
    crowded = Score([(0, 1, 60, 80), (1, 1, 60, 70), (2, 1, 61, 60)], ticks_per_beat=960, tempo_bpm=600)
    # A tick is 1.7 samples: ticks 1 and 2 are in one block, so both notes begin at its border.
    assert schedule(crowded, 16_000).tolist() == [(0, 1, 60, 80), (1, 2, 60, 70), (1, 2, 61, 60)]


def test_ten_notes_do_not_clip_and_a_cluster_stays_in_range():
    chords = [Score([(0, 24, low + step * i, 100) for i in range(10)]) for low in (21, 48, 60, 81) for step in (1, 3)]
    assert 0.05 < np.abs(note_bank().render(chords)).max() < 1
    cluster = note_bank().render_one(Score([(t, 12, p, 127) for t in range(0, 48, 12) for p in range(128)]))
    assert np.abs(cluster).max() == 1


def test_a_scale_has_the_right_frequencies():
    pitches = [60, 62, 64, 65, 67, 69, 71, 72]
    audio = note_bank().render_one(Score([(24 * i, 24, p, 90) for i, p in enumerate(pitches)]))
    for i, pitch in enumerate(pitches):
        spectrum = np.abs(np.fft.rfft(audio[8_000 * i : 8_000 * (i + 1)] * np.hanning(8_000)))  # bins of 2 Hz
        fundamental = 440 * 2 ** ((pitch - 69) / 12)
        near = slice(int(fundamental / 2 * 0.97), int(fundamental / 2 * 1.03) + 1)  # less than a semitone around
        assert abs(2 * (near.start + spectrum[near].argmax()) - fundamental) < 3
        assert spectrum[near].max() > 0.2 * spectrum.max()


def test_louder_velocity_is_louder():
    audio = note_bank().render([Score([(0, 24, 60, velocity)]) for velocity in (20, 60, 100, 127)])
    rms = np.sqrt((audio**2).mean(1))
    assert (np.diff(rms) > 0).all() and rms[-1] < 0.1


def test_banks_can_be_pickled_to_other_processes():
    expected = note_bank().render_one(MELODY)
    bank = pickle.loads(pickle.dumps(note_bank()))
    assert len(bank) == 0
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(bank.render_one, (MELODY,)), expected)


@pytest.mark.skipif(sys.platform != "linux", reason="forking is the custom on Linux only")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 warns of forking with threads around
def test_a_bank_in_use_works_after_a_fork():
    expected = note_bank().render_one(MELODY)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(_render_shared, (MELODY,)), expected)


def _render_shared(score: Score) -> np.ndarray:
    return note_bank().render([score, score.transpose(1)])[0]
