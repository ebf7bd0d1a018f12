"""What the manager, the router and a phone actor hand each other about one attempt of one item.

Down goes a ``Job``; back come ``Entry`` values, in order, each fenced by ``(item_id, attempt)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from phonefarm.models.action import Action, Artifact
from phonefarm.models.clock import Moment
from phonefarm.models.states import CancelStrategy


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """The right to run one attempt. ``attempt`` is the fencing token; ``seconds`` how long without a heartbeat, and
    ``delivery_seconds`` without the first one. ``incarnation``: of the phone's actor when it was granted. ``asked``:
    before the grant was asked for, None if that is not known."""

    item_id: str
    attempt: int
    seconds: float
    delivery_seconds: float = 0.0
    incarnation: str = ""
    asked: Moment | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelOrder:
    """``force_after``: seconds after which a soft_then_force cancel becomes hard."""

    strategy: CancelStrategy
    force_after: float = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One attempt of one item, ready to run.

    ``actions`` are those not finished by an earlier attempt, with their index in the whole plan.
    ``seconds_left`` is the session's remaining time budget, and no more than the account's day has left; what is
    left over then is skipped. ``trace``: the ``traceparent`` of the request, None if the farm does not trace.
    """

    process_id: str
    process_type: str
    phone_id: str
    account_id: str | None
    lease: Lease
    actions: tuple[Action, ...]
    seconds_left: float
    prompts: Mapping[str, Any] = field(default_factory=dict)
    cancel: CancelOrder | None = None
    trace: str | None = None

    @property
    def ids(self) -> dict[str, Any]:
        """What its lines of the log and its spans are about."""
        return {
            "process": self.process_id,
            "item": self.lease.item_id,
            "attempt": self.lease.attempt,
            "phone": self.phone_id,
        }


class EntryKind(StrEnum):
    STARTED = "started"
    ACTION_STARTED = "action_started"
    ACTION_FINISHED = "action_finished"
    HEARTBEAT = "heartbeat"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorInfo:
    """Why an attempt failed, as it is shown to callers (contract section 6, ``error``).

    ``definite``: the phone answered, so the action did not do what it should; else its effect is not known.
    """

    code: str
    message: str
    retryable: bool
    action: str | None = None
    definite: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One thing that happened in an attempt. Sending an entry twice changes nothing.

    ``action`` of a FAILED or CANCELLED entry is the one that was under way, None between two.
    """

    kind: EntryKind
    action: Action | None = None
    output: Mapping[str, Any] = field(default_factory=dict)
    skipped: str | None = None
    seconds: float = 0.0
    artifacts: tuple[Artifact, ...] = ()
    error: ErrorInfo | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A batch of entries of one attempt, in the order they happened."""

    phone_id: str
    process_id: str
    item_id: str
    attempt: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportReply:
    """``accepted`` False: the attempt has lost its lease, stop and touch nothing."""

    accepted: bool
    cancel: CancelOrder | None = None
