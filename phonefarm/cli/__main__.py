"""``python -m phonefarm.cli``: the same as ``phonefarm``."""

from phonefarm.cli import main

if __name__ == "__main__":
    main()
