"""Databases that are full (fault 33), seen by callers: the disk, its quota of files, a limit that is set for the farm,
and the disks of a PostgreSQL server.

The real app in front of the real manager and router. In each case: 503 with a name and a next step, never a 202; what
had its 202 is there, and nothing else; the farm goes on by itself when there is room.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from phonefarm.store.engine import sqlite_url
from tests.databases import Postgres
from tests.integration.conftest import Mounts
from tests.integration.postgres_control import controlled_postgres
from tests.integration.trouble_desk import Desk, desk, whole

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("short_waits")]


# -- SQLite --------------------------------------------------------------------------------------


@pytest.mark.fault(33)
async def test_a_full_file_system(tmp_path: Path, mounts: Mounts) -> None:
    mounts("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    url = sqlite_url(mounts.place / "farm.db")
    async with desk(url, tmp_path) as here:
        await here.refused("storage_full")
        assert whole(url) == here.accepted
        await here.refused("storage_full")
        assert whole(url) == here.accepted, "nothing is half-written"
        mounts("-o", "remount,size=16m")
        await here.accepts_again()
        assert whole(url) == here.accepted


@pytest.mark.fault(33)
async def test_a_file_system_without_room_for_another_file(tmp_path: Path, mounts: Mounts) -> None:
    mounts("-t", "tmpfs", "-o", "nr_inodes=3", "tmpfs")
    url = sqlite_url(mounts.place / "farm.db")
    async with desk(url, tmp_path) as here:
        await here.refused("storage_full")
        assert here.accepted == 0
        mounts("-o", "remount,nr_inodes=100")
        await here.accepts_again()
        assert whole(url) == here.accepted


@pytest.mark.fault(33)
async def test_a_limit_for_files(tmp_path: Path, file_limit: Callable[[int], None]) -> None:
    """It is met when the database is made, and again by one that has grown."""
    url = sqlite_url(tmp_path / "farm.db")
    file_limit(128 * 1024)
    async with desk(url, tmp_path) as here:
        await here.refused("storage_full")
        assert here.accepted == 0
        file_limit(1024 * 1024)
        await here.accepts_again()
        await here.refused("storage_full")
        await here.refused("storage_full")
        assert whole(url) == here.accepted, "nothing is half-written"
        file_limit(resource.RLIM_INFINITY)
        await here.accepts_again()
        assert whole(url) == here.accepted


@pytest.mark.fault(33)
async def test_a_full_database(tmp_path: Path) -> None:
    """As above where nothing may be mounted: SQLite itself allows no more pages."""
    url = sqlite_url(tmp_path / "farm.db")
    async with desk(url, tmp_path) as here:
        await here.accepts_again()
        await allow_pages(here, 1)
        await here.refused("storage_full")
        assert whole(url) == here.accepted
        await allow_pages(here, 1_000_000)
        await here.accepts_again()
        assert whole(url) == here.accepted


async def allow_pages(here: Desk, count: int) -> None:
    """Fewer than there are means: no more than there are."""
    await here.farm.manager._db.write(
        lambda tx: tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {count}").close()
    )


# -- PostgreSQL ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(postgres: Postgres, mounts: Mounts) -> Iterator[str]:
    """The URL of a database whose tables are on ``mounts.place``."""
    owner = Path(postgres.url("").partition("host=")[2]).stat().st_uid
    mounts("-t", "tmpfs", "-o", f"size=128m,uid={owner},mode=700", "tmpfs")
    url = postgres.new_database()
    name = make_url(url).database
    with psycopg.connect(postgres.url("postgres").replace("+psycopg", ""), autocommit=True) as admin:
        admin.execute(f"CREATE TABLESPACE disk LOCATION '{mounts.place}'".encode())
        admin.execute(f"ALTER DATABASE {name} SET TABLESPACE disk".encode())
        yield url
        postgres.drop(url)
        admin.execute("DROP TABLESPACE disk")


@pytest.mark.fault(33)
async def test_a_postgresql_server_without_room_for_tables(small_disk: str, tmp_path: Path, mounts: Mounts) -> None:
    async with desk(small_disk, tmp_path) as here:
        await here.accepts_again()
        mounts.fill()
        await here.refused("storage_full")
        await here.refused("storage_full")
        assert whole(small_disk) == here.accepted, "nothing is half-written"
        mounts("-o", "remount,size=128m")
        await here.accepts_again()
        assert whole(small_disk) == here.accepted


@pytest.mark.fault(33)
async def test_a_postgresql_server_without_room_for_its_log(tmp_path: Path, mounts: Mounts) -> None:
    """It cannot go on, nor start again; the farm waits for it."""
    mounts("-t", "tmpfs", "-o", "size=256m", "tmpfs")
    with controlled_postgres() as server:
        url = server.new_database()
        server.move_log(mounts.place / "pg_wal")
        async with desk(url, tmp_path) as here:
            await here.accepts_again()
            mounts.fill()
            server.use_up_log()
            await here.refused("storage_unavailable")
            await here.farm.until(lambda: not server.is_running())
            await here.refused("storage_unavailable")
            mounts("-o", "remount,size=256m")
            await asyncio.to_thread(server.control, "restart")
            await here.accepts_again()
            assert whole(url) == here.accepted
