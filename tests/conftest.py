"""Fixtures of every suite: the two databases. Loads the register of faults, and deals tests out to workers.

``make test`` runs two workers side by side. Whole farms take turns on one of them, for there is one farm a session, and
two would be in the way of each other; the modules of everything else go to whichever is free, each in one piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import Postgres, new_sqlite, postgres_server

pytest_plugins = ["tests.faultregister"]

#: Suites that run whole farms, in the order in which they are run.
FARMS = ("e2e", "hosts")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The farms first: they take longest. A group is what one worker runs in one piece."""
    items.sort(key=lambda item: (*FARMS, _suite(item)).index(_suite(item)))
    for item in items:
        group = "farms" if _suite(item) in FARMS else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))


def _suite(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL server for the session."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def db_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh database; the test runs once on each kind."""
    if request.param == "sqlite":
        return new_sqlite(tmp_path)
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.new_database()
