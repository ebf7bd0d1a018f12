"""Two managers on one database, as real processes that are stopped, woken and killed (fault 7).

The newer always gets in, the older writes nothing more and ends by itself: when it is idle, when it is in the middle of
a transaction, and when it is frozen there.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

import pytest
import sqlalchemy as sa

from phonefarm.store.engine import check_integrity, open_engines, sqlite_path
from phonefarm.store.tables import meta, processes
from tests.integration.manager_process import STALE

pytestmark = pytest.mark.timeout(120)


class Manager:
    """A process that was started, and the lines it has said."""

    def __init__(self, url: str, directory: Path) -> None:
        command = [sys.executable, "-m", "tests.integration.manager_process", url, str(directory)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines: SimpleQueue[str] = SimpleQueue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.strip())

    def tell(self, words: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()

    def hear(self, seconds: float = 60) -> str:
        return self.lines.get(timeout=seconds)

    def ask(self, words: str) -> str:
        self.tell(words)
        return self.hear()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def freeze_between_transactions(self, db_url: str) -> None:
        """One that is frozen within one of its timers' holds SQLite's lock until it wakes up, which is another test."""
        self.freeze()
        while is_locked(db_url):
            self.signal(signal.SIGCONT)
            self.freeze()

    def rest(self) -> list[str]:
        """What it says until it has ended."""
        assert self.process.wait(60) == STALE
        said = []
        while "stale" not in said:
            said.append(self.hear())
        return said


def is_locked(db_url: str) -> bool:
    """Whether somebody is in a transaction of a SQLite file."""
    path = sqlite_path(db_url)
    if path is None:
        return False
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            return True
        connection.execute("ROLLBACK")
        return False


@pytest.fixture
def new_manager(db_url: str, tmp_path: Path) -> Iterator[Callable[[], Manager]]:
    started: list[Manager] = []

    def start() -> Manager:
        started.append(Manager(db_url, tmp_path))
        return started[-1]

    yield start
    for manager in started:
        manager.process.kill()
        manager.process.communicate()


def written(db_url: str) -> tuple[set[str], set[str]]:
    """(keys of processes, names in meta), of a database that is whole."""
    engines = open_engines(db_url)
    check_integrity(engines)
    with engines.reader.connect() as connection:
        keys = set(connection.execute(sa.select(processes.c.request_id)).scalars())
        names = set(connection.execute(sa.select(meta.c.name)).scalars())
    engines.dispose()
    return keys, names - {"epoch", "run"}


@pytest.mark.fault(7)
def test_an_idle_older_manager_ends_by_itself_and_one_that_slept_writes_nothing(
    db_url: str, new_manager: Callable[[], Manager]
) -> None:
    first = new_manager()
    assert first.ask("ready") == "ready"
    assert first.ask("submit one").startswith("accepted")
    second = new_manager()
    assert second.ask("ready") == "ready"
    assert first.rest() == ["stale"]  # nobody asked it for anything

    second.freeze_between_transactions(db_url)
    second.tell("submit asleep")
    third = new_manager()
    assert third.ask("ready") == "ready"
    assert third.ask("submit two").startswith("accepted")
    second.signal(signal.SIGCONT)
    assert not [line for line in second.rest() if line.startswith("accepted")]
    assert third.ask("submit three").startswith("accepted")
    assert written(db_url) == ({"one", "two", "three"}, set())


def test_a_newer_manager_waits_for_the_transaction_of_an_older_one(
    db_url: str, new_manager: Callable[[], Manager]
) -> None:
    old, new = new_manager(), None
    assert old.ask("ready") == "ready"
    assert old.ask("hold begun-in-time") == "holding"
    new = new_manager()
    new.tell("ready")
    with pytest.raises(Empty):
        new.hear(0.3)
    old.tell("release")
    assert new.hear() == "ready"
    assert "released" in old.rest()
    assert new.ask("submit next").startswith("accepted")
    assert written(db_url) == ({"next"}, {"begun-in-time"})


@pytest.mark.fault(7)
def test_a_manager_that_is_frozen_in_a_transaction_is_taken_over(
    db_url: str, new_manager: Callable[[], Manager]
) -> None:
    old = new_manager()
    assert old.ask("ready") == "ready"
    assert old.ask("hold never") == "holding"
    old.freeze()
    new = new_manager()
    if db_url.startswith("sqlite"):
        named = f"is locked by process {old.process.pid} (stopped)"
        until = time.monotonic() + 30
        while named not in (why := new.ask("why")):
            assert time.monotonic() < until, why
        assert new.ask("submit meanwhile") == "storage_busy"
        old.signal(signal.SIGKILL)
    assert new.ask("ready") == "ready"
    assert new.ask("submit next").startswith("accepted")
    if not db_url.startswith("sqlite"):
        old.tell("release")
        old.signal(signal.SIGCONT)
        assert "held" not in old.rest()
    assert written(db_url) == ({"next"}, set())
