"""Restoring a backup, of either kind of database into either.

Theory of operation
-------------------
Only into a database without rows, unless all of its data is to be replaced, and never under a manager: on SQLite
nobody else may have the file open, on PostgreSQL no manager's session may be there, and the epoch is locked meanwhile.
The restored epoch is higher than any that was given out (``epoch.raised``), so a manager that was missed is stale.

All or nothing. PostgreSQL: one transaction. SQLite: a new file is filled beside the old one and takes its place at the
end; the old one, which may be damaged, is kept under another name with its WAL. Artifacts are written first: a row
always has its bytes.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.errors import BackupRefused, StorageBusy, StorageRefused
from phonefarm.store import backup_file, copying, epoch, migrate, postgresql, sqlite, tables, witness
from phonefarm.store.backup_file import Manifest
from phonefarm.store.engine import Engines, open_engines, sqlite_path, sqlite_url
from phonefarm.store.holders import describe, users_of
from phonefarm.store.trouble import storage_errors

#: How long a manager's session may take to leave a PostgreSQL server, and between two looks.
_LEAVING_SECONDS, _LOOK_SECONDS = 3.0, 0.05
_REPLACE = "give --replace-all-data to replace what is there"


def restore(path: Path, url: str, *, now: int, artifacts: Path, replace: bool = False) -> Manifest:
    """Put a backup into the database of ``url``, its artifacts below ``artifacts``; ``now`` in ms.
    Raises BackupRefused, StorageUnavailable, ConfigError; then the database is as it was before."""
    manifest = backup_file.verify(path)
    if manifest.revision not in migrate.known_revisions():
        raise BackupRefused(f"{path} has schema {manifest.revision}, which this version of phonefarm does not know")
    target = sqlite_path(url)
    with _of_this_version(path, manifest, beside=target or path) as source:
        if target is not None:
            _into_sqlite(source, target, now=now, artifacts=artifacts, replace=replace)
        else:
            _into_postgresql(source, url, now=now, artifacts=artifacts, replace=replace)
    return manifest


@contextmanager
def _of_this_version(path: Path, manifest: Manifest, *, beside: Path) -> Iterator[Path]:
    """The backup itself, or a copy of it that was brought to the schema of this version."""
    if manifest.revision == migrate.head():
        yield path
        return
    copy = beside.with_name(f".{beside.name}.{os.getpid()}.upgraded")
    try:
        with storage_errors():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        engines = open_engines(sqlite_url(copy), alone=True)
        try:
            migrate.upgrade(engines, backup=True)
        finally:
            engines.dispose()
        yield copy
    finally:
        for name in (copy, Path(f"{copy}-wal"), Path(f"{copy}-shm")):
            name.unlink(missing_ok=True)


def _fill(source: Path, target: Connection, *, now: int, known_epoch: int) -> int:
    """Every row of the backup, and the epoch that makes all managers of before stale; gives it."""
    reading = sqlite.reader(source, size=1)
    try:
        with reading.connect() as backup:
            copying.copy_rows(backup, target)
            here = tables.meta.c.name == "epoch"
            before = backup.execute(sa.select(tables.meta.c.value).where(here)).scalar_one_or_none() or 0
        target.execute(sa.delete(tables.meta).where(here))
        raised = epoch.raised(before, known_epoch, now=now)
        target.execute(sa.insert(tables.meta).values(name="epoch", value=raised))
        return raised
    finally:
        reading.dispose()


def _epoch_of(connection: Connection) -> int:
    query = sa.select(tables.meta.c.value).where(tables.meta.c.name == "epoch")
    return connection.execute(query).scalar_one_or_none() or 0


def _refuse_full(connection: Connection) -> None:
    for table in tables.metadata.sorted_tables:
        if (
            table is not tables.meta
            and connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first()
        ):
            raise BackupRefused(f"the database is not empty: it has rows in {table.name}; {_REPLACE}")


# -- PostgreSQL ----------------------------------------------------------------------------------


def _into_postgresql(source: Path, url: str, *, now: int, artifacts: Path, replace: bool) -> None:
    engines = open_engines(url, role="restore")
    try:
        with storage_errors(), engines.writer.connect() as connection:
            _let_managers_leave(connection)
            _refuse_managers(connection)
        migrate.upgrade(engines)
        with storage_errors(), engines.writer.begin() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
            connection.exec_driver_sql("LOCK TABLE meta IN ACCESS EXCLUSIVE MODE")
            _refuse_managers(connection)
            known = _epoch_of(connection)
            if not replace:
                _refuse_full(connection)
            names = ", ".join(table.name for table in tables.metadata.sorted_tables)
            connection.exec_driver_sql(f"TRUNCATE {names}")
            copying.put_files_back(source, artifacts)
            _fill(source, connection, now=now, known_epoch=known)
    finally:
        engines.dispose()


def _let_managers_leave(connection: Connection) -> None:
    """A farm that has just ended may stand in the server's list for a moment."""
    until = time.monotonic() + _LEAVING_SECONDS
    while postgresql.managers(connection) and time.monotonic() < until:
        connection.rollback()  # the list stays what it was for the length of a transaction
        time.sleep(_LOOK_SECONDS)


