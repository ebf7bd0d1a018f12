"""Which process holds a SQLite file, as Linux tells it, so that an error can name it.

SQLite's locks are POSIX locks. Asking for them with ``fcntl`` would mean to open and close the file again, and closing
any handle drops all locks that a process holds on the file; so ``/proc/locks`` is read instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_LOCKS = Path("/proc/locks")
_WRITE_BYTE = 120  # of the -shm file: SQLite's WAL_WRITE_LOCK


def holder_of(path: Path) -> str:
    """The process that is in the middle of a write to ``path``, in words."""
    pids = [pid for pid, first in _locks(Path(f"{path}-shm")) if first == _WRITE_BYTE]
    return ", ".join(map(describe, pids)) or "another process"


def users_of(path: Path) -> list[int]:
    """Other processes that have ``path`` open as a database in WAL mode."""
    return sorted({pid for name in (path, Path(f"{path}-shm")) for pid, _ in _locks(name)})


def describe(pid: int) -> str:
    """A process by its id, its state if it is stopped, and its command."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return f"process {pid}"
    stopped = " (stopped)" if state in "Tt" else ""
    return f"process {pid}{stopped}: {command[:120]}"


def _locks(path: Path) -> Iterator[tuple[int, int]]:
    """(process, first byte) of the locks that others hold on a file."""
    try:
        stat = os.stat(path)
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return
    file = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"
    for words in map(str.split, lines):
        if len(words) == 8 and words[1] == "POSIX" and words[5] == file and int(words[4]) not in (0, os.getpid()):
            yield int(words[4]), int(words[6])
