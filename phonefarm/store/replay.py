"""Replay: a new process from a failed one, with the items that did not finish, each as it was frozen.

The source is left as it ended. A replay is created by the same rows and under the same law of keys as a submission;
what a repeated replay must repeat is only which process it replays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from phonefarm.core import lifecycle
from phonefarm.errors import Conflict, NotFound
from phonefarm.models.process import Options, ReplayCommand, ResolvedItem, Submission, Target
from phonefarm.models.states import Capability, ItemState, Mode, ProcessState, Routing
from phonefarm.store.accept import Planned
from phonefarm.store.tables import items, processes
from phonefarm.store.writer import Row, maps

_REPLAYABLE = frozenset({ProcessState.PARTIAL, ProcessState.DEAD_LETTER})


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A process, and the items of it that did not finish."""

    row: Row
    unfinished: Sequence[ResolvedItem]


def load(connection: Connection, process_id: str, system: str | None) -> Source:
    """The process to replay. Raises NotFound."""
    row = next(iter(maps(connection, sa.select(processes).where(processes.c.id == process_id))), None)
    if row is None or system not in (None, row["system"]):
        raise NotFound("unknown_process", f"unknown_process:{process_id}")
    left = sa.select(items).where(items.c.process_id == process_id, items.c.state != ItemState.DONE.value)
    found = [
        ResolvedItem(
            phone_id=item["phone_id"],
            account_id=item["account_id"],
            phone_group=item["phone_group"],
            account_group=item["account_group"],
        )
        for item in maps(connection, left.order_by(items.c.ordinal))
    ]
    return Source(row=row, unfinished=found)


def check(source: Source) -> None:
    """Raises Conflict unless the process failed."""
    state = ProcessState(source.row["state"])
    if state not in _REPLAYABLE:
        raise Conflict("not_replayable", f"not_replayable:{lifecycle.public_status(state).value}")


def submission(command: ReplayCommand, source: Source) -> Submission:
    """The replay as a submission: what the source asked for, but for times that have passed."""
    row = source.row
    options: Mapping[str, Any] = row["options"]
    target: Mapping[str, Any] = row["target"]
    lists = {name: tuple(target[name]) for name in ("phone_ids", "account_ids")}
    return Submission(
        process_id=command.process_id,
        request_id=command.request_id,
        capability=Capability(row["process_type"]),
        mode=Mode(row["mode"]),
        target=Target(**{**target, "routing": Routing(target["routing"]), **lists}),
        inputs=row["inputs"],
        options=Options(priority=options["priority"], max_attempts=options["max_attempts"]),
        callback=row["callback"],
        requested_by=command.requested_by,
        replay_of=row["id"],
    )


def targets(source: Source) -> list[Target]:
    """A target an item, so that the router says whether its phone and account may still be used."""
    return [
        Target(
            routing=Routing.QUEUE,
            phone_id=item.phone_id,
            account_id=item.account_id,
            phone_group=item.phone_group,
            account_group=item.account_group,
        )
        for item in source.unfinished
    ]


def planned(submission: Submission, source: Source, length: Callable[[Capability, Mapping[str, Any]], int]) -> Planned:
    """Ready to be accepted. ``length`` of a plan."""
    total = length(submission.capability, submission.inputs)
    return Planned(submission=submission, items=source.unfinished, actions_total=total)
