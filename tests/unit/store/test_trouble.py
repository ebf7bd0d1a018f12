"""How trouble with the database is named where the database's own code does not tell."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import NoneType

import pytest
from sqlalchemy.engine import ExceptionContext

from phonefarm.errors import StorageFull, StorageReadOnly, StorageUnavailable
from phonefarm.store.trouble import asks_the_system, of_system


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EFBIG, StorageFull),
        (errno.EROFS, StorageReadOnly),
        (errno.EACCES, StorageReadOnly),
        (errno.EIO, StorageUnavailable),
    ],
)
def test_what_the_system_says_has_a_kind(number: int, kind: type[StorageUnavailable]) -> None:
    error = of_system(OSError(number, os.strerror(number), "farm.db"))
    assert type(error) is kind
    assert error.message == f"database: {os.strerror(number)}: farm.db"


class Failed(ExceptionContext):
    """A statement for which SQLite gave ``code``."""

    def __init__(self, code: int) -> None:
        self.original_exception = sqlite3.OperationalError("disk I/O error")
        self.original_exception.sqlite_errorcode = code


WRITE = Failed(sqlite3.SQLITE_IOERR_WRITE)


@pytest.fixture
def limit() -> Iterator[int]:
    """The size that a file may have now: far more than anything has that the tests write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = 2**30
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    yield size
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", ["", "-wal"])
@pytest.mark.parametrize(("below", "kind"), [(0, StorageFull), (1, StorageFull), (2**20, NoneType)])
def test_a_write_that_fails_at_the_limit_for_files(
    tmp_path: Path, limit: int, suffix: str, below: int, kind: type[object]
) -> None:
    """Elsewhere it has failed for another reason, such as a broken disk."""
    path = tmp_path / "farm.db"
    path.touch()
    Path(f"{path}{suffix}").touch()
    os.truncate(f"{path}{suffix}", limit - below)
    assert type(asks_the_system(path)(WRITE)) is kind
    assert {file.name for file in tmp_path.iterdir()} == {"farm.db", f"farm.db{suffix}"}, "nothing is left behind"


def test_the_system_is_asked_of_writes_only(tmp_path: Path) -> None:
    asks = asks_the_system(tmp_path / "away" / "farm.db")
    for code in (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_CANTOPEN):
        said = asks(Failed(code))
        assert said is not None
        assert "No such file or directory" in said.message
    for code in (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_BUSY):
        assert asks(Failed(code)) is None
