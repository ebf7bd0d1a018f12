"""SQLite: one read-write connection, a few read-only ones, and a watch over the files.

Theory of operation
-------------------
WAL with ``synchronous=FULL``: a commit is on disk when it returns. A transaction takes the write lock at its start, so
two managers on one file wait for each other there; whoever waits too long is told which process holds the lock.

SQLite keeps writing to the files it has opened, even when somebody has moved, deleted or replaced them: what is
committed then is lost with the last open handle. So each transaction first looks whether the files under these names
are still those it writes to, and no shorter than they were, but for what the farm itself cut off (``room``).
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool, StaticPool

from phonefarm.errors import StorageBusy, StorageRefused, StorageUnavailable
from phonefarm.store.holders import holder_of
from phonefarm.store.trouble import asks_the_system, reopen_after_loss

#: How long a transaction waits for another process's one.
BUSY_MS = 5_000
#: A log that had to become longer (a backup was made meanwhile) is cut to this when it begins anew. Without such a need
#: it has SQLite's 1,000 pages and stays as it is.
LOG_BYTES = 4 * 1024 * 1024
#: Alembic's table.
REVISIONS = "alembic_version"
_FILES, _MAY_SHRINK = "phonefarm files", "phonefarm may shrink"


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
    sa.event.listen(engine, "handle_error", reopen_after_loss)
    sa.event.listen(engine, "handle_error", asks_the_system(path), retval=True)
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
    sa.event.listen(engine, "handle_error", reopen_after_loss)
    return engine


def _tuner(path: Path, alone: bool) -> Callable[[Any, Any], None]:
    pragmas = ["synchronous=FULL", "foreign_keys=ON", f"busy_timeout={0 if alone else BUSY_MS}"]
    pragmas += [f"journal_size_limit={LOG_BYTES}"]
    pragmas += ["locking_mode=EXCLUSIVE"] if alone else []

    def tune(connection: Any, record: Any) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if names and REVISIONS not in names:  # to switch it to WAL would be to write to it
            raise StorageRefused(f"{path} is not a database of phonefarm: it has a table {min(names)}, but no revision")
        if not names:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # before anything is in it
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()  # opens the WAL
        record.info[_FILES] = _files(path)

    return tune


def _beginner(path: Path) -> Callable[[Connection], None]:
    def begin(connection: Connection) -> None:
        _refuse_changed(path, connection.info)
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            raise StorageBusy(f"database: {path} is locked by {holder_of(path)}") from error

    return begin


def may_shrink(connection: Connection, size: int) -> None:
    """The open transaction has cut the database down to ``size`` bytes: the file will be cut once, to no less."""
    connection.info[_MAY_SHRINK] = size


def cut_is_due(info: Mapping[Any, Any]) -> bool:
    """Whether a commit has cut the database down and its file still has its old length; ``info`` of the connection."""
    return _MAY_SHRINK in info


def _refuse_changed(path: Path, info: dict[Any, Any]) -> None:
    """Both files only grow while they are open, but for what ``may_shrink`` and a log above ``LOG_BYTES``; what is
    written to others, or behind their end, is lost."""
    known, now = info[_FILES], _files(path)
    if [file[:2] for file in known] != [file[:2] for file in now]:
        raise StorageUnavailable(
            f"{path} was moved, deleted or replaced while the farm runs: "
            "put it and its -wal file back, or restart the farm"
        )
    floors = (info.get(_MAY_SHRINK, sys.maxsize), LOG_BYTES)
    if any(new[2] < min(old[2], floor) for old, new, floor in zip(known, now, floors, strict=False)):
        raise StorageRefused(f"{path} or its -wal file was cut short while the farm runs")
    if now[0][2] < known[0][2]:
        del info[_MAY_SHRINK]
    info[_FILES] = now


def _files(path: Path) -> list[tuple[int, int, int]]:
    """Which files the database and its WAL are, and their sizes."""
    found = []
    for name in (path, Path(f"{path}-wal")):
        with suppress(FileNotFoundError):
            stat = os.stat(name)
            found.append((stat.st_dev, stat.st_ino, stat.st_size))
    return found
