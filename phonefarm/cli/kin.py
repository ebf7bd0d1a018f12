"""Which processes belong to a farm, and how they are ended without hitting anybody else's.

Theory of operation
-------------------
Ray starts some thirty processes in the name of one, rewrites their titles, and leaves some behind when it is killed.
They are told from all others by what cannot be shared by accident:

* they descend from the process we started;
* or they are of its session (we start it as a session of its own; the number of a session is not given again while
  a member lives, and if a stranger leads a session of that number all ours are gone);
* or they carry the farm's cookie, a random text, in the environment they were started with.

Names are never looked at. A process is ended by its id and start time together (``phonefarm.devices.processes``).
Linux reads ``/proc``; elsewhere ``ps`` is asked, which knows no cookies.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from phonefarm.cli.statedir import mark_of, runs
from phonefarm.devices.processes import Mark

COOKIE_ENV = "PHONEFARM_COOKIE"
_PROC = Path("/proc")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A line of the process table."""

    pid: int
    parent: int
    session: int
    cookie: str = ""


def family(roots: Sequence[Mark], cookie: str) -> list[Mark]:
    """All processes of a farm that run now, the roots among them, this one never."""
    table = list(_table())
    pids = related(table, [root for root in roots if root.pid], cookie)
    return [mark for mark in map(mark_of, sorted(pids - {os.getpid()})) if mark.started]


def related(table: Sequence[Entry], roots: Sequence[Mark], cookie: str) -> set[int]:
    """Ids of ``table`` that descend from a root, share its session, or carry the cookie."""
    present = {entry.pid for entry in table}
    ours = [root.pid for root in roots if root.pid not in present or runs(root)]
    found = {entry.pid for entry in table if entry.session in ours or entry.pid in ours}
    found |= {entry.pid for entry in table if cookie and entry.cookie == cookie}
    children: dict[int, list[int]] = {}
    for entry in table:
        children.setdefault(entry.parent, []).append(entry.pid)
    waiting = list(found)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def end_all(marks: Iterable[Mark], *, grace: float) -> list[Mark]:
    """SIGTERM to all, and SIGKILL to those that are there after ``grace`` seconds. Gives those that survived both."""
    left = [mark for mark in marks if runs(mark)]
    for sign, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for mark in left:
            if runs(mark):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(mark.pid, sign)
        left = wait_gone(left, patience)
        if not left:
            return []
    return left


def wait_gone(marks: Sequence[Mark], seconds: float) -> list[Mark]:
    """Wait until all are gone, at most ``seconds``; gives those that are not."""
    until = time.monotonic() + seconds
    while True:
        for mark in marks:
            _reap(mark.pid)
        left = [mark for mark in marks if runs(mark)]
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.03)


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _table() -> Iterable[Entry]:
    if (_PROC / "self" / "stat").exists():
        found = (_entry(int(path.name)) for path in _PROC.iterdir() if path.name.isdigit())
        return [entry for entry in found if entry is not None]
    asked = subprocess.run(["ps", "-axo", "pid=,ppid=,pgid="], capture_output=True, text=True, check=False, timeout=5)
    rows = [line.split() for line in asked.stdout.splitlines()]
    return [Entry(pid=int(row[0]), parent=int(row[1]), session=int(row[2])) for row in rows if len(row) == 3]


def _entry(pid: int) -> Entry | None:
    try:
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return Entry(pid=pid, parent=int(fields[1]), session=int(fields[3]), cookie=_cookie(pid))


def _cookie(pid: int) -> str:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    prefix = COOKIE_ENV.encode() + b"="
    return next((one[len(prefix) :].decode() for one in environment if one.startswith(prefix)), "")
