"""THE transition tables. The only place where states are defined to move.

Each table maps (state, event) to the next state; the store writes its ``WHERE state IN (...)`` from
``item_sources``, so the database and this page cannot disagree. A process has no events of its own: its state
is derived from its items by ``process_state``.

Cancel and drain are requests (columns), not states.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

from phonefarm.models.states import ItemState, Milestone, Outcome, PhoneState, ProcessState, PublicStatus


class ItemEvent(StrEnum):
    CLAIM = "claim"  # a phone is granted, a new attempt begins
    START = "start"  # the phone has taken it
    FINISH = "finish"  # every action is done
    RETRY = "retry"  # the attempt failed, another may follow
    BURY = "bury"  # the attempt failed, no other follows
    CANCEL = "cancel"  # nothing runs (any more), the caller wanted it stopped
    EXPIRE = "expire"  # not started by expires_at


_I = ItemState
_E = ItemEvent

# fmt: off
ITEM: Mapping[tuple[ItemState, ItemEvent], ItemState] = {
    # from          on            to
    (_I.QUEUED,    _E.CLAIM):   _I.CLAIMED,
    (_I.QUEUED,    _E.CANCEL):  _I.CANCELLED,
    (_I.QUEUED,    _E.EXPIRE):  _I.DEAD_LETTER,
    (_I.CLAIMED,   _E.START):   _I.EXECUTING,
    (_I.CLAIMED,   _E.RETRY):   _I.RETRYABLE,
    (_I.CLAIMED,   _E.BURY):    _I.DEAD_LETTER,
    (_I.CLAIMED,   _E.CANCEL):  _I.CANCELLED,
    (_I.EXECUTING, _E.FINISH):  _I.DONE,
    (_I.EXECUTING, _E.RETRY):   _I.RETRYABLE,
    (_I.EXECUTING, _E.BURY):    _I.DEAD_LETTER,
    (_I.EXECUTING, _E.CANCEL):  _I.CANCELLED,
    (_I.RETRYABLE, _E.CLAIM):   _I.CLAIMED,
    (_I.RETRYABLE, _E.CANCEL):  _I.CANCELLED,
    (_I.RETRYABLE, _E.BURY):    _I.DEAD_LETTER,
}
# fmt: on

ITEM_FINAL = frozenset({_I.DONE, _I.DEAD_LETTER, _I.CANCELLED})
ITEM_WAITING = frozenset({_I.QUEUED, _I.RETRYABLE})
ITEM_RUNNING = frozenset({_I.CLAIMED, _I.EXECUTING})

_P = ProcessState

#: Every move a process may be seen to make. ``process_state`` decides; this table is what a test holds it to.
PROCESS: Mapping[ProcessState, frozenset[ProcessState]] = {
    _P.QUEUED: frozenset({_P.PLANNED, _P.EXECUTING, _P.RETRYABLE, _P.DEAD_LETTER, _P.CANCELLED}),
    _P.PLANNED: frozenset({_P.EXECUTING, _P.RETRYABLE, _P.DEAD_LETTER, _P.CANCELLED}),
    _P.EXECUTING: frozenset({_P.RETRYABLE, _P.DONE, _P.PARTIAL, _P.DEAD_LETTER, _P.CANCELLED}),
    _P.RETRYABLE: frozenset({_P.EXECUTING, _P.PARTIAL, _P.DEAD_LETTER, _P.CANCELLED}),
    _P.DONE: frozenset(),
    _P.PARTIAL: frozenset(),
    _P.DEAD_LETTER: frozenset(),
    _P.CANCELLED: frozenset(),
}

PROCESS_FINAL = frozenset(state for state, onward in PROCESS.items() if not onward)

_PUBLIC: Mapping[ProcessState, PublicStatus] = {
    _P.QUEUED: PublicStatus.QUEUED,
    _P.PLANNED: PublicStatus.QUEUED,
    _P.EXECUTING: PublicStatus.EXECUTING,
    _P.RETRYABLE: PublicStatus.RETRYING,
    _P.DONE: PublicStatus.COMPLETED,
    _P.PARTIAL: PublicStatus.FAILED_TERMINAL,
    _P.DEAD_LETTER: PublicStatus.FAILED_TERMINAL,
    _P.CANCELLED: PublicStatus.CANCELLED,
}

_MILESTONE: Mapping[PublicStatus, Milestone] = {
    PublicStatus.QUEUED: Milestone.ACCEPTED,
    PublicStatus.EXECUTING: Milestone.EXECUTING,
    PublicStatus.RETRYING: Milestone.RETRYING,
    PublicStatus.COMPLETED: Milestone.COMPLETED,
    PublicStatus.FAILED_TERMINAL: Milestone.FAILED_TERMINAL,
    PublicStatus.CANCELLED: Milestone.CANCELLED,
}

_S = PhoneState

_HOLDS = frozenset({_S.PAUSED, _S.QUARANTINED, _S.RETIRED})

#: Only a passed check leads to AVAILABLE; BUSY is AVAILABLE with an item (a phone may come back in the middle of one).
#: An operator may hold a phone in any state (``core.operations`` says when); a hold ends through a check, or in the
#: state the phone was last seen in.
PHONE: Mapping[PhoneState, frozenset[PhoneState]] = {
    _S.OFFLINE: _HOLDS | {_S.UNAUTHORIZED, _S.CHECKING},
    _S.UNAUTHORIZED: _HOLDS | {_S.OFFLINE, _S.CHECKING},
    _S.CHECKING: _HOLDS | {_S.AVAILABLE, _S.BUSY, _S.OFFLINE, _S.UNAUTHORIZED},
    _S.AVAILABLE: _HOLDS | {_S.BUSY, _S.CHECKING, _S.OFFLINE, _S.UNAUTHORIZED},
    _S.BUSY: _HOLDS | {_S.AVAILABLE, _S.CHECKING, _S.OFFLINE, _S.UNAUTHORIZED},
    _S.PAUSED: frozenset({_S.CHECKING, _S.OFFLINE, _S.UNAUTHORIZED, _S.QUARANTINED, _S.RETIRED}),
    _S.QUARANTINED: frozenset({_S.CHECKING, _S.OFFLINE, _S.UNAUTHORIZED, _S.RETIRED}),
    _S.RETIRED: frozenset({_S.CHECKING, _S.OFFLINE, _S.UNAUTHORIZED}),
}


def next_item_state(state: ItemState, event: ItemEvent) -> ItemState | None:
    """Where ``event`` leads from ``state``, or None if it may not happen there."""
    return ITEM.get((state, event))


def item_sources(event: ItemEvent) -> tuple[ItemState, ...]:
    """The states in which ``event`` may happen: the WHERE of its UPDATE."""
    return tuple(state for state, on in ITEM if on is event)


def item_target(event: ItemEvent) -> ItemState:
    """Where ``event`` leads; the table gives each event one target."""
    (target,) = {to for (_, on), to in ITEM.items() if on is event}
    return target


def process_state(items: Sequence[tuple[ItemState, int]]) -> ProcessState:
    """The state of a process from (state, attempt) of its items."""
    if not items:
        raise ValueError("a process has at least one item")
    seen = Counter(state for state, _ in items)
    if all(state in ITEM_FINAL for state in seen):
        return _final_state(seen)
    if seen[_I.EXECUTING]:
        return _P.EXECUTING
    if seen[_I.RETRYABLE] or any(state is _I.CLAIMED and attempt > 1 for state, attempt in items):
        return _P.RETRYABLE
    if any(state in ITEM_FINAL for state in seen):
        return _P.EXECUTING
    return _P.PLANNED if seen[_I.CLAIMED] else _P.QUEUED


def _final_state(seen: Mapping[ItemState, int]) -> ProcessState:
    if seen.get(_I.CANCELLED):
        return _P.CANCELLED
    if set(seen) == {_I.DONE}:
        return _P.DONE
    return _P.PARTIAL if seen.get(_I.DONE) else _P.DEAD_LETTER


def process_path(before: ProcessState, after: ProcessState) -> tuple[ProcessState, ...]:
    """The states a process is seen to pass on its way: what started and ended in one report did execute."""
    if before is after:
        return ()
    return (after,) if after in PROCESS[before] else (ProcessState.EXECUTING, after)


def outcome(state: ProcessState, error_codes: Collection[str] = ()) -> Outcome | None:
    """How a process ended; None while it goes on. ``error_codes``: those of its dead items."""
    if state is _P.DEAD_LETTER:
        only_expired = bool(error_codes) and set(error_codes) == {"expired"}
        return Outcome.EXPIRED if only_expired else Outcome.FAILED
    return {_P.DONE: Outcome.SUCCEEDED, _P.PARTIAL: Outcome.PARTIAL, _P.CANCELLED: Outcome.CANCELLED}.get(state)


def public_status(state: ProcessState) -> PublicStatus:
    """What callers see of an internal state (contract section 6)."""
    return _PUBLIC[state]


def milestone(before: ProcessState, after: ProcessState) -> Milestone | None:
    """The milestone to announce when a process moves, None if callers see no change."""
    old, new = _PUBLIC[before], _PUBLIC[after]
    return None if old is new else _MILESTONE[new]
