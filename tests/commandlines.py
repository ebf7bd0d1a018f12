"""Would a program take this command line? Its own tree of commands is asked; nothing is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from phonefarm.cli import app


def refused(words: Sequence[str], root: Any = None, *, whole: bool = True) -> str | None:
    """Why the program would not take ``words``, None if it would. ``root``: a click command, ours by default; not
    ``whole``: as a text names a command, where what it needs may be missing."""
    command: Any = typer.main.get_command(app) if root is None else root
    left = list(words)
    while hasattr(command, "commands"):
        if left[:1] == ["--help"]:
            return None
        if command.invoke_without_command and left and left[0].startswith("-"):
            break  # a command of its own that has others below it, as maintain
        if not left or left[0] not in command.commands:
            return f"no command {left[:1]}"
        command, left = command.commands[left[0]], left[1:]
    try:
        command.make_context(command.name, left)
    except Exception as error:
        kind = type(error).__name__
        if kind == "Exit" or (kind == "MissingParameter" and not whole):
            return None
        return f"{kind}: {getattr(error, 'message', error)}"
    return None
