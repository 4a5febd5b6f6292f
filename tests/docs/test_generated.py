"""Pages and notebooks that are made from the code are those of this code."""

import re
from dataclasses import fields
from importlib import import_module

import pytest

pytest.importorskip("nbformat", reason="of the extra docs")

from data_sheets import environments, sheet
from generate import generated
from notebooks import notebook
from options import flag_of, options_page, rows, typed
from pages import ROOT, tutorials

from toccata.agents.runs.config import TrainConfig
from toccata.cli import COMMANDS


@pytest.mark.parametrize("path", sorted(generated()), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_generated_file_is_current(path) -> None:
    command = "python scripts/site/generate.py"
    assert path.read_text(encoding="utf-8") == generated()[path], f"out of date; run: {command}"


def test_every_setting_of_every_command_has_a_row_with_a_meaning() -> None:
    page = options_page()
    for name, (place, _) in COMMANDS.items():
        section = page.partition(f"\n## toccata {name}\n")[2].partition("\n## ")[0]
        module, _, attribute = place.partition(":")
        config = getattr(import_module(module), attribute)
        table = re.findall(r"^\| (`.+?`) \| (.+?) \| (.+) \|$", section, re.MULTILINE)
        assert len(table) >= len(fields(config))
        assert all(len(meaning) > 8 for _, _, meaning in table)


def test_rows_of_train() -> None:
    table = {row.split("`")[1]: row for row in rows(TrainConfig)}
    assert table["--gamma"].startswith("| `--gamma` | `1` | Discount factor")
    assert "– (`0.01`)" in table["--prior-kl-coef"]
    assert table["--train-realism"].split("|")[1:3] == [" `--train-realism` `--no-train-realism` ", " on "]
    assert "`rating 1 realism 1 silence 1 repetition 3`" in table["--rewards"]
    assert typed((0.5, "a", (1, 2))) == "0.5 a 1 2"


def test_names_of_flags() -> None:
    names = {field.name: flag_of(field, field.type) for field in fields(TrainConfig)}
    assert names["run_dir"] == "`--run-dir`"
    assert names["trust"] == "`--trust` `--no-trust`"


def test_data_sheets_are_those_of_the_environments() -> None:
    found = environments()
    assert [name.partition("/")[2] for name in found] == [
        f"{each.__name__.removesuffix('Env')}-v0" for each in found.values()
    ]
    text = sheet(*next(iter(found.items())))
    assert text.startswith("## toccata/Piano-v0\n")
    assert "\n### Action Space\n" in text


def test_cells_of_a_notebook() -> None:
    page = next(page for page in tutorials() if page.stem == "own-reward")
    cells = notebook(page).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    assert code[0].startswith("%%writefile my_rewards.py\n")
    assert any(source.startswith("%%bash\nset -eu\ntoccata train") for source in code)
    assert "--total-timesteps 96" in "".join(cell.source for cell in notebook(page, toy=True).cells)
