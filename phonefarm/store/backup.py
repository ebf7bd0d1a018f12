"""Backups: made while the farm runs, of either database, into one file.

Theory of operation
-------------------
A backup is one state of the database: on SQLite the pages as one read transaction sees them, copied by SQLite's backup
interface; on PostgreSQL the rows as one REPEATABLE READ transaction sees them, table by table. Neither takes a lock
that the writer waits for. What is acknowledged after the beginning is not in it. ``backup_file`` describes the file.
"""

from __future__ import annotations

from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import sqlalchemy as sa

from phonefarm.errors import BackupRefused
from phonefarm.models.clock import rfc3339
from phonefarm.store import backup_file, copying, migrate
from phonefarm.store.backup_file import Manifest
from phonefarm.store.engine import Engines, open_engines, sqlite_path, sqlite_url
from phonefarm.store.trouble import storage_errors

#: Pages of a SQLite database that are copied at once.
_PAGES = 2048


def make(url: str, path: Path, *, now: int, artifacts: Path | None = None) -> Manifest:
    """Back the database of ``url`` up to ``path``; ``artifacts``: the directory of those to put into it; ``now`` in ms.
    Raises BackupRefused, StorageUnavailable, ConfigError; then ``path`` is as it was before."""
    source = sqlite_path(url)
    _refuse_place(path, source)
    with backup_file.new_file(path) as part:
        if source is not None:
            _copy_sqlite(source, part)
        else:
            _copy_postgresql(url, part)
        backup_file.begin(part)
        files, missing = copying.keep_files(part, artifacts) if artifacts is not None else (0, 0)
        facts = {
            "version": version("phonefarm"),
            "revision": _revision(part),
            "source": "postgresql" if source is None else "sqlite",
            "made_at": rfc3339(now),
            "files": files,
            "files_missing": missing,
        }
        backup_file.seal(part, facts)
        try:
            return backup_file.verify(part)
        except BackupRefused as error:
            raise BackupRefused(
                f"a copy of the database is not sound, so the database is not: {error.message}"
            ) from error


def _refuse_place(path: Path, source: Path | None) -> None:
    if source is not None and not source.is_file():
        raise BackupRefused(f"there is no database at {source}")
    if path.exists() and not backup_file.is_backup(path):
        raise BackupRefused(f"{path} exists and is not a backup: choose another name")


def _copy_sqlite(source: Path, part: Path) -> None:
    with storage_errors(), closing(backup_file.open_file(source, "ro")) as reading:
        reading.execute("BEGIN")  # one state, however long it takes: SQLite would begin anew after each write
        reading.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        with closing(backup_file.open_file(part, "rw")) as writing:
            reading.backup(writing, pages=_PAGES, sleep=0)


def _copy_postgresql(url: str, part: Path) -> None:
    source = open_engines(url, role="backup")
    target = open_engines(sqlite_url(part), alone=True)
    try:
        migrate.upgrade(target)
        with storage_errors():
            _copy_state(source, target)
    finally:
        target.dispose()
        source.dispose()


def _copy_state(source: Engines, target: Engines) -> None:
    with source.reader.connect() as reading, target.writer.begin() as writing:
        reading.exec_driver_sql("SET TRANSACTION READ ONLY")
        revision = migrate.revision(reading)
        if revision != migrate.head():
            raise BackupRefused(f"the database has schema {revision}; start a farm of this version on it once")
        writing.execute(sa.text("PRAGMA defer_foreign_keys = ON"))
        copying.copy_rows(reading, writing)


def _revision(part: Path) -> str:
    with storage_errors(), closing(backup_file.open_file(part, "ro")) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        rows = (
            connection.execute("SELECT version_num FROM alembic_version").fetchall()
            if "alembic_version" in tables
            else []
        )
    if len(rows) != 1 or rows[0][0] not in migrate.known_revisions():
        raise BackupRefused("the database is not one of a phonefarm that this version knows")
    return str(rows[0][0])
