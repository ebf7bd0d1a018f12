"""SQLite's log goes back into the database while nobody waits for a commit.

Theory of operation
-------------------
What is committed stands in the log (WAL). From time to time its pages are copied to their places in the database and
made durable there, and the log begins anew. By itself SQLite does so at the end of the commit that makes the log 1,000
pages long; in a large database those pages lie far apart, and that one commit takes several times as long as the
others. So the writer does it earlier, in smaller parts, when it has answered its callers and nothing else waits. A
writer that never rests does it as SQLite does by itself. Where room was given back (``room``) it is done at once, for
only then the file is cut.

Not in a thread of its own: one connection that copies while another writes is how SQLite before 3.51.3 damages a
database. A copy that fails loses nothing: the log has it all, and the next commit says what is wrong.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import cast

from sqlalchemy.engine import Engine

from phonefarm import logs
from phonefarm.store.sqlite import cut_is_due
from phonefarm.store.trouble import storage_errors

log = logs.logger(__name__)

#: Changed rows after which it is worth while: some hundreds of pages, a part of SQLite's own 1,000.
ROWS = 100
_COPIED = "phonefarm rows copied"


class Checkpoints:
    """For the writing ``engine``, in the writer's thread. Does nothing for a server's database, which has its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._here = engine.dialect.name == "sqlite"

    def at_rest(self) -> None:
        """Copy what the log has if that is enough. Call it outside a transaction. Raises nothing."""
        if not self._here:
            return
        try:
            with storage_errors(), contextlib.closing(self._engine.raw_connection()) as connection:
                driver = cast("sqlite3.Connection", connection.driver_connection)
                enough = driver.total_changes - connection.info.get(_COPIED, 0) >= ROWS
                if enough or cut_is_due(connection.info):
                    connection.info[_COPIED] = driver.total_changes
                    driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except Exception as error:
            log.warning("database.checkpoint_failed", error=error)
