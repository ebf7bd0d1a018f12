"""An upgrade of the schema that is killed at any of its statements leaves the database as it was, or as it will be.

A process of its own upgrades a database of the first revision, with a row in each table, and ends by SIGKILL before or
after one statement, or at the commit. Then the upgrade is run again, and must find its way with every value kept.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from phonefarm.store.engine import Engines, open_engines
from phonefarm.store.migrate import head, revision, upgrade
from tests.databases import Postgres, new_sqlite
from tests.unit.store.test_migrations import fill, kept

pytestmark = pytest.mark.timeout(1_800 if os.environ.get("PHONEFARM_ALL_CRASH_POINTS") else 240)

#: So many points are tried of each database, evenly spread over the upgrade, and its last ones; or else all.
TRIED = 1_000 if os.environ.get("PHONEFARM_ALL_CRASH_POINTS") else 8
NEVER = 10**9


def upgrade_until(url: str, last: int, passed: Pipe) -> None:
    """In a process of its own: upgrade, and be killed at point ``last``. Sends how many points there were."""
    engines, points = open_engines(url), 0

    def pass_point(*_args: object) -> None:
        nonlocal points
        points += 1
        if points == last:
            os.kill(os.getpid(), signal.SIGKILL)

    for event in ("before_cursor_execute", "after_cursor_execute", "commit"):
        sa.event.listen(engines.writer, event, pass_point)
    upgrade(engines)
    pass_point()
    passed.send(points)


def run(url: str, last: int) -> int | None:
    """How many points an upgrade has that comes to its end, None for one that was killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=upgrade_until, args=(url, last, theirs))
    process.start()
    theirs.close()
    process.join()
    with ours:
        points = int(ours.recv()) if process.exitcode == 0 else None
    assert process.exitcode == (-signal.SIGKILL if last < NEVER else 0)
    process.close()
    return points


Filled = tuple[Engines, dict[str, list[dict[str, Any]]]]


@pytest.fixture(params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], tuple[str, Filled]]]:
    """Makes databases of the first revision."""
    postgres: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    made: list[tuple[str, Engines]] = []

    def make() -> tuple[str, Filled]:
        url = new_sqlite(tmp_path) if postgres is None else postgres.new_database(empty=True)
        engines = open_engines(url)
        made.append((url, engines))
        rows = fill(engines, "0001")
        engines.dispose()
        return url, (engines, rows)

    yield make
    for url, engines in made:
        engines.dispose()
        if postgres is not None:
            postgres.drop(url)


def test_an_upgrade_that_is_killed_is_done_again(filled: Callable[[], tuple[str, Filled]]) -> None:
    url, (engines, rows) = filled()
    points = run(url, NEVER)
    assert points is not None
    assert points > 50
    step = max(1, points // TRIED)
    for last in sorted({*range(1, points + 1, step), points - 2, points - 1, points}):
        url, (engines, rows) = filled()
        assert run(url, last) is None
        with engines.writer.connect() as connection:
            assert revision(connection) in ("0001", head()), "half of an upgrade was kept"
        upgrade(engines)
        for row in rows["meta"]:
            del row["value"]  # the epoch, which every try may raise
        kept(engines, rows)
        with engines.writer.connect() as connection:
            assert revision(connection) == head()
        engines.dispose()  # a server has only so many connections, and all points are hundreds
