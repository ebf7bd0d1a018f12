"""The one writer: a thread that commits whatever has gathered as one transaction.

A change is a function of a ``Tx``. Changes that arrive while the last commit was under way go together, in
order: one fsync for all of them. Each transaction first reads the epoch, so a manager that was replaced
writes nothing more. If a change raises, the whole batch is rolled back and each is run again alone, so one
bad change cannot hurt its neighbours; a change must therefore do nothing but read and write its ``Tx``.

A caller that gives up waiting does not stop its change once the thread has taken it.

A commit whose answer was lost (the server went away in the middle of it) may have happened. Callers get
StorageUnavailable and repeat their calls, which finds out by key or attempt; but what would have followed the commit is
known to nobody then, so ``on_doubt`` is called.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.core import metrics
from phonefarm.core.tally import Tally
from phonefarm.errors import StaleWriter, StorageUnavailable
from phonefarm.models.clock import Clock
from phonefarm.store import epoch
from phonefarm.store.checkpoint import Checkpoints
from phonefarm.store.engine import Engines, storage_errors
from phonefarm.store.steps import Steps

T = TypeVar("T")

#: At most this many changes share a transaction, to bound how long one of them waits.
MAX_BATCH = 1024


#: A seam for tests, which end the process there; nothing else uses it. Called in the writer's thread with the number of
#: the commit, from 1, before it is issued, and again after it returned and before any caller hears of it.
AtCommit = Callable[[int, Literal["before", "after"]], None]

#: A row by column name.
Row = dict[str, Any]


def maps(connection: Connection, query: sa.Executable, values: Row | None = None) -> list[Row]:
    """The rows of a query, each by column name; ``values`` of its parameters."""
    return [dict(row) for row in connection.execute(query, values).mappings()]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tx:
    """An open transaction. ``now``: the database's time (ms), one value for all that happens in it. ``touched``: ids of
    processes whose history it adds to; who waits for news of them is told after the commit. ``tally``: what it counts
    if it commits."""

    connection: Connection
    now: int
    touched: set[str] = field(default_factory=set)
    tally: Tally = field(default_factory=Tally)

    def rows(self, statement: sa.Executable, values: Any = None) -> sa.CursorResult[Any]:
        return cast("sa.CursorResult[Any]", self.connection.execute(statement, values))

    def maps(self, query: sa.Executable, values: Row | None = None) -> list[Row]:
        return maps(self.connection, query, values)

    def tuples(self, query: sa.Select[Any], values: Row | None = None) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.connection.execute(query, values)]


Change = Callable[[Tx], T]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Waiting:
    change: Change[Any]
    done: Future[Any]


class Writer:
    """Owns the writing connection. ``clock`` overrides database time (tests), whose steps are then not followed unless
    ``steps`` is given too. ``on_commit`` is called in the writer's thread with the ids of the processes that a commit
    touched. ``on_doubt``: so too, after a commit that may have happened. ``tally`` takes what was counted."""

    def __init__(
        self,
        engines: Engines,
        *,
        clock: Clock | None = None,
        steps: Steps | None = None,
        on_stale: Callable[[], None],
        on_commit: Callable[[Iterable[str]], None] = lambda _touched: None,
        on_doubt: Callable[[], None] = lambda: None,
        at_commit: AtCommit = lambda _number, _phase: None,
        tally: Tally | None = None,
    ) -> None:
        self._engines = engines
        self._checkpoints = Checkpoints(engines.writer)
        self.tally = tally or Tally()
        self._clock = clock
        self._steps = steps or (Steps() if clock is None else None)
        self._on_stale = on_stale
        self._on_commit = on_commit
        self._on_doubt = on_doubt
        self._at_commit = at_commit
        self._number = 0
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="writer", daemon=True)
        self.epoch = 0
        self.commits = 0

    def start(self) -> int:
        """Take a new epoch, so that every older manager is stale, and begin. Returns the epoch."""
        self._number += 1
        self._at_commit(self._number, "before")
        self.epoch = epoch.take(self._engines.writer)
        self._at_commit(self._number, "after")
        self._thread.start()
        return self.epoch

    def stop(self) -> None:
        """End after what is queued has been committed."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def submit(self, change: Change[T]) -> Future[T]:
        """Queue a change; the future holds its value once it is committed."""
        waiting = _Waiting(change=change, done=Future())
        self._queue.put(waiting)
        return waiting.done

    async def run(self, change: Change[T]) -> T:
        """The value of ``change`` after its commit. Raises StorageUnavailable, StaleWriter, or what it raised."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(change)))

    # -- the thread --

    def _loop(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, ended = self._gather(first)
            self._commit(batch)
            if ended:
                return
            if self._queue.empty():
                self._checkpoints.at_rest()

    def _gather(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                more = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
            if more is None:
                return batch, True
            batch.append(more)
        return batch, False

    def _commit(self, batch: list[_Waiting]) -> None:
        taken = [w for w in batch if w.done.set_running_or_notify_cancel()]
        try:
            values = self._transact(taken)
        except (StaleWriter, StorageUnavailable) as error:
            self._fail(taken, error)
        except Exception as error:
            if len(taken) == 1:
                self._fail(taken, error)
                return
            for waiting in taken:
                self._alone(waiting)
        else:
            for waiting, value in zip(taken, values, strict=True):
                waiting.done.set_result(value)

    def _alone(self, waiting: _Waiting) -> None:
        try:
            (value,) = self._transact([waiting])
        except Exception as error:
            self._fail([waiting], error)
        else:
            waiting.done.set_result(value)

    def _transact(self, batch: list[_Waiting]) -> list[Any]:
        complete = False
        began = time.monotonic()
        try:
            with self._transaction() as connection:
                tx = Tx(connection=connection, now=self._fence(connection))
                if self._steps is not None:
                    self._steps.follow(connection, tx.now)
                values = [waiting.change(tx) for waiting in batch]
                complete = True
        except StorageUnavailable:
            if complete:
                self._on_doubt()
            raise
        self.commits += 1
        self._count(tx, len(batch), time.monotonic() - began)
        if self._steps is not None:
            self._steps.committed()
        self._on_commit(tx.touched)
        return values

    def _count(self, tx: Tx, changes: int, seconds: float) -> None:
        self.tally.take(tx.tally)
        self.tally.add(metrics.COMMITS)
        self.tally.observe(metrics.COMMIT_CHANGES, changes)
        self.tally.observe(metrics.COMMIT_SECONDS, seconds)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        self._number += 1
        with storage_errors(), self._engines.writer.begin() as connection:
            yield connection
            self._at_commit(self._number, "before")
        self._at_commit(self._number, "after")

    def _fence(self, connection: Connection) -> int:
        current, now = epoch.read(connection)
        if current != self.epoch:
            raise StaleWriter(f"epoch {self.epoch} was replaced by {current}")
        return self._clock() if self._clock is not None else now

    def _fail(self, batch: list[_Waiting], error: Exception) -> None:
        for waiting in batch:
            waiting.done.set_exception(error)
        if isinstance(error, StaleWriter):
            self._on_stale()
