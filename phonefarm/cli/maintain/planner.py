"""What a campaign does next. Pure: from where every phone stands to which phones are sent their steps now.

Theory of operation
-------------------
A phone's standing moves WAITING -> SENT -> DONE | FAILED | MISSED. MISSED: the farm had the request, and the phone
was not touched: it was withdrawn, or had not started in time.

Rules, in the order in which they are looked at:

1. A canary that failed stops the campaign. So do more failures than ``max_failures``.
2. While any phone is SENT nothing is sent: a wave ends before the next begins, so its failures are known.
3. Until ``canary`` phones are DONE only as many are sent as are missing to that. A canary that was MISSED proves
   nothing; another phone takes its place.
4. Then waves of ``wave`` phones. Phones that are away are passed over and looked at again before each wave.

Nothing sent and nothing to send is the end; what is WAITING or MISSED then was not reached, and a later run tries it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """How far a phone is in a campaign."""

    WAITING = "waiting"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    MISSED = "missed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How careful a campaign is: phones that must be done before the others, phones at once, failures it bears."""

    canary: int = 1
    wave: int = 10
    max_failures: int = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A phone as the planner sees it. ``ready``: the farm can give it work, now or when what it does has ended."""

    phone_id: str
    standing: Standing
    ready: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """``send`` to these now. ``stopped``: why no phone may be sent anything any more. ``over``: nothing is left."""

    send: tuple[str, ...] = ()
    canary: bool = False
    stopped: str | None = None
    over: bool = False


def decide(terms: Terms, entries: Sequence[Entry]) -> Decision:
    """The next thing to do for phones in the order of ``entries``."""
    sent = [entry.phone_id for entry in entries if entry.standing is Standing.SENT]
    missing = missing_canaries(terms, entries)
    stopped = stop_rule(terms, entries)
    if stopped is not None:
        return Decision(stopped=stopped, over=not sent)
    if sent:
        return Decision(canary=missing > 0)
    free = [entry.phone_id for entry in entries if entry.standing is Standing.WAITING and entry.ready]
    size = min(missing, terms.wave) if missing else terms.wave
    return Decision(send=tuple(free[:size]), canary=missing > 0, over=not free)


def missing_canaries(terms: Terms, entries: Sequence[Entry]) -> int:
    """How many phones must still be done before the waves. There are never more canaries than phones."""
    done = sum(entry.standing is Standing.DONE for entry in entries)
    return max(0, min(terms.canary, len(entries)) - done)


def stop_rule(terms: Terms, entries: Sequence[Entry]) -> str | None:
    """Why the campaign must not go on, naming the phones that failed; None if it may."""
    failed = [entry.phone_id for entry in entries if entry.standing is Standing.FAILED]
    names = ", ".join(failed[:10]) + (" ..." if failed[10:] else "")
    if failed and missing_canaries(terms, entries):
        return f"a canary failed: {names}"
    if len(failed) > terms.max_failures:
        return f"{len(failed)} phones failed, more than the {terms.max_failures} allowed: {names}"
    return None
