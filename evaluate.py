"""Compose with a trained agent and measure what it wrote: `python evaluate.py RUN_DIR`."""

import sys

from toccata.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("evaluate", prog="evaluate.py"))
