"""Notebooks of the tutorials, made from the same pages.

A Python block becomes a cell, a shell block a cell of bash, a block that is a file of the reader's a cell that writes
it; the rest of the page, printed output included, is text.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pages import Block, at_toy_size, blocks, toy_sizes

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
NOTE = "*This notebook is made from `{page}`. `toccata` must be on the PATH of the server that runs it.*"


def code_of(block: Block) -> str | None:
    """The code cell of a block, or None for one that is text."""
    if block.file is not None:
        return f"%%writefile {block.file}\n{block.text}"
    if block.language == "sh":
        return f"%%bash\nset -eu\n{block.text}"
    return block.text if block.language == "python" else None


def fenced(block: Block) -> str:
    """A block as it is in the page."""
    return block.text if block.language is None else f"```{block.language}\n{block.text}```\n"


def notebook(page: Path, toy: bool = False) -> nbformat.NotebookNode:
    """The notebook of a page; with `toy` at the sizes of docs/tutorials/toy.toml."""
    cells, prose = [], NOTE.format(page=page.name) + "\n\n"
    for block in blocks(page.read_text(encoding="utf-8")):
        code = code_of(block)
        if code is None:
            prose += fenced(block)
            continue
        if prose.strip():
            cells.append(new_markdown_cell(prose.strip()))
        prose = ""
        cells.append(new_code_cell((at_toy_size(code, toy_sizes()) if toy else code).rstrip()))
    cells.append(new_markdown_cell(prose.strip()))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # as random ones would differ each time
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}})


def notebook_text(page: Path) -> str:
    """The file of a page's notebook."""
    return nbformat.writes(notebook(page)) + "\n"
