"""What the API answers, for the OpenAPI document. Answers are not validated against these on their way out."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from phonefarm.models.outbox import CallbackState
from phonefarm.models.process import CancelStatus
from phonefarm.models.requests_base import DateTimeText
from phonefarm.models.states import (
    Capability,
    Milestone,
    Mode,
    Outcome,
    PublicStatus,
    Routing,
    WaitingReason,
)

Id = Annotated[str, Field(description="UUIDv7")]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class FaultShape(Shape):
    loc: list[str | int]
    code: str
    msg: str


class Problem(BaseModel):
    """RFC 9457. ``code`` is stable; ``detail`` is the code and, after a colon, what it is about."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FaultShape] | None = Field(default=None, description="with 422: every fault of the request")


class AcceptedShape(Shape):
    status: str
    process_id: Id
    request_id: str
    process_type: Capability


class DuplicateShape(AcceptedShape):
    duplicate: bool
    process_status: PublicStatus


class ReplayShape(AcceptedShape):
    replay_of: Id


class ReplayDuplicateShape(DuplicateShape):
    replay_of: Id


class ErrorShape(Shape):
    code: str
    message: str
    retryable: bool
    queue_item_id: str | None = None
    phone_id: str | None = None
    attempt: int | None = None
    action: str | None = None
    at: DateTimeText | None = None


class ItemShape(Shape):
    queue_item_id: Id
    phone_id: str | None
    account_id: str | None
    status: PublicStatus
    attempt: int
    actions_done: int
    actions_total: int
    action: str | None
    error: ErrorShape | None


class WaitingShape(BaseModel):
    """Why a process is not running."""

    reason: WaitingReason
    position: int | None = None
    phones_considered: int | None = None
    next_attempt_at: DateTimeText | None = None


class TargetShape(Shape):
    account_id: str | None
    phone_id: str | None


class RequestedByShape(Shape):
    system: str
    user: str | None
    metadata: dict[str, Any]


class CallbackShape(Shape):
    url: str
    metadata: dict[str, Any]


class TimestampsShape(Shape):
    """Null until reached."""

    created_at: DateTimeText
    accepted_at: DateTimeText | None
    queued_at: DateTimeText | None
    executing_at: DateTimeText | None
    first_action_at: DateTimeText | None
    retrying_at: DateTimeText | None
    cancel_requested_at: DateTimeText | None
    finished_at: DateTimeText | None


class LinkedShape(Shape):
    queue_item_ids: list[Id]
    completed_queue_item_ids: list[Id]
    replayed_by: list[Id] = Field(default=[], description="processes that run again what did not finish here")


class ProgressShape(Shape):
    items_total: int
    items_done: int
    items_failed: int
    items_cancelled: int
    actions_total: int
    actions_done: int
    percent: int


class ProcessShape(Shape):
    process_id: Id
    process_type: Capability
    request_id: str
    status: PublicStatus
    mode: Mode
    routing: Routing
    outcome: Outcome | None
    target: TargetShape
    requested_by: RequestedByShape
    callback: CallbackShape
    result: dict[str, Any] = Field(description="as the capability says; empty in lists")
    error: ErrorShape | None
    timestamps: TimestampsShape
    linked_ids: LinkedShape
    partial_progress: ProgressShape
    attempts: int
    waiting: WaitingShape | None
    replay_of: Id | None = None
    items: list[ItemShape]


class EventShape(Shape):
    event_id: Id
    sequence: int
    at: DateTimeText
    kind: str = Field(description="dotted, past tense, such as `action.finished`")
    queue_item_id: str | None
    phone_id: str | None
    from_: str | None = Field(alias="from")
    to: str | None
    data: dict[str, Any] | None


class ActiveTargetShape(Shape):
    process_id: Id
    phone_id: str
    account_id: str | None
    queue_item_id: Id
    capability_request_id: Id


class TerminationShape(Shape):
    process_id: Id
    status: str = Field(
        description="`none` when nothing runs, `pending` while a phone finishes, `issued` for a hard stop"
    )
    terminate_issued: bool
    container: None


class ProcessStatusShape(Shape):
    process_id: Id
    status: PublicStatus


class CancelShape(Shape):
    status: CancelStatus
    cancelled_queue_item_ids: list[Id]
    active_queue_item_ids: list[Id]
    active_target: ActiveTargetShape | None
    termination: TerminationShape
    process: ProcessStatusShape


class QueueItemShape(Shape):
    queue_item_id: Id
    process_id: Id
    priority: int
    effective_priority: int = Field(description="grows while the item waits, so that nothing starves")
    created_at: DateTimeText
    ready_at: DateTimeText | None
    attempt: int
    phone_id: str | None
    account_id: str | None
    phone_group: str | None
    account_group: str | None
    reason: WaitingReason
    position: int
    phones_considered: int
    next_attempt_at: DateTimeText | None


class KeyShape(Shape):
    name: str
    scopes: list[str]
    system: str | None
    created_at: DateTimeText
    revoked_at: DateTimeText | None


class NewKeyShape(KeyShape):
    secret: str = Field(description="shown once")


class AuthorizationShape(Shape):
    authorized_by: str
    basis: str
    granted_at: DateTimeText


class LimitsShape(Shape):
    sessions: int | None
    minutes: int | None


class AccountShape(BaseModel):
    account_id: str
    phone_id: str | None
    group: str | None
    active: bool
    authorization: AuthorizationShape | None
    daily_limits: LimitsShape


class CallbackEventShape(BaseModel):
    event_id: Id
    process_id: Id
    sequence: int
    milestone: Milestone
    url: str
    state: CallbackState
    attempts: int
    http_status: int | None
    error: str | None
    created_at: DateTimeText
    next_attempt_at: DateTimeText | None
    delivered_at: DateTimeText | None


class CellShape(Shape):
    supported: bool
    code: str | None


class PromptNeedShape(Shape):
    name: str
    only_if: str | None
    code_if_missing: str


class StepShape(Shape):
    """One upkeep step. A step that is not repeatable is never started twice."""

    action: str
    text: str
    repeatable: bool
    params_schema: dict[str, Any]


class CapabilityShape(Shape):
    capability: Capability
    summary: str
    result: str
    available: bool
    modes: dict[Mode, CellShape]
    routings: dict[Routing, CellShape]
    prompts: list[PromptNeedShape]
    steps: list[StepShape]
    inputs_schema: dict[str, Any]


class HealthShape(Shape):
    status: str


class ReadyShape(Shape):
    status: str
    parts: dict[str, str]


class ProcessList(Shape):
    items: list[ProcessShape]
    next_cursor: str | None


class EventList(Shape):
    items: list[EventShape]
    next_cursor: str | None


class AccountList(Shape):
    items: list[AccountShape]
    next_cursor: str | None


class CallbackList(Shape):
    items: list[CallbackEventShape]
    next_cursor: str | None


class QueueList(Shape):
    items: list[QueueItemShape]
    next_cursor: str | None


class KeyList(Shape):
    items: list[KeyShape]
    next_cursor: str | None


class CapabilityList(Shape):
    items: list[CapabilityShape]
    next_cursor: str | None
