"""Who has not been heard of for too long, and who starts too often. Pure: times are steady seconds, given.

Silence is counted from when somebody was last heard, or from when listening began: a manager that was away itself must
not take its own absence for everybody else's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

#: How the reason of a host that was given up begins; ``GET /hosts`` shows it.
SILENT = "not heard of"


class Presence:
    """Hosts that should be heard of at least every ``seconds``."""

    def __init__(self, names: Iterable[str], *, seconds: float, now: float) -> None:
        self._heard = dict.fromkeys(names, now)
        self._seconds = seconds

    def heard(self, name: str, now: float) -> None:
        self._heard[name] = now

    def silent(self, now: float) -> list[str]:
        """All that are silent now, also those that were before."""
        return [name for name, last in self._heard.items() if now - last > self._seconds]


@dataclass(kw_only=True, slots=True)
class Starts:
    """Starts of phones' actors: ``limit`` within ``seconds`` are too many. The first that is seen of each is none:
    every actor starts once, and so does every manager that counts. One on another host is none: the phone has moved."""

    limit: int
    seconds: float
    _times: dict[str, deque[float]] = field(default_factory=dict)
    _last: dict[str, tuple[str, str]] = field(default_factory=dict)  # phone id -> host and incarnation

    def forgive(self, phone_id: str) -> None:
        """What ended the phone's actor was not its own: its next start is a first one."""
        self._times.pop(phone_id, None)
        self._last.pop(phone_id, None)

    def started(self, phone_id: str, host: str, incarnation: str, now: float) -> int | None:
        """Count a start, once an incarnation. How many there were, if they are too many; then it begins anew."""
        last_host, last = self._last.get(phone_id, ("", ""))
        self._last[phone_id] = (host, incarnation)
        if host != last_host or incarnation == last:
            return None
        times = self._times.setdefault(phone_id, deque())
        times.append(now)
        while times[0] <= now - self.seconds:
            times.popleft()
        if len(times) < self.limit:
            return None
        self._times.pop(phone_id)
        return self.limit
