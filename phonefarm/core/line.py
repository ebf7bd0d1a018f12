"""What waits, told apart by whether it may run yet. Pure: the time is given.

An item whose time has not come costs nothing until it does: those stand in a heap by ``ready_at``, and move over to the
ready ones when they are asked for. So a farm with a hundred thousand items that are to run tomorrow places one that may
run now as quickly as an empty one. Heap entries of items that left or changed stay behind until they come to the top.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping

from phonefarm.models.queue import WaitingItem


class Line(Mapping[str, WaitingItem]):
    """Waiting items by id. Times in ms since the epoch."""

    def __init__(self, items: Iterable[WaitingItem] = ()) -> None:
        self._items: dict[str, WaitingItem] = {}
        self._ready: dict[str, WaitingItem] = {}
        self._later: list[tuple[int, str]] = []
        for item in items:
            self.put(item)

    def __getitem__(self, item_id: str) -> WaitingItem:
        return self._items[item_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: WaitingItem) -> None:
        """Add an item, or replace what is known of it."""
        self._ready.pop(item.item_id, None)
        self._items[item.item_id] = item
        heapq.heappush(self._later, (item.ready_at, item.item_id))

    def remove(self, item_id: str) -> None:
        """It waits no more, if it did."""
        self._items.pop(item_id, None)
        self._ready.pop(item_id, None)

    def ready(self, now: int) -> Iterable[WaitingItem]:
        """Those that may run at ``now``; if the clock was set back, perhaps some that may not yet."""
        while self._later and self._later[0][0] <= now:
            self._admit(*heapq.heappop(self._later))
        return self._ready.values()

    def next_time(self, now: int) -> int | None:
        """When the next of the others may run; None if there is none."""
        self.ready(now)
        while self._later and self._is_stale(*self._later[0]):
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None

    def _admit(self, ready_at: int, item_id: str) -> None:
        if not self._is_stale(ready_at, item_id):
            self._ready[item_id] = self._items[item_id]

    def _is_stale(self, ready_at: int, item_id: str) -> bool:
        item = self._items.get(item_id)
        return item is None or item.ready_at != ready_at or item_id in self._ready
