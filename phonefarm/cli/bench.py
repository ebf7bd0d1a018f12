"""``phonefarm bench``: the bench of the checkout that this phonefarm runs from.

The bench needs the tools of the tests, a PostgreSQL of its own, and peers in an environment of theirs, so it is no part
of an installed phonefarm: it is a program of the checkout (``python -m tests.bench``), which this command starts.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

import phonefarm
from phonefarm.errors import ConfigError


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: phonefarm bench placement driver --rounds 3")(bench)


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Figures by name or letter; default: all.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each contestant has its turn.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: to try it, not for figures to be kept.")] = False,
) -> None:
    """Measure the farm against its peers and limits; needs a checkout. Writes bench-output/."""
    words = ["--only", ",".join(names)] if names else []
    words += ["--rounds", str(rounds), *(["--quick"] if quick else [])]
    raise typer.Exit(start(checkout(Path(phonefarm.__file__).parent.parent), words))


def checkout(root: Path) -> Path:
    """``root`` if the bench is there. Raises ConfigError."""
    if not (root / "tests" / "bench" / "__main__.py").is_file():
        raise ConfigError("the bench is no part of an installed phonefarm: run it in a checkout, there by `make bench`")
    return root


def start(root: Path, words: list[str]) -> int:
    """Run it to its end; its exit code."""
    return subprocess.run([sys.executable, "-m", "tests.bench", *words], cwd=root).returncode
