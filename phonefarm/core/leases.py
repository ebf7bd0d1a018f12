"""Leases: how long a phone may work on an attempt without being heard.

The database's clock decides when a lease has expired and may be given away. The phone's side uses its own
monotonic clock and stops earlier, so two phones never work on one item: it counts from *before* it sent the
heartbeat that was answered, and gives up ``SAFETY`` of the term before the manager does. Before its first heartbeat was
answered it counts from before its attempt was asked for, if that was on the same machine; else it does not know how old
the grant is, and waits for the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from phonefarm.models.clock import Moment

#: Heartbeats a term. Two may be lost before the lease is in danger.
BEATS_PER_TERM = 3
#: Share of the term after which an unheard phone stops by itself.
SAFETY = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseTerms:
    """``seconds``: the term of a lease; ``delivery_seconds``: how long a claimed item may take to reach its phone."""

    seconds: float = 30.0
    delivery_seconds: float = 30.0

    @property
    def heartbeat_seconds(self) -> float:
        return self.seconds / BEATS_PER_TERM


def expires_at(now_ms: int, seconds: float) -> int:
    """Database time (ms) after which a lease granted or renewed at ``now_ms`` may be given away."""
    return now_ms + round(seconds * 1000)


def stop_at(sent_monotonic: float, seconds: float) -> float:
    """Monotonic time at which a phone that was last answered for a beat sent at ``sent_monotonic`` must stop."""
    return sent_monotonic + seconds * SAFETY


def grant_stop_at(asked: Moment | None, now: Moment, delivery_seconds: float) -> float | None:
    """Monotonic time at which a phone that was never answered must stop, if its attempt was asked for at ``asked``.
    None if that time is over, or cannot be told by the clock of ``now``."""
    if asked is None or not now.clock or asked.clock != now.clock:
        return None
    ends = stop_at(asked.seconds, delivery_seconds)
    return ends if now.seconds < ends else None
