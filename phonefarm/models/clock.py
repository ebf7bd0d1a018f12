"""Time and ids as arguments: a clock reads milliseconds since the epoch, an id maker gives UUIDv7 strings.

Processes of one machine have one monotonic clock, so what one of them read another can count from: a ``Moment`` says
which clock it is of, for those of two machines (or of two time namespaces, or before and after a boot) have nothing to
do with each other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import uuid_utils

#: Wall clock, milliseconds since the epoch.
Clock = Callable[[], int]


def system_clock() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """A reading of a monotonic clock: ``seconds``, of the clock with that name; "" for one that has none."""

    clock: str
    seconds: float


@cache
def clock_name(proc: Path = Path("/proc")) -> str:
    """The name of this machine's monotonic clock, the same in all its processes; "" where the system tells none."""
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink(proc / 'self/ns/time')}"
    except OSError:
        return ""


def monotonic_moment() -> Moment:
    """Now, by this machine's monotonic clock."""
    return Moment(clock=clock_name(), seconds=time.monotonic())


def new_id() -> str:
    """A new UUIDv7, sortable by creation."""
    return str(uuid_utils.uuid7())


def rfc3339(ms: int | None) -> str | None:
    """``2026-11-23T09:30:00.112Z``, or None for None."""
    if ms is None:
        return None
    stamp = datetime.fromtimestamp(ms // 1000, tz=UTC).isoformat()  # in a third of the time of strftime
    return f"{stamp[:19]}.{ms % 1000:03d}Z"
