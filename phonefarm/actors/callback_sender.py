"""CallbackSender: takes due callbacks from the manager, delivers them, tells the manager what came of it.

The outbox in the database is the truth; this actor keeps nothing that matters. What is known to be due stands in a line
(``callbacks.line``), from which deliveries start whenever there is room: 16 at once, 4 to one endpoint (host:port), one
of a process. Beside them one loop, one turn at a time:

1. report every delivery that has ended and is not yet reported, in one call;
2. if the line is short and there may be more, ask for what is due: callbacks that are first of their process and whose
   time has come;
3. wait until something ends, a kick comes, the next one becomes due, or the rescue timer fires; and until a moment has
   passed since the turn began, so that what ends meanwhile is told in one call and written in one commit.

A process stays closed from the start of a delivery until its report has reached the manager, so its events never
overtake each other. If the manager is away the loop backs off, keeps what it could not report and reports it
again; the manager takes a repeated report as nothing new. If this actor dies, whatever was not reported is due
again: at least once, with the same ``webhook-id``.

Pages of the outbox are read one behind the other, larger ones while they are full. A receiver that answers slowly has
a long line, of which only the beginning is kept; a line that does not get shorter makes the next question wait a
moment, and go on behind the last page, so that the other endpoints are found whatever lies before them. Each time the
outbox is read from its beginning the line is made anew, so what stands there is never older than one way through.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from phonefarm import logs
from phonefarm.callbacks.line import DueLine
from phonefarm.callbacks.schedule import retry_in
from phonefarm.errors import PhoneFarmError, Unavailable
from phonefarm.models.outbox import CallbackState, Delivery, DueCallback, DuePage, Place

AT_ONCE = 16
AT_ONCE_PER_ENDPOINT = 4
RESCUE_SECONDS = 30.0
#: A turn begins no sooner after the last one began. Deliveries start and end meanwhile.
PACE_SECONDS = 0.05
#: How many callbacks one question asks for at first, and at most.
ASK, ASK_MOST = 2 * AT_ONCE, 512
#: How many are kept of one endpoint, and below how many a line is short.
KEPT, SHORT = 256, AT_ONCE
#: Seconds to wait for a line to get shorter before looking further.
_LOOK_FURTHER = 0.25
_SHORTEST_WAIT = 0.05
_BACKOFF_FIRST, _BACKOFF_MOST = 0.2, 5.0

_log = logs.logger(__name__)


class OutboxPort(Protocol):
    """The part of the manager the sender needs (``ManagerPort`` fulfils it)."""

    async def due_callbacks(self, limit: int, after: Place | None = None) -> DuePage: ...
    async def callbacks_done(self, deliveries: Sequence[Delivery]) -> None: ...


class DeliveryPort(Protocol):
    """One attempt over HTTP (``CallbackHttp`` fulfils it)."""

    async def deliver(self, due: DueCallback) -> Delivery: ...
    async def aclose(self) -> None: ...


class CallbackSender:
    """Fulfils ``SenderPort``. Owns ``http`` and closes it in ``stop``.

    ``sleep`` takes seconds; ``chance`` gives 0..1; ``pace_seconds`` are the loop's, whatever ``sleep`` is. All methods
    belong to one event loop.
    """

    def __init__(
        self,
        manager: OutboxPort,
        http: DeliveryPort,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        rescue_seconds: float = RESCUE_SECONDS,
        pace_seconds: float = PACE_SECONDS,
    ) -> None:
        self._manager = manager
        self._http = http
        self._sleep = sleep
        self._chance = chance
        self._rescue_seconds = rescue_seconds
        self._pace_seconds = pace_seconds
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._running: dict[asyncio.Task[None], str] = {}
        self._closed: set[str] = set()
        self._unreported: dict[str, Delivery] = {}
        self._line = DueLine(KEPT)
        self._news = True
        self._after: Place | None = None
        self._passed = False
        self._next_in: float | None = None
        self._ask = ASK
        self._failures = 0

    async def start(self) -> None:
        """Starts the loop; the first thing it does is to ask for what is due."""
        if self._loop is None:
            self._loop = asyncio.create_task(self._run(), name="callback-sender")

    async def kick(self) -> None:
        """Something is due. Returns at once; many kicks during one turn make one more turn."""
        self._news = True
        self._wake.set()

    async def stop(self) -> None:
        """Ends the loop and the deliveries under way, and tries once to report what is known."""
        tasks: list[asyncio.Task[None]] = [*self._running, *([self._loop] if self._loop else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._loop = None
        with contextlib.suppress(PhoneFarmError):
            await self._report()
        await self._http.aclose()

    # -- the loop ------------------------------------------------------------------------------------

    async def _run(self) -> None:
        rang = False
        while True:
            self._wake.clear()
            began = asyncio.get_running_loop().time()
            try:
                pause = await self._turn(rang)
                self._failures = 0
            except Exception as error:
                await self._sleep(self._backoff(error))
                continue
            rang = pause > 0 and await self._wait(pause)
            if pause > 0:
                await asyncio.sleep(began + self._pace_seconds - asyncio.get_running_loop().time())

    async def _turn(self, rang: bool) -> float:
        """Steps 1 and 2; returns the seconds to wait in step 3. ``rang``: the time of the last wait was up."""
        await self._report()
        self._news = self._news or rang
        if self._has_room() and (rang or (self._news and len(self._line) < SHORT)):
            await self._look()
        self._fill()
        return self._pause()

    async def _report(self) -> None:
        ended = list(self._unreported.values())
        if not ended:
            return
        await self._manager.callbacks_done(ended)
        for delivery in ended:
            del self._unreported[delivery.event_id]
            self._closed.discard(delivery.process_id)
        self._news = True  # the next ones of their processes

    async def _look(self) -> None:
        """Read one page of the outbox, behind the last one unless that was the end."""
        after, self._news = self._after, False
        try:
            page = await self._manager.due_callbacks(self._ask, after)
        except BaseException:
            self._news = True
            raise
        if after is None:
            self._line.clear()
        fresh = [one for one in page.callbacks if one.process_id not in self._closed]
        taken = [self._line.add(one) for one in fresh]
        self._passed = (self._passed and after is not None) or not all(taken)
        self._after, self._next_in = page.after, page.next_in
        if page.after is not None:
            self._news, self._ask = True, min(2 * self._ask, ASK_MOST)
        else:
            self._news, self._ask = self._news or self._passed, ASK

    def _has_room(self) -> bool:
        return len(self._running) < AT_ONCE

    def _fill(self) -> None:
        """Start what there is room for."""
        busy = Counter(self._running.values())
        while self._has_room():
            found = self._line.take(lambda endpoint: busy[endpoint] < AT_ONCE_PER_ENDPOINT)
            if found is None:
                return
            endpoint, callback = found
            busy[endpoint] += 1
            self._closed.add(callback.process_id)
            self._running[asyncio.create_task(self._deliver(callback))] = endpoint

    def _pause(self) -> float:
        """Until the loop looks by itself, 0 for at once."""
        if not self._has_room():
            return self._rescue_seconds
        if self._news:
            return 0.0 if len(self._line) < SHORT else _LOOK_FURTHER
        if self._next_in is None:
            return self._rescue_seconds
        return min(max(self._next_in, _SHORTEST_WAIT), self._rescue_seconds)

    async def _deliver(self, callback: DueCallback) -> None:
        try:
            delivery = await self._http.deliver(callback)
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception(
                "callback.broken", callback=callback.event_id, process=callback.process_id, next_step=logs.REPORT_IT
            )
            delivery = self._broken(callback)
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._running.pop(task, None)
        self._unreported[delivery.event_id] = delivery
        self._fill()
        self._wake.set()

    def _broken(self, callback: DueCallback) -> Delivery:
        pause = retry_in(callback.attempts, self._chance())
        return Delivery(
            event_id=callback.event_id,
            process_id=callback.process_id,
            state=CallbackState.DEAD if pause is None else CallbackState.PENDING,
            attempts=callback.attempts,
            error="internal_error",
            retry_in=pause,
        )

    async def _wait(self, seconds: float) -> bool:
        """Until a wake or for ``seconds``, whichever is first. Whether the time was up."""
        await _first(self._wake.wait(), self._sleep(seconds))
        return not self._wake.is_set()

    def _backoff(self, error: Exception) -> float:
        if isinstance(error, Unavailable):
            _log.warning("callbacks.waiting", error=error)
        else:
            _log.error("callbacks.refused", exc_info=error, error=error)
        pause = min(_BACKOFF_FIRST * 2.0 ** min(self._failures, 10), _BACKOFF_MOST)
        self._failures += 1
        return pause * (0.5 + 0.5 * self._chance())


async def _first(*choices: Awaitable[Any]) -> None:
    tasks = [asyncio.ensure_future(choice) for choice in choices]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
