"""Rows from one database to another, of either kind, a few at a time; and artifacts into a backup and out of it."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.errors import BackupRefused
from phonefarm.store import tables
from phonefarm.store.artifacts import file_path
from phonefarm.store.backup_file import FILES, open_file
from phonefarm.store.trouble import first_line, storage_errors

#: Rows that are in memory at once, and bytes of an artifact.
CHUNK, PART = 500, 1024 * 1024


def copy_rows(source: Connection, target: Connection) -> None:
    """Every row of our tables, those that others refer to first. Raises BackupRefused for one that does not fit."""
    streamed = source.execution_options(yield_per=CHUNK)
    for table in tables.metadata.sorted_tables:
        for rows in streamed.execute(sa.select(table)).mappings().partitions():
            try:
                target.execute(sa.insert(table), [dict(row) for row in rows])
            except (sa.exc.DataError, sa.exc.IntegrityError) as error:
                raise BackupRefused(
                    f"a row of {table.name} cannot be kept by this database: {first_line(error.orig)}"
                ) from error


def keep_files(path: Path, root: Path) -> tuple[int, int]:
    """Put the artifacts that a backup names into it: (kept, missing). One that is not as its row says is missing."""
    kept = missing = 0
    with storage_errors(), closing(open_file(path, "rw")) as connection:
        named = connection.execute(
            "SELECT process_id, name, sha256 FROM artifacts ORDER BY process_id, name"
        ).fetchall()
        for process_id, name, sha256 in named:
            connection.execute("BEGIN")
            whole = _keep_file(connection, file_path(root, process_id, name), process_id, name) == sha256
            connection.execute("COMMIT" if whole else "ROLLBACK")
            kept, missing = kept + whole, missing + (not whole)
    return kept, missing


def _keep_file(connection: sqlite3.Connection, path: Path, process_id: str, name: str) -> str | None:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for part, data in enumerate(iter(lambda: file.read(PART), b"")):
                digest.update(data)
                connection.execute(f"INSERT INTO {FILES} VALUES (?, ?, ?, ?)", (process_id, name, part, data))
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def put_files_back(path: Path, root: Path) -> int:
    """Write a backup's artifacts below ``root``, each whole or not at all; how many."""
    with storage_errors(), closing(open_file(path, "ro")) as connection:
        named = connection.execute(f"SELECT DISTINCT process_id, name FROM {FILES}").fetchall()
        for process_id, name in named:
            _put_back(connection, file_path(root, process_id, name), process_id, name)
    return len(named)


def _put_back(connection: sqlite3.Connection, path: Path, process_id: str, name: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".part")
    with partial.open("wb") as file:
        for data in _parts(connection, process_id, name):
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _parts(connection: sqlite3.Connection, process_id: str, name: str) -> Iterator[bytes]:
    query = f"SELECT data FROM {FILES} WHERE process_id = ? AND name = ? ORDER BY part"
    for (data,) in connection.execute(query, (process_id, name)):
        yield data
