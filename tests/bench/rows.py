"""Rows by the million, written by the database itself out of a row that the farm's own code made.

One submission goes through ``accept``; its rows of ``processes``, ``items``, ``events`` and ``outbox`` are then copied
with other ids, so they are what the farm would have written, and the first one is deleted again.
"""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.core.planning import plan
from phonefarm.models.clock import new_id
from phonefarm.models.process import ResolvedItem
from phonefarm.models.states import ItemState, ProcessState
from phonefarm.store import accept, tables
from phonefarm.store.writer import Tx
from tests.farmtools import submission

#: When all was (ms): yesterday, since a farm prunes what ended long ago.
NOW = time.time_ns() // 1_000_000 - 86_400_000


_PROCESS, _ITEM, _EVENT = "019abcde", "019abcdf", "019abce0"


def process_id(n: int) -> str:
    """The id of process number ``n``: a UUIDv7, so that it may stand in a URL."""
    return _id(_PROCESS, n)


def item_id(n: int) -> str:
    return _id(_ITEM, n)


def _id(prefix: str, n: int) -> str:
    return f"{prefix}-{n >> 16:04x}-7000-8000-{n & 0xFFFF:012x}"


def waiting(connection: Connection, count: int) -> None:
    """``count`` processes with one waiting item each, their callback delivered."""
    _fill(connection, count, item={}, process={})


def ended(connection: Connection, count: int) -> None:
    """``count`` processes that are completed."""
    done = {"finished_at": NOW + 1, "state": ItemState.DONE.value, "attempt": 1, "last_phone": "P0001"}
    _fill(connection, count, item=done, process={"finished_at": NOW, "state": ProcessState.DONE.value})


def callbacks(connection: Connection, count: int, each: int, url: str) -> None:
    """``count`` processes that are completed, with ``each`` callbacks a process that are due, to ``url``."""
    ended(connection, count)
    sqlite = connection.dialect.name == "sqlite"
    template = process_id(0)
    for sequence in range(2, each + 2):
        own = {"id": _hex(f"019abd{sequence:02x}", sqlite), "process_id": _hex(_PROCESS, sqlite)}
        due = {"sequence": sequence, "url": url, "state": "pending", "due_at": NOW}
        connection.exec_driver_sql(_copy(tables.outbox, {**own, **_literals(due)}, template, count, sqlite, 1))


def _fill(connection: Connection, count: int, *, item: dict[str, Any], process: dict[str, Any]) -> None:
    """Copies of the rows that ``accept`` writes, with ids and times of their own and the changes given."""
    order = submission()
    planned = accept.Planned(
        submission=order, items=[ResolvedItem()], actions_total=len(plan(order.capability, order.inputs))
    )
    accept.accept(Tx(connection=connection, now=NOW), [planned], new_id)
    sqlite = connection.dialect.name == "sqlite"
    own = {"id": _hex(_PROCESS, sqlite), "request_id": "'r-' || n", "created_at": f"{NOW} + n"}
    copies: dict[sa.Table, dict[str, str]] = {
        tables.processes: {**own, **_literals(process)},
        tables.items: {"id": _hex(_ITEM, sqlite), "process_id": own["id"], "ready_at": str(NOW), **_literals(item)},
        tables.events: {"id": _hex(_EVENT, sqlite), "process_id": own["id"]},
        tables.outbox: {"id": _hex(_EVENT, sqlite), "process_id": own["id"], "state": "'delivered'"},
    }
    for table, changes in copies.items():
        connection.exec_driver_sql(_copy(table, changes, order.process_id, count, sqlite))
    connection.execute(sa.delete(tables.processes).where(tables.processes.c.id == order.process_id))


def _copy(
    table: sa.Table, changes: dict[str, str], template: str, count: int, sqlite: bool, sequence: int | None = None
) -> str:
    """``sequence``: of the row to copy, where a process has several."""
    names = [column.name for column in table.c]
    values = ", ".join(changes.get(name, f"t.{name}") for name in names)
    key = "id" if table is tables.processes else "process_id"
    series = f"(WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {count}) SELECT n FROM s)"
    numbers = f"{series} AS series" if sqlite else f"generate_series(0, {count - 1}) AS series(n)"
    columns = ", ".join(names)
    source = f"FROM {table.name} t, {numbers} WHERE t.{key} = '{template}'"
    source += f" AND t.sequence = {sequence}" if sequence is not None else ""
    return f"INSERT INTO {table.name} ({columns}) SELECT {values} {source}"


def _hex(prefix: str, sqlite: bool) -> str:
    """The id of number ``n`` as an expression; ``_id`` is the same in Python."""
    if sqlite:
        return f"printf('{prefix}-%04x-7000-8000-%012x', n >> 16, n & 65535)"
    high, low = "lpad(to_hex(n >> 16), 4, '0')", "lpad(to_hex(n & 65535), 12, '0')"
    return f"'{prefix}-' || {high} || '-7000-8000-' || {low}"


def _literals(values: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) if isinstance(value, int) else f"'{value}'" for name, value in values.items()}
