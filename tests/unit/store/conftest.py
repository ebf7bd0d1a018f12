"""A fresh embedded database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from phonefarm.store.engine import Engines, open_engines, sqlite_url
from phonefarm.store.migrate import upgrade


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where it lies."""
    return tmp_path / "farm.db"


@pytest.fixture
def engines(database: Path) -> Iterator[Engines]:
    """It, at today's schema."""
    made = open_engines(sqlite_url(database))
    upgrade(made)
    yield made
    made.dispose()
