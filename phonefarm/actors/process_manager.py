"""The process manager: idempotency, the only writer, and the farm's memory.

Every change is a function run by the one writer (``store.writer``); this class decides only in which order
others are asked and told. A submission: look the keys up, ask the router about what is new, commit, then tell
the router and the callback sender. Nobody is told anything before it is committed; whoever misses the news
(a restart, a lost message) catches up from ``snapshot`` or by the timers here.

Calls that change something run in tasks of their own: a caller that hangs up cancels its wait, not the work.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from phonefarm.actors.ports import FarmChange, RouterPort, SenderPort
from phonefarm.core.leases import LeaseTerms
from phonefarm.core.planning import plan
from phonefarm.errors import NotFound, PhoneFarmError, RequestError, Unavailable
from phonefarm.models.clock import Clock, new_id, rfc3339, system_clock
from phonefarm.models.outbox import Delivery, DueCallback
from phonefarm.models.phone import PhoneReport
from phonefarm.models.process import (
    AccountCommand,
    ArtifactFile,
    CancelAnswer,
    CancelCommand,
    Readiness,
    ResolvedItem,
    Submission,
    SubmitOutcome,
)
from phonefarm.models.queue import Assignment, QueueSnapshot
from phonefarm.models.session import Job, Report, ReportReply
from phonefarm.store import accept, cancel, claim, outbox, progress, rescue, roster, snapshot, views
from phonefarm.store.artifacts import StoredFile, file_path, write_file
from phonefarm.store.database import Database
from phonefarm.store.writer import Tx

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ManagerConfig:
    """``run_id``: of this start of the farm; ``rescue_seconds``: how often expired leases and items are looked for."""

    db_url: str
    artifact_dir: Path
    run_id: int = 0
    terms: LeaseTerms = field(default_factory=LeaseTerms)
    rescue_seconds: float = 2.0


class ProcessManager:
    """Fulfils ``ManagerPort``. ``on_stale`` ends the process when another manager has taken over."""

    def __init__(
        self,
        config: ManagerConfig,
        *,
        router: RouterPort,
        sender: SenderPort,
        on_stale: Callable[[], None],
        clock: Clock | None = None,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        self._config = config
        self._router = router
        self._sender = sender
        self._new_id = make_id
        self._clock = clock
        self._db = Database(config.db_url, on_stale=on_stale, clock=clock)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Open the database, then keep rescuing until stopped."""
        await self._db.open(lambda tx: roster.begin_run(tx, self._config.run_id))
        log.info("process manager has epoch %d", self._db.epoch)
        self._tell(self._sender.kick())
        self._background(self._rescue_loop())

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._db.close)

    # -- for HTTP --

    async def submit_many(self, batch: Sequence[Submission]) -> list[SubmitOutcome]:
        """Accept a batch; one answer each, after commit. Raises Unavailable for the whole batch."""
        return await self._detached(self._submit_many(batch))

    async def _submit_many(self, batch: Sequence[Submission]) -> list[SubmitOutcome]:
        known = await self._db.read(lambda c: accept.find_keys(c, [s.key for s in batch]))
        fresh = [s for s in batch if s.key not in known]
        resolved = await self._resolve(fresh)
        planned = [self._planned(s, r) for s, r in zip(fresh, resolved, strict=True) if not isinstance(r, RequestError)]
        answers: dict[int, SubmitOutcome] = {
            id(s): r for s, r in zip(fresh, resolved, strict=True) if isinstance(r, RequestError)
        }
        if planned:
            outcomes, waiting = await self._db.write(lambda tx: accept.accept(tx, planned, self._new_id))
            answers.update({id(p.submission): o for p, o in zip(planned, outcomes, strict=True)})
            if waiting:
                self._tell(self._router.changed(FarmChange(waiting=tuple(waiting))))
                self._tell(self._sender.kick())
        return [answers.get(id(s)) or accept.answer_known(s, known[s.key]) for s in batch]

    async def _resolve(self, fresh: Sequence[Submission]) -> list[Sequence[ResolvedItem] | RequestError]:
        return await self._router.resolve([s.target for s in fresh]) if fresh else []

    @staticmethod
    def _planned(submission: Submission, items: Sequence[ResolvedItem]) -> accept.Planned:
        length = len(plan(submission.capability, submission.inputs))
        return accept.Planned(submission=submission, items=items, actions_total=length)

    async def get_process(self, process_id: str) -> dict[str, Any]:
        view = await self._db.read(lambda c: views.process(c, process_id))
        idle = [i["queue_item_id"] for i in view["items"] if i["status"] in ("queued", "retrying")]
        if idle and not any(i["status"] == "executing" for i in view["items"]):
            view["waiting"] = await self._waiting(idle)
        return view

    async def _waiting(self, item_ids: Sequence[str]) -> dict[str, Any] | None:
        try:
            reasons = await self._router.waiting_reasons(item_ids)
        except Unavailable:
            return None
        for item_id in item_ids:
            if item_id in reasons:
                reason = dict(reasons[item_id])
                return {**reason, "next_attempt_at": rfc3339(reason.get("next_attempt_at"))}
        return None

    async def list_processes(self, *, limit: int = 50) -> list[dict[str, Any]]:
        return await self._db.read(lambda c: views.process_list(c, limit))

    async def process_events(self, process_id: str) -> list[dict[str, Any]]:
        return await self._db.read(lambda c: views.process_events(c, process_id))

    async def artifact(self, process_id: str, name: str) -> ArtifactFile:
        media_type = await self._db.read(lambda c: views.artifact_type(c, process_id, name))
        path = file_path(self._config.artifact_dir, process_id, name)
        try:
            return ArtifactFile(media_type=media_type, data=await asyncio.to_thread(path.read_bytes))
        except FileNotFoundError as error:
            raise NotFound("unknown_artifact", f"unknown_artifact:{name}") from error

    async def cancel(self, command: CancelCommand) -> CancelAnswer:
        return await self._detached(self._cancel(command))

    async def _cancel(self, command: CancelCommand) -> CancelAnswer:
        answer, effects = await self._db.write(lambda tx: cancel.cancel(tx, command, self._new_id))
        if effects.orders or effects.gone:
            self._tell(self._router.changed(FarmChange(gone=tuple(effects.gone), cancels=tuple(effects.orders))))
        if effects.callbacks:
            self._tell(self._sender.kick())
        return answer

    async def list_phones(self) -> list[dict[str, Any]]:
        return await self._db.read(views.phone_list)

    async def get_phone(self, phone_id: str) -> dict[str, Any]:
        found = await self._db.read(lambda c: views.phone_list(c, phone_id))
        if not found:
            raise NotFound("unknown_phone", f"unknown_phone:{phone_id}")
        return found[0]

    async def put_account(self, command: AccountCommand) -> dict[str, Any]:
        row = await self._db.write(lambda tx: roster.put_account(tx, command))
        self._tell(self._router.changed(FarmChange(accounts=(row,))))
        return await self.get_account(command.account_id)

    async def get_account(self, account_id: str) -> dict[str, Any]:
        found = await self._accounts(account_id)
        if not found:
            raise NotFound("unknown_account", f"unknown_account:{account_id}")
        return found[0]

    async def list_accounts(self) -> list[dict[str, Any]]:
        return await self._accounts(None)

    async def _accounts(self, account_id: str | None) -> list[dict[str, Any]]:
        today = roster.day_of((self._clock or system_clock)())
        return await self._db.read(lambda c: views.account_list(c, today, account_id))

    async def list_callbacks(self, *, state: str | None = None) -> list[dict[str, Any]]:
        return await self._db.read(lambda c: views.callback_list(c, state))

    async def readiness(self) -> Readiness:
        """Storage takes a write, the router answers."""
        return Readiness(
            parts={
                "manager": None,
                "storage": await _problem(self._db.write(lambda tx: tx.now)),
                "router": await _problem(self._router.ping()),
            }
        )

    # -- for the router --

    async def snapshot(self) -> QueueSnapshot:
        return await self._db.write(lambda tx: snapshot.snapshot(tx, plan=plan, terms=self._config.terms))

    async def claim(self, assignments: Sequence[Assignment]) -> list[Job]:
        """Grant attempts. What is missing in the answer was not granted."""
        return await self._detached(self._claim(assignments))

    async def _claim(self, assignments: Sequence[Assignment]) -> list[Job]:
        terms = self._config.terms
        jobs, busy, callbacks = await self._db.write(
            lambda tx: claim.claim(tx, assignments, plan=plan, terms=terms, new_id=self._new_id)
        )
        accounts = [job.account_id for job in jobs if job.account_id is not None]
        if busy or accounts:
            await self._tell_router(FarmChange(phones=tuple(busy)), accounts)
        if callbacks:
            self._tell(self._sender.kick())
        return jobs

    # -- for hosts and phones --

    async def report(self, report: Report) -> ReportReply:
        """Apply what happened in an attempt; safe to send again."""
        return await self._detached(self._report(report))

    async def _report(self, report: Report) -> ReportReply:
        files = await asyncio.to_thread(self._write_files, report)

        def change(tx: Tx) -> tuple[ReportReply, progress.Effects]:
            return progress.apply_report(tx, report, files=files, terms=self._config.terms, new_id=self._new_id)

        reply, effects = await self._db.write(change)
        await self._follow(effects)
        return reply

    def _write_files(self, report: Report) -> dict[str, StoredFile]:
        artifacts = [artifact for entry in report.entries for artifact in entry.artifacts]
        return {a.name: write_file(self._config.artifact_dir, report.process_id, a) for a in artifacts}

    async def report_phones(self, reports: Sequence[PhoneReport]) -> None:
        rows = await self._db.write(lambda tx: roster.report_phones(tx, reports))
        for row in rows:
            log.info("phone %s on %s is %s%s", row.phone_id, row.host, row.state, f": {row.why}" if row.why else "")
        self._tell(self._router.changed(FarmChange(phones=tuple(rows))))

    async def phone_started(self, phone_id: str, incarnation: str, running: Sequence[tuple[str, int]]) -> None:
        """A phone's actor is new: what it does not run was interrupted."""
        effects = await self._db.write(
            lambda tx: rescue.take_from_restarted(tx, phone_id, incarnation, running, self._new_id)
        )
        await self._follow(effects)

    # -- for the callback sender --

    async def due_callbacks(self, limit: int) -> tuple[list[DueCallback], float | None]:
        return await self._db.write(lambda tx: outbox.due(tx, limit))

    async def callbacks_done(self, deliveries: Sequence[Delivery]) -> None:
        await self._db.write(lambda tx: outbox.done(tx, deliveries, self._new_id))

    # -- timers --

    async def _rescue_loop(self) -> None:
        while True:
            await asyncio.sleep(self._config.rescue_seconds)
            try:
                await self.rescue()
            except PhoneFarmError as error:
                log.warning("rescue did not run: %s", error.message)

    async def rescue(self) -> None:
        """Take back expired leases, bury expired items. Timers only rescue; nothing waits for them otherwise."""
        effects = await self._db.write(lambda tx: rescue.expire_leases(tx, self._new_id))
        gone, callbacks = await self._db.write(lambda tx: rescue.expire_items(tx, self._new_id))
        if gone:
            self._tell(self._router.changed(FarmChange(gone=tuple(gone))))
        if callbacks:
            self._tell(self._sender.kick())
        await self._follow(effects)

    # -- telling the others --

    async def _follow(self, effects: progress.Effects) -> None:
        if effects.waiting or effects.freed or effects.phones:
            change = FarmChange(
                waiting=tuple(effects.waiting), freed=tuple(effects.freed), phones=tuple(effects.phones)
            )
            await self._tell_router(change, effects.accounts)
        if effects.callbacks:
            self._tell(self._sender.kick())

    async def _tell_router(self, change: FarmChange, account_ids: Sequence[str]) -> None:
        if account_ids:
            rows = await self._db.write(lambda tx: roster.account_rows(tx, list(account_ids)))
            change = FarmChange(waiting=change.waiting, freed=change.freed, phones=change.phones, accounts=tuple(rows))
        self._tell(self._router.changed(change))

    def _tell(self, message: Awaitable[None]) -> None:
        self._background(_quietly(message))

    def _background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _detached(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.shield(self._background(work))


async def _quietly(message: Awaitable[None]) -> None:
    """News that does not arrive is caught up with: the receiver starts from a snapshot, the timers do the rest."""
    try:
        await message
    except PhoneFarmError as error:
        log.warning("news not delivered: %s", error.message)


async def _problem(check: Awaitable[Any]) -> str | None:
    try:
        await check
    except PhoneFarmError as error:
        return error.message
    return None
