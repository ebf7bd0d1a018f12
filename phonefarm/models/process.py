"""What HTTP hands the manager, and what comes back.

Bodies arrive here already validated, with defaults filled in; ``canonical`` is what two requests with the
same key must agree on (contract section 2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from phonefarm.errors import RequestError
from phonefarm.models.states import CancelStrategy, Capability, Mode, PublicStatus, Routing


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Contract section 3, shape already checked against the routing."""

    routing: Routing
    phone_id: str | None = None
    account_id: str | None = None
    phone_group: str | None = None
    account_group: str | None = None
    phone_ids: tuple[str, ...] = ()
    account_ids: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "routing": self.routing.value,
            "phone_id": self.phone_id,
            "account_id": self.account_id,
            "phone_group": self.phone_group,
            "account_group": self.account_group,
            "phone_ids": list(self.phone_ids),
            "account_ids": list(self.account_ids),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Times in milliseconds since the epoch, None if not asked for."""

    priority: int = 5
    not_before: int | None = None
    expires_at: int | None = None
    max_attempts: int = 3

    def as_json(self) -> dict[str, Any]:
        return {
            "priority": self.priority,
            "not_before": self.not_before,
            "expires_at": self.expires_at,
            "max_attempts": self.max_attempts,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """A valid request to create a process.

    ``process_id`` is proposed by the sender (UUIDv7), so that a batch that is sent again after a lost reply
    is recognised as itself and not as a duplicate. ``replay_of``: the process whose unfinished items it runs again.
    ``trace``: the ``traceparent`` of the request, None if the farm does not trace.
    """

    process_id: str
    request_id: str
    capability: Capability
    mode: Mode
    target: Target
    inputs: Mapping[str, Any]
    options: Options
    callback: Mapping[str, Any]
    requested_by: Mapping[str, Any]
    replay_of: str | None = None
    trace: str | None = None

    @property
    def system(self) -> str:
        return str(self.requested_by["system"])

    @property
    def key(self) -> tuple[str, str, str]:
        """The idempotency key: (process_type, system, request_id)."""
        return (self.capability.value, self.system, self.request_id)

    def canonical(self) -> dict[str, Any]:
        """What a second request with this key must repeat; metadata, callback and requested_by do not count."""
        if self.replay_of is not None:
            return {"capability": self.capability.value, "replay_of": self.replay_of}
        return {
            "capability": self.capability.value,
            "mode": self.mode.value,
            "target": self.target.as_json(),
            "inputs": {k: v for k, v in self.inputs.items() if k != "metadata"},
            "options": self.options.as_json(),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """The answer to a submission that stands: 202, or 200 when ``duplicate``."""

    process_id: str
    request_id: str
    process_type: str
    duplicate: bool = False
    status: PublicStatus = PublicStatus.QUEUED
    replay_of: str | None = None


#: One answer a submission, in the order of the batch; a refusal is a value, so one bad request cannot hurt a batch.
SubmitOutcome = Accepted | RequestError


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelCommand:
    process_id: str
    reason: str
    requested_by: Mapping[str, Any]
    strategy: CancelStrategy = CancelStrategy.SOFT_THEN_FORCE
    force_after_seconds: float = 10.0


class CancelStatus(StrEnum):
    REQUESTED = "cancel_requested"
    IGNORED = "ignored_terminal"


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelAnswer:
    """``active_target`` describes the first item still on a phone, None when nothing runs."""

    status: CancelStatus
    process_id: str
    process_status: PublicStatus
    cancelled_queue_item_ids: tuple[str, ...] = ()
    active_queue_item_ids: tuple[str, ...] = ()
    active_target: Mapping[str, Any] | None = None
    terminate_issued: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedItem:
    """One target of a process, frozen at accept time. ``phone_id`` set: pinned. Groups narrow the choice."""

    phone_id: str | None = None
    account_id: str | None = None
    phone_group: str | None = None
    account_group: str | None = None


#: What the router makes of one target: its items, or why it cannot be.
Resolution = Sequence[ResolvedItem] | RequestError


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountCommand:
    """Body of ``PUT /accounts/{id}``."""

    account_id: str
    phone_id: str | None = None
    group: str | None = None
    active: bool = False
    authorization: Mapping[str, str] | None = None
    daily_limits: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountPatch:
    """Body of ``PATCH /accounts/{id}``: only what was given, under the names of ``AccountCommand``. ``daily_limits``
    is merged too: a limit that is not named stays."""

    account_id: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayCommand:
    """Run again what did not finish of ``source_id``. ``process_id`` is proposed, as in ``Submission``."""

    process_id: str
    source_id: str
    request_id: str
    requested_by: Mapping[str, Any]
    trace: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessQuery:
    """Filters of ``GET /processes``; None: any. Times in ms since the epoch, ``created_before`` excluded.
    ``request_id``: a part of it, in any case. ``cursor``: the ``next_cursor`` of the page before."""

    status: PublicStatus | None = None
    process_type: str | None = None
    system: str | None = None
    phone_id: str | None = None
    account_id: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    request_id: str | None = None
    limit: int = 50
    cursor: str | None = None


class Operation(StrEnum):
    """What an operator can do to a phone (contract section 8)."""

    PAUSE = "pause"
    RESUME = "resume"
    DRAIN = "drain"
    QUARANTINE = "quarantine"
    RELEASE = "release"
    RETIRE = "retire"


class OperationScope(StrEnum):
    PHONE = "phone"
    HOST = "host"
    GROUP = "group"


@dataclass(frozen=True, kw_only=True, slots=True)
class OperateCommand:
    """``name``: of the phone, host or group. ``by``: the name of the key that asked."""

    scope: OperationScope
    name: str
    operation: Operation
    reason: str
    by: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyCommand:
    """A new API key. ``digest``: SHA-256 of its secret, in hex; the secret itself is known to its owner only."""

    name: str
    digest: str = field(repr=False)
    scopes: tuple[str, ...]
    system: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRow:
    """A key that may be used, as the ingress needs it."""

    name: str
    digest: str = field(repr=False)
    scopes: tuple[str, ...]
    system: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactFile:
    """An artifact as it is served."""

    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """``parts``: storage, manager, router -> None if well, else what is wrong."""

    parts: Mapping[str, str | None]

    @property
    def ready(self) -> bool:
        return all(value is None for value in self.parts.values())
