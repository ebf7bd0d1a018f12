"""Alembic's entry: migrates over the connection that ``migrate.upgrade`` hands it."""

from alembic import context

from phonefarm.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
