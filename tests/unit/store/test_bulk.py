"""Rows that go to the driver by themselves are those that SQLAlchemy's own INSERT would have written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from phonefarm.store import bulk
from phonefarm.store.engine import open_engines
from phonefarm.store.writer import Tx

pytestmark = pytest.mark.timeout(60)

METADATA = sa.MetaData()


def table(name: str, *more: sa.schema.SchemaItem) -> sa.Table:
    return sa.Table(
        name,
        METADATA,
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(40)),
        sa.Column("data", sa.JSON(none_as_null=True)),
        sa.Column("seconds", sa.Float),
        sa.Column("order", sa.Integer),
        sa.Column("tries", sa.Integer, nullable=False, default=3),
        *more,
    )


OURS, THEIRS = table("bulk_ours"), table("bulk_theirs")
PARTS = table("bulk_parts", sa.ForeignKeyConstraint(["order"], ["bulk_ours.id"]))
ROWS: list[dict[str, Any]] = [
    {"id": 1, "name": "%s :x ? \u00fc", "data": {"a": [1, None, "\u00fc%(b)s"]}, "seconds": 0.1, "order": 7},
    {"id": 2, "name": None, "data": None, "seconds": None, "order": None},
    {"id": 2**62, "name": "\\ \" ' \n\t {}", "data": "\u0000 \\u0000 \U0001f600", "seconds": 1e-300, "order": -1},
    {"id": -4, "name": "", "data": {"b": 1e22, "a": [], "": "\ud800"}, "seconds": 5.0, "order": 0},
]
COLUMNS = 'id, name, CAST(data AS TEXT), seconds, "order", tries'


@pytest.fixture
def connection(db_url: str) -> Iterator[sa.Connection]:
    """In a transaction on a database with the tables."""
    engines = open_engines(db_url)
    try:
        with engines.writer.begin() as connection:
            METADATA.create_all(connection)
            yield connection
    finally:
        engines.dispose()


def read(connection: sa.Connection, table: str) -> list[tuple[Any, ...]]:
    rows = connection.exec_driver_sql(f"SELECT {COLUMNS} FROM {table} ORDER BY id")
    return [tuple(row) for row in rows]


def test_they_are_the_same(connection: sa.Connection) -> None:
    """With a default, a JSON null, a column whose name is a word of SQL, and text that looks like a parameter."""
    tx = Tx(connection=connection, now=0)
    bulk.insert(tx, OURS, ROWS)
    bulk.insert(tx, OURS, [])
    connection.execute(sa.insert(THEIRS), ROWS)
    found = read(connection, "bulk_ours")
    assert found == read(connection, "bulk_theirs")
    assert found[2] == (2, None, None, None, None, 3)
    assert connection.scalars(sa.select(OURS.c.data).order_by(OURS.c.id)).all() == [
        row["data"] for row in sorted(ROWS, key=lambda row: int(row["id"]))
    ]


def test_several_tables_at_once(connection: sa.Connection) -> None:
    """Those behind may point at those before; one that has no rows is left out."""
    parts = [{"id": n, "order": row["id"]} for n, row in enumerate(ROWS[:2])]
    bulk.insert_all(Tx(connection=connection, now=0), [(OURS, ROWS[:2]), (THEIRS, []), (PARTS, parts)])
    assert [row[0] for row in read(connection, "bulk_ours")] == [1, 2]
    assert read(connection, "bulk_theirs") == []
    assert [(row[0], row[4], row[5]) for row in read(connection, "bulk_parts")] == [(0, 1, 3), (1, 2, 3)]


@pytest.mark.parametrize("largest", [1, 300, 2_000])
def test_what_is_too_much_for_one_document_goes_in_several(
    connection: sa.Connection, monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    monkeypatch.setattr(bulk, "LARGEST", largest)
    parts = [{"id": n, "order": 1 + n % 2} for n in range(4)]
    connection.execute(sa.insert(THEIRS), ROWS)
    bulk.insert_all(Tx(connection=connection, now=0), [(OURS, ROWS), (PARTS, parts)])
    assert read(connection, "bulk_ours") == read(connection, "bulk_theirs")
    assert [row[0] for row in read(connection, "bulk_parts")] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param([(OURS, [ROWS[0], ROWS[0]])], id="the same key twice"),
        pytest.param([(OURS, ROWS[:1]), (PARTS, [{"id": 1, "order": 2}])], id="pointing at nothing"),
    ],
)
def test_a_broken_law_is_an_integrity_error(connection: sa.Connection, wanted: Any) -> None:
    with pytest.raises(sa.exc.IntegrityError), connection.begin_nested():
        bulk.insert_all(Tx(connection=connection, now=0), wanted)
    assert read(connection, "bulk_ours") == []
