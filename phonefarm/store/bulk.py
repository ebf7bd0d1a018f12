"""Many rows into one table, as the driver takes them.

SQLAlchemy's own way through an INSERT of many rows costs more than the database does: a conversion a value.
Here the statement is compiled once for a table, a dialect and a set of columns, and rows go to the driver's
``executemany`` with their JSON already text. The rows of one call have the same columns; those that are not given take
their defaults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from phonefarm.store.writer import Tx

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Statement:
    """``order`` of the values if the driver counts them, None if it names them; ``documents``: columns that are JSON;
    ``defaults`` of the columns that were not given."""

    text: str
    order: tuple[str, ...] | None
    documents: tuple[str, ...]
    defaults: Mapping[str, Any]

    def values(self, row: Mapping[str, Any]) -> Any:
        texts = {name: json.dumps(row[name]) for name in self.documents if row[name] is not None}
        full = {**self.defaults, **row, **texts}
        return full if self.order is None else tuple(full[name] for name in self.order)


def insert(tx: Tx, table: sa.Table, rows: Rows) -> None:
    """INSERT ``rows``. Raises as SQLAlchemy does."""
    if rows:
        statement = _statement(table, tuple(rows[0]), tx.connection.dialect)
        tx.connection.exec_driver_sql(statement.text, [statement.values(row) for row in rows])


@lru_cache(maxsize=64)
def _statement(table: sa.Table, columns: tuple[str, ...], dialect: Dialect) -> _Statement:
    compiled = sa.insert(table).compile(dialect=dialect, column_keys=list(columns))
    order = compiled.positiontup if isinstance(compiled, SQLCompiler) and compiled.positional else None
    missing = [column for column in table.c if column.name not in columns and column.default is not None]
    return _Statement(
        text=compiled.string,
        order=tuple(order) if order is not None else None,
        documents=tuple(name for name in columns if isinstance(table.c[name].type, sa.JSON)),
        defaults={
            column.name: column.default.arg
            for column in missing
            if isinstance(column.default, ScalarElementColumnDefault)
        },
    )
