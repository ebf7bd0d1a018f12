"""Numbers of the farm, as grouped counts over indexed columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.core import lifecycle
from phonefarm.models.outbox import CallbackState
from phonefarm.models.states import PhoneState, ProcessState, PublicStatus
from phonefarm.store.tables import items, outbox, phones, processes


def read(connection: Connection, now: int) -> dict[str, Any]:
    """``processes`` by public status, ``phones`` and ``callbacks`` by state, and what waits; ``now`` in ms."""
    statuses: Counter[str] = Counter()
    for state, count in _counts(connection, processes.c.state).items():
        statuses[lifecycle.public_status(ProcessState(state)).value] += count
    waiting = sa.select(sa.func.count(), sa.func.min(items.c.created_at)).where(
        items.c.state.in_([state.value for state in lifecycle.ITEM_WAITING])
    )
    number, oldest = connection.execute(waiting).one()
    return {
        "processes": _all(PublicStatus, statuses),
        "phones": _all(PhoneState, _counts(connection, phones.c.state)),
        "callbacks": _all(CallbackState, _counts(connection, outbox.c.state)),
        "queue_items": int(number),
        "queue_oldest_seconds": max(0.0, (now - oldest) / 1000) if oldest is not None else 0.0,
    }


def _counts(connection: Connection, column: sa.Column[Any]) -> dict[str, int]:
    query = sa.select(column, sa.func.count()).group_by(column)
    return {str(value): int(count) for value, count in connection.execute(query)}


def _all(names: Iterable[StrEnum], counts: dict[str, int] | Counter[str]) -> dict[str, int]:
    """Every name, those that do not occur as 0: a metric that is absent is not a metric that is 0."""
    return {name.value: counts.get(name.value, 0) for name in names}
