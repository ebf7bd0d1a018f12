"""Phones and accounts: who exists, in which state, and what an account has used of its day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from phonefarm.core.health import full_since
from phonefarm.core.operations import HELD
from phonefarm.errors import Fault, NotFound, ValidationFailed
from phonefarm.models.phone import AccountRow, DailyLimits, PhoneFacts, PhoneReport, PhoneRow
from phonefarm.models.process import AccountCommand
from phonefarm.models.states import PhoneState
from phonefarm.store import diary
from phonefarm.store.tables import account_usage, accounts, items, meta, phones
from phonefarm.store.upserting import upsert
from phonefarm.store.writer import Row, Tx

_DAY_MS = 86_400_000


def day_of(now: int) -> int:
    """The UTC day of a time in ms, counted from the epoch."""
    return now // _DAY_MS


# -- phones --------------------------------------------------------------------------------------


def begin_run(tx: Tx, run_id: int) -> None:
    """The first change of a manager. In a farm that was started anew no phone has been seen yet; one whose manager
    alone was restarted keeps its phones as they are. What operators set stays."""
    known = tx.rows(sa.select(meta.c.value).where(meta.c.name == "run")).scalar_one_or_none()
    if known == run_id:
        return
    upsert(tx, meta, {"name": "run", "value": run_id}, ("value",))
    held = sa.and_(phones.c.state.in_([state.value for state in HELD]), phones.c.set_apart == 0)
    unseen = {"state": PhoneState.OFFLINE.value, "why": "not seen since the farm was started", "set_apart": 0}
    tx.rows(sa.update(phones).where(~held).values(**unseen))
    tx.rows(sa.update(phones).values(seen_state=PhoneState.OFFLINE.value))
    diary.note(tx, list(tx.rows(sa.select(phones.c.id)).scalars()))


def report_phones(tx: Tx, reports: Sequence[PhoneReport]) -> list[PhoneRow]:
    """Take over what hosts and phones say. Returns the phones as they are now. The first actor of a phone starts before
    there is a row to note it in, so its incarnation comes with its first word."""
    for report in reports:
        _report_phone(tx, report)
        diary.note(tx, [report.phone_id])
    return phone_rows(tx, [r.phone_id for r in reports])


def _report_phone(tx: Tx, report: PhoneReport) -> None:
    known = next(iter(tx.maps(sa.select(phones).where(phones.c.id == report.phone_id))), None)
    state = _merged_state(tx, report, known)
    held = known is not None and is_held(known)
    values = {
        "id": report.phone_id,
        "host": report.host,
        "serial": report.serial,
        "state": state.value,
        "seen_state": report.state.value,
        "why": known["why"] if held and known is not None else report.why,
        "set_apart": int(state is PhoneState.QUARANTINED and not held),
        "groups": list(report.groups) or (known["groups"] if known else []),
        "labels": known["labels"] if known else {},
        "facts": _facts(tx, report.facts, (known["facts"] if known else None) or {}),
        "incarnation": (known["incarnation"] if known else None) or report.incarnation or None,
        "first_seen": tx.now,
        "last_seen": tx.now if report.state is not PhoneState.OFFLINE or known is None else known["last_seen"],
    }
    update = (
        "host",
        "serial",
        "state",
        "seen_state",
        "why",
        "set_apart",
        "groups",
        "facts",
        "last_seen",
        "incarnation",
    )
    upsert(tx, phones, values, update)
    if report.facts is not None:
        diary.sample(tx, report.phone_id, report.facts)


def _facts(tx: Tx, seen: PhoneFacts | None, before: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is known of a phone now; since when its battery is full is counted on."""
    if seen is None:
        return dict(before) or None
    return {**asdict(seen), "full_since": full_since(before.get("full_since"), seen.battery, tx.now)}


def is_held(row: Mapping[str, Any]) -> bool:
    """Whether an operator holds the phone. A quarantine that the phone's actor set (``set_apart``) is none: what the
    actor says next ends it."""
    return PhoneState(row["state"]) in HELD and not row["set_apart"]


def _merged_state(tx: Tx, report: PhoneReport, known: Mapping[str, Any] | None) -> PhoneState:
    if known is not None and is_held(known):
        return PhoneState(known["state"])
    if report.state is PhoneState.AVAILABLE and _has_item(tx, report.phone_id):
        return PhoneState.BUSY
    return report.state


def _has_item(tx: Tx, phone_id: str) -> bool:
    return tx.rows(sa.select(items.c.id).where(items.c.running_phone == phone_id)).first() is not None


_SEEN_BY_ROUTER = (
    phones.c.id, phones.c.host, phones.c.serial, phones.c.state, phones.c.why, phones.c.groups, phones.c.wanted_state
)  # fmt: skip
_SWAP = (
    sa.update(phones)
    .where(
        phones.c.id == sa.bindparam("phone"), phones.c.state == sa.bindparam("source"), phones.c.wanted_state.is_(None)
    )
    .values(state=sa.bindparam("target"))
    .returning(*_SEEN_BY_ROUTER)
)


