"""INSERT or UPDATE in one statement, the same on both databases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from phonefarm.store.writer import Tx


def upsert(tx: Tx, table: sa.Table, values: Mapping[str, Any], update: Sequence[str]) -> None:
    """INSERT, or UPDATE of the columns named, by primary key."""
    insert = sqlite.insert if tx.connection.dialect.name == "sqlite" else postgresql.insert
    statement: Any = insert(table).values(**values)
    keys = [column.name for column in table.primary_key.columns]
    tx.rows(
        statement.on_conflict_do_update(index_elements=keys, set_={name: statement.excluded[name] for name in update})
    )
