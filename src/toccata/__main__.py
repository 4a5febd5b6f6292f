"""`python -m toccata`, the same as the `toccata` command."""

from toccata.cli import main

if __name__ == "__main__":
    main()
