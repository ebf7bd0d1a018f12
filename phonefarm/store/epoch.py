"""The epoch: a number that each manager raises by one when it starts, and that every write of it must still find.

Theory of operation
-------------------
Raising it makes every older manager stale: its next write, at the latest that of its rescue timer, finds another
number, changes nothing, and ends it. A predecessor in the middle of a transaction holds the row; its commit is waited
for, since it was begun in time. But one that is frozen inside a transaction never commits:

* PostgreSQL: after ``TAKE_OVER_SECONDS`` its session is ended by the server at our request. Its transaction is rolled
  back; nothing of it was acknowledged. When the frozen manager wakes up, its connection is gone and it is stale.
* SQLite: a lock can only be given up by its process, so the successor says which process that is and tries again until
  the lock is free (``sqlite``, ``holders``).

A restored database gets an epoch higher than any that was ever given out (``raised``).
"""

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from phonefarm.errors import StorageBusy
from phonefarm.store import postgresql, tables
from phonefarm.store.trouble import storage_errors

TAKE_OVER_SECONDS = 5.0

_ROW = tables.meta.c.name == "epoch"
_SELECT = "SELECT value, (extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM meta WHERE name = 'epoch'"


def take(engine: Engine) -> int:
    """A new epoch, so that every older manager is stale. Raises StorageUnavailable, naming who is in the way."""
    try:
        return _raise(engine)
    except StorageBusy as busy:
        if engine.dialect.name == "sqlite":
            raise
        with storage_errors(), engine.begin() as connection:
            others = postgresql.end_frozen_writers(connection)
        try:
            return _raise(engine)
        except StorageBusy as still:
            raise StorageBusy(f"the epoch is held by {', '.join(others) or busy.message}") from still


def _raise(engine: Engine) -> int:
    with storage_errors(), engine.begin() as connection:
        if connection.dialect.name != "sqlite":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(TAKE_OVER_SECONDS * 1000)}")
        if connection.execute(sa.update(tables.meta).where(_ROW).values(value=tables.meta.c.value + 1)).rowcount == 0:
            connection.execute(sa.insert(tables.meta).values(name="epoch", value=1))
        return read(connection)[0]


def read(connection: Connection) -> tuple[int, int]:
    """(epoch, database time in ms). On PostgreSQL the row is share-locked, so a successor waits for our commit."""
    if connection.dialect.name == "sqlite":
        epoch = connection.exec_driver_sql("SELECT value FROM meta WHERE name = 'epoch'").scalar_one()
        return int(epoch), time.time_ns() // 1_000_000
    row = connection.exec_driver_sql(f"{_SELECT} FOR SHARE").one()
    return int(row[0]), int(row[1])


def looked_at(connection: Connection) -> tuple[int, int]:
    """As ``read``, for one who only reads."""
    if connection.dialect.name == "sqlite":
        return read(connection)
    row = connection.exec_driver_sql(_SELECT).one()
    return int(row[0]), int(row[1])


def raised(*known: int, now: int) -> int:
    """An epoch for a restored database. Managers that came after the backup was made had epochs of which it knows
    nothing, so the time in ms is the floor: no farm starts a thousand managers a second."""
    return max(*known, now) + 1
