"""A slow link: what is sent arrives later, in the order it was sent.

Each piece leaves at its own time, but never before the one ahead of it. With no delay and nothing waiting it leaves at
once, so a link that is not slow costs nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable


class DelayLine:
    """Hands pieces to ``out`` so many seconds later as ``delay`` says at the moment they come in."""

    def __init__(self, out: Callable[[bytes], object], delay: Callable[[], float]) -> None:
        self._out = out
        self._delay = delay
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def send(self, data: bytes) -> None:
        """Take one piece."""
        wait = self._delay()
        if wait <= 0 and not self._waiting:
            self._out(data)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + wait
        if self._waiting:
            due = max(due, self._waiting[-1][0])
        self._waiting.append((due, data))
        if self._timer is None:
            self._timer = loop.call_at(due, self._let_out)

    def hasten(self) -> None:
        """The delay has changed: what waits, waits no longer than it would from now on."""
        latest = asyncio.get_running_loop().time() + self._delay()
        self._waiting = deque((min(due, latest), data) for due, data in self._waiting)
        self._stop()
        self._let_out()

    def flush(self) -> None:
        """Everything at once."""
        while self._waiting:
            self._out(self._waiting.popleft()[1])
        self._stop()

    def drop(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._stop()

    def _let_out(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._waiting and self._waiting[0][0] <= loop.time():
            self._out(self._waiting.popleft()[1])
        if self._waiting:
            self._timer = loop.call_at(self._waiting[0][0], self._let_out)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
