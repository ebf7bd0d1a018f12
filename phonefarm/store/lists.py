"""Pages of processes and callbacks: newest first, by keyset, so that a page costs the same wherever it is."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.core import lifecycle
from phonefarm.models.clock import rfc3339
from phonefarm.models.process import ProcessQuery
from phonefarm.models.states import ProcessState, PublicStatus
from phonefarm.store import cursor
from phonefarm.store.process_views import without_results
from phonefarm.store.tables import items, outbox, processes
from phonefarm.store.writer import Row, maps

#: Processes that one page of a search by a part of the request id looks through: no index can answer that.
SEARCHED = 10_000


def processes_page(connection: Connection, query: ProcessQuery) -> dict[str, Any]:
    """``GET /processes``, without results. A page of a search may be short, even empty, and have a next one.
    Raises ValidationFailed for a bad cursor."""
    filters = _filters(query)
    order = (processes.c.created_at, processes.c.id)
    conditions = _conditions(query)
    if query.cursor is not None:
        at, last = cursor.decode(query.cursor, filters)
        conditions.append(sa.tuple_(*order) < sa.tuple_(sa.literal(at), sa.literal(last)))
    end = _searched_to(connection, conditions, query.request_id)
    if query.request_id is not None:
        conditions.append(processes.c.request_id.icontains(query.request_id, autoescape=True))
    if end is not None:
        conditions.append(sa.tuple_(*order) >= sa.tuple_(sa.literal(end[0]), sa.literal(end[1])))
    statement = sa.select(processes).where(*conditions).order_by(*_newest_first)
    rows = maps(connection, statement.limit(query.limit + 1))
    shown, more = rows[: query.limit], len(rows) > query.limit
    at, last = (shown[-1]["created_at"], shown[-1]["id"]) if more else end or (0, "")
    following = cursor.encode(at, last, filters) if last else None
    return {"items": without_results(connection, shown), "next_cursor": following}


_newest_first = (processes.c.created_at.desc(), processes.c.id.desc())


def _searched_to(
    connection: Connection, conditions: list[sa.ColumnElement[bool]], text: str | None
) -> tuple[int, str] | None:
    """Where a search for a part of a request id ends for this page; None: at the oldest process."""
    if text is None:
        return None
    query = sa.select(processes.c.created_at, processes.c.id).where(*conditions).order_by(*_newest_first)
    row = connection.execute(query.offset(SEARCHED).limit(1)).one_or_none()
    return None if row is None else (int(row[0]), str(row[1]))


def _filters(query: ProcessQuery) -> dict[str, Any]:
    names = ("status", "process_type", "system", "phone_id", "account_id", "created_after", "created_before")
    search = {} if query.request_id is None else {"request_id": query.request_id}
    return {"list": "processes", **{name: getattr(query, name) for name in names}, **search}


def _conditions(query: ProcessQuery) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if query.status is not None:
        found.append(processes.c.state.in_(_states(query.status)))
    if query.process_type is not None:
        found.append(processes.c.process_type == query.process_type)
    if query.system is not None:
        found.append(processes.c.system == query.system)
    if query.created_after is not None:
        found.append(processes.c.created_at >= query.created_after)
    if query.created_before is not None:
        found.append(processes.c.created_at < query.created_before)
    if query.phone_id is not None:
        found.append(_with_item(sa.or_(items.c.last_phone == query.phone_id, items.c.phone_id == query.phone_id)))
    if query.account_id is not None:
        used = sa.or_(items.c.account_id == query.account_id, items.c.running_account == query.account_id)
        found.append(_with_item(used))
    return found


def _states(status: PublicStatus) -> list[str]:
    return sorted(state.value for state in ProcessState if lifecycle.public_status(state) is status)


def _with_item(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return processes.c.id.in_(sa.select(items.c.process_id).where(condition))


def callbacks_page(
    connection: Connection,
    *,
    state: str | None,
    limit: int,
    cursor: str | None,
    system: str | None,
    process_id: str | None = None,
) -> dict[str, Any]:
    """``GET /callbacks``: never with the receiver's answer. Raises ValidationFailed for a bad cursor."""
    filters = {"list": "callbacks", "state": state, "system": system}
    if process_id is not None:
        filters["process_id"] = process_id
    order = (outbox.c.created_at, outbox.c.id)
    statement = sa.select(outbox)
    if state is not None:
        statement = statement.where(outbox.c.state == state)
    if process_id is not None:
        statement = statement.where(outbox.c.process_id == process_id)
    if system is not None:
        statement = statement.join(processes, processes.c.id == outbox.c.process_id).where(processes.c.system == system)
    if cursor is not None:
        at, last = _decode(cursor, filters)
        statement = statement.where(sa.tuple_(*order) < sa.tuple_(sa.literal(at), sa.literal(last)))
    rows = maps(connection, statement.order_by(*(column.desc() for column in order)).limit(limit + 1))
    shown, more = rows[:limit], len(rows) > limit
    following = _encode(shown[-1]["created_at"], shown[-1]["id"], filters) if more else None
    return {"items": [callback_view(row) for row in shown], "next_cursor": following}


_decode, _encode = cursor.decode, cursor.encode


def callback_view(row: Row) -> dict[str, Any]:
    """A callback as it is shown."""
    return {
        "event_id": row["id"],
        "process_id": row["process_id"],
        "sequence": row["sequence"],
        "milestone": row["milestone"],
        "url": row["url"],
        "state": row["state"],
        "attempts": row["attempts"],
        "http_status": row["http_status"],
        "error": row["error"],
        "created_at": rfc3339(row["created_at"]),
        "next_attempt_at": rfc3339(row["due_at"]) if row["state"] == "pending" else None,
        "delivered_at": rfc3339(row["delivered_at"]),
    }
