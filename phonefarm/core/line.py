"""What waits, in the order in which it may run. Pure: the time is given.

Three ideas keep a farm with a hundred thousand waiting items as quick as an empty one:

* An item whose time has not come costs nothing until it does. Those stand in a heap by ``ready_at``, and move over to
  the ready ones when they are asked for.
* Ready items with the same wish (phone, groups, account) stand in one line. If nothing is left for the first of a line,
  nothing is left for the others, so a pass looks at one item a line and not at all of them.
* Within a line, items of one priority that could run as soon as they were made never overtake each other, however they
  age, so they are kept sorted and never sorted again. Only the others (delayed, retried) are sorted in each pass.

Entries of items that left or changed stay where they are until they come to the front, or until there are more of them
than of the others: then all is lined up anew.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from phonefarm.models.queue import WaitingItem

#: A waiting item rises by one level of priority for each so many seconds it could have run.
AGING_SECONDS = 300
TOP_PRIORITY = 9

#: So many entries of items that left are never worth lining up anew for.
FEW = 1_024

#: Gives what stands behind the first of a line.
Following = Callable[[], Iterator[tuple["Order", WaitingItem]]]
#: A sort key: higher effective priority first, then first come first served.
Order = tuple[int, int, str]


def effective_priority(item: WaitingItem, now: int) -> int:
    """The item's priority, raised by how long it has waited since it could have run; at most 9.

    At the top the oldest goes first, so nothing starves however much urgent work keeps coming."""
    waited = max(0, now - max(item.created_at, item.ready_at))
    return min(TOP_PRIORITY, item.priority + waited // (AGING_SECONDS * 1000))


def claim_order(item: WaitingItem, now: int) -> Order:
    """Sort key of what may run."""
    return (-effective_priority(item, now), item.created_at, item.item_id)


def queue_order(item: WaitingItem, now: int) -> tuple[int, Order]:
    """Sort key of all that waits: what may run now in claim order, then the others by the time they may."""
    return (max(0, item.ready_at - now), claim_order(item, now))


@dataclass(frozen=True, slots=True)
class Wish:
    """What an item needs. ``again``: it has been tried before, so that its session may go on in a spent account."""

    phone_id: str | None
    phone_group: str | None
    account_id: str | None
    account_group: str | None
    again: bool

    @classmethod
    def of(cls, item: WaitingItem) -> Wish:
        return cls(item.phone_id, item.phone_group, item.account_id, item.account_group, item.attempt > 0)


@dataclass(slots=True)
class _Same:
    """Ready items with one wish: by priority those that could run at once, sorted, and the others."""

    at_once: dict[int, list[tuple[int, str, WaitingItem]]] = field(default_factory=dict)
    others: dict[str, WaitingItem] = field(default_factory=dict)

    def add(self, item: WaitingItem) -> None:
        if item.ready_at > item.created_at:
            self.others[item.item_id] = item
            return
        entry = (item.created_at, item.item_id, item)
        line = self.at_once.setdefault(item.priority, [])
        if line and line[-1] > entry:
            insort(line, entry)
        else:
            line.append(entry)


class Line(Mapping[str, WaitingItem]):
    """Waiting items by id. Times in ms since the epoch."""

    def __init__(self, items: Iterable[WaitingItem] = ()) -> None:
        self._items: dict[str, WaitingItem] = {}
        self._ready: dict[str, WaitingItem] = {}
        self._later: list[tuple[int, str]] = []
        self._same: dict[Wish, _Same] = {}
        self.leftovers = 0
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
        self.remove(item.item_id)
        self._items[item.item_id] = item
        heapq.heappush(self._later, (item.ready_at, item.item_id))

    def remove(self, item_id: str) -> None:
        """It waits no more, if it did."""
        if self._items.pop(item_id, None) is not None:
            self._ready.pop(item_id, None)
            self.leftovers += 1
            if self.leftovers > max(FEW, len(self._items)):
                self._line_up()

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

    def firsts(self, now: int, wanted: Callable[[Wish], bool]) -> Iterator[tuple[Order, WaitingItem, Following]]:
        """The first item of each line whose wish is ``wanted``, of those that may run at ``now``; and what gives the
        others behind it, in claim order. Nothing may change while they are read."""
        self.ready(now)
        for wish, same in list(self._same.items()):
            if not wanted(wish):
                continue
            self._tidy(same)
            if not (same.at_once or same.others):
                del self._same[wish]
            elif (first := self._first(same, now)) is not None:
                yield (*first, partial(self._behind, same, now))

    def _first(self, same: _Same, now: int) -> tuple[Order, WaitingItem] | None:
        """As ``_in_order`` says it; quicker where there is but one run."""
        if len(same.at_once) == 1 and not same.others:
            (line,) = same.at_once.values()
            item = line[0][2]
            if item.ready_at <= now:
                return claim_order(item, now), item
        return next(self._in_order(same, now), None)

    def _behind(self, same: _Same, now: int) -> Iterator[tuple[Order, WaitingItem]]:
        line = self._in_order(same, now)
        next(line)
        return line

    def _line_up(self) -> None:
        """From nothing but what waits. Each item that left pays for a part of it."""
        self._ready, self._same, self.leftovers = {}, {}, 0
        self._later = [(item.ready_at, item.item_id) for item in self._items.values()]
        heapq.heapify(self._later)

    def _admit(self, ready_at: int, item_id: str) -> None:
        if not self._is_stale(ready_at, item_id):
            item = self._ready[item_id] = self._items[item_id]
            self._same.setdefault(Wish.of(item), _Same()).add(item)

    def _is_stale(self, ready_at: int, item_id: str) -> bool:
        item = self._items.get(item_id)
        return item is None or item.ready_at != ready_at or item_id in self._ready

    def _waits(self, item: WaitingItem) -> bool:
        return self._ready.get(item.item_id) is item

    def _tidy(self, same: _Same) -> None:
        """Forget what left at the front of the lines, and of the others all that left."""
        for priority, line in list(same.at_once.items()):
            if self._waits(line[0][2]):
                continue
            gone = next((n for n, (_, _, item) in enumerate(line) if self._waits(item)), len(line))
            del line[:gone]
            if not line:
                del same.at_once[priority]
        if same.others:
            same.others = {i: item for i, item in same.others.items() if self._waits(item)}

    def _in_order(self, same: _Same, now: int) -> Iterator[tuple[Order, WaitingItem]]:
        runs: list[Iterable[tuple[Order, WaitingItem]]] = [self._run(line, now) for line in same.at_once.values()]
        if same.others:
            runs.append(sorted((claim_order(i, now), i) for i in same.others.values() if i.ready_at <= now))
        return iter(runs[0]) if len(runs) == 1 else heapq.merge(*runs)

    def _run(self, line: list[tuple[int, str, WaitingItem]], now: int) -> Iterator[tuple[Order, WaitingItem]]:
        return ((claim_order(item, now), item) for _, _, item in line if self._waits(item) and item.ready_at <= now)
