"""Processes that outlive their owner: name one so that it is found again, and end it so that no stranger is hit.

Theory of operation
-------------------
A process id alone is reused by the system. A ``Mark`` adds when the process was started (and in which boot), and the
words on its command line must be the ones we gave it. Only if all agree is it ours. Linux reads ``/proc``; elsewhere
``ps`` is asked.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_STEP = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A process: its id, and when it started ("" when that was not yet written down)."""

    pid: int
    started: str = ""


def started(pid: int) -> str | None:
    """When ``pid`` was started, as an opaque text; None if it does not run (a zombie does not)."""
    if (_PROC / "self" / "stat").exists():
        return _started_proc(pid)
    answer = _ps(pid, "stat=,lstart=")
    return None if not answer or answer.startswith("Z") else answer.partition(" ")[2].strip()


def words(pid: int) -> list[str]:
    """The command line of ``pid``, empty if it does not run."""
    try:
        if (_PROC / "self").exists():
            return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []
    return _ps(pid, "command=").split()


def is_ours(mark: Mark, tail: Sequence[str]) -> bool:
    """Whether ``mark`` still runs and its command line ends in ``tail``."""
    now = started(mark.pid)
    if now is None or (mark.started and mark.started != now):
        return False
    return words(mark.pid)[-len(tail) :] == list(tail)


def end(mark: Mark, tail: Sequence[str], *, grace: float) -> None:
    """SIGTERM, and SIGKILL after ``grace`` seconds; returns when it is gone. Not ours: left alone."""
    for sign, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        if not is_ours(mark, tail):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(mark.pid, sign)
        if _gone_within(mark, tail, patience):
            return


def _gone_within(mark: Mark, tail: Sequence[str], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while is_ours(mark, tail):
        if time.monotonic() > until:
            return False
        _reap(mark.pid)
        time.sleep(_STEP)
    _reap(mark.pid)
    return True


def _reap(pid: int) -> None:
    """Collect it if it is a child of this process, so that no zombie stays."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _started_proc(pid: int) -> str | None:
    try:
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    state, ticks = fields[0], fields[19]  # fields 3 and 22 of proc(5)
    return None if state in "ZX" else f"{boot}:{ticks}"


def _ps(pid: int, what: str) -> str:
    asked = subprocess.run(["ps", "-o", what, "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5)
    return asked.stdout.strip()
