"""Cancelling a process: what waits ends now, what runs is asked to stop.

The request is kept on each running item (columns, not a state), so it survives anybody's restart: it goes to
the phone at once, and again with the answer to every report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from phonefarm.core import lifecycle
from phonefarm.core.lifecycle import ItemEvent, item_target
from phonefarm.errors import NotFound
from phonefarm.models.process import CancelAnswer, CancelCommand, CancelStatus
from phonefarm.models.session import CancelOrder
from phonefarm.models.states import CancelStrategy, ItemState, Milestone, ProcessState
from phonefarm.store.claim import cancel_order
from phonefarm.store.ledger import Ledger
from phonefarm.store.tables import items, processes
from phonefarm.store.writer import Row, Tx


@dataclass(slots=True)
class CancelEffects:
    """``orders``: (phone, item, attempt, order) for the phones; ``gone``: items that wait no more."""

    orders: list[tuple[str, str, int, CancelOrder]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    callbacks: bool = False


def cancel(tx: Tx, command: CancelCommand, new_id: Callable[[], str]) -> tuple[CancelAnswer, CancelEffects]:
    """Cancel a process. Asking again is harmless. Raises NotFound."""
    process = tx.rows(sa.select(processes).where(processes.c.id == command.process_id)).mappings().one_or_none()
    if process is None:
        raise NotFound("unknown_process", f"unknown_process:{command.process_id}")
    state = ProcessState(process["state"])
    if state in lifecycle.PROCESS_FINAL:
        return _answer(command, CancelStatus.IGNORED, state), CancelEffects()
    ledger = Ledger(tx, new_id)
    first = process["cancel_requested_at"] is None
    if first:
        _announce(ledger, command, tx.now)
    request = _request(command)
    effects = CancelEffects()
    stopped = _stop_waiting(tx, ledger, command.process_id, effects)
    active = _ask_running(tx, command.process_id, request, effects)
    effects.callbacks = ledger.flush()
    after = tx.rows(sa.select(processes.c.state).where(processes.c.id == command.process_id)).scalar_one()
    answer = _answer(command, CancelStatus.REQUESTED, ProcessState(after), cancelled=stopped, active=active)
    return answer, effects


def _request(command: CancelCommand) -> dict[str, Any]:
    return {
        "strategy": command.strategy.value,
        "force_after_seconds": command.force_after_seconds,
        "reason": command.reason,
        "requested_by": dict(command.requested_by),
    }


def _announce(ledger: Ledger, command: CancelCommand, now: int) -> None:
    request = _request(command)
    ledger.set(command.process_id, cancel_requested_at=now, cancel=request)
    ledger.event(command.process_id, "process.cancel_requested", data=request)
    ledger.announce(command.process_id, Milestone.CANCEL_REQUESTED)


def _stop_waiting(tx: Tx, ledger: Ledger, process_id: str, effects: CancelEffects) -> list[str]:
    waiting = [s.value for s in sorted(lifecycle.ITEM_WAITING)]
    query = sa.select(items.c.id, items.c.state).where(items.c.process_id == process_id, items.c.state.in_(waiting))
    rows = tx.tuples(query.order_by(items.c.ordinal))
    for item_id, state in rows:
        target = item_target(ItemEvent.CANCEL)
        ledger.event(process_id, "item.cancelled", item_id=item_id, moved=(state, target.value))
    stopped = [item_id for item_id, _ in rows]
    if stopped:
        change = {"state": ItemState.CANCELLED.value, "finished_at": tx.now, "cancel_requested_at": tx.now}
        tx.rows(sa.update(items).where(items.c.id.in_(stopped), items.c.state.in_(waiting)).values(**change))
    effects.gone += stopped
    return stopped


def _ask_running(tx: Tx, process_id: str, request: dict[str, Any], effects: CancelEffects) -> list[Row]:
    running = [s.value for s in sorted(lifecycle.ITEM_RUNNING)]
    here = (items.c.process_id == process_id, items.c.state.in_(running))
    rows = tx.maps(sa.select(items).where(*here).order_by(items.c.ordinal))
    if rows:
        tx.rows(sa.update(items).where(*here).values(cancel=request, cancel_requested_at=tx.now))
    for row in rows:
        order = cancel_order(request)
        assert order is not None
        effects.orders.append((row["running_phone"], row["id"], row["attempt"], order))
    return rows


def _answer(
    command: CancelCommand,
    status: CancelStatus,
    state: ProcessState,
    *,
    cancelled: list[str] | None = None,
    active: list[Row] | None = None,
) -> CancelAnswer:
    rows = active or []
    first = rows[0] if rows else None
    target = first and {
        "process_id": command.process_id,
        "phone_id": first["running_phone"],
        "account_id": first["running_account"],
        "queue_item_id": first["id"],
        "capability_request_id": command.process_id,
    }
    return CancelAnswer(
        status=status,
        process_id=command.process_id,
        process_status=lifecycle.public_status(state),
        cancelled_queue_item_ids=tuple(cancelled or ()),
        active_queue_item_ids=tuple(row["id"] for row in rows),
        active_target=target,
        terminate_issued=bool(rows) and command.strategy is CancelStrategy.HARD,
    )
