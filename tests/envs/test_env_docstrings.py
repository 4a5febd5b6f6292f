"""The class docstrings against the live spaces and arguments."""

import inspect
import re

import numpy as np
import pytest
from gymnasium import spaces

from toccata.envs import GENRES, MOPianoEnv, Piano, PianoCore, PianoDiscreteEnv, PianoEnv, PianoVelocityEnv


def table(text: str, header: str) -> list[dict[str, str]]:
    """The Markdown table whose header begins so."""
    lines = inspect.cleandoc(text).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(header))
    names = [cell.strip() for cell in lines[first].strip("|").split("|")]
    rows = []
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(names, (cell.strip() for cell in line.strip("|").split("|")), strict=True)))
    return rows


def bounds(space: spaces.Space) -> tuple[str, str]:
    """Lowest and highest value as the tables write them."""
    if isinstance(space, spaces.Discrete):
        return "0", str(space.n - 1)
    limits = (0, space.nvec - 1) if isinstance(space, spaces.MultiDiscrete) else (space.low, space.high)
    low, high = (f"{np.min(limit):g}" if np.ptp(limit) == 0 else str(limit.tolist()) for limit in limits)
    return low, high


@pytest.mark.parametrize("observation", ["full", "actions"])
def test_observation_tables_equal_the_spaces(observation: str) -> None:
    text = PianoEnv.__doc__
    full = {row["Key"]: row for row in table(text, "| Key")}
    rows = full
    if observation == "actions":
        reduced = table(text[text.index('With `observation="actions"`') :], "| Key")
        rows = {row["Key"]: row for row in reduced} | {key: full[key] for key in ("last", "genre")}
    space = PianoEnv(observation=observation).observation_space
    assert rows.keys() == space.keys()
    for key, part in space.items():
        row = rows[key]
        assert row["Space"] == type(part).__name__
        assert row["Shape"] == str(part.shape)
        assert row["Dtype"] == str(part.dtype)
        assert (row["Min"], row["Max"]) == bounds(part)


def test_the_mask_table_equals_the_space() -> None:
    text = PianoEnv.__doc__
    (row,) = table(text[text.index("With `observation_mask=True`") :], "| Key")
    space = PianoEnv(observation_mask=True).observation_space[row["Key"]]
    assert (row["Space"], row["Shape"], row["Dtype"]) == (type(space).__name__, str(space.shape), str(space.dtype))
    assert (row["Min"], row["Max"]) == bounds(space)
    flat = PianoDiscreteEnv(observation_mask=True).observation_space[row["Key"]]
    assert f"`action_mask` of `observation_mask=True` is {flat.shape} {flat.dtype}" in PianoDiscreteEnv.__doc__


def test_the_table_of_words_equals_the_spaces() -> None:
    text = PianoEnv.__doc__
    rows = table(text[text.index("With `lyrics` the words") :], "| Key")
    space = PianoEnv(lyrics="la").observation_space
    assert {row["Key"] for row in rows} == set(space) - set(PianoEnv().observation_space)
    for row in rows:
        part = space[row["Key"]]
        assert (row["Space"], row["Shape"], row["Dtype"]) == (type(part).__name__, str(part.shape), str(part.dtype))
        assert (row["Min"], row["Max"]) == bounds(part)


def test_the_action_table_equals_the_space() -> None:
    space = PianoEnv().action_space
    assert f"`MultiDiscrete({space.nvec.tolist()})`" in PianoEnv.__doc__
    rows = table(PianoEnv.__doc__, "| Num")
    assert [(row["Min"], row["Max"]) for row in rows] == [("0", str(size - 1)) for size in space.nvec]
    assert " ".join(map(str, Piano().values)) in rows[1]["Action"]
    assert f"({space.nvec.sum()},) bool" in PianoEnv.__doc__
    assert f"`{PianoDiscreteEnv().action_space!r}`" in PianoDiscreteEnv.__doc__


def test_the_tables_of_velocities_equal_the_spaces() -> None:
    env = PianoVelocityEnv(observation_mask=True)
    text, space = PianoVelocityEnv.__doc__, env.action_space
    assert f"`MultiDiscrete({space.nvec.tolist()})`" in text
    rows = table(text, "| Num")
    assert [(row["Min"], row["Max"]) for row in rows] == [("0", str(size - 1)) for size in space.nvec]
    assert rows[:2] == table(PianoEnv.__doc__, "| Num")
    assert " ".join(map(str, env.core.piano.velocities)) in rows[2]["Action"]
    assert f"`Piano(velocities={env.core.piano.velocities})`" in text
    (row,) = table(text, "| Key")
    last = env.observation_space[row["Key"]]
    assert (row["Space"], row["Shape"], row["Dtype"]) == (type(last).__name__, str(last.shape), str(last.dtype))
    assert (row["Min"], row["Max"]) == bounds(last)
    mask = env.observation_space["action_mask"]
    assert mask.shape == (space.nvec.sum(),)
    assert text.count(str(mask.shape)) == 2  # of the mask, and in the observation


def test_the_argument_table_equals_the_signature() -> None:
    defaults = {name: p.default for name, p in inspect.signature(PianoCore.__init__).parameters.items()}
    defaults |= {"render_mode": inspect.signature(PianoEnv.__init__).parameters["render_mode"].default}
    for name in ("self", "num_envs", "flat"):
        del defaults[name]
    rows = table(PianoEnv.__doc__, "| Argument")
    documented = {row["Argument"]: row["Default"] for row in rows}
    assert documented == {
        name: "GENRES" if name == "genres" else f'"{value}"' if isinstance(value, str) else str(value)
        for name, value in defaults.items()
    }
    genres = next(row for row in table(PianoEnv.__doc__, "| Key") if row["Key"] == "genre")
    assert ", ".join(GENRES) in genres["Meaning"]


@pytest.mark.parametrize("env", [PianoEnv, PianoDiscreteEnv, PianoVelocityEnv, MOPianoEnv])
def test_docstrings_have_the_sections_of_gymnasium(env: type) -> None:
    assert re.findall(r"## (.*)", env.__doc__) == [
        "Description",
        "Action Space",
        "Observation Space",
        "Rewards",
        "Starting State",
        "Episode End",
        "Arguments",
        "Version History",
    ]


@pytest.mark.parametrize("documented", [PianoEnv, PianoDiscreteEnv, PianoVelocityEnv, Piano])
def test_docstrings_define_value_as_an_index(documented: type) -> None:
    assert re.search(r"`value` is an index\s+into `(Piano\.)?values`", documented.__doc__)
