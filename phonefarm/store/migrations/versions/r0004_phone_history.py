"""How phones were over time: samples of their health, and a log of their states. What a phone did, by phone."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "phone_samples",
        sa.Column("phone_id", sa.String(length=200), nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("level", sa.Float(), nullable=True),
        sa.Column("temperature", sa.Float(), nullable=True),
        sa.Column("charging", sa.Integer(), nullable=True),
        sa.Column("storage_free", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("phone_id", "slot", name=op.f("pk_phone_samples")),
    )
    op.create_table(
        "phone_log",
        sa.Column("phone_id", sa.String(length=200), nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("wanted_state", sa.String(length=20), nullable=True),
        sa.Column("wanted_why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("phone_id", "sequence", name=op.f("pk_phone_log")),
    )
    op.create_index("ix_actions_phone_id_at", "actions", ["phone_id", "at"])
