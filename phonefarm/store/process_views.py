"""Processes as callers see them, many at once: the JSON objects of the contract, straight from the rows.

Theory of operation
-------------------
Reading one process takes a query for each of its tables, and a query costs more than its rows do: most of it is paid
for the round trip and in the driver. So processes that are asked for together share their queries, whose text never
changes: built once, with the ids padded to one of a few lengths, they stay prepared in the driver and the server.

A query is left out where the rules of the farm say that it could find nothing: actions and artifacts belong to
attempts, and only what has failed can have been replayed. Of the inputs, which may hold long prompts, only a
maintenance's steps are shown.

All queries of one call must see one state of the database, which is what a reading connection gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.core import lifecycle, results
from phonefarm.errors import NotFound
from phonefarm.models.action import ActionKind
from phonefarm.models.clock import rfc3339
from phonefarm.models.reading import ProcessAsked, ProcessRead, body_of
from phonefarm.models.states import Capability, ItemState, ProcessState
from phonefarm.store.ledger import progress
from phonefarm.store.tables import actions, artifacts, items, processes
from phonefarm.store.writer import Row

_TIMES = (
    "created_at",
    "accepted_at",
    "queued_at",
    "executing_at",
    "first_action_at",
    "retrying_at",
    "cancel_requested_at",
    "finished_at",
)

#: Public status of an item (contract section 6 uses the words of a process).
_ITEM_STATUS = {
    ItemState.QUEUED.value: "queued",
    ItemState.CLAIMED.value: "queued",
    ItemState.EXECUTING.value: "executing",
    ItemState.RETRYABLE.value: "retrying",
    ItemState.DONE.value: "completed",
    ItemState.DEAD_LETTER.value: "failed_terminal",
    ItemState.CANCELLED.value: "cancelled",
}

#: States a process may be replayed from (``replay``); it stays in them.
_FAILED = frozenset({ProcessState.PARTIAL.value, ProcessState.DEAD_LETTER.value})

Rows = Sequence[Mapping[str, Any]]


# -- the statements --------------------------------------------------------------------------------


def _of_ids(key: sa.Column[Any], *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return sa.select(*columns).where(key.in_(sa.bindparam("ids", expanding=True)))


def _columns(table: sa.Table, names: str) -> list[sa.ColumnElement[Any]]:
    return [table.c[name] for name in names.split()]


_STEPS = sa.case((processes.c.process_type == Capability.MAINTENANCE.value, processes.c.inputs)).label("inputs")
_PROCESSES = _of_ids(
    processes.c.id,
    *_columns(processes, "id system process_type request_id state mode routing target requested_by callback error"),
    *_columns(processes, " ".join(_TIMES)),
    processes.c.replay_of,
    _STEPS,
)
_ITEMS = _of_ids(
    items.c.process_id,
    *_columns(
        items, "id process_id ordinal state attempt phone_id account_id running_phone running_account last_phone"
    ),
    *_columns(items, "actions_total actions_done current_action error"),
)
_ACTIONS = _of_ids(
    actions.c.process_id, *_columns(actions, "process_id item_id idx kind phone_id output status skipped")
)
_ARTIFACTS = _of_ids(
    artifacts.c.process_id, *_columns(artifacts, "process_id name media_type size sha256 phone_id item_id")
)
_REPLAYS = _of_ids(processes.c.replay_of, *_columns(processes, "replay_of id created_at"))


def _found(connection: Connection, query: sa.Select[Any], ids: Sequence[str]) -> list[Row]:
    return [dict(row) for row in connection.execute(query, {"ids": _padded(ids)}).mappings()] if ids else []


def _padded(ids: Sequence[str]) -> list[str]:
    """The ids, the last one repeated up to a power of two, so that there are few statements."""
    return [*ids, *[ids[-1]] * ((1 << (len(ids) - 1).bit_length()) - len(ids))]


def _by_process(rows: Iterable[Row], key: str = "process_id") -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups


# -- reading ---------------------------------------------------------------------------------------


def bodies(connection: Connection, asked: Sequence[ProcessAsked]) -> list[ProcessRead]:
    """What ``GET /processes/{id}`` answers to each, but for ``waiting``, which the router knows."""
    seen = views(connection, asked)
    return [view if isinstance(view, NotFound) else body_of(view) for view in seen]


def process(connection: Connection, process_id: str, system: str | None = None) -> dict[str, Any]:
    """The view of one process. Raises NotFound."""
    (view,) = views(connection, [ProcessAsked(process_id=process_id, system=system)])
    if isinstance(view, NotFound):
        raise view
    return view


def views(connection: Connection, asked: Sequence[ProcessAsked]) -> list[dict[str, Any] | NotFound]:
    """The views of processes, ``waiting`` not filled in; NotFound for one of another ``system`` too."""
    rows = {row["id"]: row for row in _found(connection, _PROCESSES, sorted({one.process_id for one in asked}))}
    shown = [rows[one.process_id] if _may_see(one, rows.get(one.process_id)) else None for one in asked]
    made = _views(connection, {row["id"]: row for row in shown if row is not None})
    return [unknown(one.process_id) if row is None else made[row["id"]] for one, row in zip(asked, shown, strict=True)]


def _may_see(asked: ProcessAsked, row: Row | None) -> bool:
    return row is not None and asked.system in (None, row["system"])


def unknown(process_id: str) -> NotFound:
    return NotFound("unknown_process", f"unknown_process:{process_id}")


def _views(connection: Connection, rows: Mapping[str, Row]) -> dict[str, dict[str, Any]]:
    by_process = _items(connection, list(rows))
    tried = [row_id for row_id in rows if any(item["attempt"] for item in by_process.get(row_id, ()))]
    done = _by_process(_found(connection, _ACTIONS, tried))
    kept = _by_process(_found(connection, _ARTIFACTS, tried))
    failed = [row_id for row_id, row in rows.items() if row["state"] in _FAILED]
    again = _by_process(_found(connection, _REPLAYS, failed), "replay_of")
    made = {}
    for row_id, row in rows.items():
        item_rows = by_process.get(row_id, [])
        view = made[row_id] = _process(row, item_rows)
        view["result"] = _result(row, item_rows, done.get(row_id, ()), kept.get(row_id, ()))
        view["linked_ids"]["replayed_by"] = [
            one["id"] for one in sorted(again.get(row_id, ()), key=lambda one: (one["created_at"], one["id"]))
        ]
    return made


def _items(connection: Connection, process_ids: Sequence[str]) -> dict[str, list[Row]]:
    """The items of processes, in their order."""
    found = _by_process(_found(connection, _ITEMS, process_ids))
    for item_rows in found.values():
        item_rows.sort(key=lambda row: int(row["ordinal"]))
    return found


def without_results(connection: Connection, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Processes as lists show them, in the order of ``rows``."""
    by_process = _items(connection, [row["id"] for row in rows])
    return [_process(row, by_process.get(row["id"], [])) for row in rows]


