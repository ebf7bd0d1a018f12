"""What waits, who runs, and who shall run next."""

from __future__ import annotations

from dataclasses import dataclass

from phonefarm.models.phone import AccountRow, PhoneRow
from phonefarm.models.session import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingItem:
    """An item without a phone. Times in ms since the epoch; ``ready_at`` covers not_before and retry back-off."""

    item_id: str
    process_id: str
    priority: int
    created_at: int
    phone_id: str | None = None
    account_id: str | None = None
    phone_group: str | None = None
    account_group: str | None = None
    ready_at: int = 0
    attempt: int = 0
    last_phone: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """The router's wish: this item on this phone, with this account. The manager grants it or not."""

    item_id: str
    phone_id: str
    account_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A granted attempt that has not ended."""

    item_id: str
    attempt: int
    phone_id: str
    account_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueSnapshot:
    """All the router needs to start from nothing. ``undelivered``: claimed, not known to have reached a phone."""

    waiting: tuple[WaitingItem, ...]
    running: tuple[Running, ...]
    undelivered: tuple[Job, ...]
    phones: tuple[PhoneRow, ...]
    accounts: tuple[AccountRow, ...]
