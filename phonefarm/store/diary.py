"""A phone's own history: how it was, which states it had and why, and what it did.

Samples of health are one a slot of five minutes, the last check of a slot counts, and a week of them is kept. The log
of states has an entry whenever a state, its reason or what an operator wants changes; that a phone takes an item and
gives it back is no entry, since what it did is told by its actions. Both are bounded phone by phone where they are
written, so no timer has to look after them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.errors import NotFound
from phonefarm.models.clock import rfc3339
from phonefarm.models.phone import PhoneFacts
from phonefarm.models.states import PhoneState
from phonefarm.store.tables import actions, artifacts, items, phone_log, phone_samples, phones, processes
from phonefarm.store.upserting import upsert
from phonefarm.store.writer import Row, Tx, maps

SLOT_MS = 300_000
KEPT_SLOTS = 7 * 24 * 12
KEPT_ENTRIES = 500
#: Of each kind, at most so many are shown.
SHOWN_ENTRIES, SHOWN_ACTIONS = 100, 120
_SAID = ("state", "why", "wanted_state", "wanted_why")


# -- writing ---------------------------------------------------------------------------------------


def sample(tx: Tx, phone_id: str, facts: PhoneFacts) -> None:
    """A check has read how the phone is."""
    slot = tx.now // SLOT_MS
    charging = facts.battery.charging
    values = {
        "phone_id": phone_id,
        "slot": slot,
        "level": facts.battery.level,
        "temperature": facts.battery.temperature,
        "charging": None if charging is None else int(charging),
        "storage_free": facts.storage_free,
        "at": tx.now,
    }
    upsert(tx, phone_samples, values, ("level", "temperature", "charging", "storage_free", "at"))
    old = (phone_samples.c.phone_id == phone_id, phone_samples.c.slot <= slot - KEPT_SLOTS)
    tx.rows(sa.delete(phone_samples).where(*old))


def note(tx: Tx, phone_ids: Sequence[str]) -> None:
    """These phones may have changed: an entry for each that did."""
    query = sa.select(phones.c.id, *(phones.c[name] for name in _SAID))
    for row in tx.maps(query.where(phones.c.id.in_(list(phone_ids)))):
        _note(tx, row.pop("id"), {**row, "state": _at_rest(row["state"])})


def _at_rest(state: str) -> str:
    return PhoneState.AVAILABLE.value if state == PhoneState.BUSY.value else state


def _note(tx: Tx, phone_id: str, said: Row) -> None:
    here = phone_log.c.phone_id == phone_id
    last = next(iter(tx.maps(sa.select(phone_log).where(here).order_by(phone_log.c.sequence.desc()).limit(1))), None)
    if last is not None and all(last[name] == said[name] for name in _SAID):
        return
    sequence = 1 if last is None else last["sequence"] + 1
    tx.rows(sa.insert(phone_log).values(phone_id=phone_id, sequence=sequence, at=tx.now, **said))
    tx.rows(sa.delete(phone_log).where(here, phone_log.c.sequence <= sequence - KEPT_ENTRIES))


# -- reading ---------------------------------------------------------------------------------------


def history(connection: Connection, phone_id: str, system: str | None = None) -> dict[str, Any]:
    """``samples`` oldest first, ``log`` and ``sessions`` newest first. Of sessions of other systems than ``system``
    nothing is told. Raises NotFound."""
    if connection.execute(sa.select(phones.c.id).where(phones.c.id == phone_id)).first() is None:
        raise NotFound("unknown_phone", f"unknown_phone:{phone_id}")
    here = phone_samples.c.phone_id == phone_id
    taken = maps(connection, sa.select(phone_samples).where(here).order_by(phone_samples.c.slot))
    entries = sa.select(phone_log).where(phone_log.c.phone_id == phone_id).order_by(phone_log.c.sequence.desc())
    return {
        "samples": [_sample(row) for row in taken],
        "log": [_entry(row) for row in maps(connection, entries.limit(SHOWN_ENTRIES))],
        "sessions": _sessions(connection, phone_id, system),
    }


def _sample(row: Row) -> dict[str, Any]:
    charging = row["charging"]
    return {
        "at": rfc3339(row["at"]),
        "level": row["level"],
        "temperature": row["temperature"],
        "charging": None if charging is None else bool(charging),
        "storage_free": row["storage_free"],
    }


def _entry(row: Row) -> dict[str, Any]:
    wanted = row["wanted_state"] and {"state": row["wanted_state"], "why": row["wanted_why"]}
    return {"at": rfc3339(row["at"]), "state": row["state"], "why": row["why"], "wanted": wanted}


def _sessions(connection: Connection, phone_id: str, system: str | None) -> list[dict[str, Any]]:
    """The last actions, by attempt."""
    query = (
        sa.select(actions, items.c.account_id, processes.c.process_type, processes.c.system)
        .join(items, items.c.id == actions.c.item_id)
        .join(processes, processes.c.id == actions.c.process_id)
        .where(actions.c.phone_id == phone_id, *([processes.c.system == system] if system is not None else []))
        .order_by(actions.c.at.desc(), actions.c.item_id, actions.c.attempt, actions.c.idx.desc())
        .limit(SHOWN_ACTIONS)
    )
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for row in maps(connection, query):
        session = found.setdefault((row["item_id"], row["attempt"]), _session(row))
        session["actions"].append(_action(row))
    pictures = _pictures(connection, phone_id, {item_id for item_id, _ in found})
    last = {session["queue_item_id"]: session for session in reversed(found.values())}
    for item_id, session in last.items():
        session["pictures"] = pictures.get(item_id, [])
    return list(found.values())


def _session(row: Row) -> dict[str, Any]:
    return {
        "process_id": row["process_id"],
        "process_type": row["process_type"],
        "system": row["system"],
        "queue_item_id": row["item_id"],
        "attempt": row["attempt"],
        "account_id": row["account_id"],
        "actions": [],
        "pictures": [],
    }


def _action(row: Row) -> dict[str, Any]:
    params, output = row["output"]["params"], row["output"]["output"]
    return {
        "at": rfc3339(row["at"]),
        "index": row["idx"],
        "kind": row["kind"],
        "status": row["status"],
        "seconds": row["seconds"],
        "skipped": row["skipped"],
        "what": next((v for v in (output.get("title"), *map(params.get, ("keyword", "name", "app"))) if v), None),
    }


def _pictures(connection: Connection, phone_id: str, item_ids: set[str]) -> dict[str, list[str]]:
    """Names of the pictures kept of these items on this phone, oldest first."""
    query = sa.select(artifacts.c.item_id, artifacts.c.name).where(
        artifacts.c.process_id.in_(sa.select(items.c.process_id).where(items.c.id.in_(sorted(item_ids)))),
        artifacts.c.item_id.in_(sorted(item_ids)),
        artifacts.c.phone_id == phone_id,
        artifacts.c.media_type.in_(["image/png", "image/jpeg", "image/webp"]),
    )
    found: dict[str, list[str]] = {}
    for item_id, name in connection.execute(query.order_by(artifacts.c.created_at, artifacts.c.name)):
        found.setdefault(item_id, []).append(name)
    return found
