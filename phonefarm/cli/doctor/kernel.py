"""What the kernel says of this machine: its clock, its limits, its memory, its file systems."""

from __future__ import annotations

import ctypes
import os
import resource
from contextlib import suppress
from pathlib import Path

from phonefarm.cli.doctor.facts import Disk

_UNSYNCHRONISED, _TIME_ERROR = 0x40, 5


class _Timex(ctypes.Structure):
    """struct timex; only ``status`` is read. The kernel writes the rest into the room behind."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_byte * 256),
    )


def synchronised() -> bool | None:
    """Whether a time service keeps the clock; None where the kernel does not say."""
    timex = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR and not timex.status & _UNSYNCHRONISED


def most_files() -> int:
    """Files that a process may open at most: Ray itself raises the soft limit to the hard one."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return hard if hard != resource.RLIM_INFINITY else 2**31


def most_tasks(pid: int, root: Path = Path("/")) -> int | None:
    """Tasks that the control group of ``pid`` may have, None for no limit."""
    found = _group_limits(pid, "pids.max", root)
    return min(found, default=None)


def memory(pid: int, root: Path = Path("/")) -> int:
    """Bytes that ``pid`` may use: the machine's, or what its control group leaves of them."""
    installed = 0
    with suppress(OSError, ValueError, StopIteration):
        lines = (root / "proc/meminfo").read_text().splitlines()
        installed = int(next(line for line in lines if line.startswith("MemTotal")).split()[1]) * 1024
    return min([installed, *_group_limits(pid, "memory.max", root)])


def _group_limits(pid: int, name: str, root: Path) -> list[int]:
    """The limits of a group and of all above it (control groups of version 2)."""
    found: list[int] = []
    with suppress(OSError):
        lines = (root / f"proc/{pid}/cgroup").read_text().splitlines()
        way = next((line[3:] for line in lines if line.startswith("0::")), "/")
        here, top = root / "sys/fs/cgroup" / way.lstrip("/"), root / "sys/fs/cgroup"
        for folder in (here, *here.parents):
            with suppress(OSError, ValueError):
                found.append(int((folder / name).read_text()))
            if folder == top:
                break
    return found


def disk(path: Path, use: str) -> Disk | None:
    """The file system that ``path`` lies on, or will lie on; None if it cannot be read."""
    there = next((place for place in (path, *path.parents) if place.exists()), None)
    if there is None:
        return None
    try:
        stat = os.statvfs(there)
    except OSError:
        return None
    return Disk(
        path=str(path),
        use=use,
        free=stat.f_bavail * stat.f_frsize,
        total=stat.f_blocks * stat.f_frsize,
        free_inodes=stat.f_favail,
        total_inodes=stat.f_files,
        kind=_kind(there.resolve()),
    )


def _kind(path: Path, mounts: Path = Path("/proc/mounts")) -> str:
    """As the mount with the longest way to ``path`` calls it."""
    best = ("", "unknown")
    with suppress(OSError):
        for line in mounts.read_text().splitlines():
            fields = line.split()
            place = fields[1].encode().decode("unicode_escape")
            if (path == Path(place) or Path(place) in path.parents) and len(place) >= len(best[0]):
                best = (place, fields[2])
    return best[1]
