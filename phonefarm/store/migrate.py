"""Bringing a database to the schema of this version, by Alembic, before the manager's first write.

A database that is not ours is left as it is: one with a revision this version does not know, one with tables but no
revision, and one whose tables are not those that its revision promises. An older manager that still runs is made stale
before its tables change.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from phonefarm.errors import StorageRefused
from phonefarm.store import epoch, tables
from phonefarm.store.backup_file import MANIFEST
from phonefarm.store.engine import Engines, storage_errors

_SCRIPTS = Path(__file__).parent / "migrations"
#: How long a change of the schema waits for whoever still reads a table.
_LOCK_SECONDS = 10
_REVISIONS = "alembic_version"


def upgrade(engines: Engines, *, backup: bool = False) -> None:
    """Upgrade to the newest schema. Raises StorageRefused for a database that is not one of this phonefarm, or that is
    a ``backup`` where none is expected: only a restore knows how to go on from one."""
    with storage_errors():
        with engines.writer.connect() as connection:
            current = refuse_foreign(connection, backup=backup)
        if current is not None and current != head():
            epoch.take(engines.writer)
        with engines.writer.begin() as connection:
            if not engines.is_sqlite:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            _refuse_incomplete(connection)


def alembic_config() -> Config:
    """Alembic's configuration without a file."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config


def revision(connection: Connection) -> str | None:
    """The database's revision of the schema, None if it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The revision of this version."""
    found = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert found is not None
    return found


def known_revisions() -> set[str]:
    """Every revision this version can upgrade from, and its own."""
    return {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}


def refuse_foreign(connection: Connection, *, backup: bool = False) -> str | None:
    """The revision of a database that is ours, None of an empty one. Raises StorageRefused for any other."""
    current = revision(connection)
    names = set(sa.inspect(connection).get_table_names())
    if MANIFEST in names and not backup:
        raise StorageRefused("this file is a backup, not a database: put it into one with phonefarm restore FILE")
    if current is not None:
        if current not in known_revisions():
            raise StorageRefused(f"the database has schema {current}, which this version of phonefarm does not know")
        return current
    foreign = names - {_REVISIONS} if connection.dialect.name == "sqlite" else names & set(tables.metadata.tables)
    if foreign:
        raise StorageRefused(f"the database is not one of phonefarm: it has the table {min(foreign)} but no revision")
    return None


def _refuse_incomplete(connection: Connection) -> None:
    """A revision is only a word; what it promises must be there."""
    found = sa.inspect(connection)
    names = set(found.get_table_names())
    for table in tables.metadata.sorted_tables:
        missing = (
            set(table.columns.keys()) - {column["name"] for column in found.get_columns(table.name)}
            if table.name in names
            else {"all columns"}
        )
        if missing:
            raise StorageRefused(f"the database's schema is damaged: table {table.name} lacks {', '.join(missing)}")
