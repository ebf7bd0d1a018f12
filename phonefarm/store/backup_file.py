"""A backup file: a SQLite database with the farm's tables, and two of its own that say what it holds.

Theory of operation
-------------------
``backup_manifest`` holds names and values: what made it, from what, when, and of each table how many rows and the
SHA-256 of their contents. SQLite's own check sees a broken page but not a flipped bit in a text, the digests see both.
``backup_files`` holds artifacts, if they were asked for, in parts, so that no file need fit into memory.

A file is written under another name, for its owner alone, checked, flushed to the disk and then renamed: under its own
name a backup is whole or not there. One journal-less file is left, which can be copied anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from phonefarm.errors import BackupRefused, StorageUnavailable
from phonefarm.store.trouble import storage_errors

FORMAT = 1
MANIFEST, FILES = "backup_manifest", "backup_files"
_OWN = f"""
CREATE TABLE {MANIFEST} (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE {FILES} (process_id TEXT, name TEXT, part INTEGER, data BLOB, PRIMARY KEY (process_id, name, part));
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What a backup holds. ``source``: the kind of database it was made from; ``revision``: of its schema; ``made_at``
    in RFC 3339; ``rows`` and ``digests`` by table; ``files_missing``: artifacts whose bytes were not there."""

    version: str
    revision: str
    source: str
    made_at: str
    rows: Mapping[str, int]
    digests: Mapping[str, str] = field(repr=False)
    files: int = 0
    files_missing: int = 0
    format: int = FORMAT


def open_file(path: Path, mode: str) -> sqlite3.Connection:
    """A plain connection. ``mode``: ``ro`` or ``rw``."""
    connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode={mode}", uri=True, isolation_level=None)
    connection.execute("PRAGMA cache_size = -8000")  # KiB: what a backup keeps in memory
    return connection


# -- writing -------------------------------------------------------------------------------------


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A private file to fill; it takes its place at ``path`` when the block ends well, else it is gone."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with storage_errors():
            part.unlink(missing_ok=True)
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield part
        with storage_errors():
            sync(part)
            part.replace(path)
            sync(path.parent)
    finally:
        for left in (part, Path(f"{part}-wal"), Path(f"{part}-shm"), Path(f"{part}-journal")):
            with suppress(OSError):
                left.unlink()


def one_file(path: Path) -> None:
    """Let a closed database be one file, without a WAL."""
    with storage_errors(), closing(open_file(path, "rw")) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


def begin(path: Path) -> None:
    """Give a copy of a database the tables of a backup."""
    one_file(path)
    with storage_errors(), closing(open_file(path, "rw")) as connection:
        connection.executescript(_OWN)


def seal(path: Path, facts: Mapping[str, Any]) -> Manifest:
    """Count and digest what is in it, and write the manifest. ``facts``: the manifest's other values."""
    with storage_errors(), closing(open_file(path, "rw")) as connection:
        contents = {name: _contents(connection, name) for name in _tables(connection)}
        manifest = Manifest(
            rows={name: count for name, (count, _) in contents.items()},
            digests={name: digest for name, (_, digest) in contents.items()},
            **facts,
        )
        values = [(name, json.dumps(value)) for name, value in asdict(manifest).items()]
        connection.execute("BEGIN")
        connection.executemany(f"INSERT INTO {MANIFEST} VALUES (?, ?)", values)
        connection.execute("COMMIT")
    return manifest


def sync(path: Path) -> None:
    """Flush a file, or a directory's names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# -- checking ------------------------------------------------------------------------------------


def is_backup(path: Path) -> bool:
    """Whether a file calls itself a backup."""
    try:
        with closing(open_file(path, "ro")) as connection:
            return _has_manifest(connection)
    except sqlite3.Error:
        return False


def verify(path: Path) -> Manifest:
    """What a backup holds, after reading all of it. Raises BackupRefused for one that is not whole."""
    if not path.exists():
        raise BackupRefused(f"there is no file {path}")
    try:
        with storage_errors(), closing(open_file(path, "ro")) as connection:
            manifest = _manifest(connection, path)
            _check(connection, manifest, path)
    except StorageUnavailable as error:
        raise BackupRefused(f"{path} cannot be read as a backup: {error.message}") from error
    return manifest


def _has_manifest(connection: sqlite3.Connection) -> bool:
    query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
    return bool(connection.execute(query, (MANIFEST,)).fetchone()[0])


def _manifest(connection: sqlite3.Connection, path: Path) -> Manifest:
    if not _has_manifest(connection):
        raise BackupRefused(f"{path} is not a backup of phonefarm")
    values = {name: json.loads(value) for name, value in connection.execute(f"SELECT name, value FROM {MANIFEST}")}
    if values.get("format") != FORMAT:
        raise BackupRefused(f"{path} has format {values.get('format')}, which this version of phonefarm does not know")
    return Manifest(**{known.name: values[known.name] for known in fields(Manifest) if known.name in values})


def _check(connection: sqlite3.Connection, manifest: Manifest, path: Path) -> None:
    verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise BackupRefused(f"{path} is damaged: {' '.join(verdict.split())}")
    if (loose := connection.execute("PRAGMA foreign_key_check").fetchone()) is not None:
        raise BackupRefused(f"{path} is damaged: a row of {loose[0]} belongs to nothing")
    if set(_tables(connection)) != set(manifest.rows):
        raise BackupRefused(f"{path} is damaged: its tables are not those of its manifest")
    for name, count in manifest.rows.items():
        found = _contents(connection, name)
        if found != (count, manifest.digests[name]):
            raise BackupRefused(
                f"{path} is damaged: table {name} is not as it was written ({found[0]} rows of {count})"
            )


def _tables(connection: sqlite3.Connection) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> ?"
    return sorted(name for (name,) in connection.execute(query, (MANIFEST,)))


def _contents(connection: sqlite3.Connection, table: str) -> tuple[int, str]:
    """(rows, SHA-256 of them in the order of their key)."""
    keys = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]]
    digest, count = hashlib.sha256(), 0
    for row in connection.execute(f"SELECT * FROM {table} ORDER BY {', '.join(keys) or 'rowid'}"):
        digest.update(repr(row).encode("utf-8", "surrogatepass"))
        count += 1
    return count, digest.hexdigest()
