"""Alembic scripts, run by ``phonefarm.store.migrate``."""
