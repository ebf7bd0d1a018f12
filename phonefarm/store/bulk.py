"""Many rows into tables, as the driver takes them.

SQLAlchemy's own way through an INSERT of many rows costs more than the database does: a conversion a value.
Here the statement is compiled once for its tables, their columns and a dialect. The rows of one table have the same
columns; those that are not given take their defaults.

* SQLite gets a statement a table and its rows in the driver's ``executemany``, with their JSON already text.
* PostgreSQL gets one statement for all tables, and all their rows in one JSON document: every statement is a journey,
  and with ``executemany`` every row is one that the server binds and runs by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from phonefarm.store.writer import Tx

Rows = Sequence[Mapping[str, Any]]
#: Characters of a document for PostgreSQL, unless a single row has more.
LARGEST = 4 * 1024 * 1024
#: A table and those of its columns that are given.
Shape = tuple[sa.Table, tuple[str, ...]]


def insert(tx: Tx, table: sa.Table, rows: Rows) -> None:
    """INSERT ``rows``. Raises as SQLAlchemy does."""
    insert_all(tx, [(table, rows)])


def insert_all(tx: Tx, wanted: Sequence[tuple[sa.Table, Rows]]) -> None:
    """INSERT rows into several tables, in that order. Raises as SQLAlchemy does."""
    some = [(table, rows) for table, rows in wanted if rows]
    forms = [_form(table, tuple(rows[0])) for table, rows in some]
    filled = [[form.fill(row) for row in rows] for form, (_, rows) in zip(forms, some, strict=True)]
    if tx.connection.dialect.name == "postgresql":
        _as_documents(tx.connection, forms, filled)
        return
    for form, rows in zip(forms, filled, strict=True):
        tx.connection.exec_driver_sql(_statement(form.table, form.columns, tx.connection.dialect), rows)


def _as_documents(connection: Connection, forms: Sequence[_Form], filled: Sequence[list[dict[str, Any]]]) -> None:
    """In one document, or in several if it would be large: the server holds one of them several times over."""
    if not forms:
        return
    document = json.dumps({f"rows{number}": rows for number, rows in enumerate(filled)}, ensure_ascii=False)
    (first, *_), middle = filled, len(filled[0]) // 2
    if len(document) <= LARGEST or (len(forms) == 1 and middle == 0):
        shapes = tuple((form.table, form.columns) for form in forms)
        connection.exec_driver_sql(_one_statement(shapes, connection.dialect), {"document": document})
    elif len(forms) > 1:
        for form, rows in zip(forms, filled, strict=True):
            _as_documents(connection, [form], [rows])
    else:
        _as_documents(connection, forms, [first[:middle]])
        _as_documents(connection, forms, [first[middle:]])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Form:
    """``columns`` of a row, those that have a default among them; ``documents``: those that are JSON."""

    table: sa.Table
    columns: tuple[str, ...]
    documents: tuple[str, ...]
    defaults: Mapping[str, Any]

    def fill(self, row: Mapping[str, Any]) -> dict[str, Any]:
        texts = {name: json.dumps(row[name]) for name in self.documents if row[name] is not None}
        return {**self.defaults, **row, **texts}


@lru_cache(maxsize=64)
def _form(table: sa.Table, given: tuple[str, ...]) -> _Form:
    defaults = {
        column.name: column.default.arg
        for column in table.c
        if column.name not in given and isinstance(column.default, ScalarElementColumnDefault)
    }
    documents = tuple(name for name in given if isinstance(table.c[name].type, sa.JSON))
    return _Form(table=table, columns=(*given, *defaults), documents=documents, defaults=defaults)


@lru_cache(maxsize=64)
def _statement(table: sa.Table, columns: tuple[str, ...], dialect: Dialect) -> str:
    """With named parameters."""
    names = _names(columns, dialect)
    values = ", ".join(f":{name}" for name in columns)
    return f"INSERT INTO {dialect.identifier_preparer.format_table(table)} ({', '.join(names)}) VALUES ({values})"


@lru_cache(maxsize=64)
def _one_statement(shapes: tuple[Shape, ...], dialect: Dialect) -> str:
    """For PostgreSQL, all of them: its parameter is an object of an array of rows for each. Laws between the
    tables are looked at when the statement ends."""
    *first, last = (_out_of_json(shape, f"rows{number}", dialect) for number, shape in enumerate(shapes))
    before = ", ".join(f"insert{number} AS ({text})" for number, text in enumerate(first))
    document = "document AS (SELECT CAST(%(document)s AS json) AS d)"
    return f"WITH {', '.join(filter(None, (document, before)))} {last}"


def _out_of_json(shape: Shape, rows: str, dialect: Dialect) -> str:
    table, columns = shape
    names = _names(columns, dialect)
    documents = [isinstance(table.c[name].type, sa.JSON) for name in columns]
    types = ["text" if j else table.c[name].type.compile(dialect) for name, j in zip(columns, documents, strict=True)]
    record = ", ".join(f"{name} {kind}" for name, kind in zip(names, types, strict=True))
    values = ", ".join(f"CAST({name} AS json)" if j else name for name, j in zip(names, documents, strict=True))
    source = f"json_to_recordset((SELECT d -> '{rows}' FROM document)) AS new({record})"
    into = dialect.identifier_preparer.format_table(table)
    return f"INSERT INTO {into} ({', '.join(names)}) SELECT {values} FROM {source}"


def _names(columns: Sequence[str], dialect: Dialect) -> list[str]:
    return [dialect.identifier_preparer.quote(name) for name in columns]
