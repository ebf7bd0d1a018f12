"""SQLite: one read-write connection, a few read-only ones, and a watch over the files.

Theory of operation
-------------------
WAL with ``synchronous=FULL``: a commit is on disk when it returns. A transaction takes the write lock at its start, so
two managers on one file wait for each other there; whoever waits too long is told which process holds the lock.

SQLite keeps writing to the files it has opened, even when somebody has moved, deleted or replaced them: what is
committed then is lost with the last open handle. So each transaction first looks whether the files under these names
are still those it writes to.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, ExceptionContext
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool, StaticPool

from phonefarm.errors import StorageBusy, StorageRefused, StorageUnavailable
from phonefarm.store.holders import holder_of
from phonefarm.store.trouble import loses_connection

#: How long a transaction waits for another process's one.
BUSY_MS = 5_000
_FILES, _SIZE = "phonefarm files", "phonefarm size"

FileIds = tuple[tuple[int, int], ...]


def writer(path: Path, *, alone: bool) -> Engine:
    """The read-write engine. ``alone``: nobody else may have the file open at all, as for a restore."""
    engine = sa.create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=StaticPool,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "isolation_level": None},
    )
    sa.event.listen(engine, "connect", _tuner(path, alone))
    sa.event.listen(engine, "begin", _beginner(path))
    sa.event.listen(engine, "handle_error", _reopen_after_loss)
    return engine


def reader(path: Path, *, size: int) -> Engine:
    """Read-only connections; each reads one state of the database in a transaction."""
    engine = sa.create_engine(
        f"sqlite:///file:{quote(str(path.resolve()))}?mode=ro&uri=true",
        poolclass=QueuePool,
        hide_parameters=True,
        pool_size=size,
        max_overflow=0,
        connect_args={"check_same_thread": False},
    )
    sa.event.listen(engine, "connect", lambda connection, _record: connection.execute(f"PRAGMA busy_timeout={BUSY_MS}"))
    sa.event.listen(engine, "handle_error", _reopen_after_loss)
    return engine


def _tuner(path: Path, alone: bool) -> Callable[[Any, Any], None]:
    pragmas = [f"busy_timeout={0 if alone else BUSY_MS}", "synchronous=FULL", "foreign_keys=ON"]
    modes = ["locking_mode=EXCLUSIVE", "journal_mode=WAL"] if alone else ["journal_mode=WAL"]

    def tune(connection: Any, record: Any) -> None:
        for pragma in (*pragmas, *modes):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()  # opens the WAL
        record.info[_FILES], record.info[_SIZE] = _files(path), path.stat().st_size

    return tune


def _beginner(path: Path) -> Callable[[Connection], None]:
    def begin(connection: Connection) -> None:
        if connection.info[_FILES] != _files(path):
            raise StorageUnavailable(
                f"{path} was moved, deleted or replaced while the farm runs: "
                "put it and its -wal file back, or restart the farm"
            )
        size, connection.info[_SIZE] = connection.info[_SIZE], path.stat().st_size
        if connection.info[_SIZE] < size:
            raise StorageRefused(f"{path} was cut short while the farm runs")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            raise StorageBusy(f"database: {path} is locked by {holder_of(path)}") from error

    return begin


def _files(path: Path) -> FileIds:
    """Which files the database and its WAL are."""
    found = []
    for name in (path, Path(f"{path}-wal")):
        with suppress(FileNotFoundError):
            stat = os.stat(name)
            found.append((stat.st_dev, stat.st_ino))
    return tuple(found)


def _reopen_after_loss(context: ExceptionContext) -> None:
    if context.original_exception is not None and loses_connection(context.original_exception):
        context.is_disconnect = True