def set_phone_state(tx: Tx, phone_id: str, state: PhoneState) -> list[PhoneRow]:
    """AVAILABLE <-> BUSY with the phone's item. One in any other state, or that an operator wants in another, stays
    as it is, and none is returned."""
    source = PhoneState.AVAILABLE if state is PhoneState.BUSY else PhoneState.BUSY
    values = {"phone": phone_id, "source": source.value, "target": state.value}
    return [_phone_row(row) for row in tx.maps(_SWAP, values)]


def phone_rows(tx: Tx, phone_ids: Sequence[str] | None = None) -> list[PhoneRow]:
    """Phones as the router sees them; all of them for None."""
    query = sa.select(*_SEEN_BY_ROUTER).order_by(phones.c.id)
    if phone_ids is not None:
        query = query.where(phones.c.id.in_(list(phone_ids)))
    return [_phone_row(row) for row in tx.maps(query)]


def _phone_row(row: Mapping[str, Any]) -> PhoneRow:
    return PhoneRow(
        phone_id=row["id"],
        host=row["host"],
        serial=row["serial"],
        state=PhoneState(row["state"]),
        why=row["why"],
        groups=tuple(row["groups"]),
        draining=row["wanted_state"] is not None,
    )


# -- accounts ------------------------------------------------------------------------------------


def put_account(tx: Tx, command: AccountCommand) -> AccountRow:
    """Create or replace an account. An account without authorisation cannot be active (contract section 10)."""
    if command.active and command.authorization is None:
        raise ValidationFailed(
            [
                Fault(
                    loc=("authorization",),
                    code="authorization_required",
                    msg="an account is active only when somebody authorised its use; give authorization",
                )
            ]
        )
    if command.phone_id is not None and not phone_rows(tx, [command.phone_id]):
        raise NotFound("unknown_phone", f"unknown_phone:{command.phone_id}")
    values = {
        "id": command.account_id,
        "phone_id": command.phone_id,
        "account_group": command.group,
        "active": int(command.active),
        "authorization": dict(command.authorization) if command.authorization else None,
        "daily_limits": dict(command.daily_limits),
        "created_at": tx.now,
        "updated_at": tx.now,
    }
    columns = ("phone_id", "account_group", "active", "authorization", "daily_limits", "updated_at")
    upsert(tx, accounts, values, columns)
    (row,) = account_rows(tx, [command.account_id])
    return row


def account_rows(tx: Tx, account_ids: Sequence[str] | None = None) -> list[AccountRow]:
    """Accounts as the router sees them; all of them for None."""
    today = day_of(tx.now)
    query = (
        sa.select(accounts, account_usage.c.sessions, account_usage.c.seconds)
        .join(
            account_usage,
            sa.and_(account_usage.c.account_id == accounts.c.id, account_usage.c.day == today),
            isouter=True,
        )
        .order_by(accounts.c.id)
    )
    if account_ids is not None:
        query = query.where(accounts.c.id.in_(list(account_ids)))
    return [_account_row(row, today) for row in tx.maps(query)]


def _account_row(row: Row, today: int) -> AccountRow:
    stored = row["daily_limits"] or {}
    limits = DailyLimits(sessions=stored.get("sessions"), minutes=stored.get("minutes"))
    too_long = limits.minutes is not None and (row["seconds"] or 0.0) >= limits.minutes * 60
    too_many = limits.sessions is not None and (row["sessions"] or 0) >= limits.sessions
    return AccountRow(
        account_id=row["id"],
        phone_id=row["phone_id"],
        group=row["account_group"],
        active=bool(row["active"]),
        limits=limits,
        authorization=row["authorization"],
        spent_day=today if too_many or too_long else None,
        timed_out_day=today if too_long else None,
    )


def is_spent(tx: Tx, account_id: str, *, begun: bool = False) -> bool:
    """Whether the account has reached a daily limit today (UTC, database time). ``begun``: for a session that is
    already counted, which only the limit of minutes can stop."""
    rows = account_rows(tx, [account_id])
    return bool(rows) and (rows[0].timed_out_day if begun else rows[0].spent_day) is not None


def add_usage(tx: Tx, account_id: str, *, sessions: int = 0, seconds: float = 0.0) -> None:
    """Count a session, or seconds of one, to the account's day."""
    day = day_of(tx.now)
    here = sa.and_(account_usage.c.account_id == account_id, account_usage.c.day == day)
    more = {"sessions": account_usage.c.sessions + sessions, "seconds": account_usage.c.seconds + seconds}
    if tx.rows(sa.update(account_usage).where(here).values(**more)).rowcount == 0:
        tx.rows(sa.insert(account_usage).values(account_id=account_id, day=day, sessions=sessions, seconds=seconds))
