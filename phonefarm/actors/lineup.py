"""Places in the queue, as they were a moment ago.

To line up everything costs more the more there is, and callers poll. So it is done again only after twenty times as
long as it took, and at most once a second; in between, places are those of the last time.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable

from phonefarm.core.line import Order, queue_order
from phonefarm.models.queue import WaitingItem

#: No place is older than this, by the clock of the items.
MOMENT_MS = 60_000
_REST, _TIMES = 1.0, 20


class LineUp:
    """``clock`` in seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = float("-inf")
        self._at = 0
        self._order: list[tuple[int, Order]] = []

    def of(self, waiting: Iterable[WaitingItem], now: int) -> LineUp:
        began = self._clock()
        if began >= self._until or not -MOMENT_MS < now - self._at < MOMENT_MS:
            self._order = sorted(queue_order(item, now) for item in waiting)
            self._at = now
            ended = self._clock()
            self._until = ended + max(_REST, _TIMES * (ended - began))
        return self

    def position(self, item: WaitingItem) -> int:
        """From 1; of an item that came since, where it would have stood."""
        return bisect_left(self._order, queue_order(item, self._at)) + 1
