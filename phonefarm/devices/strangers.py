"""Adb servers on this machine that are not ours, and who holds a port: named, never touched.

A USB phone belongs to one adb server at a time, so another server, started by somebody's ``adb devices``, takes phones
away from the farm or keeps them from it. Linux only (``/proc``); elsewhere nothing is found.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from phonefarm.devices import processes

_PROC = Path("/proc")
_USUAL_PORT = 5037
_LISTENS = "0A"
_WORDS_SHOWN = 120


def other_servers(own: int | None) -> tuple[str, ...]:
    """Every adb server but the process ``own``, in words: its process, its port, its command."""
    found = ((pid, processes.words(pid)) for pid in _pids() if pid != own)
    return tuple(f"{_named(pid, words)} on port {_port_of(words)}" for pid, words in found if _is_server(words))


def holder(port: int) -> str | None:
    """The process that listens on a TCP port, in words; None when it cannot be seen (another user's)."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for pid in _pids() if sockets else ():
        with contextlib.suppress(OSError):
            if any(_target(fd) in sockets for fd in (_PROC / str(pid) / "fd").iterdir()):
                return _named(pid, processes.words(pid))
    return None


def _pids() -> Iterator[int]:
    with contextlib.suppress(OSError):
        yield from (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _is_server(words: list[str]) -> bool:
    return bool(words) and Path(words[0]).name == "adb" and any(w in ("server", "fork-server") for w in words[1:])


def _port_of(words: list[str]) -> int:
    """``-P N`` or ``-L tcp:[host:]N``; without either the usual one."""
    for option, value in itertools.pairwise(words):
        last = value.rpartition(":")[2]
        if option in ("-P", "-L") and last.isdigit():
            return int(last)
    return _USUAL_PORT


def _named(pid: int, words: list[str]) -> str:
    return f"process {pid} ({' '.join(words)[:_WORDS_SHOWN]})"


def _listening(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""
