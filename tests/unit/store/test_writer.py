"""The one writer: commits together, fails alone, and stops when it is replaced."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from phonefarm.errors import StaleWriter
from phonefarm.store.engine import Engines, open_engines
from phonefarm.store.migrate import upgrade
from phonefarm.store.tables import meta
from phonefarm.store.writer import Tx, Writer

pytestmark = pytest.mark.timeout(60)


class Rig:
    """Engines and the writers a test makes."""

    def __init__(self, engines: Engines) -> None:
        self.engines = engines
        self.stale: list[int] = []
        self.writers: list[Writer] = []

    def writer(self) -> Writer:
        writer = Writer(self.engines, on_stale=lambda: self.stale.append(1))
        self.writers.append(writer)
        writer.start()
        return writer

    def names(self) -> set[str]:
        with self.engines.reader.connect() as connection:
            return {name for (name,) in connection.execute(sa.select(meta.c.name))} - {"epoch"}


@pytest.fixture
def rig(db_url: str) -> Iterator[Rig]:
    engines = open_engines(db_url)
    upgrade(engines)
    rig = Rig(engines)
    yield rig
    for writer in rig.writers:
        writer.stop()
    engines.dispose()


def put(name: str) -> Callable[[Tx], str]:
    def change(tx: Tx) -> str:
        tx.rows(sa.insert(meta).values(name=name, value=1))
        return name

    return change


async def held(writer: Writer) -> tuple[threading.Event, asyncio.Task[None]]:
    """Keep the writer's thread busy until the event is set, so that what follows gathers."""
    release, busy = threading.Event(), threading.Event()

    def wait(_tx: Tx) -> None:
        busy.set()
        release.wait(30)

    task = asyncio.create_task(writer.run(wait))
    await asyncio.to_thread(busy.wait, 30)
    return release, task


async def test_what_gathers_is_committed_together(rig: Rig) -> None:
    writer = rig.writer()
    release, first = await held(writer)
    tasks = [asyncio.create_task(writer.run(put(f"n{i}"))) for i in range(50)]
    await asyncio.sleep(0)
    before = writer.commits
    release.set()
    await first
    assert await asyncio.gather(*tasks) == [f"n{i}" for i in range(50)]
    assert writer.commits - before == 2
    assert len(rig.names()) == 50


async def test_a_change_that_raises_does_not_hurt_its_neighbours(rig: Rig) -> None:
    writer = rig.writer()
    release, first = await held(writer)

    def bad(tx: Tx) -> None:
        tx.rows(sa.insert(meta).values(name="half", value=1))
        raise RuntimeError("no")

    tasks = [asyncio.create_task(writer.run(c)) for c in (put("a"), bad, put("b"))]
    await asyncio.sleep(0)
    release.set()
    await first
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(a) for a in answers] == ["a", "no", "b"]
    assert rig.names() == {"a", "b"}


@pytest.mark.fault(3, 4)
async def test_a_caller_that_gives_up_does_not_stop_its_change(rig: Rig) -> None:
    writer = rig.writer()
    release, first = await held(writer)
    impatient = asyncio.create_task(writer.run(put("kept")))
    patient = asyncio.create_task(writer.run(put("also")))
    await asyncio.sleep(0)
    impatient.cancel()
    release.set()
    await first
    assert await patient == "also"
    assert "also" in rig.names()


@pytest.mark.fault(7)
async def test_an_older_manager_writes_nothing_more_and_is_told(rig: Rig) -> None:
    old = rig.writer()
    await old.run(put("before"))
    new = rig.writer()
    assert new.epoch == old.epoch + 1
    with pytest.raises(StaleWriter):
        await old.run(put("after"))
    await new.run(put("new"))
    assert rig.names() == {"before", "new"}
    assert rig.stale == [1]
