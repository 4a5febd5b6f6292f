"""What small splits of a corpus mean for a run and for a prior, in a line."""

from __future__ import annotations

from collections.abc import Mapping

FEW_TRAINING_WORKS = 20  # an epoch of behaviour cloning has 384 excerpts: about twenty of each work
FEW_HELD_OUT_WORKS = 5  # fewer have at most 35 different resamples: too few for a 95 % bootstrap interval


def few_works_of_run(name: str, works: Mapping[str, int]) -> str | None:
    """A line that says how few works of a run's corpus are in each split, and why that matters; None for enough.

    Args:
        name: of the corpus.
        works: how many usable works "train", "valid" and "test" have. All works are used where one has none.
    """
    train, test, every = works["train"], works["test"], sum(works.values())
    if not train:
        why = f"so all {every} are trained on, also those held out"
    elif not test:
        why = f'none is held out, so "real" music is all {every}, which are trained on too'
    elif test < FEW_HELD_OUT_WORKS:
        why = f'"real" music is {_works(test)} only, too few for its intervals'
    elif train < FEW_TRAINING_WORKS:
        why = "an agent may memorise so few"
    else:
        return None
    return _line(name, works, why)


def few_works_of_prior(name: str, works: Mapping[str, int]) -> str | None:
    """The same for a corpus that a prior is fitted to, whose works "valid" stop the fit and "test" are reported on."""
    train, valid, test = (works[split] for split in ("train", "valid", "test"))
    if train >= FEW_TRAINING_WORKS and min(valid, test) >= FEW_HELD_OUT_WORKS:
        return None
    stopping = f"early stopping looks at {_works(valid)}" if valid else "there is no early stopping"
    few = ", too few for its intervals" if test < FEW_HELD_OUT_WORKS else ""
    report = f"the report is on {_works(test)}{few}" if test else "the report has no bits"
    return _line(name, works, f"{stopping}, and {report}")


def _line(name: str, works: Mapping[str, int], why: str) -> str:
    counts = ", ".join(f"{count} in {split}" for split, count in works.items())
    return f"few works: {name} has {counts}: {why}"


def _works(count: int) -> str:
    return "one work" if count == 1 else f"{count} works"
