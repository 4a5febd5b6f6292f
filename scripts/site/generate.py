"""Write the pages that are made from the code, and the notebooks: `python scripts/site/generate.py [--check]`.

docs/options.md from the settings of every command, docs/data-sheets.md from the docstrings of the environments, and
docs/tutorials/*.ipynb from the tutorials. With --check nothing is written; what is out of date is named, with status 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

from data_sheets import data_sheets_page
from notebooks import notebook_text
from options import options_page
from pages import DOCS, ROOT, tutorials


def generated() -> dict[Path, str]:
    """The text of every generated file, by its path."""
    texts = {DOCS / "options.md": options_page(), DOCS / "data-sheets.md": data_sheets_page()}
    return texts | {path.with_suffix(".ipynb"): notebook_text(path) for path in tutorials()}


def main(check: bool) -> int:
    """Write what is out of date, or name it; the exit status."""
    stale = []
    for path, text in generated().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(path.relative_to(ROOT).as_posix())
            if not check:
                path.write_text(text, encoding="utf-8")
    print(f"{'out of date' if check else 'written'}: {', '.join(stale) or 'nothing'}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
