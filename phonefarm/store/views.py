"""Reading: the JSON objects of the contract, straight from the rows. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.core import lifecycle
from phonefarm.errors import NotFound
from phonefarm.models.clock import rfc3339
from phonefarm.models.states import ProcessState, PublicStatus
from phonefarm.store.hosts import rungs
from phonefarm.store.process_views import unknown
from phonefarm.store.tables import account_usage, accounts, artifacts, events, items, phones, processes
from phonefarm.store.writer import Row, maps


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """Where a process stands, in the words callers see."""

    status: PublicStatus
    over: bool


def status(connection: Connection, process_id: str, system: str | None = None) -> Status:
    """The public status alone. Raises NotFound, for a process of another ``system`` too."""
    query = sa.select(processes.c.state, processes.c.system).where(processes.c.id == process_id)
    row = connection.execute(query).one_or_none()
    if row is None or system not in (None, row.system):
        raise unknown(process_id)
    state = ProcessState(row.state)
    return Status(status=lifecycle.public_status(state), over=state in lifecycle.PROCESS_FINAL)


def process_events(
    connection: Connection,
    process_id: str,
    after: int = 0,
    limit: int = 1_000,
    system: str | None = None,
    tail: int = 0,
) -> dict[str, Any]:
    """The append-only history after a sequence, oldest first, and whether the process is over. ``tail`` not 0: only
    the last so many of it. Raises NotFound."""
    over = status(connection, process_id, system).over
    if tail:
        written = sa.select(processes.c.event_seq).where(processes.c.id == process_id)
        after = max(after, connection.execute(written).scalar_one() - tail)
    query = sa.select(events).where(events.c.process_id == process_id, events.c.sequence > after)
    rows = maps(connection, query.order_by(events.c.sequence).limit(limit + 1))
    return {"items": [_event(row) for row in rows[:limit]], "over": over and len(rows) <= limit}


def _event(row: Row) -> dict[str, Any]:
    return {
        "event_id": row["id"],
        "sequence": row["sequence"],
        "at": rfc3339(row["at"]),
        "kind": row["kind"],
        "queue_item_id": row["item_id"],
        "phone_id": row["phone_id"],
        "from": row["from_state"],
        "to": row["to_state"],
        "data": row["data"],
    }


def artifact_type(connection: Connection, process_id: str, name: str, system: str | None = None) -> str:
    """The media type of an artifact. Raises NotFound."""
    if system is not None:
        status(connection, process_id, system)
    query = sa.select(artifacts.c.media_type).where(artifacts.c.process_id == process_id, artifacts.c.name == name)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFound("unknown_artifact", f"unknown_artifact:{name}")
    return str(found)


#: Of the item that runs on a phone.
_RUNNING = (
    items.c.id.label("item_id"),
    *(
        items.c[name]
        for name in ("process_id", "attempt", "lease_until", "actions_done", "actions_total", "started_at")
    ),
    *(items.c[name] for name in ("current_action", "running_account")),
)


def phone_list(connection: Connection, now: int, phone_id: str | None = None) -> list[dict[str, Any]]:
    """``GET /phones``, or the one phone. ``now`` in ms."""
    query = sa.select(phones, *_RUNNING, processes.c.process_type)
    query = query.join(items, items.c.running_phone == phones.c.id, isouter=True).order_by(phones.c.id)
    query = query.join(processes, processes.c.id == items.c.process_id, isouter=True)
    if phone_id is not None:
        query = query.where(phones.c.id == phone_id)
    tried = rungs(connection, phone_id)
    return [_phone(row, now, tried.get(row["id"], {})) for row in maps(connection, query)]


def _phone(row: Mapping[str, Any], now: int, tried: Mapping[str, Any]) -> dict[str, Any]:
    facts = row["facts"] or {}
    return {
        "phone_id": row["id"],
        "serial": row["serial"],
        "host": row["host"],
        "groups": row["groups"],
        "labels": row["labels"],
        "model": facts.get("model") or None,
        "android": facts.get("android") or None,
        "state": row["state"],
        "why": row["why"],
        "wanted": row["wanted_state"] and {"state": row["wanted_state"], "why": row["wanted_why"]},
        "draining": row["wanted_state"] is not None,
        "battery": _battery(facts, now),
        "screen": {"on": facts.get("screen_on"), "locked": facts.get("locked")},
        "ladder": tried,
        "storage": {"free": facts.get("storage_free"), "total": facts.get("storage_total")},
        "first_seen": rfc3339(row["first_seen"]),
        "last_seen": rfc3339(row["last_seen"]),
        "current_item": row["item_id"] and _running(row),
        "lease": row["item_id"] and {"attempt": row["attempt"], "expires_at": rfc3339(row["lease_until"])},
        "counters": {"items_done": row["items_done"], "items_failed": row["items_failed"]},
    }


def _running(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "queue_item_id": row["item_id"],
        "process_id": row["process_id"],
        "process_type": row["process_type"],
        "account_id": row["running_account"],
        "action": row["current_action"],
        "actions_done": row["actions_done"],
        "actions_total": row["actions_total"],
        "started_at": rfc3339(row["started_at"]),
    }


def _battery(facts: Mapping[str, Any], now: int) -> dict[str, Any]:
    """``full_hours``: for how long it has been full on its charger, which swells batteries; 0 when it is not."""
    known = facts.get("battery") or {"level": None, "temperature": None, "charging": None}
    since = facts.get("full_since")
    return {**known, "full_hours": round((now - since) / 3_600_000, 2) if since is not None else 0.0}


def account_list(connection: Connection, today: int, account_id: str | None = None) -> list[dict[str, Any]]:
    """``GET /accounts``, or the one account; ``today`` is the UTC day whose use is shown."""
    used = sa.and_(account_usage.c.account_id == accounts.c.id, account_usage.c.day == today)
    query = sa.select(accounts, account_usage.c.sessions, account_usage.c.seconds).join(
        account_usage, used, isouter=True
    )
    if account_id is not None:
        query = query.where(accounts.c.id == account_id)
    return [_account(row) for row in maps(connection, query.order_by(accounts.c.id))]


def _account(row: Mapping[str, Any]) -> dict[str, Any]:
    limits = row["daily_limits"] or {}
    return {
        "account_id": row["id"],
        "phone_id": row["phone_id"],
        "group": row["account_group"],
        "active": bool(row["active"]),
        "authorization": row["authorization"],
        "daily_limits": {"sessions": limits.get("sessions"), "minutes": limits.get("minutes")},
        "used_today": {"sessions": row["sessions"] or 0, "minutes": round((row["seconds"] or 0.0) / 60, 2)},
        "created_at": rfc3339(row["created_at"]),
        "updated_at": rfc3339(row["updated_at"]),
    }
