"""Databases that are read-only, locked, damaged, foreign or out of connections (fault 33), seen by callers.

The real app in front of the real manager and router. In each case: 503 with a name and a next step, never a 202; the
farm stays up, and goes on by itself when the cause is gone.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from phonefarm.errors import StorageBusy
from phonefarm.store import database, postgresql
from phonefarm.store.engine import check_integrity, open_engines, sqlite_url
from phonefarm.store.writer import Tx
from tests.databases import Postgres
from tests.integration.conftest import Mounts
from tests.integration.trouble_desk import desk, whole

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("short_waits")]


# -- a SQLite file that must not be used ---------------------------------------------------------

FILES = ("", "-wal", "-epoch")


def of_killed_manager(directory: Path) -> Path:
    """A database as a manager leaves it that is killed: what it committed is in the WAL."""
    path, copy = directory / "running" / "farm.db", directory / "farm.db"

    async def manager() -> None:
        open_here = database.Database(sqlite_url(path), on_stale=lambda: None)
        await open_here.open(lambda _tx: None)
        for suffix in FILES:
            Path(f"{copy}{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
        open_here.close()

    asyncio.run(manager())
    return copy


def settled(directory: Path) -> Path:
    """A database as a manager leaves it that ends in order: one file."""
    path = of_killed_manager(directory)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM meta").fetchone()
    assert not Path(f"{path}-wal").exists()
    return path


def flip(at: int) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])

    return harm


def sql(*statements: str) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return harm


def foreign(path: Path) -> None:
    path.unlink()
    sql("CREATE TABLE recipes (id INTEGER)")(path)


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.unlink(), id="deleted"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:20_000]), id="truncated"),
        pytest.param(lambda path: path.write_bytes(b"not a database " * 500), id="not-a-database"),
        pytest.param(flip(3), id="flipped-header"),
        pytest.param(flip(100), id="flipped-schema"),
        pytest.param(flip(8_192), id="flipped-page"),
        pytest.param(foreign, id="foreign"),
        pytest.param(sql("UPDATE alembic_version SET version_num = '9999'"), id="newer"),
        pytest.param(sql("INSERT INTO alembic_version VALUES ('0001')"), id="two-revisions"),
        pytest.param(sql("DROP TABLE outbox"), id="a-table-is-missing"),
        pytest.param(sql("ALTER TABLE items DROP COLUMN seconds_used"), id="a-column-is-missing"),
        pytest.param(sql("CREATE TABLE backup_manifest (name TEXT)"), id="a-backup"),
        pytest.param(sql("UPDATE meta SET value = 0 WHERE name = 'epoch'"), id="an-older-copy"),
    ],
)
def test_a_file_that_must_not_be_used_is_refused_until_it_is_put_right(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    path = settled(tmp_path)
    before = path.read_bytes()
    harm(path)
    harmed = path.read_bytes() if path.exists() else None

    async def story() -> None:
        async with desk(sqlite_url(path), tmp_path) as here:
            assert "phonefarm restore FILE" in (await here.refused("storage_refused"))["detail"]
            assert (path.read_bytes() if path.exists() else None) == harmed, "nothing is written to it"
            path.write_bytes(before)
            await here.accepts_again()

    asyncio.run(story())
    assert whole(sqlite_url(path)) == 1


@pytest.mark.fault(33)
def test_a_database_without_its_wal_is_refused_until_it_is_put_back(tmp_path: Path) -> None:
    path = of_killed_manager(tmp_path)
    wal = Path(f"{path}-wal")
    wal.rename(tmp_path / "elsewhere")

    async def story() -> None:
        async with desk(sqlite_url(path), tmp_path) as here:
            await here.refused("storage_refused")
            (tmp_path / "elsewhere").rename(wal)
            await here.accepts_again()

    asyncio.run(story())
    assert whole(sqlite_url(path)) == 1


# -- SQLite that cannot be written now -----------------------------------------------------------


@pytest.mark.fault(33)
async def test_a_read_only_file_system(tmp_path: Path, mounts: Mounts) -> None:
    mounts("--bind", str(mounts.place))
    mounts("-o", "remount,ro,bind")
    async with desk(sqlite_url(mounts.place / "farm.db"), tmp_path) as here:
        await here.refused("storage_read_only")
        mounts("-o", "remount,rw,bind")
        await here.accepts_again()


@pytest.mark.fault(33)
async def test_a_database_that_another_process_holds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "farm.db"
    hold = f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('BEGIN IMMEDIATE'); print(); input()"
    async with desk(sqlite_url(path), tmp_path) as here:
        await here.accepts_again()
        holder = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert holder.stdout is not None
            await asyncio.to_thread(holder.stdout.readline)
            await here.refused("storage_busy")
            assert f"is locked by process {holder.pid}" in caplog.text
        finally:
            holder.kill()
            holder.communicate()
        await here.accepts_again()


@pytest.mark.fault(33)
async def test_files_that_are_moved_or_cut_under_a_running_farm(tmp_path: Path) -> None:
    path = tmp_path / "farm.db"
    async with desk(sqlite_url(path), tmp_path) as here:
        await here.accepts_again()
        path.rename(tmp_path / "away")
        await here.refused("storage_unavailable")
        assert not path.exists()
        (tmp_path / "away").rename(path)
        await here.accepts_again()
        os.truncate(f"{path}-wal", 4_096)
        await here.refused("storage_refused")


# -- PostgreSQL ----------------------------------------------------------------------------------


@pytest.fixture
def role(postgres: Postgres) -> Iterator[tuple[str, Callable[[str], None]]]:
    """The URL of a database that belongs to a common role, and a way to change both: ``{db}``, ``{role}``."""
    url = postgres.new_database()
    name = url.partition("@/")[2].partition("?")[0]
    admin = psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True)

    def change(statement: str) -> None:
        admin.execute(statement.format(db=name, role=f"role_{name}").encode())

    change("CREATE ROLE {role} LOGIN")
    change("ALTER DATABASE {db} OWNER TO {role}")
    change("GRANT ALL ON SCHEMA public TO {role}")
    change("GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    yield url.replace("postgres@/", f"role_{name}@/"), change
    change("ALTER DATABASE {db} OWNER TO postgres")
    change("DROP OWNED BY {role}")
    change("DROP ROLE {role}")
    admin.close()


END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    ("cause", "code", "cure"),
    [
        ("ALTER ROLE {role} CONNECTION LIMIT 0", "storage_busy", "ALTER ROLE {role} CONNECTION LIMIT -1"),
        (
            "ALTER DATABASE {db} SET default_transaction_read_only = on",
            "storage_read_only",
            "ALTER DATABASE {db} RESET default_transaction_read_only",
        ),
        (
            "ALTER DATABASE {db} SET synchronous_commit = off",
            "storage_refused",
            "ALTER DATABASE {db} RESET synchronous_commit",
        ),
        (
            "ALTER ROLE {role} SET synchronous_commit = off",
            "storage_refused",
            "ALTER ROLE {role} RESET synchronous_commit",
        ),
    ],
)
async def test_a_server_that_does_not_let_us(
    role: tuple[str, Callable[[str], None]], tmp_path: Path, cause: str, code: str, cure: str
) -> None:
    """Before the farm starts, and while it runs with sessions that were cut."""
    url, change = role
    change(cause)
    async with desk(url, tmp_path) as here:
        await here.refused(code)
        change(cure)
        await here.accepts_again()
        change(cause)
        change(END_SESSIONS)
        await here.refused(code)
        change(cure)
        await here.accepts_again()


@pytest.mark.fault(33)
def test_a_session_that_is_left_in_a_transaction_is_ended_by_the_server(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "IDLE_SECONDS", 1)
    url = postgres.new_database()
    frozen, other = open_engines(url), open_engines(url, role="test")
    with frozen.writer.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        with other.writer.connect() as looking:
            while postgresql.managers(looking):
                looking.rollback()
        connection.invalidate()
    frozen.dispose()
    other.dispose()


@pytest.mark.fault(33)
async def test_a_statement_that_the_server_cancels(postgres: Postgres, tmp_path: Path) -> None:
    async with desk(postgres.new_database(), tmp_path) as here:
        await here.accepts_again()
        with pytest.raises(StorageBusy):
            await here.farm.manager._db.write(slow)
        await here.accepts_again()


def slow(tx: Tx) -> None:
    tx.connection.exec_driver_sql("SET LOCAL statement_timeout = '20ms'")
    tx.connection.exec_driver_sql("SELECT pg_sleep(30)")


def test_a_server_that_may_lose_everything_is_told_of(postgres: Postgres, caplog: pytest.LogCaptureFixture) -> None:
    url = postgres.new_database()
    admin = psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True)
    engines = open_engines(url)
    try:
        check_integrity(engines)
        assert "fsync" not in caplog.text
        admin.execute("ALTER SYSTEM SET fsync = off")
        admin.execute("SELECT pg_reload_conf()")
        while "fsync=off" not in caplog.text:
            check_integrity(engines)
    finally:
        admin.execute("ALTER SYSTEM RESET fsync")
        admin.execute("SELECT pg_reload_conf()")
        admin.close()
        engines.dispose()
