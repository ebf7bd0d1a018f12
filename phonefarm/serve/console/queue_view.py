"""The queue as its page shows it: what waits, by what it waits for, and why. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phonefarm.models.states import WaitingReason
from phonefarm.serve.console import phrases

View = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One waiting item. ``step``: what would end its waiting."""

    position: int
    process_id: str
    why: str
    step: str
    created_at: str
    next_at: str | None
    priority: int
    effective_priority: int
    attempt: int
    account_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """All that waits for the same phones. ``kind``: ``phone``, ``group``, ``accounts`` or ``any``; ``name`` of it."""

    kind: str
    name: str
    oldest: str
    reasons: tuple[tuple[str, int], ...]
    rows: tuple[Row, ...]


def lanes(items: Sequence[View]) -> list[Lane]:
    """The lanes of a page of the queue, that with the oldest item first."""
    found: dict[tuple[str, str], list[View]] = {}
    for item in items:
        found.setdefault(_lane(item), []).append(item)
    return sorted((_made(key, of) for key, of in found.items()), key=lambda lane: (lane.oldest, lane.name))


def _lane(item: View) -> tuple[str, str]:
    if item["phone_id"] is not None:
        return "phone", item["phone_id"]
    if item["phone_group"] is not None:
        return "group", item["phone_group"]
    if item["account_group"] is not None:
        return "accounts", item["account_group"]
    return "any", ""


def _made(key: tuple[str, str], items: Sequence[View]) -> Lane:
    reasons = Counter(_words(item)[0] for item in items)
    return Lane(
        kind=key[0],
        name=key[1],
        oldest=min(item["created_at"] for item in items),
        reasons=tuple(reasons.most_common()),
        rows=tuple(_row(item) for item in items),
    )


def _words(item: View) -> tuple[str, str]:
    if item["phone_id"] is not None and item["reason"] == WaitingReason.PHONES_BUSY.value:
        return "the phone is busy", "it gets its turn by itself"
    return phrases.WAITING.get(item["reason"], (item["reason"].replace("_", " "), ""))


def _row(item: View) -> Row:
    reason, step = _words(item)
    return Row(
        position=item["position"],
        process_id=item["process_id"],
        why=reason,
        step=step,
        created_at=item["created_at"],
        next_at=item["next_attempt_at"],
        priority=item["priority"],
        effective_priority=item["effective_priority"],
        attempt=item["attempt"],
        account_id=item["account_id"],
    )
