"""The router: which phone, which item, who next.

It remembers phones, accounts and what waits, all of it copied from the manager: at its start, whenever a claim
did not go as expected, and in between through ``changed``. It decides nothing durable: a placement becomes
true when the manager grants it. ``resolve`` answers from memory alone, so the manager may wait for it; asking
the manager for anything happens in one task (``_work``), never inside an answer.

Dispatch is pushed: a change wakes the task, which places, asks for the grant and hands each job to its phone.
The clock only wakes it for items whose time (``not_before``, retry back-off) comes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phonefarm.actors.ports import FarmChange, ManagerPort, PhonePort
from phonefarm.core import placement, routing
from phonefarm.errors import PhoneFarmError, Unavailable
from phonefarm.models.clock import Clock, system_clock
from phonefarm.models.phone import AccountRow, PhoneRow
from phonefarm.models.process import Resolution, Target
from phonefarm.models.queue import Assignment, QueueSnapshot, Running, WaitingItem
from phonefarm.models.session import CancelOrder, Entry, EntryKind, ErrorInfo, Job, Report
from phonefarm.models.states import WaitingReason

log = logging.getLogger(__name__)

#: At most this many grants are asked for at once, so that one wave does not hold up a later, more urgent item.
WAVE = 256
_FIRST_PAUSE, _LAST_PAUSE = 0.1, 2.0
_DAY_MS = 86_400_000


def _tomorrow(now: int) -> int:
    """When the next UTC day begins, in ms."""
    return (now // _DAY_MS + 1) * _DAY_MS


def _next_attempt(item: WaitingItem, reason: WaitingReason, now: int) -> int | None:
    if reason is WaitingReason.ACCOUNT_DAILY_LIMIT:
        return _tomorrow(now)
    return item.ready_at if item.ready_at > now else None


class Router:
    """Fulfils ``RouterPort``. ``phone`` gives the port of a phone by its id; ``groups`` are the configured names."""

    def __init__(
        self,
        *,
        manager: ManagerPort,
        phone: Callable[[str], PhonePort],
        groups: frozenset[str] = frozenset(),
        clock: Clock = system_clock,
        delivery_seconds: float = 30.0,
    ) -> None:
        self._manager = manager
        self._phone = phone
        self._groups = groups
        self._clock = clock
        self._delivery_seconds = delivery_seconds
        self._waiting: dict[str, WaitingItem] = {}
        self._running: dict[str, Running] = {}
        self._phones: dict[str, PhoneRow] = {}
        self._accounts: dict[str, AccountRow] = {}
        self._rested: dict[str, int] = {}
        self._turn = 0
        self._loaded = asyncio.Event()
        self._wake = asyncio.Event()
        self._reload = True
        self._missed: list[FarmChange] | None = None
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
        farm, now = self._farm(), self._clock()
        order = {i.item_id: n for n, i in enumerate(sorted(self._waiting.values(), key=placement.claim_order), 1)}
        found: dict[str, Mapping[str, Any]] = {}
        for item_id in item_ids:
            item = self._waiting.get(item_id)
            if item is not None:
                reason, considered = placement.why_waiting(item, farm, now)
                found[item_id] = {
                    "reason": reason.value,
                    "position": order[item_id],
                    "phones_considered": considered,
                    "next_attempt_at": _next_attempt(item, reason, now),
                }
        return found

    # -- news --

    async def changed(self, change: FarmChange) -> None:
        """News from the manager, after commit. While a snapshot is on its way the news is applied after it too."""
        if self._missed is not None:
            self._missed.append(change)
        self._apply(change)
        for phone_id, item_id, attempt, order in change.cancels:
            self._background(self._cancel(phone_id, item_id, attempt, order))
        self._wake.set()

    def _apply(self, change: FarmChange) -> None:
        for row in change.phones:
            self._phones[row.phone_id] = row
        for account in change.accounts:
            self._accounts[account.account_id] = account
        for item_id in change.gone:
            self._waiting.pop(item_id, None)
        freed = set(change.freed)
        self._running = {k: r for k, r in self._running.items() if r.phone_id not in freed} if freed else self._running
        for item in change.waiting:
            self._running.pop(item.item_id, None)
            self._waiting[item.item_id] = item

    async def _cancel(self, phone_id: str, item_id: str, attempt: int, order: CancelOrder) -> None:
        try:
            await self._phone(phone_id).cancel(item_id, attempt, order)
        except PhoneFarmError as error:
            log.info("cancel of %s goes with the phone's next report: %s", item_id, error.message)

    # -- placing --

    async def _work(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._once()
                pause = _FIRST_PAUSE
            except PhoneFarmError as error:
                log.warning("placing stopped for %.1f s: %s", pause, error.message)
                self._reload = True
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)
                continue
            await self._rest()

    async def _once(self) -> None:
        if self._reload:
            self._missed = []
            self._load(await self._manager.snapshot())
            self._reload = False
            missed, self._missed = self._missed, None
            for change in missed:
                self._apply(change)
        self._wake.clear()
        while wishes := self._place():
            await self._grant(wishes)

    def _load(self, snapshot: QueueSnapshot) -> None:
        self._waiting = {item.item_id: item for item in snapshot.waiting}
        self._running = {running.item_id: running for running in snapshot.running}
        self._phones = {row.phone_id: row for row in snapshot.phones}
        self._accounts = {row.account_id: row for row in snapshot.accounts}
        self._loaded.set()
        for job in snapshot.undelivered:
            self._background(self._deliver(job))

    def _place(self) -> list[Assignment]:
        if not self._waiting:
            return []
        return placement.place(self._waiting.values(), self._farm(), self._clock())[:WAVE]

    def _farm(self) -> placement.Farm:
        today = self._clock() // _DAY_MS
        return placement.Farm(
            phones=self._phones,
            accounts=self._accounts,
            busy_phones={r.phone_id for r in self._running.values()},
            busy_accounts={r.account_id for r in self._running.values() if r.account_id is not None},
            spent_accounts={a.account_id for a in self._accounts.values() if a.spent_day == today},
            rested=self._rested,
        )

    async def _grant(self, wishes: Sequence[Assignment]) -> None:
        jobs = await self._manager.claim(wishes)
        for job in jobs:
            self._granted(job)
        if len(jobs) < len(wishes):
            raise Unavailable(f"{len(wishes) - len(jobs)} placements not granted: the manager knows more than we do")

    def _granted(self, job: Job) -> None:
        self._turn += 1
        self._rested[job.phone_id] = self._turn
        self._waiting.pop(job.lease.item_id, None)
        self._running[job.lease.item_id] = Running(
            item_id=job.lease.item_id, attempt=job.lease.attempt, phone_id=job.phone_id, account_id=job.account_id
        )
        self._background(self._deliver(job))

    async def _rest(self) -> None:
        """Until something changes, or the next item's time comes."""
        now = self._clock()
        times = [item.ready_at for item in self._waiting.values() if item.ready_at > now]
        if self._waiting and self._farm().spent_accounts:
            times.append(_tomorrow(now))
        timeout = max(0.0, (min(times) - now) / 1000) + 0.001 if times else None
        try:
            await asyncio.wait_for(self._wake.wait(), timeout)
        except TimeoutError:
            return

    # -- delivering --

    async def _deliver(self, job: Job) -> None:
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
                log.warning("phone %s has not answered yet: %s", job.phone_id, error.message)
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
        except PhoneFarmError:
            log.warning("item %s waits for its lease to expire", job.lease.item_id)

    def _background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
