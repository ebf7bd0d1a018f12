"""The outbox: which callbacks are due, and what came of them.

In order for each process: only the oldest pending event of a process is ever due, so an event waits for the
one before it whatever the sender does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.core import metrics
from phonefarm.errors import NotFound, StaleWriter
from phonefarm.models.clock import Clock
from phonefarm.models.outbox import CallbackState, Delivery, DueCallback, DuePage, Place
from phonefarm.store import counting
from phonefarm.store.epoch import looked_at
from phonefarm.store.lists import callback_view
from phonefarm.store.notes import Note, note
from phonefarm.store.tables import outbox, processes
from phonefarm.store.writer import Row, Tx

_PENDING = CallbackState.PENDING.value


def due(
    connection: Connection, limit: int, *, epoch: int, after: Place | None = None, clock: Clock | None = None
) -> DuePage:
    """Callbacks to send now, oldest first, behind ``after``. Only reads. Raises StaleWriter if the manager of that
    ``epoch`` has been replaced: another one gives them out now. ``clock`` overrides the database's."""
    current, now = looked_at(connection)
    if current != epoch:
        raise StaleWriter(f"epoch {epoch} was replaced by {current}")
    now = now if clock is None else clock()
    due_at, event_id = after or (-1, "")
    found = connection.execute(_DUE, {"now": now, "from_at": due_at, "from_id": event_id, "most": limit}).all()
    callbacks = tuple(_callback(row) for row in found)
    if len(found) >= limit > 0:
        return DuePage(callbacks=callbacks, after=(found[-1].due_at, found[-1].id))
    later = connection.execute(_NEXT, {"now": now}).scalar_one_or_none()
    return DuePage(callbacks=callbacks, next_in=None if later is None else (later - now) / 1000)


def _first_of_its_process() -> sa.ColumnElement[bool]:
    """As a value of each row, which is looked up by the key's index; as a join PostgreSQL reads all that is pending."""
    other = outbox.alias()
    mine = (other.c.process_id == outbox.c.process_id, other.c.state == _PENDING)
    return outbox.c.sequence == sa.select(sa.func.min(other.c.sequence)).where(*mine).scalar_subquery()


