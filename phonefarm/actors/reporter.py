"""A phone's side of one attempt: its journal to the manager, its lease, its stop.

Entries are queued by the session's thread and sent in order, one batch in flight, whatever gathered meanwhile
going together, so the phone never waits for the database (but for ``flush``). After a report of what the session did
the next one gathers for ``PACE_SECONDS``, so that a session of quick actions costs ten commits a second and not one an
action; a flush, the last entry and a close wait for no pace. When nothing happens an empty heartbeat is sent. Every
accepted answer renews the lease from the moment its report was *sent*; when the lease's own safety margin is reached,
or the manager says the attempt is stale, the session is told to stop.

Where the grant was asked for on this machine its age is known, so the lease is ``held`` before anything was answered,
and the session may begin; the report of the start waits ``START_SECONDS`` for that of the first action. Else nothing
may be done before the start is flushed.

The session's thread and the loop share ``_pending``: the thread appends, the loop takes from its beginning, each in one
step of the interpreter. The thread wakes the loop only if it is idle, or if what it says can wait for no pace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from phonefarm import logs
from phonefarm.actors.ports import ManagerPort
from phonefarm.core import leases
from phonefarm.core.metrics import NO_METER, REPORTS_LOST, Meter
from phonefarm.errors import PhoneFarmError
from phonefarm.models.clock import monotonic_moment
from phonefarm.models.session import CancelOrder, Entry, EntryKind, Job, Report

log = logs.logger(__name__)

#: From when a report with actions was sent to the next, unless somebody waits for it.
PACE_SECONDS = 0.1
#: How long the report of a start waits for the first action.
START_SECONDS = 0.02
_FIRST_PAUSE, _LAST_PAUSE = 0.05, 2.0
_ACTIONS = frozenset({EntryKind.ACTION_STARTED, EntryKind.ACTION_FINISHED})
_PACED = _ACTIONS | {EntryKind.STARTED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """``lost``: the lease is gone, stop at once and touch nothing. ``cancel``: the caller wants it stopped. ``held``:
    the lease holds until then (monotonic seconds)."""

    lost: Callable[[], None]
    cancel: Callable[[CancelOrder], None]
    held: Callable[[float], None]


class Reporter:
    """Sends the entries of one attempt. Lives on the event loop; ``put`` is the session's thread's. ``held``: the lease
    holds though nothing has been answered yet; ``lost``: it holds no more."""

    def __init__(self, job: Job, manager: ManagerPort, hooks: Hooks, *, meter: Meter = NO_METER) -> None:
        self._job = job
        self._manager = manager
        self._hooks = hooks
        self._meter = meter
        self._loop = asyncio.get_running_loop()
        self._pending: list[Entry] = []
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._idle = False
        self._sent = asyncio.Condition()
        self._flushing = 0
        self._next_at = 0.0
        self._closing = False
        self._beat = job.lease.seconds / leases.BEATS_PER_TERM
        now = monotonic_moment()
        granted = leases.grant_stop_at(job.lease.asked, now, job.lease.delivery_seconds)
        self._stop_at = 0.0
        self.held = granted is not None
        self._hold(granted or leases.stop_at(now.seconds, job.lease.seconds))
        if self.held:
            self._next_at = now.seconds + START_SECONDS
        self.lost = False

    def put(self, entry: Entry) -> None:
        """Queue an entry, from any other thread."""
        self._pending.append(entry)
        if self._idle or entry.kind not in _PACED:
            self._loop.call_soon_threadsafe(self._stir, entry.kind)

    def add(self, entry: Entry) -> None:
        """Queue an entry, from the event loop."""
        self._pending.append(entry)
        self._stir(entry.kind)

    def _stir(self, kind: EntryKind) -> None:
        self._wake.set()
        if kind not in _PACED:
            self._hurry.set()

    def close(self) -> None:
        """No entry follows; ``run`` returns once all are delivered or the lease is lost."""
        self._closing = True
        self._wake.set()
        self._hurry.set()

    async def flush(self) -> bool:
        """Wait until everything queued so far is committed. False if the lease was lost or it was closed first."""
        self._flushing += 1
        self._hurry.set()
        try:
            async with self._sent:
                await self._sent.wait_for(lambda: self.lost or self._closing or not self._pending)
        finally:
            self._flushing -= 1
        return not self.lost and not self._closing

    async def run(self) -> None:
        """Send until closed and empty, or lost. However it ends, an attempt that is not heard must not go on."""
        try:
            await self._run()
        finally:
            if not self._closing and not self.lost:
                self._lose()
            async with self._sent:
                self._sent.notify_all()

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self.lost and not (self._closing and not self._pending):
            await self._something()
            await self._gather()
            batch = list(self._pending) or [Entry(kind=EntryKind.HEARTBEAT)]
            if self._closing and not self._pending:
                break
            if await self._send(batch):
                pause = _FIRST_PAUSE
            elif not self.lost:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)

    async def _something(self) -> None:
        """Until there is an entry, or a heartbeat is due. The loop says that it is idle before it looks, the thread
        puts its entry before it asks: one of the two sees the other."""
        self._idle = True
        if not self._pending and not self._closing:
            await _set_within(self._wake, self._beat)
        self._idle = False

    async def _gather(self) -> None:
        """Let entries come together until the next report is due, or somebody waits for it."""
        left = self._next_at - time.monotonic()
        hurried = self._closing or self._flushing or any(entry.kind not in _PACED for entry in self._pending)
        if left > 0 and not hurried:
            await _set_within(self._hurry, left)

    async def _send(self, batch: list[Entry]) -> bool:
        sent_at = time.monotonic()
        report = Report(
            phone_id=self._job.phone_id,
            process_id=self._job.process_id,
            item_id=self._job.lease.item_id,
            attempt=self._job.lease.attempt,
            entries=tuple(batch),
        )
        try:
            async with asyncio.timeout(max(0.1, self._stop_at - sent_at)):
                reply = await self._manager.report(report)
        except (PhoneFarmError, TimeoutError) as error:
            self._meter.add(REPORTS_LOST, report.phone_id)
            log.warning("report.not_delivered", error=error)
            self._check_lease()
            return False
        if not reply.accepted:
            self._lose()
            return False
        self._hold(leases.stop_at(sent_at, self._job.lease.seconds))
        if any(entry.kind in _ACTIONS for entry in batch):
            self._next_at = sent_at + PACE_SECONDS
        await self._delivered(batch)
        if reply.cancel is not None:
            self._hooks.cancel(reply.cancel)
        return True

    async def _delivered(self, batch: list[Entry]) -> None:
        if batch[0].kind is not EntryKind.HEARTBEAT:
            del self._pending[: len(batch)]
        async with self._sent:
            self._sent.notify_all()

    def _hold(self, until: float) -> None:
        self._stop_at = until
        self._hooks.held(until)

    def _check_lease(self) -> None:
        if time.monotonic() >= self._stop_at:
            self._lose()

    def _lose(self) -> None:
        self.lost = True
        self._hooks.lost()


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set anew, at most so long."""
    event.clear()
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
