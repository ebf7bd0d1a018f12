"""PostgreSQL: sessions that say who they are, cannot be left hanging, and cannot lose a commit.

Theory of operation
-------------------
Each session is named after what it is for (``phonefarm manager writer``), so that ``pg_stat_activity`` can be read by
people and a successor can find what a frozen predecessor has left. A session left inside a transaction is ended by the
server after ``IDLE_SECONDS``; a server that has gone is noticed by the socket within ``DEAD_MS``.

``synchronous_commit`` is looked at on each new writing session, since a role, a database or a reload can switch it off
any time, and then pinned for the session.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine

from phonefarm import logs
from phonefarm.errors import StorageRefused
from phonefarm.store.trouble import reopen_after_loss

log = logs.logger(__name__)

IDLE_SECONDS = 30
CONNECT_SECONDS = 5
DEAD_MS = 15_000
#: A session that has rested for longer may have been lost.
REST_SECONDS = 0.5
#: What the names of all our sessions begin with.
OURS = "phonefarm"

_PINNED = "SELECT current_setting('synchronous_commit'), set_config('synchronous_commit', 'on', false)"


def writer(url: URL, *, role: str) -> Engine:
    """The one writing session."""
    engine = sa.create_engine(
        url,
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,
        connect_args=_arguments(url, f"{role} writer"),
    )
    sa.event.listen(engine, "connect", _limits(role))
    sa.event.listen(engine, "connect", _pin_durability)
    sa.event.listen(engine, "handle_error", reopen_after_loss)
    _ping_after_rest(engine)
    return engine


def reader(url: URL, *, size: int, role: str) -> Engine:
    """Reading sessions; each reads one state of the database in a transaction."""
    engine = sa.create_engine(
        url,
        pool_size=size,
        max_overflow=0,
        hide_parameters=True,
        isolation_level="REPEATABLE READ",
        connect_args=_arguments(url, f"{role} reader"),
    )
    sa.event.listen(engine, "connect", _limits(role))
    sa.event.listen(engine, "handle_error", reopen_after_loss)
    _ping_after_rest(engine)
    return engine


def _ping_after_rest(engine: Engine) -> None:
    """A session that has rested is asked whether it lives before it is used, and replaced if not. SQLAlchemy's own
    ``pool_pre_ping`` asks every time, which is a third of the processor time of a small transaction."""

    def rests(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    def is_wanted(connection: Any, record: Any, _proxy: Any) -> None:
        since = record.info.get("rests_since")
        if since is None or time.monotonic() - since < REST_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except Exception as error:
            raise sa.exc.DisconnectionError("the session was lost while it rested") from error

    sa.event.listen(engine, "checkin", rests)
    sa.event.listen(engine, "checkout", is_wanted)


def check(connection: Connection) -> None:
    """Say what of the server's settings risks more than one commit."""
    if connection.exec_driver_sql("SHOW fsync").scalar_one() == "off":
        log.warning(
            "database.not_durable",
            cause="PostgreSQL runs with fsync=off: a crash of its machine can destroy the database",
            next_step="set fsync=on",
        )


def _arguments(url: URL, name: str) -> dict[str, Any]:
    """What stands in the URL wins, but for the name: others go by it."""
    usual = {"connect_timeout": CONNECT_SECONDS, "keepalives_idle": 10, "tcp_user_timeout": DEAD_MS}
    wanted = {key: value for key, value in usual.items() if key not in url.query}
    return {**wanted, "application_name": f"{OURS} {name}"}


def _limits(role: str) -> Callable[[Any, Any], None]:
    """No end is set to the transactions of commands that people run, such as a backup."""
    seconds = IDLE_SECONDS if role == "manager" else 0

    def limit(connection: Any, _record: Any) -> None:
        connection.execute(f"SET idle_in_transaction_session_timeout = '{seconds}s'")
        connection.commit()

    return limit


def _pin_durability(connection: Any, _record: Any) -> None:
    """Raises StorageRefused where a commit would be acknowledged before it is on disk."""
    (wanted, _) = connection.execute(_PINNED).fetchone()
    connection.commit()
    if wanted == "off":
        connection.close()
        raise StorageRefused("PostgreSQL has synchronous_commit=off: an acknowledged process could be lost")


# -- who is there --------------------------------------------------------------------------------

_HOLDERS = sa.text(
    "SELECT DISTINCT a.pid, a.application_name, a.state FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.relation = to_regclass('meta') AND l.granted AND l.mode <> 'AccessShareLock' "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND a.pid <> pg_backend_pid()"
)
_SESSIONS = sa.text(
    "SELECT pid, application_name, state FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND application_name LIKE :name ORDER BY pid"
)


def end_frozen_writers(connection: Connection) -> list[str]:
    """End the sessions of other managers that hold the epoch; nothing of theirs is committed. Returns who else does."""
    others = []
    for pid, name, state in connection.execute(_HOLDERS).all():
        if name != f"{OURS} manager writer":
            others.append(_words(pid, name, state))
            continue
        log.warning(
            "database.session_ended",
            session=pid,
            cause=f"a manager that was replaced is still in a transaction ({state})",
            next_step="none: the server rolls it back",
        )
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    return others


def managers(connection: Connection) -> list[str]:
    """The sessions of managers on this database, in words."""
    found = connection.execute(_SESSIONS, {"name": f"{OURS} manager %"}).all()
    return [_words(pid, name, state) for pid, name, state in found]


def _words(pid: int, name: str, state: str | None) -> str:
    return f"session {pid} ({name or 'no name'}, {state or 'state unknown'})"
