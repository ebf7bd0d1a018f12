"""The outbox: which callbacks are due, and what came of them.

In order for each process: only the oldest pending event of a process is ever due, so an event waits for the
one before it whatever the sender does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from phonefarm.core import metrics
from phonefarm.errors import NotFound
from phonefarm.models.outbox import CallbackState, Delivery, DueCallback
from phonefarm.store import counting
from phonefarm.store.ledger import Ledger
from phonefarm.store.lists import callback_view
from phonefarm.store.tables import outbox, processes
from phonefarm.store.writer import Row, Tx

_PENDING = CallbackState.PENDING.value


def due(tx: Tx, limit: int) -> tuple[list[DueCallback], float | None]:
    """Callbacks to send now, oldest first; seconds until the next becomes due (None: nothing is pending)."""
    earlier = outbox.alias()
    blocked = (
        sa.select(earlier.c.id)
        .where(
            earlier.c.process_id == outbox.c.process_id,
            earlier.c.sequence < outbox.c.sequence,
            earlier.c.state == _PENDING,
        )
        .exists()
    )
    heads = sa.select(outbox).where(outbox.c.state == _PENDING, ~blocked)
    rows = tx.maps(heads.where(outbox.c.due_at <= tx.now).order_by(outbox.c.due_at, outbox.c.id).limit(limit))
    found = [
        DueCallback(
            event_id=row["id"],
            process_id=row["process_id"],
            sequence=row["sequence"],
            url=row["url"],
            body=row["body"].encode(),
            attempts=row["attempts"],
        )
        for row in rows
    ]
    # in the index's order and only the first, so that the cost does not grow with what is pending
    next_due = sa.select(outbox.c.due_at).where(outbox.c.state == _PENDING, outbox.c.due_at > tx.now, ~blocked)
    later = tx.rows(next_due.order_by(outbox.c.due_at).limit(1)).scalar_one_or_none()
    return found, None if later is None else (later - tx.now) / 1000


def done(tx: Tx, deliveries: Sequence[Delivery], new_id: Callable[[], str]) -> None:
    """Write what came of deliveries. One already settled is left as it is, and an attempt counts once, however often
    it is reported."""
    ledger = Ledger(tx, new_id)
    for delivery in deliveries:
        _settle(tx, delivery, ledger)
    ledger.flush()


def redeliver(tx: Tx, event_id: str, new_id: Callable[[], str], *, system: str | None) -> dict[str, Any]:
    """A callback from the start: pending, due now. Its process's later ones wait for it again. Raises NotFound."""
    row = _found(tx, event_id, system)
    counting.moves(tx.tally, metrics.CALLBACKS, row["state"], _PENDING)
    if row["state"] != _PENDING:
        ledger = Ledger(tx, new_id)
        ledger.event(row["process_id"], "callback.redelivered", data={"event_id": event_id, "was": row["state"]})
        ledger.flush()
    fresh = {"state": _PENDING, "attempts": 0, "due_at": tx.now, "delivered_at": None, "error": None}
    tx.rows(sa.update(outbox).where(outbox.c.id == event_id).values(**fresh, http_status=None))
    return callback_view(_found(tx, event_id, system))


def _found(tx: Tx, event_id: str, system: str | None) -> Row:
    query = sa.select(outbox, processes.c.system).join(processes, processes.c.id == outbox.c.process_id)
    row = next(iter(tx.maps(query.where(outbox.c.id == event_id))), None)
    if row is None or system not in (None, row["system"]):
        raise NotFound("unknown_callback", f"unknown_callback:{event_id}")
    return row


def _settle(tx: Tx, delivery: Delivery, ledger: Ledger) -> None:
    values = {
        "state": delivery.state.value,
        "attempts": delivery.attempts + 1,
        "http_status": delivery.http_status,
        "error": delivery.error,
        "delivered_at": tx.now if delivery.state is CallbackState.DELIVERED else None,
        "due_at": tx.now + round((delivery.retry_in or 0.0) * 1000),
    }
    here = (outbox.c.id == delivery.event_id, outbox.c.state == _PENDING, outbox.c.attempts == delivery.attempts)
    settled = sa.update(outbox).where(*here).values(**values).returning(outbox.c.created_at)
    created_at = tx.rows(settled).scalar_one_or_none()
    if created_at is None:
        return
    _counted(tx, delivery.state, created_at)
    if delivery.gone:
        later = (outbox.c.process_id == delivery.process_id, outbox.c.state == _PENDING)
        dead = sa.update(outbox).where(*later).values(state=CallbackState.DEAD.value, error="receiver_gone")
        counting.moves(tx.tally, metrics.CALLBACKS, _PENDING, CallbackState.DEAD.value, tx.rows(dead).rowcount)
    if delivery.state is not CallbackState.PENDING:
        data = {"event_id": delivery.event_id, "http_status": delivery.http_status, "error": delivery.error}
        kind = "callback.delivered" if delivery.state is CallbackState.DELIVERED else "callback.died"
        ledger.event(delivery.process_id, kind, data=data)


_OUTCOMES = {CallbackState.PENDING: "retrying", CallbackState.DELIVERED: "delivered", CallbackState.DEAD: "dead"}


def _counted(tx: Tx, state: CallbackState, created_at: int) -> None:
    tx.tally.add(metrics.CALLBACK_ATTEMPTS, _OUTCOMES[state])
    counting.moves(tx.tally, metrics.CALLBACKS, _PENDING, state.value)
    if state is CallbackState.DELIVERED:
        tx.tally.observe(metrics.CALLBACK_SECONDS, max(0, tx.now - created_at) / 1000)
