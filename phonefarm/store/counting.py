"""What a transaction would count if it commits: into the tally of its ``Tx``, which the writer adds up afterwards.

How many processes, items and callbacks are in which state is not counted by looking at all of them: it is counted once,
when a manager starts, and after that each change says what it moved. Only one manager writes, so its numbers are exact;
after a commit of which nobody knows whether it happened they are counted anew (``recount``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from phonefarm.core import lifecycle, metrics
from phonefarm.core.metrics import Metric
from phonefarm.core.tally import Tally
from phonefarm.models.outbox import CallbackState
from phonefarm.models.states import ItemState, ProcessState, PublicStatus
from phonefarm.store import tables
from phonefarm.store.writer import Tx

_RUNNING = frozenset(state.value for state in lifecycle.ITEM_RUNNING)
_HOW = {"item.finished": "finished", "item.interrupted": "retrying", "item.failed": "dead_letter"}


def item_event(tally: Tally, kind: str, moved: tuple[str | None, str | None], data: Mapping[str, Any] | None) -> None:
    """An item moved, as its history says it."""
    before, after = moved
    if before is None or after is None:
        return
    moves(tally, metrics.ITEMS, before, after)
    code = str(((data or {}).get("error") or {}).get("code", ""))
    outcome = "cancelled" if kind == "item.cancelled" and before in _RUNNING else _HOW.get(kind)
    if outcome is not None:
        tally.add(metrics.ATTEMPTS, outcome)
    if code and before in _RUNNING:
        tally.add(metrics.ATTEMPT_ERRORS, code)
    if code == "lease_expired":
        tally.add(metrics.LEASES_EXPIRED)
    if after == ItemState.DEAD_LETTER.value:
        tally.add(metrics.DEAD_LETTERS, code)


def process_moved(tally: Tally, before: ProcessState, after: ProcessState) -> None:
    moves(tally, metrics.PROCESSES, lifecycle.public_status(before).value, lifecycle.public_status(after).value)


def moves(tally: Tally, metric: Metric, before: str, after: str, number: int = 1) -> None:
    """So many changed from one state to another."""
    if number and before != after:
        tally.add(metric, before, by=-number)
        tally.add(metric, after, by=number)


def begun(tally: Tally, capabilities: Iterable[str], *, items: int, callbacks: int) -> None:
    """Processes were accepted, one a capability, with all their items and first callbacks."""
    for capability in capabilities:
        tally.add(metrics.REQUESTS, capability, "accepted")
        tally.add(metrics.PROCESSES, PublicStatus.QUEUED.value)
    tally.add(metrics.ITEMS, ItemState.QUEUED.value, by=items)
    announced(tally, callbacks)


def announced(tally: Tally, number: int) -> None:
    """Callbacks were put into the outbox."""
    tally.add(metrics.CALLBACKS, CallbackState.PENDING.value, by=number)


def forgotten(tx: Tx, process_ids: list[str]) -> None:
    """Processes are about to be deleted, with all that belongs to them."""
    for metric, states in _counts(tx, process_ids).items():
        for state, number in states.items():
            tx.tally.add(metric, state, by=-number)


def recount(tx: Tx) -> None:
    """Count what there is, whatever was counted before."""
    for metric, states in _counts(tx, None).items():
        for state, number in states.items():
            tx.tally.set(metric, number, state)


def _counts(tx: Tx, process_ids: list[str] | None) -> dict[Metric, dict[str, int]]:
    processes = _by_state(tx, tables.processes, tables.processes.c.id, process_ids)
    public: dict[str, int] = dict.fromkeys(_names(PublicStatus), 0)
    for state, number in processes.items():
        public[lifecycle.public_status(ProcessState(state)).value] += number
    items = _by_state(tx, tables.items, tables.items.c.process_id, process_ids)
    callbacks = _by_state(tx, tables.outbox, tables.outbox.c.process_id, process_ids)
    return {
        metrics.PROCESSES: public,
        metrics.ITEMS: dict.fromkeys(_names(ItemState), 0) | items,
        metrics.CALLBACKS: dict.fromkeys(_names(CallbackState), 0) | callbacks,
    }


def _by_state(tx: Tx, table: sa.Table, of: sa.Column[Any], process_ids: list[str] | None) -> dict[str, int]:
    query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
    if process_ids is not None:
        query = query.where(of.in_(process_ids))
    return {str(state): int(number) for state, number in tx.tuples(query)}


def _names(states: type[StrEnum]) -> list[str]:
    return [state.value for state in states]
