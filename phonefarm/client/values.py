"""What a farm answers, as values. ``raw`` is the JSON as it came, with all that is not named here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Statuses after which nothing changes (contract section 6).
ENDED = frozenset({"completed", "failed_terminal", "cancelled"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """The answer to a submission or a replay. ``duplicate``: it had been accepted before."""

    process_id: str
    duplicate: bool = False
    raw: Mapping[str, Any] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A process as it stands. ``etag``: of this answer, None in lists."""

    process_id: str
    status: str
    outcome: str | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    etag: str | None = None
    raw: Mapping[str, Any] = field(repr=False, default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.status in ENDED


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One entry of a process's history."""

    sequence: int
    kind: str
    raw: Mapping[str, Any] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One page of a list."""

    items: list[dict[str, Any]]
    next_cursor: str | None = None


def accepted(body: Mapping[str, Any]) -> Accepted:
    return Accepted(process_id=str(body["process_id"]), duplicate=body.get("duplicate") is True, raw=body)


def process(body: Mapping[str, Any], etag: str | None = None) -> Process:
    return Process(
        process_id=str(body["process_id"]),
        status=str(body["status"]),
        outcome=body.get("outcome"),
        result=body.get("result") or {},
        error=body.get("error"),
        etag=etag,
        raw=body,
    )


def event(body: Mapping[str, Any]) -> Event:
    return Event(sequence=int(body["sequence"]), kind=str(body["kind"]), raw=body)


def page(body: Mapping[str, Any]) -> Page:
    return Page(items=list(body["items"]), next_cursor=body.get("next_cursor"))
