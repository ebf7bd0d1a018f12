"""SQLite's file gives room back to the disk after processes were forgotten.

Theory of operation
-------------------
What is deleted leaves empty pages in the file, which come into use again; the file itself never gets smaller. In a
database that was made with ``auto_vacuum = INCREMENTAL`` (``sqlite``) empty pages can be moved to its end and cut off,
a slice a transaction, like any other change. The file is cut when the log has been copied into it.

Some room stays, so that a farm whose work goes up and down does not cut and grow its file all day. PostgreSQL does all
of this by itself (autovacuum). A file of before 2026-11-29 keeps its size until a restore makes it anew
(docs/backup.md).
"""

from __future__ import annotations

from typing import cast

from sqlalchemy.engine import Connection

from phonefarm.store.sqlite import may_shrink
from phonefarm.store.writer import Tx

#: Empty pages that stay: at least so many (4 MB), and a share of the file.
SPARE_PAGES, SPARE_SHARE = 1_024, 0.1
#: At most so many pages (1 MB) a transaction, so that no change waits long behind it.
SLICE = 256
#: ``PRAGMA auto_vacuum``'s word for it.
_INCREMENTAL = 2


def surplus(pages: int, free: int) -> int:
    """Pages to give back of a file of so many, of which some are empty; both in pages."""
    return max(0, free - max(SPARE_PAGES, round(pages * SPARE_SHARE)))


def give_back(tx: Tx) -> int:
    """Cut one slice off the end of the file; how many pages, 0 when there is nothing to do (more)."""
    connection = tx.connection
    if connection.dialect.name != "sqlite" or _pragma(connection, "auto_vacuum") != _INCREMENTAL:
        return 0
    count = min(SLICE, surplus(_pragma(connection, "page_count"), _pragma(connection, "freelist_count")))
    for _ in range(count):  # one each: Python's sqlite3 takes one step of it, whatever number it is given
        connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
    if count:
        may_shrink(connection, _pragma(connection, "page_count") * _pragma(connection, "page_size"))
    return count


def _pragma(connection: Connection, name: str) -> int:
    return cast("int", connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
