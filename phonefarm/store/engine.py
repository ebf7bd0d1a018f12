"""Engines: one writing connection, a few reading ones, for SQLite (default) and PostgreSQL.

SQLite runs in WAL with ``synchronous=FULL``: a commit is on disk when it returns. There is exactly one
read-write connection in the farm; readers open the file read-only. PostgreSQL keeps its own durability
(``synchronous_commit`` is checked to be on).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool, StaticPool

from phonefarm.errors import ConfigError, StorageRefused, StorageUnavailable

READERS = 4
#: Errors go to logs, and a statement's values are prompts, typed texts and callback URLs.
_QUIET: Mapping[str, Any] = {"hide_parameters": True}

#: SQLite's words for a file that is broken, as against one that is busy or away.
_DAMAGED = ("file is not a database", "database disk image is malformed")


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


def open_engines(url: str) -> Engines:
    """Open (and for SQLite create) the database of ``url``. Raises ConfigError for a URL that cannot be one."""
    try:
        parsed = make_url(url)
    except SQLAlchemyError as error:
        raise ConfigError(f"--db is not a database URL: {error}") from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return _sqlite(parsed)
    if parsed.drivername == "postgresql+psycopg":
        return _postgresql(parsed)
    raise ConfigError("--db must begin with sqlite:/// or postgresql+psycopg://")


@contextmanager
def storage_errors() -> Iterator[None]:
    """The border: what SQLAlchemy raises about the database itself becomes StorageUnavailable, or, of a damaged
    file, StorageRefused. Violated laws (IntegrityError) pass."""
    try:
        yield
    except sa.exc.IntegrityError:
        raise
    except DBAPIError as error:
        reason = _first_line(error.orig)
        if any(words in reason for words in _DAMAGED):
            raise StorageRefused(f"the database is damaged: {reason}") from error
        raise StorageUnavailable(f"database: {reason}") from error


def check_integrity(engines: Engines) -> None:
    """Refuse to start on a damaged database. Raises StorageRefused or StorageUnavailable."""
    with storage_errors(), engines.writer.connect() as connection:
        if not engines.is_sqlite:
            _check_durability(connection)
            return
        verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if verdict != "ok":
            raise StorageRefused(f"the database is damaged: {verdict}")


def _check_durability(connection: Connection) -> None:
    if connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "off":
        raise StorageRefused("PostgreSQL has synchronous_commit=off: an acknowledged process could be lost")


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _sqlite(url: URL) -> Engines:
    path = url.database
    if not path or path == ":memory:":
        raise ConfigError("--db sqlite:/// needs a file: the database must outlive its process")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    writer = sa.create_engine(
        url, poolclass=StaticPool, connect_args={"check_same_thread": False, "isolation_level": None}, **_QUIET
    )
    sa.event.listen(writer, "connect", _tune_sqlite)
    sa.event.listen(writer, "begin", _begin_immediate)
    reader_url = f"sqlite:///file:{quote(str(Path(path).resolve()))}?mode=ro&uri=true"
    reader = sa.create_engine(
        reader_url, poolclass=QueuePool, pool_size=READERS, connect_args={"check_same_thread": False}, **_QUIET
    )
    sa.event.listen(reader, "connect", _tune_sqlite_reader)
    return Engines(writer=writer, reader=reader)


def _tune_sqlite(connection: Any, _record: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _tune_sqlite_reader(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA busy_timeout=5000")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _postgresql(url: URL) -> Engines:
    writer = sa.create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True, **_QUIET)
    reader = sa.create_engine(
        url, pool_size=READERS, max_overflow=0, pool_pre_ping=True, isolation_level="REPEATABLE READ", **_QUIET
    )
    return Engines(writer=writer, reader=reader)
