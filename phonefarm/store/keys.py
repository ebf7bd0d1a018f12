"""API keys: who may ask for what. Only hashes are kept, and no name is ever used again."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.errors import Conflict, NotFound
from phonefarm.models.clock import rfc3339
from phonefarm.models.process import KeyCommand, KeyRow
from phonefarm.store.tables import api_keys
from phonefarm.store.writer import Row, Tx, maps


def usable(connection: Connection) -> list[KeyRow]:
    """Every key that was not revoked."""
    query = sa.select(api_keys).where(api_keys.c.revoked_at.is_(None)).order_by(api_keys.c.name)
    return [
        KeyRow(name=row["name"], digest=row["digest"], scopes=tuple(row["scopes"]), system=row["system"])
        for row in maps(connection, query)
    ]


def listed(connection: Connection) -> list[dict[str, Any]]:
    """All keys, revoked ones too, without their digests."""
    return [_view(row) for row in maps(connection, sa.select(api_keys).order_by(api_keys.c.name))]


def create(tx: Tx, command: KeyCommand) -> dict[str, Any]:
    """Add a key. Raises Conflict ``key_exists`` for a name or a secret that was ever used."""
    same = sa.or_(api_keys.c.name == command.name, api_keys.c.digest == command.digest)
    if tx.rows(sa.select(api_keys.c.name).where(same)).first() is not None:
        raise Conflict("key_exists", f"key_exists:{command.name}")
    tx.rows(
        sa.insert(api_keys).values(
            name=command.name,
            digest=command.digest,
            scopes=list(command.scopes),
            system=command.system,
            created_at=tx.now,
        )
    )
    return _one(tx, command.name)


def revoke(tx: Tx, name: str) -> dict[str, Any]:
    """End a key; again is harmless. Raises NotFound ``unknown_key``."""
    here = (api_keys.c.name == name, api_keys.c.revoked_at.is_(None))
    tx.rows(sa.update(api_keys).where(*here).values(revoked_at=tx.now))
    return _one(tx, name)


def _one(tx: Tx, name: str) -> dict[str, Any]:
    rows = tx.maps(sa.select(api_keys).where(api_keys.c.name == name))
    if not rows:
        raise NotFound("unknown_key", f"unknown_key:{name}")
    return _view(rows[0])


def _view(row: Row) -> dict[str, Any]:
    return {
        "name": row["name"],
        "scopes": row["scopes"],
        "system": row["system"],
        "created_at": rfc3339(row["created_at"]),
        "revoked_at": rfc3339(row["revoked_at"]),
    }
