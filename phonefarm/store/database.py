"""The manager's database, opened when it can be.

A constructor must not fail (Ray would bury the actor for good), so the database is opened here, again and
again with back-off, while callers get ``StorageUnavailable`` (or the kind of it that says why). A database that
must not be used is no reason to end either: a farm that stays up says what to do, one that crashes in a loop does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from sqlalchemy.engine import Connection

from phonefarm import logs
from phonefarm.core.tally import Tally
from phonefarm.errors import ConfigError, PhoneFarmError, StorageUnavailable
from phonefarm.models.clock import Clock
from phonefarm.store import witness
from phonefarm.store.engine import Engines, check_integrity, open_engines, sqlite_path, storage_errors
from phonefarm.store.migrate import upgrade
from phonefarm.store.writer import AtCommit, Change, Writer

T = TypeVar("T")
log = logs.logger(__name__)

_FIRST_PAUSE, _LAST_PAUSE = 0.2, 5.0


class Database:
    """One writer, several readers. ``on_stale`` is called when another manager has taken over, ``on_commit`` after
    every commit with the processes it touched."""

    def __init__(
        self,
        url: str,
        *,
        on_stale: Callable[[], None],
        clock: Clock | None = None,
        on_commit: Callable[[Iterable[str]], None] = lambda _touched: None,
        on_doubt: Callable[[], None] = lambda: None,
        at_commit: AtCommit = lambda _number, _phase: None,
        tally: Tally | None = None,
    ) -> None:
        self._url = url
        self._tally = tally
        self._on_stale = on_stale
        self._on_commit = on_commit
        self._on_doubt = on_doubt
        self._at_commit = at_commit
        self._clock = clock
        self._engines: Engines | None = None
        self._writer: Writer | None = None
        self._problem = StorageUnavailable("the database is being opened")
        self.opened = asyncio.Event()

    async def open(self, first: Change[None]) -> None:
        """Open, check, migrate, take the epoch, commit ``first``; returns when it has worked."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await asyncio.to_thread(self._open, first)
            except Exception as error:
                self._problem = _problem(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)
            else:
                self.opened.set()
                return

    def _open(self, first: Change[None]) -> None:
        path = sqlite_path(self._url)
        with storage_errors():
            if path is not None:
                witness.check(path)
        engines = open_engines(self._url)
        writer = self._new_writer(engines)
        try:
            check_integrity(engines)
            upgrade(engines)
            writer.start()
            with storage_errors():
                if path is not None:
                    witness.write(path, writer.epoch)
            writer.submit(first).result()
        except BaseException:
            writer.stop()
            engines.dispose()
            raise
        self._engines, self._writer = engines, writer

    def _new_writer(self, engines: Engines) -> Writer:
        return Writer(
            engines,
            clock=self._clock,
            on_stale=self._on_stale,
            on_commit=self._on_commit,
            on_doubt=self._on_doubt,
            at_commit=self._at_commit,
            tally=self._tally,
        )

    def close(self) -> None:
        """Commit what is queued, then let go of the files."""
        if self._writer is not None:
            self._writer.stop()
        if self._engines is not None:
            self._engines.dispose()

    @property
    def epoch(self) -> int:
        return self._writer.epoch if self._writer is not None else 0

    @property
    def commits(self) -> int:
        """Transactions committed since the start."""
        return self._writer.commits if self._writer is not None else 0

    async def write(self, change: Change[T]) -> T:
        """The value of ``change`` after its commit. Raises StorageUnavailable."""
        if self._writer is None:
            raise type(self._problem)(self._problem.message)
        return await self._writer.run(change)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """The value of ``query`` over a read-only connection. Raises StorageUnavailable."""
        engines = self._engines
        if engines is None or self._writer is None:
            raise type(self._problem)(self._problem.message)
        return await asyncio.to_thread(self._query, engines, query)

    @staticmethod
    def _query(engines: Engines, query: Callable[[Connection], T]) -> T:
        with storage_errors(), engines.reader.connect() as connection:
            return query(connection)


def _problem(error: Exception) -> StorageUnavailable:
    """What callers are told while the database cannot be opened; the log has all of it."""
    if isinstance(error, PhoneFarmError):
        log.error("database.unusable", error=error)
    else:
        log.error("database.unusable", exc_info=error, error=error)
    if isinstance(error, StorageUnavailable):
        return error
    why = error.message if isinstance(error, ConfigError) else type(error).__name__
    return StorageUnavailable(f"the database cannot be opened: {why}")
