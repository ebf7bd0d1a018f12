"""What timers and restarts mend: expired leases, items that never started in time, attempts whose phone restarted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from phonefarm.core.lifecycle import ITEM_RUNNING, ItemEvent, item_sources, item_target
from phonefarm.models.clock import rfc3339
from phonefarm.models.session import ErrorInfo
from phonefarm.store.ledger import Ledger
from phonefarm.store.progress import Effects, fail_item
from phonefarm.store.tables import items, phones
from phonefarm.store.writer import Row, Tx

_RUNNING = sorted(state.value for state in ITEM_RUNNING)


def expire_leases(tx: Tx, new_id: Callable[[], str]) -> Effects:
    """Take back every attempt that has not been heard of within its lease (database time decides)."""
    query = sa.select(items).where(items.c.lease_until < tx.now, items.c.state.in_(_RUNNING))
    error = ErrorInfo(code="lease_expired", message="the phone was not heard of within its lease", retryable=True)
    return _fail_all(tx, tx.maps(query), error, new_id)


def take_from_restarted(
    tx: Tx, phone_id: str, incarnation: str, running: Sequence[tuple[str, int]], new_id: Callable[[], str]
) -> Effects:
    """A phone actor has (re)started and runs only ``running``: its other attempts are interrupted."""
    tx.rows(sa.update(phones).where(phones.c.id == phone_id).values(incarnation=incarnation))
    query = sa.select(items).where(items.c.running_phone == phone_id, items.c.delivered == 1)
    lost = [row for row in tx.maps(query) if (row["id"], row["attempt"]) not in set(running)]
    error = ErrorInfo(code="interrupted", message="the phone's actor restarted during the session", retryable=True)
    return _fail_all(tx, lost, error, new_id)


def _fail_all(tx: Tx, rows: list[Row], error: ErrorInfo, new_id: Callable[[], str]) -> Effects:
    effects = Effects()
    ledger = Ledger(tx, new_id)
    for row in rows:
        changes: dict[str, object] = {}
        fail_item(tx, ledger, row, error, effects, changes)
        fence = (items.c.id == row["id"], items.c.attempt == row["attempt"], items.c.state.in_(_RUNNING))
        tx.rows(sa.update(items).where(*fence).values(**changes))
    effects.callbacks = ledger.flush()
    effects.close(tx)
    return effects


def expire_items(tx: Tx, new_id: Callable[[], str]) -> tuple[list[str], bool]:
    """Bury items not started by their ``expires_at``: their ids, and whether a callback was written."""
    sources = [state.value for state in item_sources(ItemEvent.EXPIRE)]
    query = sa.select(items).where(items.c.state.in_(sources), items.c.expires_at <= tx.now)
    rows = tx.maps(query)
    ledger = Ledger(tx, new_id)
    for row in rows:
        _expire(tx, ledger, row)
    return [row["id"] for row in rows], ledger.flush()


def _expire(tx: Tx, ledger: Ledger, row: Row) -> None:
    target = item_target(ItemEvent.EXPIRE)
    error = {
        "code": "expired",
        "message": "not started by expires_at",
        "retryable": False,
        "queue_item_id": row["id"],
        "phone_id": None,
        "attempt": row["attempt"],
        "action": None,
        "at": rfc3339(tx.now),
    }
    change = {"state": target.value, "finished_at": tx.now, "error": error}
    tx.rows(sa.update(items).where(items.c.id == row["id"], items.c.state == row["state"]).values(**change))
    ledger.set(row["process_id"], error=error)
    ledger.event(
        row["process_id"], "item.expired", item_id=row["id"], moved=(row["state"], target.value), data={"error": error}
    )
