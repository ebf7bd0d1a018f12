"""What phones report, applied under the fence (item, attempt).

A report whose attempt is not the item's running one changes nothing and says so: the sender is stale. An entry
that was already applied (a report sent again after a lost reply) changes nothing either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from phonefarm.core import leases, metrics, retries
from phonefarm.core.lifecycle import ItemEvent, item_sources, item_target
from phonefarm.models.action import Action
from phonefarm.models.clock import rfc3339
from phonefarm.models.phone import AccountRow, PhoneRow
from phonefarm.models.queue import WaitingItem
from phonefarm.models.session import Entry, EntryKind, ErrorInfo, Report, ReportReply
from phonefarm.models.states import ItemState
from phonefarm.store import bulk, journal
from phonefarm.store.accept import waiting_item
from phonefarm.store.artifacts import StoredFile, keep
from phonefarm.store.claim import cancel_order
from phonefarm.store.ledger import Ledger
from phonefarm.store.operations import breaks_off, settle
from phonefarm.store.roster import account_rows, add_usage
from phonefarm.store.tables import actions, items, phones, processes
from phonefarm.store.writer import Row, Tx


@dataclass(slots=True)
class Effects:
    """What the rest of the farm must hear after commit."""

    waiting: list[WaitingItem] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    phones: list[PhoneRow] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    accounts: list[AccountRow] = field(default_factory=list)
    callbacks: bool = False

    def close(self, tx: Tx) -> None:
        """Nothing more happens: the accounts that were ``used`` as they are now. While an item only goes on, nobody
        needs to hear of its account."""
        if self.used and (self.waiting or self.freed or self.phones):
            self.accounts = account_rows(tx, sorted(self.used))


def apply_report(
    tx: Tx, report: Report, *, files: dict[str, StoredFile], terms: leases.LeaseTerms, new_id: Callable[[], str]
) -> tuple[ReportReply, Effects]:
    """Apply a batch of entries. ``files``: artifacts of the report, already written to disk, by name."""
    row = _running(tx, report.item_id, report.attempt)
    effects = Effects()
    if row is not None and not journal.may_apply(tx, report.item_id, report.attempt, report.entries):
        return ReportReply(accepted=False), effects
    if row is None or row["running_phone"] != report.phone_id:
        return ReportReply(accepted=_ended_here(tx, report)), effects
    ledger = Ledger(tx, new_id)
    done = journal.finished(tx, report.item_id, report.entries)
    step = _Step(tx=tx, ledger=ledger, row=row, files=files, effects=effects, done=done)
    for entry in report.entries:
        step.apply(entry)
    step.save(terms)
    effects.callbacks = ledger.flush()
    effects.close(tx)
    order = cancel_order(row["cancel"]) or breaks_off(row["wanted_state"])
    return ReportReply(accepted=True, cancel=order), effects


_RUNNING = (
    sa.select(items, phones.c.wanted_state, phones.c.wanted_why, processes.c.first_action_at)
    .join(processes, processes.c.id == items.c.process_id)
    .join(phones, phones.c.id == items.c.running_phone, isouter=True)
    .where(
        items.c.id == sa.bindparam("item"),
        items.c.attempt == sa.bindparam("number"),
        items.c.state.in_(
            sorted({s.value for event in (ItemEvent.START, ItemEvent.FINISH) for s in item_sources(event)})
        ),
    )
)
#: Sets the columns that are among its parameters.
_CHANGE = sa.update(items).where(items.c.id == sa.bindparam("which"), items.c.attempt == sa.bindparam("number"))
_ENDINGS = frozenset({EntryKind.FINISHED, EntryKind.FAILED, EntryKind.CANCELLED})


def _running(tx: Tx, item_id: str, attempt: int) -> Row | None:
    return next(iter(tx.maps(_RUNNING, {"item": item_id, "number": attempt})), None)


def _ended_here(tx: Tx, report: Report) -> bool:
    """True if this attempt has already ended on this phone: a repeated last report, not a stale one."""
    if not report.entries or report.entries[-1].kind not in _ENDINGS:
        return False
    query = sa.select(items.c.attempt, items.c.last_phone).where(items.c.id == report.item_id)
    row = tx.rows(query).one_or_none()
    return row is not None and row.attempt == report.attempt and row.last_phone == report.phone_id


@dataclass(slots=True)
class _Step:
    """One item while a report is applied. ``row`` is its row, ``changes`` what to write at the end; ``done``: which of
    the report's actions have a row that says finished, ``finished_rows`` those that are not written yet; ``seconds``:
    spent on the phone."""

    tx: Tx
    ledger: Ledger
    row: dict[str, Any]
    files: dict[str, StoredFile]
    effects: Effects
    done: set[int]
    finished_rows: list[Row] = field(default_factory=list)
    changes: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    ended: bool = False

    def apply(self, entry: Entry) -> None:
        if self.ended:
            return
        if entry.kind in _ENDINGS:
            self._write_finished()
        _APPLY[entry.kind](self, entry)

    def save(self, terms: leases.LeaseTerms) -> None:
        self._write_finished()
        if self.row["running_account"] is not None and self.seconds:
            add_usage(self.tx, self.row["running_account"], seconds=self.seconds)
            self.effects.used.add(self.row["running_account"])
        if not self.ended:
            self.changes["lease_until"] = leases.expires_at(self.tx.now, terms.seconds)
            self.changes["delivered"] = 1
        self.tx.rows(_CHANGE, {"which": self.row["id"], "number": self.row["attempt"], **self.changes})

    def _write_finished(self) -> None:
        """Before anything asks which actions have rows."""
        bulk.insert(self.tx, actions, self.finished_rows)
        self.finished_rows.clear()

    # -- entries --

    def started(self, _entry: Entry) -> None:
        if self._state is not ItemState.CLAIMED:
            return
        self._move(ItemEvent.START, "item.started")
        if self.row["started_at"] is None:
            self.changes["started_at"] = self.tx.now

    def action_started(self, entry: Entry) -> None:
        if entry.action is None:
            return
        self.changes["current_action"] = entry.action.kind.value
        if not entry.action.repeatable and not journal.has_row(self.tx, self.row["id"], entry.action.index):
            journal.write(self.tx, self.row, entry.action, journal.STARTED)
        if self.row["first_action_at"] is None:
            self.row["first_action_at"] = self.tx.now
            self.ledger.set(self.row["process_id"], first_action_at=self.tx.now)

    def action_finished(self, entry: Entry) -> None:
        action = entry.action
        if action is None or action.index in self.done:
            return
        self.done.add(action.index)
        self._keep(entry)
        self._timed(entry, "skipped" if entry.skipped else "finished")
        if action.repeatable:
            self.finished_rows.append(journal.new_row(self.tx, self.row, action, journal.FINISHED, entry))
        else:
            journal.write(self.tx, self.row, action, journal.FINISHED, entry)
        self.changes["current_action"] = None
        self._count("actions_done", 1)
        self._use(entry.seconds)
        data = {"index": action.index, "kind": action.kind.value, "attempt": self.row["attempt"]}
        kind = "action.skipped" if entry.skipped else "action.finished"
        self._event(kind, data={**data, **({"reason": entry.skipped} if entry.skipped else {})})

    def heartbeat(self, _entry: Entry) -> None:
        """Renewing the lease is what every report does."""

    def finished(self, _entry: Entry) -> None:
        self._end(ItemEvent.FINISH, "item.finished")
        self._count_phone("items_done")

    def cancelled(self, entry: Entry) -> None:
        """Only what a caller wanted cancelled can be; else the attempt was merely broken off."""
        if self.row["cancel"] is not None:
            self._use(entry.seconds)
            self._timed(entry, "cancelled")
            close_action(self.tx, self.ledger, self._now_row, entry.action, journal.INTERRUPTED)
            self._end(ItemEvent.CANCEL, "item.cancelled")
            return
        why = f": phone {self.row['wanted_why']}" if breaks_off(self.row["wanted_state"]) else ""
        error = ErrorInfo(code="interrupted", message=f"the session was broken off{why}", retryable=True)
        self.failed(replace(entry, error=error))

    def failed(self, entry: Entry) -> None:
        error = entry.error or ErrorInfo(code="internal_error", message="no reason given", retryable=True)
        self._keep(entry)
        self._use(entry.seconds)
        self._timed(entry, "failed")
        fail_item(self.tx, self.ledger, self._now_row, error, self.effects, self.changes, action=entry.action)
        self.ended = True
        self._count_phone("items_failed")

    # -- helpers --

    def _keep(self, entry: Entry) -> None:
        ids = {"process_id": self.row["process_id"], "item_id": self.row["id"], "phone_id": self.row["running_phone"]}
        for artifact in entry.artifacts:
            keep(self.tx, self.files[artifact.name], **ids)

    def _timed(self, entry: Entry, outcome: str) -> None:
        if entry.action is not None:
            self.tx.tally.observe(metrics.ACTION_SECONDS, entry.seconds, entry.action.kind.value, outcome)

    @property
    def _state(self) -> ItemState:
        return ItemState(self.changes.get("state", self.row["state"]))

    @property
    def _now_row(self) -> dict[str, Any]:
        """The row as it will be written."""
        return {**self.row, **self.changes}

    def _use(self, seconds: float) -> None:
        """Time spent on the phone counts to the session's budget and to the account's day."""
        self._count("seconds_used", seconds)
        self.seconds += seconds

    def _count(self, column: str, more: float) -> None:
        self.row[column] = self.row[column] + more
        self.changes[column] = self.row[column]

    def _count_phone(self, column: str) -> None:
        counter = phones.c[column]
        self.tx.rows(sa.update(phones).where(phones.c.id == self.row["last_phone"]).values({column: counter + 1}))

    def _move(self, event: ItemEvent, kind: str) -> None:
        before, after = self._state, item_target(event)
        self.changes["state"] = after.value
        self._event(kind, moved=(before.value, after.value), data={"attempt": self.row["attempt"]})

    def _end(self, event: ItemEvent, kind: str) -> None:
        if self._state not in item_sources(event):
            self._move(ItemEvent.START, "item.started")
        close_action(self.tx, self.ledger, self._now_row, None, journal.INTERRUPTED)
        self._move(event, kind)
        self.changes.update(release(self.tx, self.row, self.effects), finished_at=self.tx.now, error=None)
        self.ended = True

    def _event(self, kind: str, *, moved: tuple[str | None, str | None] = (None, None), data: dict[str, Any]) -> None:
        self.ledger.event(
            self.row["process_id"], kind, item_id=self.row["id"], phone_id=self.row["running_phone"], moved=moved,
            data=data,
        )  # fmt: skip


_APPLY: dict[EntryKind, Callable[[_Step, Entry], None]] = {
    EntryKind.STARTED: _Step.started,
    EntryKind.ACTION_STARTED: _Step.action_started,
    EntryKind.ACTION_FINISHED: _Step.action_finished,
    EntryKind.HEARTBEAT: _Step.heartbeat,
    EntryKind.FINISHED: _Step.finished,
    EntryKind.FAILED: _Step.failed,
    EntryKind.CANCELLED: _Step.cancelled,
}


def release(tx: Tx, row: dict[str, Any], effects: Effects) -> dict[str, Any]:
    """The columns that set an item's phone and account free; the phone becomes available again, or
    what an operator wants it to be."""
    phone_id = row["running_phone"]
    effects.freed.append(phone_id)
    effects.phones += settle(tx, phone_id)
    if row["running_account"] is not None:
        effects.used.add(row["running_account"])
    return {"running_phone": None, "running_account": None, "lease_until": None, "current_action": None}


def fail_item(
    tx: Tx,
    ledger: Ledger,
    row: dict[str, Any],
    error: ErrorInfo,
    effects: Effects,
    changes: dict[str, Any],
    *,
    action: Action | None = None,
) -> None:
    """A running attempt failed: retry, dead letter, or cancelled if that was asked. Fills ``changes``.

    ``action``: the one that was under way, if the phone said so. What must not be repeated and was started ends the
    item (rule R4)."""
    started = journal.open_action(tx, row)
    error = _once(error, started)
    decision = retries.after_failure(
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        retryable=error.retryable,
        cancel_requested=row["cancel"] is not None,
        action_open=started is not None,
    )
    before, after = ItemState(row["state"]), item_target(decision.event)
    if after is not ItemState.RETRYABLE:
        known = error.definite or (action is not None and started is None and after is ItemState.DEAD_LETTER)
        status = journal.FAILED if known else journal.INTERRUPTED
        close_action(tx, ledger, row, action or journal.under_way(tx, row), status)
    detail = error_json(row, error, tx.now)
    changes.update(release(tx, row, effects), state=after.value, error=detail)
    if after is ItemState.RETRYABLE:
        changes["ready_at"] = leases.expires_at(tx.now, decision.delay)
        effects.waiting.append(waiting_item({**row, **changes}))
    else:
        changes["finished_at"] = tx.now
    ledger.set(row["process_id"], error=detail)
    ledger.event(
        row["process_id"], f"item.{_ENDED[after]}", item_id=row["id"], phone_id=row["running_phone"],
        moved=(before.value, after.value), data={"attempt": row["attempt"], "error": detail},
    )  # fmt: skip


def _once(error: ErrorInfo, started: Action | None) -> ErrorInfo:
    """The error of an attempt that ended in the middle of what must not be repeated: not to be retried."""
    if started is None:
        return error
    named = replace(error, retryable=False, action=error.action or started.kind.value)
    if error.definite:
        return named
    message = f"{started.kind.value} was started, whether it took effect is not known, and it is not done again"
    return replace(named, code="interrupted", message=f"{message} ({error.message})")


def close_action(tx: Tx, ledger: Ledger, row: dict[str, Any], action: Action | None, status: str) -> None:
    """An item ends in the middle of an action: its row says so. ``action`` is the one that was under way; what was
    written ahead is known anyway."""
    started = journal.open_action(tx, row)
    ending = started or action
    if ending is None or (started is None and journal.has_row(tx, row["id"], ending.index)):
        return
    journal.write(tx, row, ending, status)
    data = {"index": ending.index, "kind": ending.kind.value, "attempt": row["attempt"]}
    ledger.event(
        row["process_id"], f"action.{status}", item_id=row["id"], phone_id=row["running_phone"], data=data
    )  # fmt: skip


_ENDED = {ItemState.RETRYABLE: "interrupted", ItemState.DEAD_LETTER: "failed", ItemState.CANCELLED: "cancelled"}


def error_json(row: dict[str, Any], error: ErrorInfo, now: int) -> dict[str, Any]:
    """The ``error`` object of contract section 6."""
    return {
        "code": error.code,
        "message": error.message,
        "retryable": error.retryable,
        "queue_item_id": row["id"],
        "phone_id": row["running_phone"],
        "attempt": row["attempt"],
        "action": error.action or row["current_action"],
        "at": rfc3339(now),
    }
