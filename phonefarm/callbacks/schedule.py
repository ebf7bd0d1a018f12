"""When a callback that failed is tried again. Pure."""

from __future__ import annotations

#: Pause after the first, second, ... failed attempt, in seconds (contract section 7).
SCHEDULE: tuple[float, ...] = (5.0, 30.0, 120.0, 600.0, 3_600.0, 10_800.0, 21_600.0, 43_200.0)
#: The longest pause a receiver may ask for with Retry-After, in seconds.
LONGEST = 86_400.0
#: The shortest one, so that ``Retry-After: 0`` does not become a tight loop.
SHORTEST = 1.0
_SPREAD = 0.2


def retry_in(attempts: int, jitter: float) -> float | None:
    """Seconds until the next attempt, None when there is none left and the callback is dead.

    ``attempts`` were made before the one that just failed; ``jitter`` in 0..1 adds up to a fifth.
    """
    if attempts >= len(SCHEDULE):
        return None
    return SCHEDULE[max(attempts, 0)] * (1.0 + _SPREAD * jitter)


def asked_for(attempts: int, seconds: float) -> float | None:
    """The same for a receiver that said when it wants to be asked again; its word is held within limits."""
    if attempts >= len(SCHEDULE):
        return None
    return min(max(seconds, SHORTEST), LONGEST)
