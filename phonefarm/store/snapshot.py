"""Everything the router needs to start from nothing."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.core.leases import LeaseTerms
from phonefarm.core.lifecycle import ITEM_RUNNING, ITEM_WAITING
from phonefarm.models.queue import QueueSnapshot, Running
from phonefarm.models.states import ItemState
from phonefarm.store.accept import waiting_item
from phonefarm.store.claim import Plan, load_jobs
from phonefarm.store.roster import account_rows, phone_rows
from phonefarm.store.tables import items, processes
from phonefarm.store.writer import Tx


def snapshot(tx: Tx, *, plan: Plan, terms: LeaseTerms) -> QueueSnapshot:
    """Waiting and running items, phones, accounts; and the jobs that may not have reached their phone."""
    waiting = sa.select(items).where(items.c.state.in_([s.value for s in ITEM_WAITING])).order_by(items.c.created_at)
    running = tx.maps(sa.select(items).where(items.c.state.in_([s.value for s in ITEM_RUNNING])))
    undelivered = [r["id"] for r in running if r["state"] == ItemState.CLAIMED.value and not r["delivered"]]
    return QueueSnapshot(
        waiting=tuple(waiting_item(row) for row in tx.maps(waiting)),
        running=tuple(
            Running(
                item_id=row["id"],
                attempt=row["attempt"],
                phone_id=row["running_phone"],
                account_id=row["running_account"],
            )
            for row in running
        ),
        undelivered=tuple(load_jobs(tx, undelivered, plan=plan, terms=terms)),
        phones=tuple(phone_rows(tx)),
        accounts=tuple(account_rows(tx)),
    )


def of_system(connection: Connection, process_ids: Collection[str], system: str) -> set[str]:
    """Those of ``process_ids`` that ``system`` asked for."""
    query = sa.select(processes.c.id).where(processes.c.id.in_(sorted(process_ids)), processes.c.system == system)
    return set(connection.execute(query).scalars())
