"""Forgetting: processes that ended longer ago than they are kept, with all that belongs to them.

An idempotency key lives as long as its process. One whose callback is still to be delivered is kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa

from phonefarm.models.outbox import CallbackState
from phonefarm.store import counting
from phonefarm.store.tables import outbox, processes
from phonefarm.store.writer import Tx

#: At most this many processes a transaction, so that no change waits long behind it.
BATCH = 200
_DAY_MS = 86_400_000


def prune(tx: Tx, *, keep_days: float) -> list[str]:
    """Delete one batch, the oldest first; their ids, none when nothing is left to delete."""
    before = tx.now - round(keep_days * _DAY_MS)
    pending = sa.select(outbox.c.id).where(
        outbox.c.process_id == processes.c.id, outbox.c.state == CallbackState.PENDING.value
    )
    query = (
        sa.select(processes.c.id)
        .where(processes.c.finished_at < before, ~pending.exists())
        .order_by(processes.c.finished_at)
        .limit(BATCH)
    )
    ids = list(tx.rows(query).scalars())
    if ids:
        counting.forgotten(tx, ids)
        tx.rows(sa.delete(processes).where(processes.c.id.in_(ids)))
    return ids


def remove_files(root: Path, process_ids: Sequence[str]) -> None:
    """The artifacts of processes that are gone; after the commit, so that a row never lacks its bytes."""
    for process_id in process_ids:
        shutil.rmtree(root / process_id, ignore_errors=True)
