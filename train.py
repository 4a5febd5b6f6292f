"""Train an agent that composes on the piano: `python train.py --help`."""

import sys

from toccata.cli import run_command

if __name__ == "__main__":
    sys.exit(run_command("train", prog="train.py"))
