"""The border of the room: what is raised about the database becomes one of our errors, by the database's own code.

Theory of operation
-------------------
Three kinds are told apart. Trouble *of the database* (its disk is full, it is read-only, held by another, away or
damaged) is ``StorageUnavailable`` or one of its kinds: nothing was kept, the call may be made again. A *violated law*
(``IntegrityError``) and a *value that cannot be stored* (``DataError``) belong to the change that caused them and pass
as they are, so that the writer can run its neighbours without it.

SQLite is known by its primary result code, PostgreSQL by SQLSTATE; a server that refuses a connection sends none, so
there its words decide.

Of a write that fails SQLite tells a full disk from the rest and no more: a quota, the limit for the size of a file and
a broken disk are one code, and a disk without room for another file is a file that cannot be opened. What the operating
system said is kept from us. So it is asked again, by a write of the same kind beside the database.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

from phonefarm.errors import StorageBusy, StorageFull, StorageReadOnly, StorageRefused, StorageUnavailable

Kind = type[StorageUnavailable]

_SQLITE: Mapping[int, Kind] = {
    sqlite3.SQLITE_FULL: StorageFull,
    sqlite3.SQLITE_READONLY: StorageReadOnly,
    sqlite3.SQLITE_BUSY: StorageBusy,
    sqlite3.SQLITE_LOCKED: StorageBusy,
    sqlite3.SQLITE_CORRUPT: StorageRefused,
    sqlite3.SQLITE_NOTADB: StorageRefused,
}
#: After these the connection may be of no more use though the cause is gone: the next change opens the file anew.
_SQLITE_LOST = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CANTOPEN,
}
#: These are said of a write for reasons that SQLite keeps to itself.
_SQLITE_UNSAID = {
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_CANTOPEN,
}
#: The size of the write that asks for the reason.
_ATTEMPT = 64 * 1024
_POSTGRESQL: Mapping[str, Kind] = {
    "53100": StorageFull,  # disk_full
    "25006": StorageReadOnly,  # read_only_sql_transaction
    "53300": StorageBusy,  # too_many_connections
    "55P03": StorageBusy,  # lock_not_available
    "57014": StorageBusy,  # query_canceled, as by statement_timeout
    "XX001": StorageRefused,  # data_corrupted
    "XX002": StorageRefused,  # index_corrupted
}
#: After these too: what made a session read-only, or its statements too slow, may have been set for it at its start.
_POSTGRESQL_LOST = {"25006", "57014"}
_POSTGRESQL_WORDS: Mapping[str, Kind] = {
    "too many clients": StorageBusy,
    "connection slots are reserved": StorageBusy,
    "too many connections": StorageBusy,
}
_OS: Mapping[int, Kind] = {
    errno.ENOSPC: StorageFull,
    errno.EDQUOT: StorageFull,
    errno.EFBIG: StorageFull,  # as by RLIMIT_FSIZE, whose signal Python ignores
    errno.EROFS: StorageReadOnly,
    errno.EACCES: StorageReadOnly,
    errno.EPERM: StorageReadOnly,
}


@contextmanager
def storage_errors() -> Iterator[None]:
    """The border. Raises StorageUnavailable or one of its kinds; IntegrityError and DataError pass."""
    try:
        yield
    except (sa.exc.IntegrityError, sa.exc.DataError):
        raise
    except DBAPIError as error:
        raise of_driver(error.orig) from error
    except sqlite3.Error as error:
        raise of_driver(error) from error
    except sa.exc.TimeoutError as error:
        raise StorageBusy("database: every connection is in use") from error
    except CommandError as error:
        raise StorageRefused(f"the database's schema cannot be read: {error}") from error
    except OSError as error:
        raise of_system(error) from error


def of_driver(error: BaseException | None) -> StorageUnavailable:
    """Our error for one of sqlite3 or psycopg."""
    kind = _kind(error)
    words = "the database is damaged" if kind is StorageRefused else "database"
    return kind(f"{words}: {first_line(error)}")


def of_system(error: OSError) -> StorageUnavailable:
    """Our error for what the operating system says about the database's files."""
    kind = _OS.get(error.errno or 0, StorageUnavailable)
    return kind(f"database: {error.strerror or error}: {error.filename or ''}".removesuffix(": "))


def loses_connection(error: BaseException) -> bool:
    """Whether a connection should be opened anew after this, beside those that are gone anyway."""
    if isinstance(error, sqlite3.Error):
        return _sqlite_code(error) in _SQLITE_LOST
    return getattr(error, "sqlstate", None) in _POSTGRESQL_LOST


def reopen_after_loss(context: ExceptionContext) -> None:
    """Listens to an engine's errors, so that its pool opens another connection after some."""
    if context.original_exception is not None and loses_connection(context.original_exception):
        context.is_disconnect = True


def asks_the_system(path: Path) -> Callable[[ExceptionContext], StorageUnavailable | None]:
    """Listens to the errors of a SQLite engine: our error for those whose reason only the operating system says."""

    def listen(context: ExceptionContext) -> StorageUnavailable | None:
        code = getattr(context.original_exception, "sqlite_errorcode", None)
        return _asked(path) if code in _SQLITE_UNSAID else None

    return listen


def _asked(path: Path) -> StorageUnavailable | None:
    """What is said of a write behind the end of a file that is as long as the database's longest; None: it succeeds."""
    files = (path, Path(f"{path}-wal"))
    try:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            file.seek(max((known.stat().st_size for known in files if known.exists()), default=0))
            file.write(bytes(_ATTEMPT))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return of_system(OSError(error.errno, error.strerror, str(path)))
    return None


def _kind(error: BaseException | None) -> Kind:
    if isinstance(error, sqlite3.Error):
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHORT_READ:
            return StorageRefused  # the file ends before what should be in it
        return _SQLITE.get(_sqlite_code(error), StorageUnavailable)
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return _POSTGRESQL.get(state, StorageUnavailable)
    said = str(error)
    return next((kind for words, kind in _POSTGRESQL_WORDS.items() if words in said), StorageUnavailable)


def _sqlite_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def first_line(error: BaseException | None) -> str:
    """What an error says, in one line."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
