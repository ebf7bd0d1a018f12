"""History, derived states and callbacks of one transaction.

Changes say what happened (``event``) and which process it concerns. ``flush``, once at the end, derives each
touched process's state from its items, writes its row, numbers and inserts the history, and puts the callback
of every milestone into the outbox: state, history and outbox in one transaction (rule R5).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from phonefarm.core import lifecycle
from phonefarm.models.clock import rfc3339
from phonefarm.models.outbox import CallbackState, nobody_listens
from phonefarm.models.states import ItemState, Milestone, ProcessState
from phonefarm.store import bulk, counting
from phonefarm.store.tables import events, items, outbox, processes
from phonefarm.store.writer import Row, Tx

#: Of processes only what is needed here: what callers sent with them is long.
_TOUCHED = sa.select(
    processes.c.id, processes.c.process_type, processes.c.request_id, processes.c.state, processes.c.callback,
    processes.c.event_seq, processes.c.callback_seq, processes.c.executing_at,
).where(processes.c.id.in_(sa.bindparam("ids", expanding=True)))  # fmt: skip
#: Sets the columns that are among its parameters.
_CHANGE = sa.update(processes).where(processes.c.id == sa.bindparam("which"))
_ITEMS = (
    sa.select(
        items.c.state, items.c.attempt,
        sa.func.count(), sa.func.sum(items.c.actions_total), sa.func.sum(items.c.actions_done),
    )
    .where(items.c.process_id == sa.bindparam("process"))
    .group_by(items.c.state, items.c.attempt)
)  # fmt: skip


@dataclass(slots=True)
class _Record:
    """A process touched in this transaction. ``before`` None: it is inserted here."""

    process_id: str
    history: list[dict[str, Any]] = field(default_factory=list)
    milestones: list[Milestone] = field(default_factory=list)
    columns: dict[str, Any] = field(default_factory=dict)


class Ledger:
    """Collects what a transaction did to processes. ``new_id`` makes event ids."""

    def __init__(self, tx: Tx, new_id: Callable[[], str]) -> None:
        self._tx = tx
        self._new_id = new_id
        self._records: dict[str, _Record] = {}

    def event(
        self,
        process_id: str,
        kind: str,
        *,
        item_id: str | None = None,
        phone_id: str | None = None,
        moved: tuple[str | None, str | None] = (None, None),
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Something happened to a process or one of its items. ``moved``: (from, to) states."""
        if item_id is not None:
            counting.item_event(self._tx.tally, kind, moved, data)
        self._record(process_id).history.append(
            {
                "kind": kind,
                "item_id": item_id,
                "phone_id": phone_id,
                "from_state": moved[0],
                "to_state": moved[1],
                "data": dict(data) if data else None,
            }
        )

    def announce(self, process_id: str, milestone: Milestone) -> None:
        """A milestone that is not a change of state (``cancel_requested``)."""
        self._record(process_id).milestones.append(milestone)

    def set(self, process_id: str, **columns: Any) -> None:
        """Columns of the process row to write with everything else."""
        self._record(process_id).columns.update(columns)

    def flush(self) -> bool:
        """Write it all. True if a callback was put into the outbox."""
        if not self._records:
            return False
        rows = self._load()
        history: list[dict[str, Any]] = []
        callbacks: list[dict[str, Any]] = []
        updates: list[dict[str, Any]] = []
        for record in self._records.values():
            _Settler(self, record, rows[record.process_id]).settle(history, callbacks, updates)
        self._write(history, callbacks, updates)
        self._tx.touched.update(self._records)
        self._records.clear()
        return bool(callbacks)

    # -- inside --

    def _record(self, process_id: str) -> _Record:
        return self._records.setdefault(process_id, _Record(process_id=process_id))

    def _load(self) -> dict[str, Row]:
        return {row["id"]: row for row in self._tx.maps(_TOUCHED, {"ids": list(self._records)})}

    def _write(self, history: list[Any], callbacks: list[Any], updates: list[dict[str, Any]]) -> None:
        for values in updates:
            self._tx.rows(_CHANGE, {"which": values.pop("id"), **values})
        bulk.insert(self._tx, events, history)
        if callbacks:
            bulk.insert(self._tx, outbox, callbacks)
            counting.announced(self._tx.tally, len(callbacks))

    @property
    def tx(self) -> Tx:
        return self._tx

    def make_id(self) -> str:
        return self._new_id()


