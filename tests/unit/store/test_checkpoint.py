"""SQLite's log is copied into the database while the writer rests, and what fails there hurts nobody."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from phonefarm.store.checkpoint import ROWS, Checkpoints
from phonefarm.store.engine import Engines
from phonefarm.store.tables import meta
from phonefarm.store.writer import Tx, Writer
from tests.e2e.farm import until

pytestmark = pytest.mark.timeout(60)

#: In a process of its own: a process that closes a database's file loses its locks on it.
_COUNT = """
import shutil, sqlite3, sys
shutil.copy(sys.argv[1], sys.argv[2])
print(sqlite3.connect(sys.argv[2]).execute("SELECT count(*) FROM meta WHERE name LIKE 'row-%'").fetchone()[0])
"""


def put(engines: Engines, first: int, count: int) -> None:
    rows = [{"name": f"row-{n}", "value": n} for n in range(first, first + count)]
    with engines.writer.begin() as connection:
        connection.execute(sa.insert(meta), rows)


def without_log(database: Path) -> int:
    """How many of the rows are in the database file itself; 0 while it cannot be read without its log."""
    copy = database.with_name("copy.db")
    done = subprocess.run([sys.executable, "-c", _COUNT, str(database), str(copy)], capture_output=True, text=True)
    assert done.returncode == 0 or "sqlite3." in done.stderr, done.stderr
    return int(done.stdout or 0)


def test_the_log_is_copied_when_it_has_enough(database: Path, engines: Engines) -> None:
    checkpoints = Checkpoints(engines.writer)
    for first, count, there in ((0, ROWS, ROWS), (ROWS, ROWS - 1, ROWS), (2 * ROWS - 1, 1, 2 * ROWS)):
        put(engines, first, count)
        checkpoints.at_rest()
        assert without_log(database) == there


def test_over_a_connection_that_is_new(database: Path, engines: Engines) -> None:
    checkpoints = Checkpoints(engines.writer)
    put(engines, 0, ROWS)
    checkpoints.at_rest()
    engines.writer.dispose()
    put(engines, ROWS, 2 * ROWS)
    checkpoints.at_rest()
    assert without_log(database) == 3 * ROWS


def test_a_copy_that_fails_hurts_nobody(database: Path, engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    checkpoints = Checkpoints(engines.writer)
    put(engines, 0, ROWS)
    checkpoints.at_rest()
    put(engines, ROWS, ROWS)
    with monkeypatch.context() as broken:
        broken.setattr(engines.writer, "raw_connection", fail)
        checkpoints.at_rest()
    assert without_log(database) == ROWS
    checkpoints.at_rest()
    assert without_log(database) == 2 * ROWS


def test_the_writer_does_it_at_rest(database: Path, engines: Engines) -> None:
    def change(tx: Tx) -> None:
        tx.rows(sa.insert(meta), [{"name": f"row-{n}", "value": n} for n in range(ROWS)])

    writer = Writer(engines, on_stale=lambda: None)
    writer.start()
    try:
        writer.submit(change).result(30)
        until(lambda: without_log(database) == ROWS, "the log is copied", 30)
    finally:
        writer.stop()
