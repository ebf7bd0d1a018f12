"""Rows that go to the driver by themselves are those that SQLAlchemy's own INSERT would have written."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from phonefarm.store import bulk
from phonefarm.store.engine import open_engines
from phonefarm.store.writer import Tx

pytestmark = pytest.mark.timeout(60)

METADATA = sa.MetaData()
COLUMNS = ("id", "name", "data", "tries")


def table(name: str) -> sa.Table:
    return sa.Table(
        name,
        METADATA,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text),
        sa.Column("data", sa.JSON(none_as_null=True)),
        sa.Column("tries", sa.Integer, nullable=False, default=3),
    )


OURS, THEIRS = table("bulk_ours"), table("bulk_theirs")
ROWS: list[dict[str, Any]] = [
    {"id": 1, "name": "%s :x ? \u00fc", "data": {"a": [1, None, "\u00fc%(b)s"]}},
    {"id": 2, "name": None, "data": None},
]


def test_they_are_the_same(db_url: str) -> None:
    """With a default, a JSON null, and text that looks like a parameter."""
    engines = open_engines(db_url)
    try:
        with engines.writer.begin() as connection:
            METADATA.create_all(connection)
            bulk.insert(Tx(connection=connection, now=0), OURS, ROWS)
            bulk.insert(Tx(connection=connection, now=0), OURS, [])
            connection.execute(sa.insert(THEIRS), ROWS)
            raw = [
                connection.exec_driver_sql(f"SELECT id, name, CAST(data AS TEXT), tries FROM {t} ORDER BY id").all()
                for t in ("bulk_ours", "bulk_theirs")
            ]
        assert raw[0] == raw[1]
        assert raw[0][1] == (2, None, None, 3)
    finally:
        engines.dispose()
