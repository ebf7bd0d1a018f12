"""Accepting submissions: look keys up, then insert processes, items, history and the first callback.

A key that exists is answered first, so that a duplicate answers even when its target could no longer be resolved. The
look-up and the insert are one transaction, and the insert is guarded by the unique key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.core import lifecycle
from phonefarm.errors import Conflict, RequestError
from phonefarm.models.outbox import nobody_listens
from phonefarm.models.process import Accepted, ResolvedItem, Submission, SubmitOutcome
from phonefarm.models.queue import WaitingItem
from phonefarm.models.states import ItemState, Milestone, ProcessState, PublicStatus
from phonefarm.store import bulk, counting
from phonefarm.store.ledger import outbox_row, progress
from phonefarm.store.tables import events, items, outbox, processes
from phonefarm.store.writer import Tx
from phonefarm.tracing import TRACEPARENT

Key = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A process that already has a key."""

    process_id: str
    fingerprint: str
    canonical: Mapping[str, Any]
    state: ProcessState


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A submission with its items and the length of each item's plan."""

    submission: Submission
    items: Sequence[ResolvedItem]
    actions_total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A submission that is answered with ``error``, unless it is a duplicate of one that was accepted."""

    submission: Submission
    error: RequestError


def fingerprint(canonical: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of what a repeated request must repeat."""
    text = json.dumps(canonical, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def find_keys(connection: Connection, keys: Sequence[Key]) -> dict[Key, Known]:
    """The processes that hold any of ``keys``. One query a (process_type, system), so that the key's index serves:
    SQLite scans the table for an IN over whole keys."""
    by_caller: dict[tuple[str, str], list[str]] = {}
    for process_type, system, request_id in keys:
        by_caller.setdefault((process_type, system), []).append(request_id)
    found: dict[Key, Known] = {}
    for (process_type, system), request_ids in by_caller.items():
        values = {"wanted_type": process_type, "wanted_system": system, "wanted_ids": request_ids}
        for row in connection.execute(_KEY_QUERY, values):
            found[(process_type, system, row.request_id)] = Known(
                process_id=row.id, fingerprint=row.fingerprint, canonical=row.canonical, state=ProcessState(row.state)
            )
    return found


_KEY_QUERY = sa.select(
    processes.c.request_id, processes.c.id, processes.c.fingerprint, processes.c.canonical, processes.c.state
).where(
    processes.c.process_type == sa.bindparam("wanted_type"),
    processes.c.system == sa.bindparam("wanted_system"),
    processes.c.request_id.in_(sa.bindparam("wanted_ids", expanding=True)),
)


def answer_known(submission: Submission, known: Known) -> SubmitOutcome:
    """What a submission gets whose key exists: duplicate (200), conflict (409), or, its own earlier try, 202."""
    canonical = submission.canonical()
    if fingerprint(canonical) != known.fingerprint:
        return _key_reused(canonical, known)
    return Accepted(
        process_id=known.process_id,
        request_id=submission.request_id,
        process_type=submission.capability.value,
        duplicate=known.process_id != submission.process_id,
        status=lifecycle.public_status(known.state),
        replay_of=submission.replay_of,
    )


def _key_reused(canonical: Mapping[str, Any], known: Known) -> Conflict:
    differs = list(_differences(canonical, known.canonical))
    return Conflict(
        "idempotency_key_reused",
        f"idempotency_key_reused:{','.join(differs)}",
        extra={"process_id": known.process_id, "differs": differs},
    )


def _differences(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[str]:
    for name in new:
        if isinstance(new[name], Mapping) and isinstance(old.get(name), Mapping):
            keys = sorted({*new[name], *old[name]})
            yield from (f"{name}.{key}" for key in keys if new[name].get(key) != old[name].get(key))
        elif new[name] != old.get(name):
            yield name


def accept(
    tx: Tx, batch: Sequence[Planned | Refused], new_id: Callable[[], str]
) -> tuple[list[SubmitOutcome], list[WaitingItem]]:
    """Insert what is new of ``batch`` and not refused; answer each. Also the items that now wait."""
    known = find_keys(tx.connection, [p.submission.key for p in batch])
    rows = _Rows(tx.now, new_id)
    outcomes: list[SubmitOutcome] = []
    for asked in batch:
        submission = asked.submission
        if (earlier := known.get(submission.key)) is not None:
            outcomes.append(answer_known(submission, earlier))
        elif isinstance(asked, Refused):
            outcomes.append(asked.error)
        else:
            known[submission.key] = rows.add(asked)
            outcomes.append(_accepted(submission))
    rows.insert(tx)
    tx.touched.update(item.process_id for item in rows.waiting)
    return outcomes, rows.waiting


def refuse(connection: Connection, batch: Sequence[Refused]) -> list[SubmitOutcome]:
    """The answers of ``accept`` where there is nothing to insert."""
    known = find_keys(connection, [one.submission.key for one in batch])
    answers = ((one, known.get(one.submission.key)) for one in batch)
    return [one.error if earlier is None else answer_known(one.submission, earlier) for one, earlier in answers]


def _accepted(submission: Submission) -> Accepted:
    return Accepted(
        process_id=submission.process_id,
        request_id=submission.request_id,
        process_type=submission.capability.value,
        status=PublicStatus.QUEUED,
        replay_of=submission.replay_of,
    )


class _Rows:
    """The rows of a batch, inserted table by table."""

    def __init__(self, now: int, new_id: Callable[[], str]) -> None:
        self._now = now
        self._new_id = new_id
        self._processes: list[dict[str, Any]] = []
        self._items: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._outbox: list[dict[str, Any]] = []
        self.waiting: list[WaitingItem] = []

    def add(self, planned: Planned) -> Known:
        process = self._process(planned.submission)
        self._processes.append(process)
        for ordinal, item in enumerate(planned.items):
            self._item(planned, item, ordinal)
        self._event(process["id"], planned.submission.trace)
        self._callback(process, planned)
        return Known(
            process_id=process["id"],
            fingerprint=process["fingerprint"],
            canonical=process["canonical"],
            state=ProcessState.QUEUED,
        )

    def insert(self, tx: Tx) -> None:
        bulk.insert_all(
            tx,
            [(processes, self._processes), (items, self._items), (events, self._events), (outbox, self._outbox)],
        )
        if self._processes:
            capabilities = [row["process_type"] for row in self._processes]
            counting.begun(tx.tally, capabilities, items=len(self._items), callbacks=len(self._outbox))

    def _process(self, submission: Submission) -> dict[str, Any]:
        canonical = submission.canonical()
        return {
            "id": submission.process_id,
            "process_type": submission.capability.value,
            "system": submission.system,
            "request_id": submission.request_id,
            "mode": submission.mode.value,
            "routing": submission.target.routing.value,
            "state": ProcessState.QUEUED.value,
            "target": submission.target.as_json(),
            "inputs": dict(submission.inputs),
            "options": submission.options.as_json(),
            "requested_by": dict(submission.requested_by),
            "callback": dict(submission.callback),
            "canonical": canonical,
            "fingerprint": fingerprint(canonical),
            "event_seq": 1,
            "callback_seq": 1,
            "replay_of": submission.replay_of,
            "created_at": self._now,
            "accepted_at": self._now,
            "queued_at": self._now,
        }

    def _item(self, planned: Planned, item: ResolvedItem, ordinal: int) -> None:
        options = planned.submission.options
        item_id = self._new_id()
        ready_at = options.not_before or self._now
        row = {
            "id": item_id,
            "process_id": planned.submission.process_id,
            "ordinal": ordinal,
            "state": ItemState.QUEUED.value,
            "attempt": 0,
            "max_attempts": options.max_attempts,
            "priority": options.priority,
            "phone_id": item.phone_id,
            "account_id": item.account_id,
            "phone_group": item.phone_group,
            "account_group": item.account_group,
            "actions_total": planned.actions_total,
            "ready_at": ready_at,
            "expires_at": options.expires_at,
            "created_at": self._now,
        }
        self._items.append(row)
        self.waiting.append(waiting_item(row))

    def _event(self, process_id: str, trace: str | None) -> None:
        self._events.append(
            {
                "process_id": process_id,
                "sequence": 1,
                "id": self._new_id(),
                "at": self._now,
                "kind": "process.accepted",
                "to_state": ProcessState.QUEUED.value,
                "data": {TRACEPARENT: trace} if trace is not None else None,
            }
        )

    def _callback(self, process: Mapping[str, Any], planned: Planned) -> None:
        if nobody_listens(process["callback"]["url"]):
            return
        count = len(planned.items)
        self._outbox.append(
            outbox_row(
                process,
                event_id=self._new_id(),
                sequence=1,
                milestone=Milestone.ACCEPTED,
                status=PublicStatus.QUEUED.value,
                outcome=None,
                progress=progress([(ItemState.QUEUED, count, count * planned.actions_total, 0)]),
                now=self._now,
            )
        )


def waiting_item(row: Mapping[str, Any]) -> WaitingItem:
    """An item row as the router sees it."""
    return WaitingItem(
        item_id=row["id"],
        process_id=row["process_id"],
        priority=row["priority"],
        created_at=row["created_at"],
        phone_id=row["phone_id"],
        account_id=row["account_id"],
        phone_group=row["phone_group"],
        account_group=row["account_group"],
        ready_at=row["ready_at"],
        attempt=row["attempt"],
        last_phone=row.get("last_phone"),
    )
