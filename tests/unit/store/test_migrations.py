"""A database of each earlier revision keeps its data on the way to this one; so does a backup of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from phonefarm.store import backup, epoch, tables
from phonefarm.store.engine import Engines, open_engines
from phonefarm.store.migrate import alembic_config, head, known_revisions, upgrade
from phonefarm.store.restore import restore
from phonefarm.store.writer import maps
from tests.databases import Postgres, new_sqlite

pytestmark = pytest.mark.timeout(60)

EARLIER = sorted(known_revisions() - {head()})


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return new_sqlite(tmp_path)
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.new_database(empty=True)


@pytest.fixture
def engines(empty_url: str) -> Iterator[Engines]:
    found = open_engines(empty_url)
    yield found
    found.dispose()


def fill(engines: Engines, revision: str) -> dict[str, list[dict[str, Any]]]:
    """A database of ``revision`` with a row in each table; the rows."""
    with engines.writer.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    rows: dict[str, list[dict[str, Any]]] = {}
    with engines.writer.begin() as connection:
        then = sa.MetaData()
        then.reflect(connection)
        for table in then.sorted_tables:
            if table.name != "alembic_version":
                values = {column.name: _value(table, column) for column in table.columns}
                connection.execute(sa.insert(table).values(**values))
                rows[table.name] = maps(connection, sa.select(table))
    return rows


def _value(table: sa.Table, column: sa.Column[Any]) -> Any:
    """Some value that the laws of the schema allow."""
    fixed = {
        ("meta", "name"): "epoch",
        ("processes", "state"): "QUEUED",
        ("items", "state"): "EXECUTING",
        ("processes", "finished_at"): None,
        ("items", "finished_at"): None,
    }
    if (table.name, column.name) in fixed:
        return fixed[table.name, column.name]
    if isinstance(column.type, sa.JSON):
        return {"a": ["ü", 1.5, None]}
    if isinstance(column.type, sa.Integer):
        return 7
    return 0.1 + 0.2 if isinstance(column.type, sa.Float) else "text-ü"


def kept(engines: Engines, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Every value that was there is there; a process that was accepted is still found."""
    with engines.reader.connect() as connection:
        for name, before in rows.items():
            after = maps(connection, sa.select(tables.metadata.tables[name]))
            assert [{key: row[key] for key in old} for row, old in zip(after, before, strict=True)] == before, name


def test_there_are_earlier_revisions() -> None:
    assert EARLIER[:2] == ["0001", "0002"]


@pytest.mark.parametrize("revision", EARLIER)
def test_an_upgrade_keeps_what_is_there_and_makes_older_managers_stale(engines: Engines, revision: str) -> None:
    rows = fill(engines, revision)
    upgrade(engines)
    rows["meta"][0]["value"] += 1
    kept(engines, rows)
    assert epoch.take(engines.writer) == 9


@pytest.mark.parametrize("revision", EARLIER)
def test_a_backup_of_an_earlier_revision_is_restored_into_this_one(
    engines: Engines, tmp_path: Path, empty_url: str, revision: str
) -> None:
    source = new_sqlite(tmp_path)
    old = open_engines(source)
    rows = fill(old, revision)
    old.dispose()
    assert backup.make(source, tmp_path / "b", now=1).revision == revision
    restore(tmp_path / "b", empty_url, now=1_000, artifacts=tmp_path)
    rows["meta"][0]["value"] = 1_001
    kept(engines, rows)
    assert sorted(path.name for path in tmp_path.iterdir() if "upgraded" in path.name) == []
