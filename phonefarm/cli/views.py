"""What the client commands and the demo show: tables, and progress bars that follow a process.

Everything that comes from a farm is printed as plain text, never read as markup, and ``harmless`` to a terminal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from phonefarm.cli.terminal import harmless

STATUS_STYLES = {
    "completed": "green",
    "failed_terminal": "red",
    "cancelled": "yellow",
    "executing": "cyan",
    "retrying": "yellow",
    "available": "green",
    "busy": "cyan",
    "offline": "red",
    "quarantined": "red",
}
ENDED = frozenset({"completed", "failed_terminal", "cancelled"})


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A table of plain texts; None is shown as nothing, known states have their colour."""
    made = Table(title=title, title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        width = max((len(str(row[0])) for row in rows), default=0) if index == 0 else None  # ids are there to be copied
        made.add_column(column, no_wrap=index == 0, overflow="fold", min_width=width)
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def _cell(value: Any) -> Text:
    text = "" if value is None else harmless(str(value))
    return Text(text, style=STATUS_STYLES.get(text, ""))


def phones(items: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (p.get("phone_id"), p.get("state"), p.get("serial"), p.get("host"), _joined(p.get("groups")), p.get("model"),
         _level(p.get("battery")), p.get("why"))
        for p in items
    ]  # fmt: skip
    return table("phones", ("phone", "state", "serial", "host", "groups", "model", "battery", "why"), rows)


def processes(items: Sequence[Mapping[str, Any]]) -> Table:
    """Two lines a process, so that a terminal of eighty columns cuts no word: what was asked stands under its id."""
    made = Table(title="processes", title_justify="left", header_style="bold", box=SIMPLE_HEAD, show_edge=False)
    made.padding, made.pad_edge = (0, 1, 0, 0), False
    width = max((len(str(p.get("process_id"))) for p in items), default=0) or None  # ids are there to be copied
    made.add_column("process, request", overflow="fold", width=width)
    made.add_column("status", no_wrap=True)
    made.add_column("what", overflow="fold")
    made.add_column("created", no_wrap=True)
    for p in items:
        made.add_row(
            _two_lines(p.get("process_id"), p.get("request_id")),
            _two_lines(p.get("status"), _percent(p)),
            _two_lines(p.get("process_type"), _system(p)),
            _two_lines(*_day_and_time(p)),
        )
    return made


def _two_lines(first: Any, second: Any) -> Text:
    return Text.assemble(_cell(first), "\n", _cell(second))


def _day_and_time(process: Mapping[str, Any]) -> tuple[str, str]:
    """Of 2026-11-25T10:10:29.850Z: 11-25 and 10:10:29."""
    created = str((process.get("timestamps") or {}).get("created_at") or "")
    return created[5:10], created[11:19]


def process_line(process: Mapping[str, Any]) -> Text:
    """How a process ended, or stands."""
    status = str(process.get("status"))
    words = [status, str(process.get("outcome") or "")]
    error = process.get("error")
    if error:
        words.append(f"{error.get('code')}: {error.get('message')}")
    return Text(harmless("  ".join(word for word in words if word)), style=STATUS_STYLES.get(status, ""))


def _joined(values: Any) -> str:
    return ", ".join(str(value) for value in values or ())


def _level(battery: Any) -> str | None:
    level = battery.get("level") if isinstance(battery, Mapping) else None
    return None if level is None else f"{level} %"


def _percent(process: Mapping[str, Any]) -> str | None:
    percent = (process.get("partial_progress") or {}).get("percent")
    return None if percent is None else f"{percent} %"


def _system(process: Mapping[str, Any]) -> Any:
    return (process.get("requested_by") or {}).get("system")


class Bars:
    """One bar an item of a process. Use as a context manager; ``show`` what GET /processes/{id} said."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.fields[phone]:<10}", markup=False),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]:<16}", markup=False),
            TextColumn("{task.fields[action]:<16}", markup=False),
            TimeElapsedColumn(),
            console=console,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, process: Mapping[str, Any]) -> None:
        for item in process.get("items") or ():
            values: dict[str, Any] = {
                "total": item.get("actions_total") or None,
                "completed": item.get("actions_done") or 0,
                "phone": harmless(str(item.get("phone_id") or "(any)")),
                "status": harmless(str(item.get("status") or "")),
                "action": harmless(str(item.get("action") or "")),
            }
            item_id = str(item.get("queue_item_id"))
            if item_id not in self._tasks:
                self._tasks[item_id] = self._progress.add_task("", **values)
            self._progress.update(self._tasks[item_id], **values)
            if item.get("status") in ENDED:
                self._progress.stop_task(self._tasks[item_id])
