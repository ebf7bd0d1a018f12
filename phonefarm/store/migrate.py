"""Bringing a database to the schema of this version, by Alembic, before the manager's first write."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Engine

from phonefarm.errors import StorageRefused
from phonefarm.store.engine import Engines, storage_errors

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(engines: Engines) -> None:
    """Upgrade to the newest schema. Raises StorageRefused for a database of a newer phonefarm."""
    with storage_errors():
        _refuse_newer(engines.writer)
        with engines.writer.begin() as connection:
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def alembic_config() -> Config:
    """Alembic's configuration without a file."""
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config


def _refuse_newer(engine: Engine) -> None:
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if current is not None and current not in known:
        raise StorageRefused(f"the database has schema {current}, which this version of phonefarm does not know")
