"""PostgreSQL goes away and comes back while the farm works (fault 32), and a commit whose answer never arrives."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from phonefarm.core.leases import LeaseTerms
from phonefarm.errors import StorageUnavailable, Unavailable
from phonefarm.models.process import Accepted, Submission
from phonefarm.store import postgresql, tables
from phonefarm.store.database import Database
from phonefarm.store.engine import open_engines
from tests.farmtools import LocalFarm, local_farm, submission
from tests.integration.postgres_control import Controlled, CutAtCommit, controlled_postgres

pytestmark = pytest.mark.timeout(180)

RESTARTS, CALLERS = 3, 3


@pytest.fixture(scope="module")
def server() -> Iterator[Controlled]:
    with controlled_postgres() as running:
        yield running


class Caller:
    """Sends requests one after the other, each until it has an answer; keeps what it was told."""

    def __init__(self, farm: LocalFarm) -> None:
        self._farm = farm
        self.accepted: dict[str, str] = {}
        self.refused: list[type[Exception]] = []

    async def work(self, until: asyncio.Event) -> None:
        while not until.is_set():
            await self.send(submission())
            await asyncio.sleep(0.02)

    async def send(self, order: Submission) -> None:
        while order.request_id not in self.accepted:
            try:
                (answer,) = await self._farm.manager.submit_many([order])
            except Unavailable as error:
                self.refused.append(type(error))
                await asyncio.sleep(0.02)
            else:
                assert isinstance(answer, Accepted), answer
                assert answer.process_id == order.process_id
                self.accepted[order.request_id] = answer.process_id


def clean(database: Database) -> bool:
    """No connection is out of its pool."""
    engines = database._engines
    assert engines is not None
    pools = [engine.pool for engine in (engines.writer, engines.reader)]
    return all(isinstance(pool, QueuePool) and pool.checkedout() == 0 for pool in pools)


@pytest.mark.fault(32)
async def test_nothing_accepted_is_lost_or_doubled_while_the_server_crashes_again_and_again(
    server: Controlled, tmp_path: Path
) -> None:
    url = server.new_database()
    async with local_farm(url, tmp_path, terms=LeaseTerms(seconds=3.0, delivery_seconds=3.0)) as farm:
        for name in ("A", "B"):
            await farm.add_phone(name)
        callers, enough = [Caller(farm) for _ in range(CALLERS)], asyncio.Event()
        working = [asyncio.create_task(caller.work(enough)) for caller in callers]
        for _ in range(RESTARTS):
            before = sum(len(caller.accepted) for caller in callers)
            await farm.until(lambda b=before: sum(len(c.accepted) for c in callers) >= b + 10)  # type: ignore[misc]
            await asyncio.to_thread(server.restart)
        enough.set()
        await asyncio.gather(*working)
        told = {key: process for caller in callers for key, process in caller.accepted.items()}
        assert any(caller.refused for caller in callers)
        for process_id in told.values():
            view = await farm.status_of(process_id, "completed")
            assert view["outcome"] == "succeeded"
        await farm.until(lambda: clean(farm.manager._db))
        assert farm.stale == 0
        await check_rows(farm, told)


async def check_rows(farm: LocalFarm, told: dict[str, str]) -> None:
    """The database has exactly what callers were told, each once, each ended once."""
    p, i, e = tables.processes, tables.items, tables.events
    keys = await farm.manager._db.read(lambda c: c.execute(sa.select(p.c.request_id, p.c.id)).all())
    assert sorted((row[0], row[1]) for row in keys) == sorted(told.items())
    items = await farm.manager._db.read(lambda c: c.execute(sa.select(i.c.process_id)).scalars().all())
    assert sorted(items) == sorted(told.values())
    ends = sa.select(e.c.process_id).where(e.c.kind == "item.finished")
    assert sorted(await farm.manager._db.read(lambda c: c.execute(ends).scalars().all())) == sorted(told.values())


@pytest.fixture
def proxied(server: Controlled) -> Iterator[tuple[str, CutAtCommit]]:
    """A database's URL by way of a proxy."""
    name = server.new_database().partition("?host=")[0]
    with tempfile.TemporaryDirectory(prefix="pf-cut-") as directory:
        proxy = CutAtCommit(server.directory, Path(directory))
        yield f"{name}?host={directory}", proxy
        proxy.close()


@pytest.mark.fault(32)
async def test_a_commit_whose_answer_was_lost_is_found_by_its_key(
    proxied: tuple[str, CutAtCommit], tmp_path: Path
) -> None:
    """The caller is told 503 though its process is there; when it sends the same again, it is told so, and it runs."""
    url, proxy = proxied
    async with local_farm(url, tmp_path) as farm:
        proxy.arm(b"INSERT INTO processes")
        caller, order = Caller(farm), submission()
        with pytest.raises(StorageUnavailable):
            await farm.manager.submit_many([order])
        assert proxy.cuts == 1
        await caller.send(order)
        (other,) = await farm.manager.submit_many([submission(request_id=order.request_id)])
        assert isinstance(other, Accepted)
        assert (other.process_id, other.duplicate) == (order.process_id, True)
        await farm.add_phone("A")
        await farm.status_of(order.process_id, "completed")
        await check_rows(farm, caller.accepted)
        await farm.until(lambda: clean(farm.manager._db))


@pytest.mark.fault(32)
async def test_a_phone_whose_last_report_was_committed_unanswered_gets_the_next_work(
    proxied: tuple[str, CutAtCommit], tmp_path: Path
) -> None:
    url, proxy = proxied
    async with local_farm(url, tmp_path) as farm:
        await farm.add_phone("A")
        caller, first, second = Caller(farm), submission(), submission()
        proxy.arm(b"item.finished")
        await caller.send(first)
        await farm.status_of(first.process_id, "completed")
        await farm.until(lambda: proxy.cuts == 1)
        await caller.send(second)
        await farm.status_of(second.process_id, "completed")
        await check_rows(farm, caller.accepted)


def _end_sessions(url: str) -> None:
    """End all sessions of a database, as a restart of its server does."""
    engines = open_engines(url)
    others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
    with engines.reader.connect() as connection:
        connection.exec_driver_sql(f"{others} AND pid <> pg_backend_pid()")
    engines.dispose()


@pytest.mark.fault(32)
@pytest.mark.parametrize("rest", [0.0, 3_600.0], ids=["asked", "not-asked"])
async def test_a_session_that_was_lost_while_it_rested_is_replaced_before_anybody_notices(
    server: Controlled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rest: float
) -> None:
    """Where it is not asked, because it was used a moment ago, the next call fails by name; the one after does not."""
    monkeypatch.setattr(postgresql, "REST_SECONDS", rest)
    url = server.new_database()
    async with local_farm(url, tmp_path) as farm:
        await farm.manager._db.write(lambda _tx: None)
        _end_sessions(url)  # and nothing else happens here meanwhile
        database, refused = farm.manager._db, 0
        for _ in range(2):
            try:
                assert await database.write(lambda _tx: 1) == await database.read(lambda _c: 1)
                break
            except StorageUnavailable:
                refused += 1
        assert await database.write(lambda _tx: 1) == 1
        assert (refused > 0) == (rest > 0)
