"""The store by itself for tests: one writer over a fresh database, the clock in the test's hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from phonefarm.core.leases import LeaseTerms
from phonefarm.core.planning import plan
from phonefarm.models.clock import new_id
from phonefarm.models.outbox import DuePage, Place
from phonefarm.models.phone import PhoneReport, PhoneRow
from phonefarm.models.process import (
    AccountCommand,
    OperateCommand,
    Operation,
    OperationScope,
    ResolvedItem,
    Submission,
)
from phonefarm.models.queue import Assignment
from phonefarm.models.session import Entry, EntryKind, ErrorInfo, Job, Report, ReportReply
from phonefarm.models.states import PhoneState
from phonefarm.store import accept, claim, operations, outbox, process_views, progress, rescue, roster, tables, views
from phonefarm.store.engine import open_engines
from phonefarm.store.migrate import upgrade
from phonefarm.store.writer import Tx, Writer, maps
from tests.farmtools import AUTHORISED

TERMS = LeaseTerms(seconds=10, delivery_seconds=10)
DAY = 86_400_000


class Desk:
    """``now`` in ms; ``effects`` of the last report."""

    def __init__(self, db_url: str) -> None:
        self.now = 20_000 * DAY
        self.engines = open_engines(db_url)
        upgrade(self.engines)
        self.writer = Writer(self.engines, clock=lambda: self.now, on_stale=lambda: None)
        self.writer.start()
        self.effects = progress.Effects()

    def close(self) -> None:
        self.writer.stop()
        self.engines.dispose()

    def run(self, change: Callable[[Tx], Any]) -> Any:
        return self.writer.submit(change).result(30)

    def read(self, query: Callable[[sa.Connection], Any]) -> Any:
        with self.engines.reader.connect() as connection:
            return query(connection)

    # -- callbacks --

    def due(self, limit: int, after: Place | None = None) -> DuePage:
        page = self.read(lambda c: outbox.due(c, limit, after=after, epoch=self.writer.epoch, clock=lambda: self.now))
        assert isinstance(page, DuePage)
        return page

    # -- phones --

    def phone(
        self, phone_id: str, state: PhoneState = PhoneState.AVAILABLE, *, host: str = "h", group: str = ""
    ) -> None:
        groups = (group,) if group else ()
        report = PhoneReport(phone_id=phone_id, host=host, serial=phone_id, state=state, groups=groups)
        self.run(lambda tx: roster.report_phones(tx, [report]))

    def row(self, phone_id: str) -> PhoneRow:
        (row,) = self.run(lambda tx: roster.phone_rows(tx, [phone_id]))
        assert isinstance(row, PhoneRow)
        return row

    def view(self, phone_id: str) -> dict[str, Any]:
        (view,) = self.read(lambda c: views.phone_list(c, 0, phone_id))
        return dict(view)

    def operate(
        self, operation: Operation, name: str = "A", scope: OperationScope = OperationScope.PHONE
    ) -> operations.OperateEffects:
        command = OperateCommand(scope=scope, name=name, operation=operation, reason="r", by="ops")
        effects = self.run(lambda tx: operations.operate(tx, command, hosts=frozenset({"spare"})))
        assert isinstance(effects, operations.OperateEffects)
        return effects

    # -- work --

    def account(self, account_id: str, **changes: Any) -> None:
        values = {"active": True, "authorization": AUTHORISED, **changes}
        self.run(lambda tx: roster.put_account(tx, AccountCommand(account_id=account_id, **values)))

    def submit(self, order: Submission, items: Sequence[ResolvedItem] = (ResolvedItem(),)) -> list[str]:
        """The ids of the items."""
        total = len(plan(order.capability, order.inputs))
        planned = accept.Planned(submission=order, items=items, actions_total=total)
        _, waiting = self.run(lambda tx: accept.accept(tx, [planned], new_id))
        return [item.item_id for item in waiting]

    def grant(self, item_id: str, phone_id: str = "A", account_id: str | None = None) -> Job | None:
        wish = Assignment(item_id=item_id, phone_id=phone_id, account_id=account_id)
        jobs, _, _ = self.run(lambda tx: claim.claim(tx, [wish], plan=plan, terms=TERMS, new_id=new_id))
        return jobs[0] if jobs else None

    def start(self, order: Submission, phone_id: str = "A") -> Job:
        """A submission whose only item runs."""
        (item_id,) = self.submit(order)
        job = self.grant(item_id, phone_id)
        assert job is not None
        self.report(job, Entry(kind=EntryKind.STARTED))
        return job

    def report(self, job: Job, *entries: Entry) -> ReportReply:
        report = Report(
            phone_id=job.phone_id,
            process_id=job.process_id,
            item_id=job.lease.item_id,
            attempt=job.lease.attempt,
            entries=entries,
        )
        reply, self.effects = self.run(
            lambda tx: progress.apply_report(tx, report, files={}, terms=TERMS, new_id=new_id)
        )
        assert isinstance(reply, ReportReply)
        return reply

    def begin(self, job: Job, place: int = 0) -> ReportReply:
        return self.report(job, Entry(kind=EntryKind.ACTION_STARTED, action=job.actions[place]))

    def finish(self, job: Job, place: int = 0, *, seconds: float = 1.0) -> ReportReply:
        return self.report(job, Entry(kind=EntryKind.ACTION_FINISHED, action=job.actions[place], seconds=seconds))

    def fail(
        self, job: Job, place: int | None = None, *, definite: bool = False, retryable: bool = True
    ) -> ReportReply:
        error = ErrorInfo(code="boom", message="it broke", retryable=retryable, definite=definite)
        action = None if place is None else job.actions[place]
        return self.report(job, Entry(kind=EntryKind.FAILED, action=action, error=error))

    def rescue(self) -> None:
        self.run(lambda tx: rescue.expire_leases(tx, new_id))
        self.run(lambda tx: rescue.expire_items(tx, new_id))

    # -- what is written --

    def item(self, job: Job) -> dict[str, Any]:
        (row,) = self.read(lambda c: maps(c, sa.select(tables.items).where(tables.items.c.id == job.lease.item_id)))
        return dict(row)

    def actions(self, job: Job) -> list[tuple[int, int, str]]:
        """(attempt, index, status) of the item's rows."""
        rows = self.read(
            lambda c: maps(c, sa.select(tables.actions).where(tables.actions.c.item_id == job.lease.item_id))
        )
        return sorted((row["attempt"], row["idx"], row["status"]) for row in rows)

    def events(self, process_id: str) -> list[str]:
        query = sa.select(tables.events).where(tables.events.c.process_id == process_id)
        return [row["kind"] for row in self.read(lambda c: maps(c, query.order_by(tables.events.c.sequence)))]

    def process(self, process_id: str) -> dict[str, Any]:
        return dict(self.read(lambda c: process_views.process(c, process_id)))


@contextmanager
def desk(db_url: str) -> Iterator[Desk]:
    """A desk with the phones A and B."""
    here = Desk(db_url)
    try:
        here.phone("A")
        here.phone("B")
        yield here
    finally:
        here.close()
