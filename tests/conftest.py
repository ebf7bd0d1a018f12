"""Fixtures of every suite: the two databases. Loads the register of faults, and deals tests out to workers.

``make test`` runs two workers side by side. Whole farms, that of the session and then that of several hosts, take turns
on one of them, from the start, since they take longest and would be in the way of each other; the modules of everything
else go to whichever is free, each in one piece. Those that start a farm for themselves alone come last: by then the
farms of several hosts are tested, which mostly wait.

Properties are tried on the same examples every time, so that a run that was green is green again on the same code;
``HYPOTHESIS_PROFILE=random make test`` looks for new ones. How long an example takes is no matter: machines differ.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.databases import Postgres, new_sqlite, postgres_server

pytest_plugins = ["tests.faultregister"]

_ANY_MACHINE: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **_ANY_MACHINE)
settings.register_profile("random", **_ANY_MACHINE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

#: Suites that share a whole farm, and when they are run.
FARMS = {"e2e": 0, "hosts": 1}
#: Modules with a farm of their own.
ALONE = ("tests/e2e/test_demo.py", "tests/e2e/test_upgrade.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest goes first."""
    items.sort(key=lambda item: _turn(item.nodeid))


class Dealer(LoadScopeScheduling):  # type: ignore[misc]
    """Deals out in pieces that one worker runs in one go."""

    def _split_scope(self, nodeid: str) -> str:
        return "farms" if _turn(nodeid) < len(FARMS) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Dealer:
    return Dealer(config, log)


def _turn(nodeid: str) -> int:
    """When a test is run; below ``len(FARMS)`` if it shares a farm."""
    if nodeid.startswith(ALONE):
        return len(FARMS) + 1
    suite = nodeid.removeprefix("tests/").partition("/")[0]
    return FARMS.get(suite, len(FARMS))


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
