"""Names of states and kinds; how they move is in ``core.lifecycle``. Words: contract sections 3, 6 and 7."""

from __future__ import annotations

from enum import StrEnum


class Capability(StrEnum):
    KEYWORD_WARMUP = "keyword_warmup"
    FYP_WARMUP = "fyp_warmup"
    MAINTENANCE = "maintenance"


class Mode(StrEnum):
    MANUAL = "manual"
    UNATTENDED = "unattended"


class Routing(StrEnum):
    DIRECT = "direct"
    QUEUE = "queue"
    GROUP = "group"


class ItemState(StrEnum):
    """One target of a process: the unit that a phone runs."""

    QUEUED = "QUEUED"
    CLAIMED = "CLAIMED"
    EXECUTING = "EXECUTING"
    RETRYABLE = "RETRYABLE"
    DONE = "DONE"
    DEAD_LETTER = "DEAD_LETTER"
    CANCELLED = "CANCELLED"


class ProcessState(StrEnum):
    """Internal state of a process, derived from its items."""

    QUEUED = "QUEUED"
    PLANNED = "PLANNED"
    EXECUTING = "EXECUTING"
    RETRYABLE = "RETRYABLE"
    DONE = "DONE"
    PARTIAL = "PARTIAL"
    DEAD_LETTER = "DEAD_LETTER"
    CANCELLED = "CANCELLED"


class PublicStatus(StrEnum):
    """What callers see (contract section 6, fixed)."""

    QUEUED = "queued"
    EXECUTING = "executing"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED_TERMINAL = "failed_terminal"
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Milestone(StrEnum):
    """Milestones of ``process.updated`` callbacks (contract section 7)."""

    ACCEPTED = "accepted"
    EXECUTING = "executing"
    RETRYING = "retrying"
    CANCEL_REQUESTED = "cancel_requested"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED_TERMINAL = "failed_terminal"


class PhoneState(StrEnum):
    OFFLINE = "offline"
    UNAUTHORIZED = "unauthorized"
    CHECKING = "checking"
    AVAILABLE = "available"
    BUSY = "busy"
    PAUSED = "paused"
    QUARANTINED = "quarantined"
    RETIRED = "retired"


class CancelStrategy(StrEnum):
    SOFT = "soft"
    HARD = "hard"
    SOFT_THEN_FORCE = "soft_then_force"


class WaitingReason(StrEnum):
    """Why an item is not running (contract section 10)."""

    NO_PHONE_ONLINE = "no_phone_online"
    PHONES_BUSY = "phones_busy"
    PHONE_OFFLINE = "phone_offline"
    PHONE_PAUSED = "phone_paused"
    PHONE_DRAINING = "phone_draining"
    PHONE_QUARANTINED = "phone_quarantined"
    PHONE_UNFIT = "phone_unfit"
    ACCOUNT_BUSY = "account_busy"
    ACCOUNT_DAILY_LIMIT = "account_daily_limit"
    NOT_BEFORE = "not_before"
    RETRY_BACKOFF = "retry_backoff"
