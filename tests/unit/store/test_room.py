"""A SQLite file gets smaller after much was deleted, a slice at a time; the watch over it takes that for no harm."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.errors import StorageRefused
from phonefarm.models.clock import system_clock
from phonefarm.store import backup, room
from phonefarm.store.engine import Engines, open_engines, sqlite_url
from phonefarm.store.migrate import upgrade
from phonefarm.store.restore import restore
from phonefarm.store.sqlite import LOG_BYTES
from phonefarm.store.tables import meta
from phonefarm.store.writer import Tx, Writer
from tests.databases import Postgres

pytestmark = pytest.mark.timeout(60)
PAGE = 4_096
#: So many rows of a page each are deleted again.
ROWS = room.SPARE_PAGES + 3 * room.SLICE


Write = Callable[[Callable[[Tx], Any]], Any]


@contextmanager
def writing(engines: Engines) -> Iterator[Write]:
    """Run a change through the one writer; what it gave after its commit."""
    writer = Writer(engines, on_stale=lambda: None)
    writer.start()
    try:
        yield lambda change: writer.submit(change).result(30)
    finally:
        writer.stop()


@pytest.fixture
def write(engines: Engines) -> Iterator[Write]:
    with writing(engines) as run:
        yield run


def fill(tx: Tx) -> None:
    rows = [{"name": f"row-{n:05d}-{'x' * (PAGE - 200)}", "value": n} for n in range(ROWS)]
    tx.rows(sa.insert(meta), rows)


def one(tx: Tx) -> None:
    tx.rows(sa.insert(meta).values(name="row-one", value=1))


def empty(tx: Tx) -> None:
    tx.rows(sa.delete(meta).where(meta.c.name.like("row-%")))


def ready(write: Write) -> None:
    write(fill)
    write(empty)


def everything(write: Write) -> list[int]:
    """Slices until there is nothing more."""
    slices = []
    while count := write(room.give_back):
        slices.append(count)
    return slices


def size(database: Path) -> int:
    return database.stat().st_size


def checkpoint(engines: Engines) -> None:
    with closing(engines.writer.raw_connection()) as connection:
        connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def test_what_is_empty_is_given_back_but_for_a_rest(database: Path, engines: Engines, write: Write) -> None:
    ready(write)
    checkpoint(engines)
    before = size(database)
    slices = everything(write)
    assert max(slices) == room.SLICE
    assert sum(slices) >= 3 * room.SLICE
    checkpoint(engines)
    beyond = before - sum(slices) * PAGE - size(database)
    assert 0 <= beyond < 8 * PAGE, "and some pages that say where pages are"
    write(fill)  # it grows again, and is looked after as before
    with closing(sqlite3.connect(database)) as other:
        assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_the_file_is_cut_as_soon_as_the_writer_rests(database: Path, engines: Engines, write: Write) -> None:
    ready(write)
    checkpoint(engines)
    before = size(database)
    slices = everything(write)
    assert size(database) <= before - sum(slices) * PAGE, "nobody had to ask for it"


def test_a_file_that_is_cut_when_a_reader_lets_go_is_cut_by_us(database: Path, engines: Engines, write: Write) -> None:
    ready(write)
    checkpoint(engines)
    before = size(database)
    with engines.reader.connect() as reader:
        reader.exec_driver_sql("BEGIN")
        reader.execute(sa.select(sa.func.count()).select_from(meta)).scalar_one()
        everything(write)
        checkpoint(engines)
        assert size(database) == before, "the reader still sees what was there"
    checkpoint(engines)
    assert size(database) < before
    assert write(room.give_back) == 0


def test_a_log_that_became_long_is_cut_when_it_begins_anew(database: Path, engines: Engines, write: Write) -> None:
    log = Path(f"{database}-wal")
    with engines.reader.connect() as reader:  # as a backup does
        reader.exec_driver_sql("BEGIN")
        reader.execute(sa.select(sa.func.count()).select_from(meta)).scalar_one()
        ready(write)
        assert size(log) > 2 * LOG_BYTES
    checkpoint(engines)
    for change in (one, empty):
        write(change)
    assert size(log) == LOG_BYTES
    os.truncate(log, LOG_BYTES - PAGE)
    with pytest.raises(StorageRefused, match="cut short"):
        write(empty)


@pytest.mark.parametrize("given_back", [True, False], ids=["after giving back", "with nothing given back"])
def test_a_file_that_somebody_cuts_is_refused(database: Path, engines: Engines, write: Write, given_back: bool) -> None:
    ready(write)
    if given_back:
        everything(write)
    checkpoint(engines)
    write(one)  # it has seen how short the file became by ours
    os.truncate(database, size(database) - PAGE)
    with pytest.raises(StorageRefused, match="cut short"):
        write(empty)


def test_more_than_was_given_back_is_refused(database: Path, engines: Engines, write: Write) -> None:
    ready(write)
    checkpoint(engines)
    before = size(database)
    slices = everything(write)
    os.truncate(database, before - (sum(slices) + 8) * PAGE)
    with pytest.raises(StorageRefused, match="cut short"):
        write(empty)


def test_an_older_file_keeps_its_size_until_it_is_restored(database: Path, tmp_path: Path) -> None:
    made = open_engines(sqlite_url(database))
    with closing(sqlite3.connect(database)) as older:
        older.execute("PRAGMA auto_vacuum=NONE")
        older.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    upgrade(made)
    with writing(made) as write:
        ready(write)
        assert write(room.give_back) == 0
    made.dispose()
    copy = tmp_path / "farm.backup"
    backup.make(sqlite_url(database), copy, now=system_clock())
    restore(copy, sqlite_url(database), now=system_clock(), artifacts=tmp_path / "artifacts", replace=True)
    with closing(sqlite3.connect(database)) as restored:
        assert restored.execute("PRAGMA auto_vacuum").fetchone() == (2,)


def test_postgresql_does_it_by_itself(postgres: Postgres) -> None:
    made = open_engines(postgres.new_database())
    with writing(made) as write:
        assert write(room.give_back) == 0
    made.dispose()


@given(pages=st.integers(0, 10**7), share=st.floats(0, 1))
def test_what_stays_is_enough_and_not_too_much(pages: int, share: float) -> None:
    free = round(pages * share)
    back = room.surplus(pages, free)
    assert 0 <= back <= free
    if back:
        assert free - back == max(room.SPARE_PAGES, round(pages * room.SPARE_SHARE))