class _Settler:
    """Settles one process: its state, its history numbers, its callbacks."""

    def __init__(self, ledger: Ledger, record: _Record, row: Row) -> None:
        self._ledger = ledger
        self._record = record
        self._row = row
        self._now = ledger.tx.now
        self._before = ProcessState(row["state"])
        self._columns = dict(record.columns)

    @functools.cached_property
    def _items(self) -> list[tuple[ItemState, int, int, int, int]]:
        """The process's items as (state, attempt, items, actions, actions done) groups."""
        groups = self._ledger.tx.tuples(_ITEMS, {"process": self._record.process_id})
        return [(ItemState(s), attempt, int(n), int(total), int(done)) for s, attempt, n, total, done in groups]

    def settle(self, history: list[Any], callbacks: list[Any], updates: list[dict[str, Any]]) -> None:
        state = self._derive() if self._moved() else self._before
        announced = [(milestone, state) for milestone in self._record.milestones]
        at = self._before
        for step in lifecycle.process_path(self._before, state):
            self._move(at, step)
            milestone = lifecycle.milestone(at, step)
            announced += [(milestone, step)] if milestone is not None else []
            at = step
        history += self._history()
        callbacks += self._callbacks(announced)
        self._columns["event_seq"] = self._row["event_seq"] + len(self._record.history)
        self._columns["callback_seq"] = self._row["callback_seq"] + len(announced)
        updates.append({"id": self._record.process_id, **self._columns})

    def _moved(self) -> bool:
        """Whether an item may have changed its state; what actions did changes none."""
        return bool(self._record.milestones) or any(entry["to_state"] is not None for entry in self._record.history)

    def _derive(self) -> ProcessState:
        if self._before in lifecycle.PROCESS_FINAL:
            return self._before
        return lifecycle.process_state([(state, attempt) for state, attempt, *_ in self._items])

    def _move(self, before: ProcessState, state: ProcessState) -> None:
        self._columns["state"] = state.value
        counting.process_moved(self._ledger.tx.tally, before, state)
        if state is ProcessState.EXECUTING and self._row["executing_at"] is None:
            self._columns["executing_at"] = self._now
        if state is ProcessState.RETRYABLE:
            self._columns["retrying_at"] = self._now
        if state in lifecycle.PROCESS_FINAL:
            self._columns["finished_at"] = self._now
        if state is ProcessState.DONE:
            self._columns["error"] = None
        self._record.history.append(_moved(before, state))

    def _history(self) -> list[dict[str, Any]]:
        first = self._row["event_seq"] + 1
        return [
            {
                **entry,
                "process_id": self._record.process_id,
                "sequence": number,
                "id": self._ledger.make_id(),
                "at": self._now,
            }
            for number, entry in enumerate(self._record.history, start=first)
        ]

    def _callbacks(self, announced: list[tuple[Milestone, ProcessState]]) -> list[dict[str, Any]]:
        if not announced or nobody_listens(self._row["callback"]["url"]):
            return []
        counted = progress([(state, n, total, done) for state, _, n, total, done in self._items])
        first = self._row["callback_seq"] + 1
        return [
            outbox_row(
                self._row,
                event_id=self._ledger.make_id(),
                sequence=number,
                milestone=milestone,
                status=lifecycle.public_status(state).value,
                outcome=self._outcome(state),
                progress=counted,
                now=self._now,
            )
            for number, (milestone, state) in enumerate(announced, start=first)
        ]

    def _outcome(self, state: ProcessState) -> str | None:
        codes = dead_codes(self._ledger.tx, self._record.process_id) if state is ProcessState.DEAD_LETTER else ()
        outcome = lifecycle.outcome(state, codes)
        return outcome.value if outcome else None


def _moved(before: ProcessState, after: ProcessState) -> dict[str, Any]:
    return {
        "kind": f"process.{_PAST[after]}",
        "item_id": None,
        "phone_id": None,
        "from_state": before.value,
        "to_state": after.value,
        "data": None,
    }


_PAST: Mapping[ProcessState, str] = {
    ProcessState.QUEUED: "queued",
    ProcessState.PLANNED: "planned",
    ProcessState.EXECUTING: "started",
    ProcessState.RETRYABLE: "interrupted",
    ProcessState.DONE: "completed",
    ProcessState.PARTIAL: "partly_completed",
    ProcessState.DEAD_LETTER: "failed",
    ProcessState.CANCELLED: "cancelled",
}


def outbox_row(
    process: Mapping[str, Any],
    *,
    event_id: str,
    sequence: int,
    milestone: Milestone,
    status: str,
    outcome: str | None,
    progress: Mapping[str, int],
    now: int,
) -> dict[str, Any]:
    """A callback ready to send: its body is fixed here, so every attempt signs the same bytes."""
    body = {
        "event_type": "process.updated",
        "event_id": event_id,
        "sequence": sequence,
        "milestone": milestone.value,
        "emitted_at": rfc3339(now),
        "metadata": process["callback"].get("metadata", {}),
        "process": {
            "process_id": process["id"],
            "process_type": process["process_type"],
            "request_id": process["request_id"],
            "status": status,
            "outcome": outcome,
            "partial_progress": dict(progress),
        },
    }
    return {
        "id": event_id,
        "process_id": process["id"],
        "sequence": sequence,
        "milestone": milestone.value,
        "url": process["callback"]["url"],
        "body": json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        "state": CallbackState.PENDING.value,
        "attempts": 0,
        "created_at": now,
        "due_at": now,
    }


def progress(groups: list[tuple[ItemState, int, int, int]]) -> dict[str, int]:
    """``partial_progress`` from (state, items, actions, actions done) groups."""
    count = {state: sum(n for s, n, _, _ in groups if s is state) for state in ItemState}
    total = sum(group[2] for group in groups)
    done = sum(group[3] for group in groups)
    return {
        "items_total": sum(group[1] for group in groups),
        "items_done": count[ItemState.DONE],
        "items_failed": count[ItemState.DEAD_LETTER],
        "items_cancelled": count[ItemState.CANCELLED],
        "actions_total": total,
        "actions_done": done,
        "percent": 100 * done // total if total else 0,
    }


def dead_codes(tx: Tx, process_id: str) -> list[str]:
    """Error codes of the dead items of a process."""
    query = sa.select(items.c.error).where(
        items.c.process_id == process_id, items.c.state == ItemState.DEAD_LETTER.value
    )
    return [str(error["code"]) for (error,) in tx.tuples(query) if error]
