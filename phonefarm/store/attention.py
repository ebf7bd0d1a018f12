"""What the operator's pages read beyond the API's lists: what may need a person, and the actions of a process.

What has ended is bounded, by a window of time or by a number of rows, so that a page costs the same on a farm that has
run for a year. What waits is counted whole, so it costs more the more waits.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.core import lifecycle
from phonefarm.models.attention import Attention, DeadLetter, FailingReceiver
from phonefarm.models.clock import rfc3339
from phonefarm.models.outbox import CallbackState
from phonefarm.models.states import PhoneState, ProcessState
from phonefarm.store.tables import actions, items, outbox, phone_log, phones, processes
from phonefarm.store.views import status
from phonefarm.store.writer import maps

#: What failed longer ago is history, not today's work.
WINDOW_MS = 7 * 86_400_000
#: Deliveries of a callback that failed before its receiver is named; by then it has been away for minutes.
FAILED_TRIES = 3
_SHOWN = 20


def read(connection: Connection, now: int, system: str | None = None) -> Attention:
    """What may need a person, of one ``system`` or of all; ``now`` in ms."""
    count, newest = _dead_letters(connection, now - WINDOW_MS, system)
    ready, oldest = _ready(connection, now, system)
    return Attention(
        now=now,
        dead_letter_count=count,
        dead_letters=newest,
        receivers=(*_failing(connection, system), *_given_up(connection, now - WINDOW_MS, system)),
        ready_items=ready,
        oldest_ready=oldest,
        states=_states(connection),
    )


def _of(system: str | None) -> list[sa.ColumnElement[bool]]:
    return [] if system is None else [processes.c.system == system]


def _dead_letters(connection: Connection, since: int, system: str | None) -> tuple[int, tuple[DeadLetter, ...]]:
    again = processes.alias()
    here = (
        processes.c.state.in_([ProcessState.PARTIAL.value, ProcessState.DEAD_LETTER.value]),
        processes.c.finished_at >= since,
        ~sa.select(again.c.id).where(again.c.replay_of == processes.c.id).exists(),
        *_of(system),
    )
    count = connection.execute(sa.select(sa.func.count()).select_from(processes).where(*here)).scalar_one()
    newest = sa.select(processes).where(*here).order_by(processes.c.finished_at.desc(), processes.c.id).limit(_SHOWN)
    found = (
        DeadLetter(
            process_id=row["id"],
            request_id=row["request_id"],
            process_type=row["process_type"],
            finished_at=row["finished_at"],
            code=(row["error"] or {}).get("code"),
        )
        for row in maps(connection, newest)
    )
    return int(count), tuple(found)


def _failing(connection: Connection, system: str | None) -> list[FailingReceiver]:
    """Callbacks that were refused again and again and are still tried."""
    here = (outbox.c.state == CallbackState.PENDING.value, outbox.c.attempts >= FAILED_TRIES)
    return _receivers(connection, here, outbox.c.created_at, system, dead=False)


def _given_up(connection: Connection, since: int, system: str | None) -> list[FailingReceiver]:
    """Callbacks that died; one that died is due when it did (``store.outbox``)."""
    here = (outbox.c.state == CallbackState.DEAD.value, outbox.c.due_at >= since)
    return _receivers(connection, here, outbox.c.due_at, system, dead=True)


def _receivers(
    connection: Connection,
    here: tuple[sa.ColumnElement[bool], ...],
    since: sa.Column[int],
    system: str | None,
    *,
    dead: bool,
) -> list[FailingReceiver]:
    first = sa.func.min(since)
    query = sa.select(
        outbox.c.url, sa.func.count(), first, sa.func.max(outbox.c.http_status), sa.func.max(outbox.c.error)
    )
    if system is not None:
        query = query.join(processes, processes.c.id == outbox.c.process_id)
    query = query.where(*here, *_of(system)).group_by(outbox.c.url).order_by(first).limit(_SHOWN)
    return [
        FailingReceiver(url=url, dead=dead, count=int(count), since=int(at), http_status=http_status, error=error)
        for url, count, at, http_status, error in connection.execute(query)
    ]


def _ready(connection: Connection, now: int, system: str | None) -> tuple[int, int | None]:
    """How many items could run now, and since when the oldest of them could."""
    since = sa.case((items.c.ready_at > items.c.created_at, items.c.ready_at), else_=items.c.created_at)
    query = sa.select(sa.func.count(), sa.func.min(since)).select_from(items)
    if system is not None:
        query = query.join(processes, processes.c.id == items.c.process_id)
    waiting = items.c.state.in_([state.value for state in lifecycle.ITEM_WAITING])
    number, oldest = connection.execute(query.where(waiting, items.c.ready_at <= now, *_of(system))).one()
    return int(number), None if oldest is None else int(oldest)


#: States that a person may have to end.
_STUCK = (PhoneState.OFFLINE, PhoneState.UNAUTHORIZED, PhoneState.CHECKING, PhoneState.QUARANTINED)


def _states(connection: Connection) -> dict[str, int]:
    """Since when each phone that does not work is in its state: the first of the entries of its log that say so, since
    a reason changes more often than a state."""
    other = phone_log.alias()
    before = (
        sa.select(sa.func.max(other.c.sequence))
        .where(other.c.phone_id == phones.c.id, other.c.state != phones.c.state)
        .scalar_subquery()
    )
    query = (
        sa.select(phones.c.id, sa.func.min(phone_log.c.at))
        .join(phone_log, phone_log.c.phone_id == phones.c.id)
        .where(phones.c.state.in_([state.value for state in _STUCK]))
        .where(phone_log.c.sequence > sa.func.coalesce(before, 0))
        .group_by(phones.c.id)
    )
    return {str(phone_id): int(at) for phone_id, at in connection.execute(query)}


def process_actions(
    connection: Connection, process_id: str, limit: int, system: str | None = None
) -> list[dict[str, Any]]:
    """The last ``limit`` actions of a process, newest first, with what each was to do and found. Raises NotFound."""
    status(connection, process_id, system)
    query = sa.select(actions).where(actions.c.process_id == process_id)
    rows = maps(connection, query.order_by(actions.c.at.desc(), actions.c.item_id, actions.c.idx.desc()).limit(limit))
    return [
        {
            "queue_item_id": row["item_id"],
            "attempt": row["attempt"],
            "index": row["idx"],
            "kind": row["kind"],
            "status": row["status"],
            "phone_id": row["phone_id"],
            "params": (row["output"] or {}).get("params", {}),
            "output": (row["output"] or {}).get("output", {}),
            "skipped": row["skipped"],
            "seconds": row["seconds"],
            "at": rfc3339(row["at"]),
        }
        for row in rows
    ]
