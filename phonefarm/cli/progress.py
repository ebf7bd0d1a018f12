"""Progress of long work: a bar for people at a terminal, plain lines everywhere else.

Where nobody watches (a pipe, a log, a Ray job, ``--json``) there is no bar, only the lines that are said. At a terminal
those lines stand above the bar, and the bar is gone when the work is.
"""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from phonefarm.cli.terminal import harmless


class Work:
    """One long work. Use as a context manager. ``total``: of whatever ``show`` counts; without one, only that it goes
    on, and for how long, is shown."""

    def __init__(self, console: Console, what: str, *, total: float | None = None, quiet: bool = False) -> None:
        bar = (BarColumn(bar_width=32), MofNCompleteColumn()) if total is not None else ()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            *bar,
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._progress.add_task(harmless(what), total=total, note="")

    def __enter__(self) -> Work:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, done: float, note: str = "") -> None:
        """How far it is."""
        self._progress.update(self._task, completed=done, note=harmless(note))
