"""What three independent witnesses saw of a farm: its clients, its database, and its phones with the receiver of its
callbacks. ``checker.check`` compares them; nothing here knows how they were made.

- ``Request`` and ``Reading``: written by the client itself, before it sends and after it was answered. A client that
  was killed, or got no answer, leaves ``status`` None: the request may have been executed or not.
- ``Touch``: written by the phone itself, never by the farm. ``ended`` None: nobody knows whether it came to its end.
- ``Delivery``: written by the receiver of the callbacks, one for each time that one arrived.
- ``Rows``: the tables of the database as they are in the end, as plain dicts by column name (``reading.rows``).

Times are seconds since the epoch of one machine's clock (``time.time()``); those in ``Rows`` are milliseconds of the
database's clock, as they are stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: A row by column name.
Row = Mapping[str, Any]

#: The idempotency key: (process_type, system, request_id).
Key = tuple[str, str, str]

SUBMIT, CANCEL = "submit", "cancel"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request a client sent. ``kind``: ``submit`` or ``cancel``.

    ``body`` names what was asked for: two submissions with one key and different ``body`` are a conflict; any string
    will do. ``status``: what was answered (202, 200, 409, ...), None: no answer came. ``process_id``: of the answer; of
    a cancel, the process that it is for, known before.
    """

    kind: str
    key: Key
    body: str
    sent_at: float
    answered_at: float | None = None
    status: int | None = None
    process_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """A client read a process and was told this public status."""

    process_id: str
    at: float
    status: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Touch:
    """One action, as the phone saw it.

    ``item_id``, ``attempt`` and ``index`` say for whom, where the phone can know (a fake phone does); None otherwise,
    and then only what concerns the phone itself is checked. ``once``: names an action that must not be started twice,
    the same for every try of it (such as ``item/index``, or a text that only one request asked for); None for an action
    that may be repeated.
    """

    phone_id: str
    kind: str
    started: float
    ended: float | None = None
    item_id: str | None = None
    attempt: int | None = None
    index: int | None = None
    account_id: str | None = None
    once: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """A callback arrived. ``body``: its bytes. ``status``: what the receiver answered, None if it did not."""

    process_id: str
    sequence: int
    event_id: str
    milestone: str
    at: float
    status: int | None
    body: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """The tables that tell what happened, each in any order."""

    processes: Sequence[Row] = ()
    items: Sequence[Row] = ()
    actions: Sequence[Row] = ()
    events: Sequence[Row] = ()
    outbox: Sequence[Row] = ()
    phones: Sequence[Row] = ()
    accounts: Sequence[Row] = ()
    account_usage: Sequence[Row] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Records:
    """All that is known of a run.

    ``over``: everything that was accepted should have ended by now and every callback have arrived; False to check a
    farm in mid-run. ``same_clock``: phones and database read one clock, so what a phone did can be set against when the
    database gave an attempt away. ``one_sender``: no two callback senders can have lived at once, so a repeat never
    arrives behind its successor. ``clients_complete``: the client records name every submission, so a process that none
    of them asked for was made up. ``touches_complete``: the phones wrote down every action, so a result without a touch
    was made up; False where they name only some kinds.
    """

    rows: Rows
    requests: Sequence[Request] = ()
    readings: Sequence[Reading] = ()
    touches: Sequence[Touch] = ()
    deliveries: Sequence[Delivery] = ()
    over: bool = True
    same_clock: bool = True
    one_sender: bool = True
    clients_complete: bool = True
    touches_complete: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """A rule that does not hold. ``rule``: one of those that ``checker`` lists. ``subject``: the id of a process, item,
    phone or account, or a key."""

    rule: str
    subject: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule} {self.subject}: {self.what}"


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """``Records`` by what belongs together; made once, by ``View.of``."""

    records: Records
    processes: Mapping[str, Row]
    items: Mapping[str, Row]
    events: Mapping[str, Sequence[Row]]
    outbox: Mapping[str, Sequence[Row]]
    items_of: Mapping[str, Sequence[Row]]
    history_of: Mapping[str, Sequence[Row]]
    actions_of: Mapping[str, Sequence[Row]]
    touches_of: Mapping[str, Sequence[Touch]]

    @classmethod
    def of(cls, records: Records) -> View:
        rows = records.rows
        events = sorted(rows.events, key=lambda e: e["sequence"])
        return cls(
            records=records,
            processes={row["id"]: row for row in rows.processes},
            items={row["id"]: row for row in rows.items},
            events=_by(events, "process_id"),
            outbox=_by(sorted(rows.outbox, key=lambda c: c["sequence"]), "process_id"),
            items_of=_by(sorted(rows.items, key=lambda i: i["ordinal"]), "process_id"),
            history_of=_by([e for e in events if e["item_id"] is not None], "item_id"),
            actions_of=_by(sorted(rows.actions, key=lambda a: (a["idx"], a["attempt"])), "item_id"),
            touches_of=_touches(records.touches),
        )


def _by(rows: Sequence[Row], column: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row[column], []).append(row)
    return found


def _touches(touches: Sequence[Touch]) -> dict[str, list[Touch]]:
    """Those that are known to be of an item, in the order in which they began."""
    found: dict[str, list[Touch]] = {}
    for touch in sorted(touches, key=lambda t: t.started):
        if touch.item_id is not None:
            found.setdefault(touch.item_id, []).append(touch)
    return found
