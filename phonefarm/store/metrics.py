"""Numbers that are read when somebody asks for them: small tables, the head of an index, the size of a file.

What would need a look at every process is kept by counting instead (``counting``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.core import lifecycle, metrics
from phonefarm.core.metrics import Metric
from phonefarm.core.tally import Sample
from phonefarm.models.states import PhoneState, ProcessState
from phonefarm.store.tables import hosts, items, phones, processes
from phonefarm.store.writer import Row, maps

#: Facts of a phone that is not here are old.
_AWAY = frozenset({PhoneState.OFFLINE.value, PhoneState.UNAUTHORIZED.value, PhoneState.RETIRED.value})
_WAITING = sorted(state.value for state in lifecycle.ITEM_WAITING)
_SOME_RUN = sorted(s.value for s in (ProcessState.PLANNED, ProcessState.EXECUTING, ProcessState.RETRYABLE))


def read(connection: Connection, now: int) -> list[Sample]:
    """Phones, hosts, the age of the queue and the size of the database; ``now`` in ms."""
    rows = maps(connection, sa.select(phones.c.id, phones.c.state, phones.c.facts, phones.c.last_seen))
    states = Counter(row["state"] for row in rows)
    found = [_sample(metrics.PHONES, states[state.value], state.value) for state in PhoneState]
    for row in rows:
        found += _phone(row)
    for row in maps(connection, sa.select(hosts)):
        found.append(_sample(metrics.HOST_UP, 0.0 if row["why"] else 1.0, row["name"]))
        found.append(_sample(metrics.HOST_SEEN, row["last_seen"] / 1000, row["name"]))
    oldest = _oldest(connection)
    found.append(_sample(metrics.QUEUE_OLDEST, max(0.0, (now - oldest) / 1000) if oldest is not None else 0.0))
    found.append(_sample(metrics.DATABASE_BYTES, _size(connection)))
    return found


def _sample(metric: Metric, value: float, *labels: str) -> Sample:
    return Sample(name=metric.name, labels=labels, value=float(value))


def _phone(row: Row) -> Iterator[Sample]:
    yield _sample(metrics.PHONE_SEEN, row["last_seen"] / 1000, row["id"])
    facts: dict[str, Any] = row["facts"] or {}
    if row["state"] in _AWAY:
        return
    battery = facts.get("battery") or {}
    known = (
        (metrics.BATTERY, battery.get("level"), 0.01),
        (metrics.TEMPERATURE, battery.get("temperature"), 1.0),
        (metrics.STORAGE_FREE, facts.get("storage_free"), 1.0),
    )
    for metric, value, unit in known:
        if value is not None:
            yield _sample(metric, value * unit, row["id"])


def _oldest(connection: Connection) -> int | None:
    """When the oldest item that waits was accepted (ms). All items of a QUEUED process wait, and the index on states
    has the oldest one first; of the others, as few as there are phones and back-offs, each is asked."""
    queued = processes.c.state == ProcessState.QUEUED.value
    waits = sa.exists().where(items.c.process_id == processes.c.id, items.c.state.in_(_WAITING))
    others = sa.and_(processes.c.state.in_(_SOME_RUN), waits)
    times = [
        connection.execute(sa.select(sa.func.min(processes.c.created_at)).where(those)).scalar_one()
        for those in (queued, others)
    ]
    return min((time for time in times if time is not None), default=None)


def _size(connection: Connection) -> int:
    """Bytes. Of SQLite with its write-ahead log."""
    if connection.dialect.name != "sqlite":
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
    name = connection.exec_driver_sql("PRAGMA database_list").one()[2]
    files = (Path(f"{name}{tail}") for tail in ("", "-wal", "-shm"))
    return sum(file.stat().st_size for file in files if file.exists())
