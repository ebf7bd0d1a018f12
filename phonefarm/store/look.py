"""A look at a database from outside the farm, for people who ask how it is: nothing is opened for writing or made."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from phonefarm.store.engine import sqlite_path

_SECONDS = 4
_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit", "max_connections", "server_version")
_CLOCK = sa.text("SELECT extract(epoch FROM clock_timestamp())::float8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """``path``: the file of an embedded database, with SQLite's ``version`` and ``options``; or a server's ``settings``
    and how far its clock is ``ahead`` of ours in seconds, or why it was ``refused``."""

    path: Path | None = None
    version: tuple[int, ...] = ()
    options: frozenset[str] = frozenset()
    settings: Mapping[str, str] = field(default_factory=dict)
    ahead: float | None = None
    refused: str | None = None


def look(url: str) -> Look:
    """How the database of ``url`` is. Raises ConfigError for a URL that cannot be one."""
    path = sqlite_path(url)
    if path is not None:
        return Look(path=path, version=sqlite3.sqlite_version_info, options=_options())
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"connect_timeout": _SECONDS})
    try:
        with engine.connect() as connection:
            settings = {name: str(connection.exec_driver_sql(f"SHOW {name}").scalar_one()) for name in _SETTINGS}
            asked = time.time()
            clock = float(connection.execute(_CLOCK).scalar_one())
            return Look(settings=settings, ahead=clock - (asked + time.time()) / 2)
    except SQLAlchemyError as error:
        return Look(refused=" ".join(str(getattr(error, "orig", None) or error).split())[:300])
    finally:
        engine.dispose()


def _options() -> frozenset[str]:
    connection = sqlite3.connect(":memory:")
    try:
        return frozenset(str(row[0]) for row in connection.execute("PRAGMA compile_options"))
    finally:
        connection.close()
