"""Accounts as operators change them, and what is left of an account's day."""

from __future__ import annotations

import sqlalchemy as sa

from phonefarm.errors import NotFound
from phonefarm.models.phone import AccountRow
from phonefarm.models.process import AccountCommand, AccountPatch
from phonefarm.store.roster import day_of, put_account
from phonefarm.store.tables import account_usage, accounts
from phonefarm.store.writer import Row, Tx


def patch_account(tx: Tx, patch: AccountPatch) -> AccountRow:
    """Change what was given, under the rules of ``put_account``; an explicit None clears. Raises NotFound for an
    unknown account or phone, ValidationFailed ``authorization_required``."""
    row = next(iter(tx.maps(sa.select(accounts).where(accounts.c.id == patch.account_id))), None)
    if row is None:
        raise NotFound("unknown_account", f"unknown_account:{patch.account_id}")
    return put_account(tx, _merged(row, patch))


def _merged(row: Row, patch: AccountPatch) -> AccountCommand:
    stored = {
        "phone_id": row["phone_id"],
        "group": row["account_group"],
        "active": bool(row["active"]),
        "authorization": row["authorization"],
        "daily_limits": row["daily_limits"] or {},
    }
    values = {**stored, **patch.changes}
    limits = values["daily_limits"]
    values["daily_limits"] = {**stored["daily_limits"], **limits} if limits is not None else {}
    values["active"] = bool(values["active"])
    return AccountCommand(account_id=patch.account_id, **values)


def seconds_left_today(tx: Tx, account_ids: set[str]) -> dict[str, float]:
    """Seconds of session time that accounts with a limit of minutes still have today (UTC, database time)."""
    if not account_ids:
        return {}
    used = sa.and_(account_usage.c.account_id == accounts.c.id, account_usage.c.day == day_of(tx.now))
    query = (
        sa.select(accounts.c.id, accounts.c.daily_limits, account_usage.c.seconds)
        .join(account_usage, used, isouter=True)
        .where(accounts.c.id.in_(sorted(account_ids)))
    )
    limits = [(i, (stored or {}).get("minutes"), used or 0.0) for i, stored, used in tx.tuples(query)]
    return {i: max(0.0, minutes * 60.0 - used) for i, minutes, used in limits if minutes is not None}
