"""One process among many that are read together, and the body it is shown as.

A view is turned into JSON once, where it was read; on the way to the caller it is bytes. Only why it waits is put in
later, since the router is asked for that and whoever does not wait shall not wait for the router.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phonefarm.errors import NotFound

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_NOT_WAITING = b'"waiting":null}'


def dump(data: Any) -> bytes:
    """JSON as it goes to callers."""
    return _ENCODER.encode(data).encode("utf-8", "replace")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessAsked:
    """A process somebody wants to see. ``system``: the only one whose processes he may see, None for all."""

    process_id: str
    system: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessBody:
    """``body``: as ``GET /processes/{id}`` answers, ``waiting`` null. ``idle``: the items for which the router may know
    why they wait, none while an item of the process runs."""

    status: str
    body: bytes = field(repr=False)
    idle: tuple[str, ...] = ()

    def waiting(self, reason: Mapping[str, Any] | None) -> bytes:
        """The body with the reason why it waits."""
        return self.body if reason is None else self.body[: -len(b"null}")] + dump(reason) + b"}"


#: What comes of one that was asked for.
ProcessRead = ProcessBody | NotFound


def body_of(view: Mapping[str, Any]) -> ProcessBody:
    """The body of a view whose last member is ``waiting``, null."""
    body = dump(view)
    if not body.endswith(_NOT_WAITING):
        raise ValueError("a view ends with why it waits, which is not known yet")
    return ProcessBody(status=view["status"], body=body, idle=idle_items(view["items"]))


def idle_items(items: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The ids of a process's items that wait, none while another one runs."""
    if any(item["status"] == "executing" for item in items):
        return ()
    return tuple(item["queue_item_id"] for item in items if item["status"] in ("queued", "retrying"))
