"""Notes: entries of a process's history beside which nothing of it changes, such as a callback that was delivered.

``ledger`` derives a process's state from its items; a note need not, so it costs no look at them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from phonefarm.store import bulk
from phonefarm.store.tables import events, processes
from phonefarm.store.writer import Tx


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """``kind`` as in ``events.kind``."""

    process_id: str
    kind: str
    data: Mapping[str, Any]


def note(tx: Tx, notes: Sequence[Note], new_id: Callable[[], str]) -> None:
    """Number and insert them, in order. A process that is not there (any more) gets none."""
    last = _reserve(tx, Counter(one.process_id for one in notes))
    left = Counter(one.process_id for one in notes)
    rows = []
    for one in notes:
        if one.process_id in last:
            left[one.process_id] -= 1
            sequence = last[one.process_id] - left[one.process_id]
            rows.append(
                {
                    "process_id": one.process_id,
                    "sequence": sequence,
                    "id": new_id(),
                    "at": tx.now,
                    "kind": one.kind,
                    "data": dict(one.data),
                }
            )
    bulk.insert(tx, events, rows)
    tx.touched.update(last)


def _reserve(tx: Tx, wanted: Counter[str]) -> dict[str, int]:
    """Take so many numbers of each process's history; the last one of each."""
    last: dict[str, int] = {}
    for number in sorted(set(wanted.values())):
        process_ids = [process_id for process_id, count in wanted.items() if count == number]
        taken = tx.rows(_RESERVE, {"number": number, "process_ids": process_ids})
        last |= {row.id: row.event_seq for row in taken}
    return last


_RESERVE = (
    sa.update(processes)
    .where(processes.c.id.in_(sa.bindparam("process_ids", expanding=True)))
    .values(event_seq=processes.c.event_seq + sa.bindparam("number"))
    .returning(processes.c.id, processes.c.event_seq)
)
