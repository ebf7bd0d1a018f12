"""What of a farm's work may need a person, as the database tells it. Times in ms since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """A process that failed and that nobody has run again. ``code``: of its error."""

    process_id: str
    request_id: str
    process_type: str
    finished_at: int
    code: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FailingReceiver:
    """Callbacks to one URL that do not arrive: ``dead`` ones are given up, the others are still tried.

    ``since``: when the first of them was written, or, of dead ones, died. ``http_status`` and ``error``: one of the
    answers, never its body.
    """

    url: str
    dead: bool
    count: int
    since: int
    http_status: int | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Attention:
    """``dead_letters``: the newest of ``dead_letter_count``. ``oldest_ready``: since when the item that waits longest
    could have run. ``disk_free`` and ``disk_total``: bytes of the disk that holds the farm's state. ``states``: since
    when each phone that does not work is in its state."""

    now: int
    dead_letter_count: int = 0
    dead_letters: tuple[DeadLetter, ...] = ()
    receivers: tuple[FailingReceiver, ...] = ()
    ready_items: int = 0
    oldest_ready: int | None = None
    disk_free: int | None = None
    disk_total: int | None = None
    states: Mapping[str, int] = field(default_factory=dict)
