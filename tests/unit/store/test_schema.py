"""The schema: migrations make exactly the tables of ``tables``, and the laws hold whatever the code believes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

from phonefarm.errors import ConfigError, StorageRefused
from phonefarm.store import tables
from phonefarm.store.engine import Engines, check_integrity, open_engines
from phonefarm.store.migrate import upgrade

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def engines(db_url: str) -> Iterator[Engines]:
    found = open_engines(db_url)
    upgrade(found)
    yield found
    found.dispose()


def process_row(process_id: str, **changes: Any) -> dict[str, Any]:
    values = {
        "id": process_id,
        "process_type": "keyword_warmup",
        "system": "tests",
        "request_id": process_id,
        "mode": "manual",
        "routing": "queue",
        "state": "QUEUED",
        "target": {},
        "inputs": {},
        "options": {},
        "requested_by": {},
        "callback": {},
        "canonical": {},
        "fingerprint": "f",
        "created_at": 1,
    }
    return {**values, **changes}


def item_row(item_id: str, **changes: Any) -> dict[str, Any]:
    values = {
        "id": item_id,
        "process_id": "p1",
        "ordinal": int(item_id[1:]),
        "state": "QUEUED",
        "max_attempts": 3,
        "priority": 5,
        "actions_total": 1,
        "ready_at": 1,
        "created_at": 1,
    }
    return {**values, **changes}


def insert(engines: Engines, table: sa.Table, *rows: dict[str, Any]) -> None:
    with engines.writer.begin() as connection:
        for row in rows:
            connection.execute(sa.insert(table), [row])


def test_migrations_make_the_tables_as_they_are_written_down(engines: Engines) -> None:
    with engines.writer.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, tables.metadata) == []


def test_upgrading_again_changes_nothing(engines: Engines) -> None:
    upgrade(engines)
    check_integrity(engines)


def test_one_process_a_key(engines: Engines) -> None:
    insert(engines, tables.processes, process_row("p1", request_id="r"))
    with pytest.raises(IntegrityError):
        insert(engines, tables.processes, process_row("p2", request_id="r"))


@pytest.mark.parametrize("column", ["running_phone", "running_account"])
def test_one_running_item_a_phone_and_one_an_account(engines: Engines, column: str) -> None:
    insert(engines, tables.processes, process_row("p1"))
    running = {"state": "CLAIMED", "running_phone": "A", column: "A"}
    insert(engines, tables.items, item_row("i1", **running))
    other = {**running, "running_phone": "B", column: "A"}
    with pytest.raises(IntegrityError):
        insert(engines, tables.items, item_row("i2", **other))


@pytest.mark.parametrize(
    ("table", "row"),
    [
        (tables.processes, process_row("p2", state="DONE")),
        (tables.processes, process_row("p2", finished_at=5)),
        (tables.items, item_row("i1", state="DONE")),
        (tables.items, item_row("i1", finished_at=5)),
        (tables.items, item_row("i1", state="EXECUTING")),
        (tables.items, item_row("i1", running_phone="A")),
    ],
)
def test_final_states_have_an_end_and_running_ones_a_phone(
    engines: Engines, table: sa.Table, row: dict[str, Any]
) -> None:
    insert(engines, tables.processes, process_row("p1"))
    with pytest.raises(IntegrityError):
        insert(engines, table, row)


def test_a_database_of_a_newer_version_is_refused(engines: Engines) -> None:
    with engines.writer.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageRefused, match="9999"):
        upgrade(engines)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "farm.db"
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 4000)
    engines = open_engines(f"sqlite:///{path}")
    with pytest.raises(StorageRefused):
        check_integrity(engines)
    engines.dispose()


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "sqlite://", "postgresql://x/y", "sqlite:///:memory:"])
def test_other_databases_are_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigError):
        open_engines(url)