_HERE, _NOW = (outbox.c.state == _PENDING, _first_of_its_process()), sa.bindparam("now", type_=sa.BigInteger)
_FROM_AT, _FROM_ID = sa.bindparam("from_at", type_=sa.BigInteger), sa.bindparam("from_id", type_=sa.String)
_DUE = (
    sa.select(
        outbox.c.id,
        outbox.c.process_id,
        outbox.c.sequence,
        outbox.c.url,
        outbox.c.body,
        outbox.c.attempts,
        outbox.c.due_at,
    )
    .where(*_HERE, outbox.c.due_at <= _NOW, outbox.c.due_at >= _FROM_AT)
    .where(sa.or_(outbox.c.due_at > _FROM_AT, outbox.c.id > _FROM_ID))
    .order_by(outbox.c.due_at, outbox.c.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
#: In the index's order and only the first, so that the cost does not grow with what is pending.
_NEXT = sa.select(outbox.c.due_at).where(*_HERE, outbox.c.due_at > _NOW).order_by(outbox.c.due_at).limit(1)


def _callback(row: Any) -> DueCallback:
    return DueCallback(
        event_id=row.id,
        process_id=row.process_id,
        sequence=row.sequence,
        url=row.url,
        body=row.body.encode(),
        attempts=row.attempts,
    )


def done(tx: Tx, deliveries: Sequence[Delivery], new_id: Callable[[], str]) -> None:
    """Write what came of deliveries. One already settled is left as it is, and an attempt counts once, however often
    it is reported."""
    history: list[Note] = []
    for alike in _alike(deliveries):
        created = _settle(tx, alike)
        for delivery in alike:
            if (created_at := created.pop(delivery.event_id, None)) is not None:
                history += _followed(tx, delivery, created_at)
    note(tx, history, new_id)


def _alike(deliveries: Sequence[Delivery]) -> Iterable[list[Delivery]]:
    """Those of which the same is to be written, together: mostly all, since mostly all were delivered."""
    found: dict[tuple[Any, ...], list[Delivery]] = {}
    for one in deliveries:
        key = (one.state, one.attempts, one.http_status, one.error, one.retry_in)
        found.setdefault(key, []).append(one)
    return found.values()


def redeliver(tx: Tx, event_id: str, new_id: Callable[[], str], *, system: str | None) -> dict[str, Any]:
    """A callback from the start: pending, due now. Its process's later ones wait for it again. Raises NotFound."""
    row = _found(tx, event_id, system)
    counting.moves(tx.tally, metrics.CALLBACKS, row["state"], _PENDING)
    if row["state"] != _PENDING:
        data = {"event_id": event_id, "was": row["state"]}
        note(tx, [Note(process_id=row["process_id"], kind="callback.redelivered", data=data)], new_id)
    fresh = {"state": _PENDING, "attempts": 0, "due_at": tx.now, "delivered_at": None, "error": None}
    tx.rows(sa.update(outbox).where(outbox.c.id == event_id).values(**fresh, http_status=None))
    return callback_view(_found(tx, event_id, system))


def _found(tx: Tx, event_id: str, system: str | None) -> Row:
    query = sa.select(outbox, processes.c.system).join(processes, processes.c.id == outbox.c.process_id)
    row = next(iter(tx.maps(query.where(outbox.c.id == event_id))), None)
    if row is None or system not in (None, row["system"]):
        raise NotFound("unknown_callback", f"unknown_callback:{event_id}")
    return row


def _settle(tx: Tx, alike: Sequence[Delivery]) -> dict[str, int]:
    """When each that was still to be settled was made, by event."""
    one = alike[0]
    values = {
        "event_ids": [delivery.event_id for delivery in alike],
        "before": one.attempts,
        "state": one.state.value,
        "attempts": one.attempts + 1,
        "http_status": one.http_status,
        "error": one.error,
        "delivered_at": tx.now if one.state is CallbackState.DELIVERED else None,
        "due_at": tx.now + round((one.retry_in or 0.0) * 1000),
    }
    return {row.id: row.created_at for row in tx.rows(_SETTLE, values)}


def _followed(tx: Tx, delivery: Delivery, created_at: int) -> list[Note]:
    """What else follows from one that was just settled; what is to stand in the history of it, if anything."""
    _counted(tx, delivery.state, created_at)
    if delivery.gone:
        later = (outbox.c.process_id == delivery.process_id, outbox.c.state == _PENDING)
        dead = sa.update(outbox).where(*later).values(state=CallbackState.DEAD.value, error="receiver_gone")
        counting.moves(tx.tally, metrics.CALLBACKS, _PENDING, CallbackState.DEAD.value, tx.rows(dead).rowcount)
    if delivery.state is CallbackState.PENDING:
        return []
    data = {"event_id": delivery.event_id, "http_status": delivery.http_status, "error": delivery.error}
    kind = "callback.delivered" if delivery.state is CallbackState.DELIVERED else "callback.died"
    return [Note(process_id=delivery.process_id, kind=kind, data=data)]


_SETTLED = ("state", "attempts", "http_status", "error", "delivered_at", "due_at")
_SETTLE = (
    sa.update(outbox)
    .where(
        outbox.c.id.in_(sa.bindparam("event_ids", expanding=True)),
        outbox.c.state == _PENDING,
        outbox.c.attempts == sa.bindparam("before"),
    )
    .values({name: sa.bindparam(name) for name in _SETTLED})
    .returning(outbox.c.id, outbox.c.created_at)
)
_OUTCOMES = {CallbackState.PENDING: "retrying", CallbackState.DELIVERED: "delivered", CallbackState.DEAD: "dead"}


def _counted(tx: Tx, state: CallbackState, created_at: int) -> None:
    tx.tally.add(metrics.CALLBACK_ATTEMPTS, _OUTCOMES[state])
    counting.moves(tx.tally, metrics.CALLBACKS, _PENDING, state.value)
    if state is CallbackState.DELIVERED:
        tx.tally.observe(metrics.CALLBACK_SECONDS, max(0, tx.now - created_at) / 1000)
