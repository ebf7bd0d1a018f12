"""What the kernel says of a process. A process that has ended counts as nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text("utf-8", errors="replace")
    except OSError:
        return ""


def pss_mb(pid: int) -> float:
    """Its share of memory: what it has alone, and of what is shared its part."""
    return parse_pss(_read(pid, "smaps_rollup"))


def parse_pss(text: str) -> float:
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def cpu_seconds(pid: int) -> float:
    return parse_cpu(_read(pid, "stat"))


def parse_cpu(text: str) -> float:
    """User and system time; the name in brackets may hold anything."""
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS if len(fields) > 12 else 0.0


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _read(int(entry.name), "stat").rpartition(")")[2].split()):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, left = [], [pid]
    while left:
        found.append(one := left.pop())
        left += parents.get(one, [])
    return found


def threads(pid: int) -> int:
    found = re.search(r"^Threads:\s+(\d+)", _read(pid, "status"), re.MULTILINE)
    return int(found[1]) if found else 0


def fds(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def words(pid: int) -> str:
    return _read(pid, "cmdline").replace("\0", " ").strip()
