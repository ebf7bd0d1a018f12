"""Callers that wait for news of a process, or of anything: woken by the next commit, never by a timer.

A waiter is one event of one process, or of ``ANY``. Commits happen in the writer's thread, so ``wake`` goes through
the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

#: No process has this id: who waits for it is woken by every commit.
ANY = ""


class Waiters:
    """Lives on the event loop on which it is made; ``wake`` may be called from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._events: dict[str, set[asyncio.Event]] = {}

    def __len__(self) -> int:
        return sum(len(events) for events in self._events.values())

    @contextmanager
    def waiter(self, process_id: str) -> Iterator[asyncio.Event]:
        """An event that is set by every commit that touches the process, from now on until the context ends."""
        event = asyncio.Event()
        self._events.setdefault(process_id, set()).add(event)
        try:
            yield event
        finally:
            events = self._events[process_id]
            events.discard(event)
            if not events:
                del self._events[process_id]

    def wake(self, process_ids: Iterable[str]) -> None:
        """Something was committed, for these processes if for any."""
        touched = frozenset((*process_ids, ANY))
        if self._events and (len(touched) > 1 or ANY in self._events):
            self.soon(lambda: self._wake(touched))

    def soon(self, work: Callable[[], None]) -> None:
        """Do something on the loop; from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(work)

    def wake_all(self) -> None:
        """The manager ends, or cannot tell whom a commit touched: nobody shall wait on."""
        self._wake(frozenset(self._events))

    def _wake(self, process_ids: frozenset[str]) -> None:
        for process_id in process_ids:
            for event in self._events.get(process_id, ()):
                event.set()
