"""The router: which phone, which item, who next.

It remembers phones, accounts and what waits, all of it copied from the manager: at its start, whenever a claim
did not go as expected, and in between through ``changed``. It decides nothing durable: a placement becomes
true when the manager grants it. ``resolve`` answers from memory alone, so the manager may wait for it; asking
the manager for anything happens in one task (``_work``), never inside an answer.

Dispatch is pushed: a change wakes the task, which places, asks for the grant and hands each job to its phone. While
nothing waits the manager is told which phones are spare, so that it can grant an item as it accepts it (ADR 15).
The clock only wakes it for items whose time (``not_before``, retry back-off) comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from phonefarm import logs, tracing
from phonefarm.actors.lineup import LineUp
from phonefarm.actors.ports import FarmChange, ManagerPort, PhonePort
from phonefarm.core import placement, routing
from phonefarm.core.line import Line, effective_priority, queue_order
from phonefarm.errors import PhoneFarmError, Unavailable
from phonefarm.models.clock import Clock, monotonic_moment, system_clock
from phonefarm.models.phone import AccountRow, PhoneRow
from phonefarm.models.process import Resolution, Target
from phonefarm.models.queue import Assignment, QueueSnapshot, Running, WaitingItem
from phonefarm.models.session import CancelOrder, Entry, EntryKind, ErrorInfo, Job, Report
from phonefarm.models.states import WaitingReason

log = logs.logger(__name__)

#: At most this many grants are asked for at once, so that one wave does not hold up a later, more urgent item.
WAVE = 256
#: How many spare phones the manager is told of.
SPARE = 16
_FIRST_PAUSE, _LAST_PAUSE = 0.1, 2.0
_DAY_MS = 86_400_000


def _tomorrow(now: int) -> int:
    """When the next UTC day begins, in ms."""
    return (now // _DAY_MS + 1) * _DAY_MS


def _why(item: WaitingItem, position: int, reasons: placement.Reasons, now: int) -> dict[str, Any]:
    reason, considered = reasons.of(item)
    return {
        "reason": reason.value,
        "position": position,
        "phones_considered": considered,
        "next_attempt_at": _next_attempt(item, reason, now),
    }


def _shown(item: WaitingItem, now: int) -> dict[str, Any]:
    return {
        "queue_item_id": item.item_id,
        "process_id": item.process_id,
        "priority": item.priority,
        "effective_priority": effective_priority(item, now),
        "created_at": item.created_at,
        "ready_at": item.ready_at,
        "attempt": item.attempt,
        "phone_id": item.phone_id,
        "account_id": item.account_id,
        "phone_group": item.phone_group,
        "account_group": item.account_group,
    }


def _next_attempt(item: WaitingItem, reason: WaitingReason, now: int) -> int | None:
    if reason is WaitingReason.ACCOUNT_DAILY_LIMIT:
        return _tomorrow(now)
    return item.ready_at if item.ready_at > now else None


class Router:
    """Fulfils ``RouterPort``. ``phone`` gives the port of a phone by its id; ``groups`` are the configured names;
    ``rest_seconds``: the longest sleep while an item waits for its time, so that a clock that jumps does no harm."""

    def __init__(
        self,
        *,
        manager: ManagerPort,
        phone: Callable[[str], PhonePort],
        groups: frozenset[str] = frozenset(),
        clock: Clock = system_clock,
        delivery_seconds: float = 30.0,
        rest_seconds: float = 30.0,
    ) -> None:
        self._manager = manager
        self._phone = phone
        self._groups = groups
        self._clock = clock
        self._delivery_seconds = delivery_seconds
        self._rest_seconds = rest_seconds
        self._waiting = Line()
        self._running: dict[str, Running] = {}
        self._phones: dict[str, PhoneRow] = {}
        self._accounts: dict[str, AccountRow] = {}
        self._rested: dict[str, int] = {}
        self._turn = 0
        self._changes = 0
        self._order = LineUp()
        self._loaded = asyncio.Event()
        self._wake = asyncio.Event()
        self._reload = True
        self._missed: list[FarmChange] | None = None
        self._handed: set[tuple[str, int]] = set()  # attempts on their way to a phone now
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop_task: asyncio.Task[None] | None = None

    # -- life --

    async def start(self) -> None:
        """Begin placing; the first thing is a snapshot."""
        self._loop_task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        tasks = [*self._tasks, *([self._loop_task] if self._loop_task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def ping(self) -> str:
        """Answers once the router knows the farm. Raises Unavailable before."""
        if not self._loaded.is_set():
            raise Unavailable("the router is still loading")
        return "ok"

    # -- answers --

    async def resolve(self, targets: Sequence[Target]) -> list[Resolution]:
        """Targets to items, or to refusals. Raises Unavailable until the farm is known."""
        await self.ping()
        directory = routing.Directory(phones=self._phones, accounts=self._accounts, groups=self._groups)
        return [routing.resolve(target, directory) for target in targets]

    async def waiting_reasons(self, item_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Why items wait, their place in the queue (from 1) and when they are tried next (ms, or None)."""
        wanted = [self._waiting[i] for i in item_ids if i in self._waiting]
        if not wanted:
            return {}
        now = self._clock()
        reasons = placement.Reasons(self._farm(now), now)
        order = self._order.of(self._waiting.values(), now)
        return {item.item_id: _why(item, order.position(item), reasons, now) for item in wanted}

    async def queue(self, *, offset: int, limit: int) -> list[dict[str, Any]]:
        """What waits: first what may run now, in claim order, then the rest by its time."""
        now = self._clock()
        reasons = placement.Reasons(self._farm(now), now)
        order = sorted(self._waiting.values(), key=lambda item: queue_order(item, now))
        page = enumerate(order[offset : offset + limit], offset + 1)
        return [{**_shown(item, now), **_why(item, position, reasons, now)} for position, item in page]

    # -- news --

    async def changed(self, change: FarmChange) -> list[PhoneRow]:
        """News from the manager, after commit. While a snapshot is on its way the news is applied after it too."""
        self._changes += 1
        if self._missed is not None:
            self._missed.append(change)
        self._apply(change)
        self._reload = self._reload or change.missed
        for phone_id, item_id, attempt, order in change.cancels:
            self._background(self._cancel(phone_id, item_id, attempt, order))
        for phone_id in change.checks:
            self._background(self._check(phone_id))
        for job in change.granted:
            self._background(self._deliver(job))
        self._wake.set()
        return self._spare()

    def _spare(self) -> list[PhoneRow]:
        if self._waiting or self._reload or self._missed is not None:
            return []
        return placement.spare(self._farm(self._clock()), SPARE)

    def _apply(self, change: FarmChange) -> None:
        for row in change.phones:
            self._phones[row.phone_id] = row
        for account in change.accounts:
            self._accounts[account.account_id] = account
        for item_id in change.gone:
            self._waiting.remove(item_id)
        freed = set(change.freed)
        self._running = {k: r for k, r in self._running.items() if r.phone_id not in freed} if freed else self._running
        for item in change.waiting:
            self._running.pop(item.item_id, None)
            self._waiting.put(item)
        for job in change.granted:
            self._granted(job)

    async def _cancel(self, phone_id: str, item_id: str, attempt: int, order: CancelOrder) -> None:
        try:
            await self._phone(phone_id).cancel(item_id, attempt, order)
        except PhoneFarmError as error:
            log.info("cancel.goes_with_report", item=item_id, attempt=attempt, phone=phone_id, error=error)

    async def _check(self, phone_id: str) -> None:
        try:
            await self._phone(phone_id).check()
        except PhoneFarmError as error:
            log.info("check.goes_later", phone=phone_id, error=error)

    # -- placing --

    async def _work(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._once()
                pause = _FIRST_PAUSE
            except Exception as error:
                log.warning("placing.paused", seconds=pause, error=error, exc_info=logs.unforeseen(error))
                self._reload = True
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)
                continue
            await self._rest()

    async def _once(self) -> None:
        self._wake.clear()
        if self._reload:
            self._reload, self._missed = False, []
            self._load(await self._manager.snapshot())
            missed, self._missed = self._missed, None
            for change in missed:
                self._apply(change)
        while wishes := self._place():
            await self._grant_all(wishes)

    def _load(self, snapshot: QueueSnapshot) -> None:
        self._waiting = Line(snapshot.waiting)
        self._running = {running.item_id: running for running in snapshot.running}
        self._phones = {row.phone_id: row for row in snapshot.phones}
        self._accounts = {row.account_id: row for row in snapshot.accounts}
        self._loaded.set()
        for job in snapshot.undelivered:
            self._background(self._deliver(job))

    def _place(self) -> list[Assignment]:
        if not self._waiting:
            return []
        now = self._clock()
        return placement.place(self._waiting, self._farm(now), now)

    async def _grant_all(self, wishes: Sequence[Assignment]) -> None:
        """Wave by wave, until there is news: what is more urgent by now goes first in the next placement."""
        known = self._changes
        for first in range(0, len(wishes), WAVE):
            if self._changes != known:
                return
            await self._grant(wishes[first : first + WAVE])

    def _farm(self, now: int) -> placement.Farm:
        today = now // _DAY_MS
        return placement.Farm(
            phones=self._phones,
            accounts=self._accounts,
            busy_phones={r.phone_id for r in self._running.values()},
            busy_accounts={r.account_id for r in self._running.values() if r.account_id is not None},
            spent_accounts={a.account_id for a in self._accounts.values() if a.spent_day == today},
            timed_out_accounts={a.account_id for a in self._accounts.values() if a.timed_out_day == today},
            rested=self._rested,
        )

    async def _grant(self, wishes: Sequence[Assignment]) -> None:
        asked = monotonic_moment()
        jobs = await self._manager.claim(wishes)
        for job in jobs:
            asked_job = replace(job, lease=replace(job.lease, asked=asked))
            self._granted(asked_job)
            self._background(self._deliver(asked_job))
        if len(jobs) < len(wishes):
            raise Unavailable(f"{len(wishes) - len(jobs)} placements not granted: the manager knows more than we do")

    def _granted(self, job: Job) -> None:
        self._turn += 1
        self._rested[job.phone_id] = self._turn
        self._waiting.remove(job.lease.item_id)
        self._running[job.lease.item_id] = Running(
            item_id=job.lease.item_id, attempt=job.lease.attempt, phone_id=job.phone_id, account_id=job.account_id
        )

    async def _rest(self) -> None:
        """Until something changes, or the next item's time comes."""
        now = self._clock()
        times = [] if (next_time := self._waiting.next_time(now)) is None else [next_time]
        if self._waiting and self._farm(now).spent_accounts:
            times.append(_tomorrow(now))
        timeout = min(self._rest_seconds, max(0.0, (min(times) - now) / 1000) + 0.001) if times else None
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            return

    # -- delivering --

    async def _deliver(self, job: Job) -> None:
        """A snapshot that is read anew holds what is still on its way to its phone: once is enough."""
        key = (job.lease.item_id, job.lease.attempt)
        if key in self._handed:
            return
        self._handed.add(key)
        try:
            with tracing.span("item.dispatch", parent=job.trace, **job.ids), logs.bound(**job.ids):
                await self._hand_over(job)
        finally:
            self._handed.discard(key)

    async def _hand_over(self, job: Job) -> None:
        """Hand a job to its phone. An unclear answer is asked again (the phone takes a job once); a refusal,
        or no answer in time, gives the attempt back."""
        deadline = asyncio.get_running_loop().time() + self._delivery_seconds
        pause = _FIRST_PAUSE
        while asyncio.get_running_loop().time() < deadline:
            try:
                if not await self._phone(job.phone_id).run(job):
                    await self._give_back(job)
                return
            except PhoneFarmError as error:
                log.warning("job.not_delivered_yet", error=error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)

    async def _give_back(self, job: Job) -> None:
        error = ErrorInfo(code="phone_not_ready", message="the phone refused the job", retryable=True)
        report = Report(
            phone_id=job.phone_id,
            process_id=job.process_id,
            item_id=job.lease.item_id,
            attempt=job.lease.attempt,
            entries=(Entry(kind=EntryKind.FAILED, error=error),),
        )
        try:
            await self._manager.report(report)
        except PhoneFarmError as error:
            log.warning("job.not_given_back", error=error, next_step="none: its lease ends by itself")

    def _background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
