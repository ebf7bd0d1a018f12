"""``phonefarm logs``: the lines of all of a farm's log files on this machine, in the order of their times, for people.

It reads files, so it works on a farm that does not run. What it cannot read as a line of ours it leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from phonefarm.cli.statedir import DEFAULT_DIR, StateDir
from phonefarm.cli.terminal import Terminal
from phonefarm.errors import ConfigError
from phonefarm.levels import LEVELS

_STYLES = {"debug": "dim", "warning": "yellow", "error": "red"}
_HEAD = ("at", "level", "event", "actor")
#: Not shown: which process said it stands in the files.
_LEFT_OUT = ("pid",)


def register(app: typer.Typer) -> None:
    """Put the command into the program."""
    app.command(epilog="Example: phonefarm logs --process 0193580c-7a10-7c3e-8f5a-3b1f6a4f2f11")(logs)


def logs(
    process: Annotated[str | None, typer.Option(help="Only lines about this process.")] = None,
    phone: Annotated[str | None, typer.Option(help="Only lines about this phone.")] = None,
    level: Annotated[str, typer.Option(help=f"From this level on: {', '.join(LEVELS)}.")] = "debug",
    last: Annotated[int, typer.Option(help="So many of the newest lines.", min=1)] = 200,
    state_dir: Annotated[Path, typer.Option(help="Directory that holds all of the farm's state.")] = DEFAULT_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print the lines as they are, for programs.")] = False,
) -> None:
    """Show what the farm's processes on this machine have logged, oldest first."""
    if level not in LEVELS:
        raise ConfigError(f"--level is one of {', '.join(LEVELS)}")
    wanted = {name: value for name, value in (("process", process), ("phone", phone)) if value is not None}
    shown = [
        line
        for line in read(StateDir(state_dir).logs)
        if all(line.get(name) == value for name, value in wanted.items())
        and LEVELS.index(line["level"]) >= LEVELS.index(level)
    ]
    console = Terminal(soft_wrap=True, highlight=False)
    for line in shown[-last:]:
        text = json.dumps(line) if as_json else readable(line)
        console.print(text, style=None if as_json else _STYLES.get(line["level"]), markup=False)


def read(directory: Path) -> list[dict[str, Any]]:
    """Every line in the log files of ``directory``, in the order of their times."""
    found = [line for path in directory.glob("*.log*") for line in _lines(path)]
    return sorted(found, key=lambda line: str(line["at"]))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for text in path.read_text("utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and {"at", "event"} <= line.keys() and line.get("level") in LEVELS:
            yield line


def readable(line: dict[str, Any]) -> str:
    """A line for people: when, how bad, what, who, then the rest as ``name=value``."""
    rest = [f"{name}={value}" for name, value in line.items() if name not in (*_HEAD, *_LEFT_OUT) and value is not None]
    return " ".join((str(line["at"]), f"{line['level']:7}", str(line["event"]), f"({line.get('actor', '')})", *rest))
