"""Lines on corpora with few works."""

from __future__ import annotations

import pytest

from toccata.agents.splits import few_works_of_prior, few_works_of_run


def counts(train: int, valid: int, test: int) -> dict[str, int]:
    return {"train": train, "valid": valid, "test": test}


@pytest.mark.parametrize(
    ("works", "line"),
    [
        ((4, 0, 1), '4 in train, 0 in valid, 1 in test: "real" music is one work only, too few for its intervals'),
        ((4, 1, 0), 'none is held out, so "real" music is all 5, which are trained on too'),
        ((0, 2, 1), "so all 3 are trained on, also those held out"),
        ((30, 4, 4), '"real" music is 4 works only'),
        ((19, 5, 5), "an agent may memorise so few"),
        ((20, 0, 5), None),
    ],
)
def test_of_a_run(works: tuple[int, int, int], line: str | None) -> None:
    found = few_works_of_run("mine", counts(*works))
    if line is None:
        assert found is None
    else:
        assert found is not None
        assert found.startswith("few works: mine has ")
        assert line in found
        assert "\n" not in found


@pytest.mark.parametrize(
    ("works", "line"),
    [
        ((4, 0, 1), "there is no early stopping, and the report is on one work, too few for its intervals"),
        ((30, 3, 0), "early stopping looks at 3 works, and the report has no bits"),
        ((30, 3, 9), "early stopping looks at 3 works, and the report is on 9 works"),
        ((20, 5, 5), None),
    ],
)
def test_of_a_prior(works: tuple[int, int, int], line: str | None) -> None:
    found = few_works_of_prior("mine", counts(*works))
    assert found is None if line is None else found is not None and found.endswith(f"in test: {line}")
