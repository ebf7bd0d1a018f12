"""What waits, in the order in which it may run. Pure: the time is given.

Three ideas keep a farm with a hundred thousand waiting items as quick as an empty one:

* An item whose time has not come costs nothing until it does. Those stand in a heap by ``ready_at``, and move over to
  the ready ones when they are asked for.
* Ready items with the same wish (phone, groups, account) stand in one line. If nothing is left for the first of a line,
  nothing is left for the others, so a pass looks at one item a line and not at all of them.
* Within a line, items of one priority that could run as soon as they were made never overtake each other, however they
  age, so they are kept sorted (a run) and never sorted again. Only the others (delayed, retried) are sorted in each
  pass.

Entries of items that left or changed stay where they are until they come to the front, or until there are more of them
than of the others: then all is lined up anew.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from phonefarm.models.queue import WaitingItem

#: A waiting item rises by one level of priority for each so many seconds it could have run.
AGING_SECONDS = 300
TOP_PRIORITY = 9

#: So many entries of items that left are never worth lining up anew for.
FEW = 1_024

#: A sort key: higher effective priority first, then first come first served.
Order = tuple[int, int, str]
#: Gives what stands behind the first of a run.
Following = Callable[[], Iterator[tuple[Order, WaitingItem]]]
#: Items that never overtake each other, sorted by ``_by_age``.
_Run = list[WaitingItem]
_by_age = attrgetter("created_at", "item_id")


def effective_priority(item: WaitingItem, now: int) -> int:
    """The item's priority, raised by how long it has waited since it could have run; at most 9.

    At the top the oldest goes first, so nothing starves however much urgent work keeps coming."""
    since = item.ready_at if item.ready_at > item.created_at else item.created_at
    risen = item.priority + (now - since) // (AGING_SECONDS * 1000) if now > since else item.priority
    return risen if risen < TOP_PRIORITY else TOP_PRIORITY


def claim_order(item: WaitingItem, now: int) -> Order:
    """Sort key of what may run."""
    return (-effective_priority(item, now), item.created_at, item.item_id)


def queue_order(item: WaitingItem, now: int) -> tuple[int, Order]:
    """Sort key of all that waits: what may run now in claim order, then the others by the time they may."""
    return (max(0, item.ready_at - now), claim_order(item, now))


class Wish(NamedTuple):
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

    at_once: dict[int, _Run] = field(default_factory=dict)
    others: dict[str, WaitingItem] = field(default_factory=dict)

    def add(self, item: WaitingItem) -> None:
        """Where it belongs."""
        if (run := self.join(item)) is not None and len(run) > 1 and _by_age(run[-2]) > _by_age(item):
            insort(run, run.pop(), key=_by_age)

    def join(self, item: WaitingItem) -> _Run | None:
        """At the end of its run, if it has one, which is no longer sorted."""
        if item.ready_at > item.created_at:
            self.others[item.item_id] = item
            return None
        run = self.at_once.get(item.priority)
        if run is None:
            run = self.at_once[item.priority] = []
        run.append(item)
        return run

    def sort(self) -> None:
        for run in self.at_once.values():
            run.sort(key=_by_age)


class Line(Mapping[str, WaitingItem]):
    """Waiting items by id. Times in ms since the epoch."""

    def __init__(self, items: Iterable[WaitingItem] = ()) -> None:
        self._items = {item.item_id: item for item in items}
        self._line_up()

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
        if self._fresh:
            self._admit_many(now)
        while self._later and self._later[0][0] <= now:
            self._admit(*heapq.heappop(self._later))
        return self._ready.values()

    def next_time(self, now: int) -> int | None:
        """When the next of the others may run; None if there is none."""
        self.ready(now)
        while self._later and self._is_stale(*self._later[0]):
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None

    def firsts(self, now: int, phones: Container[str]) -> Iterator[tuple[Order, WaitingItem, Following | None]]:
        """What to begin with: the first items of all runs that may run at ``now``, and what gives the others behind
        each, in claim order; of a line that names its phone, which must be one of ``phones``, only the first of all,
        since no second one can run. Nothing may change while they are read."""
        self.ready(now)
        for wish, same in list(self._same.items()):
            if wish.phone_id is not None and wish.phone_id not in phones:
                continue
            self._tidy(same)
            if not (same.at_once or same.others):
                del self._same[wish]
                continue
            if wish.phone_id is None:
                yield from self._of_runs(same, now)
            elif firsts := [(order, item) for order, item, _ in self._of_runs(same, now)]:
                yield (*min(firsts), None)

    def _of_runs(self, same: _Same, now: int) -> Iterator[tuple[Order, WaitingItem, Following]]:
        """The first of each run and of the others, if any may run."""
        for run in same.at_once.values():
            item = run[0]
            if item.ready_at <= now:
                yield claim_order(item, now), item, partial(self._behind, run, now)
            else:  # the clock was set back
                yield from _begun(self._behind(run, now))
        if same.others:
            yield from _begun(sorted((claim_order(i, now), i) for i in same.others.values() if i.ready_at <= now))

    def _behind(self, run: _Run, now: int) -> Iterator[tuple[Order, WaitingItem]]:
        """One that left and came back as it was stands there twice, with nothing between that still waits."""
        ready, last = self._ready, run[0]
        for item in islice(run, 1, None):
            if item is not last and ready.get(item.item_id) is item and item.ready_at <= now:
                last = item
                yield claim_order(item, now), item

    def _line_up(self) -> None:
        """From nothing but what waits. Each item that left pays for a part of it."""
        self._ready: dict[str, WaitingItem] = {}
        self._same: dict[Wish, _Same] = {}
        self.leftovers = 0
        self._fresh = True
        self._later = [(item.ready_at, item.item_id) for item in self._items.values()]
        heapq.heapify(self._later)

    def _admit_many(self, now: int) -> None:
        """All whose time has come, of a line that was just made: each run is sorted once, and the heap is not gone
        through one by one."""
        self._fresh = False
        for item in self._items.values():
            if item.ready_at <= now:
                self._line_of(item).join(item)
        for same in self._same.values():
            same.sort()
        self._later = [(item.ready_at, item.item_id) for item in self._items.values() if item.ready_at > now]
        heapq.heapify(self._later)

    def _admit(self, ready_at: int, item_id: str) -> None:
        if not self._is_stale(ready_at, item_id):
            item = self._items[item_id]
            self._line_of(item).add(item)

    def _line_of(self, item: WaitingItem) -> _Same:
        """Of one that is ready now."""
        self._ready[item.item_id] = item
        wish = Wish.of(item)
        same = self._same.get(wish)
        if same is None:
            same = self._same[wish] = _Same()
        return same

    def _is_stale(self, ready_at: int, item_id: str) -> bool:
        item = self._items.get(item_id)
        return item is None or item.ready_at != ready_at or item_id in self._ready

    def _waits(self, item: WaitingItem) -> bool:
        return self._ready.get(item.item_id) is item

    def _tidy(self, same: _Same) -> None:
        """Forget what left at the front of the runs, and of the others all that left."""
        empty = []
        for priority, run in same.at_once.items():
            if self._waits(run[0]):
                continue
            gone = next((n for n, item in enumerate(run) if self._waits(item)), len(run))
            del run[:gone]
            if not run:
                empty.append(priority)
        for priority in empty:
            del same.at_once[priority]
        if same.others:
            same.others = {i: item for i, item in same.others.items() if self._waits(item)}


def _begun(line: Iterable[tuple[Order, WaitingItem]]) -> Iterator[tuple[Order, WaitingItem, Following]]:
    """A line as its first and what gives the others, if it has any."""
    rest = iter(line)
    if (first := next(rest, None)) is not None:
        yield (*first, lambda: rest)
