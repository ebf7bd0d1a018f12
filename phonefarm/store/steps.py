"""When the database's clock is set, leases move with it.

A lease is written as a time of that clock. If the clock is stepped forward by an hour, every lease would look expired
at once and all running sessions would be taken back; if it is stepped back, the lease of a dead phone would hold for an
hour. So each transaction compares how far the database's clock went since the last commit with how far the manager's
monotonic clock did. A difference of more than ``TOLERANCE_MS`` is a step, and the leases are moved by it in the same
transaction, before anything else looks at them. A manager that has just started has nothing to compare with.

Days of limits, ``not_before`` and ``expires_at`` are times that people meant, and do not move.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.store.tables import items

#: More than clocks drift or a transaction waits for its lock, less than a lease.
TOLERANCE_MS = 5_000


class Steps:
    """``monotonic`` in seconds. Call ``follow`` in each transaction and ``committed`` after it."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._kept: tuple[int, float] | None = None
        self._seen: tuple[int, float] | None = None

    def follow(self, connection: Connection, now: int) -> None:
        """Move the leases if the clock was set since the last commit. ``now``: the transaction's time in ms."""
        self._seen = (now, self._monotonic())
        step = step_between(self._kept, self._seen)
        if step:
            moved = sa.update(items).where(items.c.lease_until.is_not(None))
            connection.execute(moved.values(lease_until=items.c.lease_until + step))

    def committed(self) -> None:
        """What was followed counts; after a roll-back it is followed again."""
        self._kept = self._seen


def step_between(before: tuple[int, float] | None, after: tuple[int, float]) -> int:
    """By how many ms a clock was set between two looks, each (its ms, monotonic seconds); 0 for none."""
    if before is None:
        return 0
    step = (after[0] - before[0]) - round((after[1] - before[1]) * 1000)
    return step if abs(step) > TOLERANCE_MS else 0