def _refuse_managers(connection: Connection) -> None:
    if there := postgresql.managers(connection):
        raise BackupRefused(f"a manager runs on this database, {there[0]}: end its farm first (phonefarm down)")


# -- SQLite --------------------------------------------------------------------------------------


def _into_sqlite(source: Path, target: Path, *, now: int, artifacts: Path, replace: bool) -> None:
    with _held(target, replace=replace) as known, backup_file.new_file(target.with_name(f"{target.name}.new")) as part:
        engines = open_engines(sqlite_url(part), alone=True)
        try:
            migrate.upgrade(engines)
            with storage_errors(), engines.writer.begin() as connection:
                copying.put_files_back(source, artifacts)
                raised = _fill(source, connection, now=now, known_epoch=max(known, witness.read(target)))
        finally:
            engines.dispose()
        backup_file.one_file(part)
    with storage_errors():
        _take_place(target.with_name(f"{target.name}.new"), target, now=now, known_epoch=raised)


@contextmanager
def _held(target: Path, *, replace: bool) -> Iterator[int]:
    """Hold the database that is to be replaced, if there is one, so that nobody opens it; gives its epoch."""
    if not target.exists() or target.stat().st_size == 0:
        yield 0
        return
    if pids := users_of(target):
        raise BackupRefused(f"{target} is in use by {describe(pids[0])}: end its farm first (phonefarm down)")
    engines = open_engines(sqlite_url(target), alone=True)
    try:
        known = _look(engines, target, replace)
        yield known
    finally:
        engines.dispose()


def _look(engines: Engines, target: Path, replace: bool) -> int:
    """The epoch of a database that may be replaced; 0 of one that is damaged or no database."""
    try:
        with storage_errors(), engines.writer.connect() as connection:
            has_tables = sa.inspect(connection).has_table("meta")
            known = _epoch_of(connection) if has_tables else 0
            if not replace:
                migrate.refuse_foreign(connection)
                if has_tables:
                    _refuse_full(connection)
            return known
    except StorageRefused as error:
        if replace:
            return 0
        raise BackupRefused(f"{target}: {error.message}; {_REPLACE} (it is kept under another name)") from error
    except StorageBusy as error:
        raise BackupRefused(f"{target} is in use: end its farm first (phonefarm down)") from error


def _take_place(new: Path, target: Path, *, now: int, known_epoch: int) -> None:
    """The old database stays as TARGET.before-NOW. At each step one whole database is found under the target's name."""
    wal = Path(f"{target}-wal")
    if target.exists() and target.stat().st_size:
        old = target.with_name(f"{target.name}.before-{now}")
        os.link(target, old)
        if wal.exists():
            wal.rename(f"{old}-wal")
    for left in (wal, Path(f"{target}-shm")):
        with suppress(FileNotFoundError):
            left.unlink()
    new.replace(target)
    backup_file.sync(target.parent)
    witness.write(target, known_epoch)
