from __future__ import annotations

from pathlib import Path

import pytest

from toccata.agents.rivals.fitting.state import reading_state
from toccata.weights import WeightsError


@pytest.mark.parametrize("error", [KeyError("losses"), TypeError("of another fit"), RuntimeError("of another network")])
def test_a_state_of_something_else_is_one_line_with_its_folder(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(WeightsError, match="does not resume this fit") as raised, reading_state(tmp_path):
        raise error
    assert str(tmp_path) in str(raised.value)
