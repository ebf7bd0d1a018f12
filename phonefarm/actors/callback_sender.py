"""CallbackSender: takes due callbacks from the manager, delivers them, tells the manager what came of it.

The outbox in the database is the truth; this actor keeps nothing that matters. One loop, one turn at a time:

1. report every delivery that has ended and is not yet reported, in one call;
2. ask for what is due: callbacks that are first in line of their process and whose time has come;
3. start as many as there is room for: 16 at once, 4 to one endpoint (host:port), 1 of a process;
4. wait until something ends, a kick comes, the next one becomes due, or the rescue timer fires.

A process stays closed from the start of a delivery until its report has reached the manager, so its events never
overtake each other. If the manager is away the loop backs off, keeps what it could not report and reports it
again; the manager takes a repeated report as nothing new. If this actor dies, whatever was not reported is due
again: at least once, with the same ``webhook-id``.

What does not fit is left in the outbox and asked for again. If the answer was full and yet held nothing that can
start now (one slow receiver with a long line), the next question looks further down the line, so that the
other endpoints are not held up.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from phonefarm import logs
from phonefarm.callbacks.guard import parse_endpoint
from phonefarm.callbacks.schedule import retry_in
from phonefarm.errors import Fault, PhoneFarmError, Unavailable
from phonefarm.models.outbox import CallbackState, Delivery, DueCallback

AT_ONCE = 16
AT_ONCE_PER_ENDPOINT = 4
RESCUE_SECONDS = 30.0
#: How many callbacks one question asks for at first, and at most.
ASK, ASK_MOST = 2 * AT_ONCE, 2_048
#: Seconds to wait for something to end before looking further down a full line.
_LOOK_FURTHER = 0.25
_SHORTEST_WAIT = 0.05
_BACKOFF_FIRST, _BACKOFF_MOST = 0.2, 5.0

_log = logs.logger(__name__)


class OutboxPort(Protocol):
    """The part of the manager the sender needs (``ManagerPort`` fulfils it)."""

    async def due_callbacks(self, limit: int) -> tuple[list[DueCallback], float | None]: ...
    async def callbacks_done(self, deliveries: Sequence[Delivery]) -> None: ...


class DeliveryPort(Protocol):
    """One attempt over HTTP (``CallbackHttp`` fulfils it)."""

    async def deliver(self, due: DueCallback) -> Delivery: ...
    async def aclose(self) -> None: ...


class CallbackSender:
    """Fulfils ``SenderPort``. Owns ``http`` and closes it in ``stop``.

    ``sleep`` takes seconds; ``chance`` gives 0..1. All methods belong to one event loop.
    """

    def __init__(
        self,
        manager: OutboxPort,
        http: DeliveryPort,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        rescue_seconds: float = RESCUE_SECONDS,
    ) -> None:
        self._manager = manager
        self._http = http
        self._sleep = sleep
        self._chance = chance
        self._rescue_seconds = rescue_seconds
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._running: dict[asyncio.Task[None], str] = {}
        self._closed: set[str] = set()
        self._unreported: dict[str, Delivery] = {}
        self._ask = ASK
        self._failures = 0

    async def start(self) -> None:
        """Starts the loop; the first thing it does is to ask for what is due."""
        if self._loop is None:
            self._loop = asyncio.create_task(self._run(), name="callback-sender")

    async def kick(self) -> None:
        """Something is due. Returns at once; many kicks during one turn make one more turn."""
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
        while True:
            self._wake.clear()
            try:
                pause = await self._turn()
                self._failures = 0
            except Exception as error:
                await self._sleep(self._backoff(error))
                continue
            await self._wait(pause)

    async def _turn(self) -> float:
        """Steps 1 to 3; returns the seconds to wait in step 4."""
        await self._report()
        due, next_in = await self._manager.due_callbacks(self._ask)
        depth = self._start(due)
        full, room = len(due) >= self._ask, len(self._running) < AT_ONCE
        if len(due) < ASK or 0 < depth <= ASK:
            self._ask = ASK
        elif depth == 0 and full and room:
            full, self._ask = self._ask < ASK_MOST, min(2 * self._ask, ASK_MOST)
        if full and room:
            return _LOOK_FURTHER
        if next_in is None or not room:
            return self._rescue_seconds
        return min(max(next_in, _SHORTEST_WAIT), self._rescue_seconds)

    async def _report(self) -> None:
        ended = list(self._unreported.values())
        if not ended:
            return
        await self._manager.callbacks_done(ended)
        for delivery in ended:
            del self._unreported[delivery.event_id]
            self._closed.discard(delivery.process_id)

    def _start(self, due: Sequence[DueCallback]) -> int:
        """Starts what there is room for; returns how far down the line the last one stood, 0 if none started."""
        busy, depth = Counter(self._running.values()), 0
        line = sorted(due, key=lambda one: one.sequence) if _repeats(due) else due
        for place, callback in enumerate(line, start=1):
            if len(self._running) >= AT_ONCE:
                break
            endpoint = _endpoint(callback.url)
            if callback.process_id in self._closed or busy[endpoint] >= AT_ONCE_PER_ENDPOINT:
                continue
            busy[endpoint] += 1
            self._closed.add(callback.process_id)
            self._running[asyncio.create_task(self._deliver(callback))] = endpoint
            depth = place
        return depth

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

    async def _wait(self, seconds: float) -> None:
        """Until a wake or for ``seconds``, whichever is first."""
        await _first(self._wake.wait(), self._sleep(seconds))

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


def _repeats(due: Sequence[DueCallback]) -> bool:
    return len({callback.process_id for callback in due}) < len(due)


def _endpoint(url: str) -> str:
    found = parse_endpoint(url)
    return url if isinstance(found, Fault) else f"{found.host}:{found.port}"
