"""The data set of a fit: standardised targets, and errors for data that cannot be fitted."""

import numpy as np
import pytest
import torch
from rich.console import Console

from helpers.rounding import float32_rounding
from toccata.reward_models.preferences import PreferenceError
from toccata.reward_models.rating.fitting.config import FitRatingError
from toccata.reward_models.rating.fitting.data import RatedPieces
from toccata.reward_models.rating.fitting.fit import fit, main


def test_targets_are_standardised(make_table, make_tune):
    scores = (make_tune(0),) * 12
    preferences = make_table(scores, range(1, 13)).preferences
    targets = RatedPieces(preferences, scores, None, np.zeros((12, 1)), np.arange(12, dtype=float)).targets()
    assert targets.dtype == torch.float32
    rounding = float32_rounding(2 * 12)  # of 12 targets
    assert float(targets.mean()) == pytest.approx(0, abs=rounding)
    assert float(targets.std(correction=0)) == pytest.approx(1, abs=rounding)


def test_too_few_pieces_are_an_error(small_network, short_fit, write_manifest, midi_rows, tmp_path):
    data = write_manifest(tmp_path / "data", midi_rows(tmp_path / "data", 9))
    with pytest.raises(FitRatingError, match=r"at least 10 pieces are needed.*there are 9 pieces") as error:
        main(short_fit(data, tmp_path / "a"))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "a").exists()


def test_unreadable_files_only_are_an_error(small_network, short_fit, write_manifest, tmp_path):
    data = write_manifest(tmp_path / "data", [(f"{index}.wav", 10, 5) for index in range(12)])
    for index in range(12):
        (data / f"{index}.wav").write_bytes(b"no sound")
    with pytest.raises(FitRatingError, match=r"at least 10 pieces.*0 pieces; left out 12: 12 unreadable file"):
        main(short_fit(data, tmp_path / "a"))


def test_a_table_without_usable_rows_is_an_error(short_fit, write_manifest, tmp_path):
    with pytest.raises(PreferenceError, match="no usable row"):
        main(short_fit(write_manifest(tmp_path / "data", [("a.wav", 0, 0)]), tmp_path / "a"))


@pytest.mark.parametrize("likes", [[1] * 12, [0, 1] * 6, [50] * 12])
def test_pieces_of_equal_popularity_are_an_error(small_network, short_fit, make_table, make_tune, likes):
    with pytest.raises(FitRatingError, match="nothing to fit"):
        fit(short_fit(), make_table([make_tune(i) for i in range(12)], likes), Console(quiet=True))


def test_a_split_with_too_few_training_pieces_is_an_error(small_network, short_fit, make_table, make_tune):
    table = make_table([make_tune(i) for i in range(20)], range(1, 21), split=["train"] * 9 + ["test"] * 11)
    with pytest.raises(FitRatingError, match="at least 10 training pieces are needed"):
        fit(short_fit(), table, Console(quiet=True))
