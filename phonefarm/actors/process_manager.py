"""The process manager: idempotency, the only writer, and the farm's memory.

Every change is a function run by the one writer (``store.writer``); this class decides only in which order
others are asked and told. Nobody is told anything before it is committed; whoever misses the news (a restart, a lost
message) catches up from ``snapshot`` or by the timers here.

It has three desks for HTTP (``manager_processes``, ``manager_farm``, ``manager_desk``), all over one database
(``manager_core``). Here stand its life, its timers, and what it tells the router, hosts and phones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from phonefarm import logs, tracing
from phonefarm.actors.manager_core import ManagerConfig
from phonefarm.actors.manager_desk import OfficeDesk
from phonefarm.actors.manager_farm import FarmDesk
from phonefarm.actors.manager_processes import ProcessDesk
from phonefarm.actors.ports import FarmChange
from phonefarm.core.metrics import FIRST_COMMAND
from phonefarm.core.planning import plan
from phonefarm.errors import RequestError
from phonefarm.models.phone import PhoneReport
from phonefarm.models.process import OperateCommand, Operation, OperationScope
from phonefarm.models.queue import Assignment, QueueSnapshot
from phonefarm.models.session import EntryKind, Job, Report, ReportReply
from phonefarm.store import claim, counting, homes, progress, prune, rescue, room, roster, snapshot
from phonefarm.store.artifacts import StoredFile, write_file
from phonefarm.store.writer import Tx

__all__ = ["ManagerConfig", "ProcessManager"]

log = logs.logger(__name__)

#: Seconds between two looks for processes that have been kept long enough.
PRUNE_SECONDS = 60.0


class ProcessManager(ProcessDesk, FarmDesk, OfficeDesk):
    """Fulfils ``ManagerPort``."""

    async def start(self) -> None:
        """Open the database, then keep rescuing until stopped."""
        await self._db.open(self._begin)
        log.info("manager.started", epoch=self._db.epoch)
        self._missed = FarmChange(missed=True)  # what the one before committed last, it may have told nobody
        self._background(self._catch_up(0.0))
        self._kick()
        self._background(self._repeat(self._config.rescue_seconds, self.rescue))
        self._background(self._repeat(self._config.rescue_seconds, self.give_up_silent_hosts))
        self._background(self._repeat(PRUNE_SECONDS, self.prune))
        if self._mirror is not None:
            self._background(self._repeat(self._config.rescue_seconds, self.tell_numbers))

    def _begin(self, tx: Tx) -> None:
        roster.begin_run(tx, self._config.run_id)
        counting.recount(tx)

    async def stop(self) -> None:
        self._stopping = True
        self._waiters.wake_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._db.close)

    # -- for the router --

    async def snapshot(self) -> QueueSnapshot:
        return await self._db.write(lambda tx: snapshot.snapshot(tx, plan=plan, terms=self._config.terms))

    async def claim(self, assignments: Sequence[Assignment]) -> list[Job]:
        """Grant attempts. What is missing in the answer was not granted."""
        return await self._detached(self._claim(assignments))

    async def _claim(self, assignments: Sequence[Assignment]) -> list[Job]:
        terms, began = self._config.terms, tracing.now()
        jobs, accounts, callbacks = await self._db.write(
            lambda tx: claim.claim(tx, assignments, plan=plan, terms=terms, new_id=self._new_id)
        )
        self._note_grants(jobs, began)
        if accounts:
            self._news(FarmChange(accounts=tuple(accounts)))
        if callbacks:
            self._kick()
        return jobs

    # -- for hosts and phones --

    async def report(self, report: Report) -> ReportReply:
        """Apply what happened in an attempt; safe to send again."""
        return await self._detached(self._report(report))

    async def _report(self, report: Report) -> ReportReply:
        named = any(entry.artifacts for entry in report.entries)
        files = await asyncio.to_thread(self._write_files, report) if named else {}

        def change(tx: Tx) -> tuple[ReportReply, progress.Effects]:
            return progress.apply_report(tx, report, files=files, terms=self._config.terms, new_id=self._new_id)

        reply, effects = await self._db.write(change)
        if any(entry.kind is EntryKind.ACTION_STARTED for entry in report.entries):
            self._time_first(report.item_id)
        self._follow(effects)
        return reply

    def _time_first(self, item_id: str) -> None:
        seconds = self._claimed.stop(item_id, asyncio.get_running_loop().time())
        if seconds is not None:
            self._tally.observe(FIRST_COMMAND, seconds)

    def _write_files(self, report: Report) -> dict[str, StoredFile]:
        artifacts = [artifact for entry in report.entries for artifact in entry.artifacts]
        return {a.name: write_file(self._config.artifact_dir, report.process_id, a) for a in artifacts}

    async def report_phones(self, reports: Sequence[PhoneReport]) -> None:
        """What phones say; the word of a phone is a sign of life of its host too."""
        for report in reports:
            self._presence.heard(report.host, asyncio.get_running_loop().time())
        rows = await self._db.write(lambda tx: roster.report_phones(tx, homes.heard(tx, reports)))
        for row in rows:
            log.info("phone.reported", phone=row.phone_id, host=row.host, state=row.state, why=row.why)
        self._news(FarmChange(phones=tuple(rows)))

    async def phone_started(
        self, phone_id: str, host: str, incarnation: str, running: Sequence[tuple[str, int]]
    ) -> None:
        """A phone's actor is new: what it does not run was interrupted."""
        effects = await self._db.write(
            lambda tx: rescue.take_from_restarted(tx, phone_id, incarnation, running, self._new_id)
        )
        self._follow(effects)
        await self._break_circuit(phone_id, host, incarnation)

    async def _break_circuit(self, phone_id: str, host: str, incarnation: str) -> None:
        """An actor that ends again and again is given no more work, until an operator has looked at it."""
        times = self._starts.started(phone_id, host, incarnation, asyncio.get_running_loop().time())
        if times is None:
            return
        minutes = self._config.patience.seconds / 60
        reason = f"its actor ended {times} times within {minutes:g} minutes; look at its log, then release it"
        command = OperateCommand(
            scope=OperationScope.PHONE, name=phone_id, operation=Operation.QUARANTINE, reason=reason, by="phonefarm"
        )
        try:
            await self.operate(command)
        except RequestError as error:  # retired meanwhile, or never seen
            log.info("phone.not_set_apart", phone=phone_id, error=error)

    # -- timers --

    async def _repeat(self, seconds: float, work: Callable[[], Awaitable[Any]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception as error:
                timer = getattr(work, "__name__", "timer")
                log.warning("timer.failed", timer=timer, error=error, exc_info=logs.unforeseen(error))

    async def rescue(self) -> None:
        """Take back expired leases, bury expired items. Timers only rescue; nothing waits for them otherwise."""
        effects = await self._db.write(lambda tx: homes.expire_leases(tx, self._new_id, self._config.terms))
        gone, callbacks = await self._db.write(lambda tx: rescue.expire_items(tx, self._new_id))
        if gone:
            self._news(FarmChange(gone=tuple(gone)))
        if callbacks:
            self._kick()
        self._follow(effects)

    async def prune(self) -> int:
        """Forget processes that ended longer ago than they are kept, with their files; how many."""
        keep = self._config.retention_days
        gone: list[str] = []
        while batch := await self._db.write(lambda tx: prune.prune(tx, keep_days=keep)):
            gone += batch
            await asyncio.to_thread(prune.remove_files, self._config.artifact_dir, batch)
        if gone:
            log.info("processes.forgotten", number=len(gone), days=keep)
        while await self._db.write(room.give_back):
            pass  # a slice each, so that others get their turn between
        return len(gone)