# -- the objects -----------------------------------------------------------------------------------


def _process(row: Mapping[str, Any], item_rows: Rows) -> dict[str, Any]:
    state = ProcessState(row["state"])
    codes = [i["error"]["code"] for i in item_rows if i["state"] == ItemState.DEAD_LETTER.value and i["error"]]
    outcome = lifecycle.outcome(state, codes)
    groups = [(ItemState(i["state"]), 1, i["actions_total"], i["actions_done"]) for i in item_rows]
    single = item_rows[0] if len(item_rows) == 1 else None
    return {
        "process_id": row["id"],
        "process_type": row["process_type"],
        "request_id": row["request_id"],
        "status": lifecycle.public_status(state).value,
        "mode": row["mode"],
        "routing": row["routing"],
        "outcome": outcome.value if outcome else None,
        "target": {
            "account_id": row["target"]["account_id"],
            "phone_id": (single["last_phone"] or single["phone_id"]) if single else row["target"]["phone_id"],
        },
        "requested_by": row["requested_by"],
        "callback": row["callback"],
        "result": {},
        "error": row["error"],
        "timestamps": {name: rfc3339(row[name]) for name in _TIMES},
        "linked_ids": {
            "queue_item_ids": [i["id"] for i in item_rows],
            "completed_queue_item_ids": [i["id"] for i in item_rows if i["state"] == ItemState.DONE.value],
            "replayed_by": [],
        },
        "partial_progress": progress(groups),
        "attempts": max((i["attempt"] for i in item_rows), default=0),
        "replay_of": row["replay_of"],
        "items": [_item(i) for i in item_rows],
        "waiting": None,
    }


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "queue_item_id": row["id"],
        "phone_id": row["running_phone"] or row["last_phone"] or row["phone_id"],
        "account_id": row["running_account"] or row["account_id"],
        "status": _ITEM_STATUS[row["state"]],
        "attempt": row["attempt"],
        "actions_done": row["actions_done"],
        "actions_total": row["actions_total"],
        "action": row["current_action"],
        "error": row["error"],
    }


def _result(row: Mapping[str, Any], item_rows: Rows, action_rows: Rows, artifact_rows: Rows) -> dict[str, Any]:
    ordinal = {i["id"]: i["ordinal"] for i in item_rows}
    done = [
        results.Done(
            item=ordinal[a["item_id"]],
            index=a["idx"],
            kind=ActionKind(a["kind"]),
            phone_id=a["phone_id"],
            params=a["output"]["params"],
            output=a["output"]["output"],
            status=a["status"],
            skipped=a["skipped"],
        )
        for a in action_rows
    ]
    kept = [
        results.Kept(
            name=a["name"],
            media_type=a["media_type"],
            size=a["size"],
            sha256=a["sha256"],
            phone_id=a["phone_id"],
            item_id=a["item_id"],
        )
        for a in sorted(artifact_rows, key=lambda a: str(a["name"]))
    ]
    over = ProcessState(row["state"]) in lifecycle.PROCESS_FINAL
    return results.result(Capability(row["process_type"]), inputs=row["inputs"] or {}, done=done, kept=kept, over=over)
