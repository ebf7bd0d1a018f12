"""Callbacks on their way out (contract section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

#: Every request has a callback; one to here says that nobody listens.
NOBODY = "https://nobody.invalid/"


class CallbackState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, kw_only=True, slots=True)
class DueCallback:
    """An event to deliver. ``body`` is the exact bytes to sign and send; ``attempts`` were made before."""

    event_id: str
    process_id: str
    sequence: int
    url: str
    body: bytes
    attempts: int = 0


#: Where a page of due callbacks ended: when its last one was due (ms), and its id.
Place = tuple[int, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class DuePage:
    """Some of the callbacks that are due, oldest first. ``after``: where to go on, None if these are the last;
    ``next_in``: seconds until one more becomes due, None if nothing is pending or these are not the last."""

    callbacks: tuple[DueCallback, ...] = ()
    after: Place | None = None
    next_in: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What came of one attempt.

    ``state`` PENDING means try again after ``retry_in`` seconds; ``gone`` (410) kills the later events of
    the process too. ``http_status`` None when no answer came; ``error`` is a name, never the answer's body.
    ``attempts`` were made before this one, so that one that is reported twice counts once.
    """

    event_id: str
    process_id: str
    state: CallbackState
    attempts: int = 0
    http_status: int | None = None
    error: str | None = None
    retry_in: float | None = None
    gone: bool = False


def nobody_listens(url: str) -> bool:
    """Whether the URL's host is in ``.invalid``, a domain that by RFC 6761 never resolves: nothing is to be sent."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    return host.endswith(".invalid")
