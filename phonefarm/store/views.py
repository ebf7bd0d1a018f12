"""Reading: the JSON objects of the contract, straight from the rows. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.core import lifecycle, results
from phonefarm.errors import NotFound
from phonefarm.models.action import ActionKind
from phonefarm.models.clock import rfc3339
from phonefarm.models.states import Capability, ItemState, ProcessState, PublicStatus
from phonefarm.store.hosts import rungs
from phonefarm.store.ledger import progress
from phonefarm.store.tables import account_usage, accounts, actions, artifacts, events, items, phones, processes
from phonefarm.store.writer import Row, maps

_TIMES = (
    "created_at",
    "accepted_at",
    "queued_at",
    "executing_at",
    "first_action_at",
    "retrying_at",
    "cancel_requested_at",
    "finished_at",
)

#: Public status of an item (contract section 6 uses the words of a process).
_ITEM_STATUS = {
    ItemState.QUEUED: "queued",
    ItemState.CLAIMED: "queued",
    ItemState.EXECUTING: "executing",
    ItemState.RETRYABLE: "retrying",
    ItemState.DONE: "completed",
    ItemState.DEAD_LETTER: "failed_terminal",
    ItemState.CANCELLED: "cancelled",
}


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
        raise _unknown(process_id)
    state = ProcessState(row.state)
    return Status(status=lifecycle.public_status(state), over=state in lifecycle.PROCESS_FINAL)


def _unknown(process_id: str) -> NotFound:
    return NotFound("unknown_process", f"unknown_process:{process_id}")


def process(connection: Connection, process_id: str, system: str | None = None) -> dict[str, Any]:
    """``GET /processes/{id}`` but for ``waiting``, which the router knows. Raises NotFound."""
    row = next(iter(maps(connection, sa.select(processes).where(processes.c.id == process_id))), None)
    if row is None or system not in (None, row["system"]):
        raise _unknown(process_id)
    item_rows = _items(connection, process_id)
    view = {**_process(row, item_rows), "result": _result(connection, row, item_rows)}
    view["linked_ids"]["replayed_by"] = _replays(connection, process_id)
    return view


def _replays(connection: Connection, process_id: str) -> list[str]:
    query = sa.select(processes.c.id).where(processes.c.replay_of == process_id).order_by(processes.c.created_at)
    return list(connection.execute(query).scalars())


def process_views(connection: Connection, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Processes without their results, in the order of ``rows``."""
    by_process: dict[str, list[Row]] = {row["id"]: [] for row in rows}
    item_query = sa.select(items).where(items.c.process_id.in_(list(by_process))).order_by(items.c.ordinal)
    for item in maps(connection, item_query):
        by_process[item["process_id"]].append(item)
    return [_process(row, by_process[row["id"]]) for row in rows]


def _items(connection: Connection, process_id: str) -> list[Row]:
    query = sa.select(items).where(items.c.process_id == process_id).order_by(items.c.ordinal)
    return maps(connection, query)


def _process(row: Mapping[str, Any], item_rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    state = ProcessState(row["state"])
    codes = [i["error"]["code"] for i in item_rows if i["state"] == ItemState.DEAD_LETTER.value and i["error"]]
    outcome = lifecycle.outcome(state, codes)
    groups = [(ItemState(i["state"]), 1, i["actions_total"], i["actions_done"]) for i in item_rows]
    single = item_rows[0] if len(item_rows) == 1 else None
    return {
        "process_id": row["id"],
        "process_type": row["process_type"],
        "request_id": row["request_id"],
        "status": lifecycle.public_status(state).value,
        "mode": row["mode"],
        "routing": row["routing"],
        "outcome": outcome.value if outcome else None,
        "target": {
            "account_id": row["target"]["account_id"],
            "phone_id": (single["last_phone"] or single["phone_id"]) if single else row["target"]["phone_id"],
        },
        "requested_by": row["requested_by"],
        "callback": row["callback"],
        "result": {},
        "error": row["error"],
        "timestamps": {name: rfc3339(row[name]) for name in _TIMES},
        "linked_ids": {
            "queue_item_ids": [i["id"] for i in item_rows],
            "completed_queue_item_ids": [i["id"] for i in item_rows if i["state"] == ItemState.DONE.value],
            "replayed_by": [],
        },
        "partial_progress": progress(groups),
        "attempts": max((i["attempt"] for i in item_rows), default=0),
        "waiting": None,
        "replay_of": row["replay_of"],
        "items": [_item(i) for i in item_rows],
    }


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "queue_item_id": row["id"],
        "phone_id": row["running_phone"] or row["last_phone"] or row["phone_id"],
        "account_id": row["running_account"] or row["account_id"],
        "status": _ITEM_STATUS[ItemState(row["state"])],
        "attempt": row["attempt"],
        "actions_done": row["actions_done"],
        "actions_total": row["actions_total"],
        "action": row["current_action"],
        "error": row["error"],
    }


def _result(connection: Connection, row: Mapping[str, Any], item_rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    ordinal = {i["id"]: i["ordinal"] for i in item_rows}
    done_query = sa.select(actions).where(actions.c.process_id == row["id"])
    done = [
        results.Done(
            item=ordinal[a["item_id"]],
            index=a["idx"],
            kind=ActionKind(a["kind"]),
            phone_id=a["phone_id"],
            params=a["output"]["params"],
            output=a["output"]["output"],
            status=a["status"],
            skipped=a["skipped"],
        )
        for a in maps(connection, done_query)
    ]
    kept_query = sa.select(artifacts).where(artifacts.c.process_id == row["id"]).order_by(artifacts.c.name)
    kept = [
        results.Kept(
            name=a["name"],
            media_type=a["media_type"],
            size=a["size"],
            sha256=a["sha256"],
            phone_id=a["phone_id"],
            item_id=a["item_id"],
        )
        for a in maps(connection, kept_query)
    ]
    over = ProcessState(row["state"]) in lifecycle.PROCESS_FINAL
    return results.result(Capability(row["process_type"]), inputs=row["inputs"], done=done, kept=kept, over=over)


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
