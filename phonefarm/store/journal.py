"""Rows of actions: written ahead for what must not be done twice, after the fact for the rest (rule R4).

An action that is not repeatable has a row ``started`` before its phone is touched; it becomes ``finished``. If its
attempt ends otherwise, it becomes ``failed`` when the phone answered, else ``interrupted``: whether it took effect is
not known. A repeatable action has a row once it is finished, or once its item has ended in the middle of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from phonefarm.models.action import Action, ActionKind
from phonefarm.models.session import Entry, EntryKind
from phonefarm.store import bulk
from phonefarm.store.tables import actions
from phonefarm.store.writer import Row, Tx

STARTED, FINISHED, FAILED, INTERRUPTED = "started", "finished", "failed", "interrupted"


def may_apply(tx: Tx, item_id: str, attempt: int, entries: Iterable[Entry]) -> bool:
    """False if an entry would start again what an earlier attempt has started and must not be repeated."""
    starts = {
        e.action.index
        for e in entries
        if e.kind is EntryKind.ACTION_STARTED and e.action is not None and not e.action.repeatable
    }
    if not starts:
        return True
    query = sa.select(actions.c.idx).where(
        actions.c.item_id == item_id, actions.c.idx.in_(sorted(starts)), actions.c.attempt != attempt
    )
    return tx.rows(query).first() is None


_FINISHED = sa.select(actions.c.idx).where(
    actions.c.item_id == sa.bindparam("item"),
    actions.c.idx.in_(sa.bindparam("indices", expanding=True)),
    actions.c.status == FINISHED,
)


def finished(tx: Tx, item_id: str, entries: Iterable[Entry]) -> set[int]:
    """Which of the actions that entries say are finished have a row that says so already, of any attempt."""
    said = {e.action.index for e in entries if e.kind is EntryKind.ACTION_FINISHED and e.action is not None}
    if not said:
        return set()
    return set(tx.rows(_FINISHED, {"item": item_id, "indices": sorted(said)}).scalars())


def has_row(tx: Tx, item_id: str, index: int) -> bool:
    """Whether an action of the item has a row, in any attempt."""
    query = sa.select(actions.c.idx).where(actions.c.item_id == item_id, actions.c.idx == index)
    return tx.rows(query).first() is not None


def write(tx: Tx, item: Row, action: Action, status: str, entry: Entry | None = None) -> None:
    """Insert the action's row, or let the ``started`` one of this attempt become ``status``."""
    here = (actions.c.item_id == item["id"], actions.c.attempt == item["attempt"], actions.c.idx == action.index)
    change = sa.update(actions).where(*here, actions.c.status == STARTED).values(**_ending(tx, action, status, entry))
    if not action.repeatable and tx.rows(change).rowcount:
        return
    bulk.insert(tx, actions, [new_row(tx, item, action, status, entry)])


def new_row(tx: Tx, item: Row, action: Action, status: str, entry: Entry | None = None) -> Row:
    """The row of an action that has none yet."""
    return {
        "item_id": item["id"],
        "attempt": item["attempt"],
        "idx": action.index,
        "process_id": item["process_id"],
        "kind": action.kind.value,
        "phone_id": item["running_phone"],
        **_ending(tx, action, status, entry),
    }


def _ending(tx: Tx, action: Action, status: str, entry: Entry | None) -> Row:
    return {
        "status": status,
        "output": {"params": dict(action.params), "output": dict(entry.output) if entry else {}},
        "skipped": entry.skipped if entry else None,
        "seconds": entry.seconds if entry else 0.0,
        "at": tx.now,
    }


def open_action(tx: Tx, item: Row) -> Action | None:
    """The action of this attempt that was started, must not be repeated, and has not ended."""
    query = sa.select(actions).where(
        actions.c.item_id == item["id"], actions.c.attempt == item["attempt"], actions.c.status == STARTED
    )
    return next((_action(row) for row in tx.maps(query)), None)


def _action(row: Row) -> Action:
    params: dict[str, Any] = row["output"]["params"]
    return Action(index=row["idx"], kind=ActionKind(row["kind"]), params=params)


def under_way(tx: Tx, item: Row) -> Action | None:
    """The action an unheard attempt was in: the one after all that have a row, if any had begun."""
    if item["current_action"] is None:
        return None
    last = tx.rows(sa.select(sa.func.max(actions.c.idx)).where(actions.c.item_id == item["id"])).scalar_one()
    return Action(index=0 if last is None else last + 1, kind=ActionKind(item["current_action"]))
