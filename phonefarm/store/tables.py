"""The schema, and the laws that live in it.

Times are milliseconds since the epoch (UTC) by the database's clock. JSON is text that PostgreSQL and SQLite
both keep as given. Laws: one process a key; one running item a phone, one an account (``running_phone`` and
``running_account`` are set only while an item is CLAIMED or EXECUTING, and are unique); final states carry
``finished_at``; one row an action of an attempt.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from phonefarm.core.lifecycle import ITEM_FINAL, ITEM_RUNNING, PROCESS_FINAL

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id(name: str = "id", **options: Any) -> Column[str]:
    return Column(name, String(36), **options)


def _time(name: str, *, required: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=not required)


def _json(name: str, *, required: bool = False) -> Column[Any]:
    return Column(name, sa.JSON(none_as_null=True), nullable=not required)


def _in(states: Any) -> str:
    return ", ".join(sorted(f"'{state.value}'" for state in states))


meta = Table(
    "meta",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

processes = Table(
    "processes",
    metadata,
    _id(primary_key=True),
    Column("process_type", String(40), nullable=False),
    Column("system", String(200), nullable=False),
    Column("request_id", String(200), nullable=False),
    Column("mode", String(20), nullable=False),
    Column("routing", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    _json("target", required=True),
    _json("inputs", required=True),
    _json("options", required=True),
    _json("requested_by", required=True),
    _json("callback", required=True),
    _json("canonical", required=True),
    Column("fingerprint", String(64), nullable=False),
    _json("error"),
    _json("cancel"),
    Column("event_seq", Integer, nullable=False, default=0),
    Column("callback_seq", Integer, nullable=False, default=0),
    _id("replay_of"),
    _time("created_at", required=True),
    _time("accepted_at"),
    _time("queued_at"),
    _time("executing_at"),
    _time("first_action_at"),
    _time("retrying_at"),
    _time("cancel_requested_at"),
    _time("finished_at"),
    UniqueConstraint("process_type", "system", "request_id"),
    CheckConstraint(f"(state IN ({_in(PROCESS_FINAL)})) = (finished_at IS NOT NULL)", name="finished"),
    Index("ix_processes_created_at_id", "created_at", "id"),
    Index("ix_processes_state_created_at", "state", "created_at"),
    Index("ix_processes_finished_at", "finished_at"),
    Index("ix_processes_replay_of", "replay_of"),
)

items = Table(
    "items",
    metadata,
    _id(primary_key=True),
    _id("process_id", nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("max_attempts", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("phone_id", String(200)),
    Column("account_id", String(200)),
    Column("phone_group", String(200)),
    Column("account_group", String(200)),
    Column("running_phone", String(200), unique=True),
    Column("running_account", String(200), unique=True),
    Column("last_phone", String(200)),
    Column("delivered", Integer, nullable=False, default=0),
    Column("actions_total", Integer, nullable=False),
    Column("actions_done", Integer, nullable=False, default=0),
    Column("seconds_used", sa.Float, nullable=False, default=0.0),
    Column("current_action", String(40)),
    _json("error"),
    _json("cancel"),
    _time("cancel_requested_at"),
    _time("ready_at", required=True),
    _time("expires_at"),
    _time("lease_until"),
    _time("created_at", required=True),
    _time("started_at"),
    _time("finished_at"),
    sa.ForeignKeyConstraint(["process_id"], ["processes.id"], ondelete="CASCADE"),
    UniqueConstraint("process_id", "ordinal"),
    CheckConstraint(f"(state IN ({_in(ITEM_FINAL)})) = (finished_at IS NOT NULL)", name="finished"),
    CheckConstraint(f"(state IN ({_in(ITEM_RUNNING)})) = (running_phone IS NOT NULL)", name="running"),
    Index("ix_items_lease_until", "lease_until", sqlite_where=sa.text("lease_until IS NOT NULL")),
    Index("ix_items_state_expires_at", "state", "expires_at"),
    Index("ix_items_last_phone", "last_phone"),
    Index("ix_items_phone_id", "phone_id"),
    Index("ix_items_account_id", "account_id"),
)

actions = Table(
    "actions",
    metadata,
    _id("item_id", primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    _id("process_id", nullable=False),
    Column("kind", String(40), nullable=False),
    Column("status", String(20), nullable=False),
    Column("phone_id", String(200), nullable=False),
    _json("output"),
    Column("skipped", String(80)),
    Column("seconds", sa.Float, nullable=False, default=0.0),
    _time("at", required=True),
    sa.ForeignKeyConstraint(["item_id"], ["items.id"], ondelete="CASCADE"),
    Index("ix_actions_process_id", "process_id"),
    Index("ix_actions_phone_id_at", "phone_id", "at"),
)

events = Table(
    "events",
    metadata,
    _id("process_id", primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    _id("id", nullable=False, unique=True),
    _time("at", required=True),
    Column("kind", String(40), nullable=False),
    _id("item_id"),
    Column("phone_id", String(200)),
    Column("from_state", String(20)),
    Column("to_state", String(20)),
    _json("data"),
    sa.ForeignKeyConstraint(["process_id"], ["processes.id"], ondelete="CASCADE"),
)

outbox = Table(
    "outbox",
    metadata,
    _id(primary_key=True),
    _id("process_id", nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("milestone", String(40), nullable=False),
    Column("url", sa.Text, nullable=False),
    Column("body", sa.Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("http_status", Integer),
    Column("error", String(200)),
    _time("created_at", required=True),
    _time("due_at", required=True),
    _time("delivered_at"),
    sa.ForeignKeyConstraint(["process_id"], ["processes.id"], ondelete="CASCADE"),
    UniqueConstraint("process_id", "sequence"),
    Index("ix_outbox_state_due_at", "state", "due_at"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("process_id", String(36), ForeignKey("processes.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(200), primary_key=True),
    _id("item_id", nullable=False),
    Column("phone_id", String(200), nullable=False),
    Column("media_type", String(80), nullable=False),
    Column("size", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    _time("created_at", required=True),
)

phones = Table(
    "phones",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("host", String(200), nullable=False),
    Column("serial", String(200), nullable=False),
    Column("state", String(20), nullable=False),
    Column("why", sa.Text),
    _json("groups", required=True),
    _json("labels", required=True),
    _json("facts"),
    Column("incarnation", String(36)),
    Column("seen_state", String(20)),
    Column("wanted_state", String(20)),
    Column("wanted_why", sa.Text),
    Column("items_done", Integer, nullable=False, default=0),
    Column("items_failed", Integer, nullable=False, default=0),
    _time("first_seen", required=True),
    _time("last_seen", required=True),
    Column("set_apart", Integer, nullable=False, default=0, server_default="0"),
)

phone_samples = Table(
    "phone_samples",
    metadata,
    Column("phone_id", String(200), primary_key=True),
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("level", sa.Float),
    Column("temperature", sa.Float),
    Column("charging", Integer),
    Column("storage_free", BigInteger),
    _time("at", required=True),
)

phone_log = Table(
    "phone_log",
    metadata,
    Column("phone_id", String(200), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    _time("at", required=True),
    Column("state", String(20), nullable=False),
    Column("why", sa.Text),
    Column("wanted_state", String(20)),
    Column("wanted_why", sa.Text),
)

phone_rungs = Table(
    "phone_rungs",
    metadata,
    Column("phone_id", String(200), primary_key=True),
    Column("rung", String(20), primary_key=True),
    Column("tries", Integer, nullable=False, default=0),
    Column("helped", Integer, nullable=False, default=0),
    _time("last_at", required=True),
)

hosts = Table(
    "hosts",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("adb_port", Integer, nullable=False),
    Column("why", sa.Text),
    _json("strangers", required=True),
    _time("last_seen", required=True),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("phone_id", String(200)),
    Column("account_group", String(200)),
    Column("active", Integer, nullable=False, default=0),
    _json("authorization"),
    _json("daily_limits", required=True),
    _time("created_at", required=True),
    _time("updated_at", required=True),
    Index("ix_accounts_account_group", "account_group"),
)

account_usage = Table(
    "account_usage",
    metadata,
    Column("account_id", String(200), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("sessions", Integer, nullable=False, default=0),
    Column("seconds", sa.Float, nullable=False, default=0.0),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    _json("scopes", required=True),
    Column("system", String(200)),
    _time("created_at", required=True),
    _time("revoked_at"),
)
