"""What machine this is, by its kind: no name and no path of it."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
from importlib.metadata import version
from pathlib import Path
from typing import Any


def about() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text("utf-8", errors="replace")),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "kernel": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": platform.python_version(),
        "ray": version("ray"),
        "sqlite": sqlite3.sqlite_version,
    }


def cpu_model(cpuinfo: str) -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def sentence(about: dict[str, Any]) -> str:
    return (
        f"{about['cores']} cores ({about['cpu']}), {about['memory_gb']} GB of memory, {about['kernel']}, "
        f"Python {about['python']}, Ray {about['ray']}, SQLite {about['sqlite']}"
    )
