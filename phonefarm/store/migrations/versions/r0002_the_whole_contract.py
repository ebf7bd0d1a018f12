"""Replays, what operators want of phones, API keys, and indexes for the filters of lists."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("processes", sa.Column("replay_of", sa.String(length=36), nullable=True))
    op.add_column("phones", sa.Column("seen_state", sa.String(length=20), nullable=True))
    op.add_column("phones", sa.Column("wanted_state", sa.String(length=20), nullable=True))
    op.add_column("phones", sa.Column("wanted_why", sa.Text(), nullable=True))
    op.create_index("ix_processes_state_created_at", "processes", ["state", "created_at"])
    op.create_index("ix_processes_finished_at", "processes", ["finished_at"])
    op.create_index("ix_processes_replay_of", "processes", ["replay_of"])
    op.create_index("ix_items_last_phone", "items", ["last_phone"])
    op.create_index("ix_items_phone_id", "items", ["phone_id"])
    op.create_index("ix_items_account_id", "items", ["account_id"])
    op.create_table(
        "api_keys",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("system", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_keys_digest")),
    )
