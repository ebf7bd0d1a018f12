"""Engines: one writing connection, a few reading ones, for SQLite (the default) and PostgreSQL.

There is exactly one read-write connection in the farm; readers cannot write. Errors go to logs, and the values of a
statement are prompts, typed texts and callback URLs, so no engine shows them (``hide_parameters``).
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from phonefarm.errors import ConfigError, StorageRefused
from phonefarm.store import postgresql, sqlite
from phonefarm.store.trouble import storage_errors

__all__ = ["Engines", "check_integrity", "open_engines", "sqlite_path", "sqlite_url", "storage_errors"]

READERS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Engines:
    """``writer`` for the one writer thread, ``reader`` for anybody else in the manager."""

    writer: Engine
    reader: Engine

    @property
    def is_sqlite(self) -> bool:
        return self.writer.dialect.name == "sqlite"

    def dispose(self) -> None:
        self.reader.dispose()
        self.writer.dispose()


def sqlite_url(path: Path) -> str:
    """The URL of an embedded database at ``path``."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def sqlite_path(url: str) -> Path | None:
    """The file of an embedded database, None for a server's. Raises ConfigError for a URL that cannot be one."""
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigError("--db sqlite:/// needs a file: the database must outlive its process")
    return Path(parsed.database)


def open_engines(url: str, *, role: str = "manager", alone: bool = False) -> Engines:
    """Open (and for SQLite create) the database of ``url``. Raises ConfigError for a URL that cannot be one, and
    StorageUnavailable where no file can be. ``role``: who opens it; ``alone``: a SQLite file nobody else has open."""
    path, parsed = sqlite_path(url), _parsed(url)
    if path is not None:
        with storage_errors():
            _make_room(path)
        return Engines(writer=sqlite.writer(path, alone=alone), reader=sqlite.reader(path, size=READERS))
    if parsed.drivername == "postgresql+psycopg":
        return Engines(
            writer=postgresql.writer(parsed, role=role), reader=postgresql.reader(parsed, size=READERS, role=role)
        )
    raise ConfigError("--db must begin with sqlite:/// or postgresql+psycopg://")


def check_integrity(engines: Engines) -> None:
    """Refuse to start on a damaged database. Raises StorageRefused or StorageUnavailable."""
    with storage_errors(), engines.writer.connect() as connection:
        if not engines.is_sqlite:
            postgresql.check(connection)
            return
        verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if verdict != "ok":
            raise StorageRefused(f"the database is damaged: {' '.join(verdict.split())}")


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except SQLAlchemyError as error:
        raise ConfigError(f"--db is not a database URL: {error}") from error


def _make_room(path: Path) -> None:
    """SQLite itself says no more than "unable to open" of all of these."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    for place in (path.parent, path):
        if place.exists() and not os.access(place, os.R_OK | os.W_OK):
            code = errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES
            raise OSError(code, os.strerror(code), str(place))
