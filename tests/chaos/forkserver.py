"""A warm interpreter that forks one process for each run of the scenario: everything is imported once.

``python -m tests.chaos.forkserver`` reads one run a line (what ``scenario.main`` takes), and answers each with the exit
status of the process that played it, -9 for one that was killed. It forks before there is any thread, loop or
connection. At the end of its input it ends, and so does whatever still runs if its parent goes away first.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


class Forge:
    """So many fork servers; ``run`` may be called from as many threads as one likes."""

    def __init__(self, servers: list[subprocess.Popen[str]]) -> None:
        self._free: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
        for server in servers:
            self._free.put(server)

    def run(self, **order: Any) -> int:
        """Play one run; its exit status."""
        server = self._free.get()
        try:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(json.dumps(order) + "\n")
            server.stdin.flush()
            return int(server.stdout.readline())
        finally:
            self._free.put(server)


@contextmanager
def forge(servers: int) -> Iterator[Forge]:
    """Fork servers for as long as the context lasts."""
    command = [sys.executable, "-m", "tests.chaos.forkserver"]
    root = Path(__file__).parents[2]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)
        for _ in range(servers)
    ]
    try:
        yield Forge(started)
    finally:
        for server in started:
            assert server.stdin is not None
            server.stdin.close()
        for server in started:
            server.wait(30)


def main() -> None:
    from tests.chaos import scenario

    _warm()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _end_with_parent()
            os._exit(_play(scenario.main, line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _warm() -> None:
    """What a run would import late."""
    import alembic.command
    import psycopg
    import sqlalchemy.dialects.postgresql.psycopg
    import sqlalchemy.dialects.sqlite.pysqlite

    del alembic, psycopg, sqlalchemy


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)


def _play(scenario: Any, line: str) -> int:
    try:
        scenario(line)
    except BaseException:
        directory = Path(json.loads(line)["directory"])
        (directory / "died.txt").write_text(traceback.format_exc())
        return 1
    return 0


if __name__ == "__main__":
    main()
