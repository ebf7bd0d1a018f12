"""A witness beside a SQLite database: the highest epoch that was taken on it, in ``FILE-epoch``.

Theory of operation
-------------------
SQLite takes a missing or an empty file for a new database, and a database without its WAL for a whole one. Both would
be a farm that has quietly forgotten what it had acknowledged. So each manager writes its epoch beside the database once
it is committed, and the next one refuses a database that knows only an older epoch: its file, or its WAL with the start
of the last manager in it, was deleted or replaced. A WAL that is deleted after that start was checkpointed leaves no such
trace. A restore writes a new witness.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from phonefarm.errors import StorageRefused
from phonefarm.store.backup_file import open_file, sync


def file_of(path: Path) -> Path:
    return Path(f"{path}-epoch")


def check(path: Path) -> None:
    """Before the database is opened for writing. Raises StorageRefused if it has lost what was written to it."""
    seen = read(path)
    if not seen:
        return
    known = _epoch_in(path)
    if known is not None and known < seen:
        raise StorageRefused(
            f"{path} {_what(path)}: it was deleted, replaced, or parted from its -wal file. Put both back, or restore a "
            f"backup; to begin anew on purpose, delete {file_of(path)}"
        )


def _what(path: Path) -> str:
    if not path.exists():
        return "is missing"
    return "has lost its last part" if path.stat().st_size else "is empty"


def write(path: Path, epoch: int) -> None:
    """After the epoch was committed."""
    new = Path(f"{file_of(path)}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(f"{epoch}\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(file_of(path))
    sync(path.parent)


def read(path: Path) -> int:
    """The epoch that the witness of a database has seen, 0 without one."""
    try:
        return int(file_of(path).read_text("ascii"))
    except (OSError, ValueError):
        return 0


def _epoch_in(path: Path) -> int | None:
    """The database's epoch, 0 if it has none; None if it cannot be read, which others will name."""
    if not path.exists() or not path.stat().st_size:
        return 0
    try:
        with closing(open_file(path, "ro")) as connection:
            rows = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchall()
    except sqlite3.Error:
        return None
    return int(rows[0][0]) if rows else 0
