"""Phones that set themselves apart, what was done for phones that did not answer, and how hosts are."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("phones", sa.Column("set_apart", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "phone_rungs",
        sa.Column("phone_id", sa.String(length=200), nullable=False),
        sa.Column("rung", sa.String(length=20), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("helped", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("phone_id", "rung", name=op.f("pk_phone_rungs")),
    )
    op.create_table(
        "hosts",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("adb_port", sa.Integer(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("strangers", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_hosts")),
    )
