"""The line: callbacks that are known to be due and not sent yet, by endpoint. Pure.

Endpoints take turns, so that one with much to hear does not hold up another. Of each endpoint only so many are kept;
what is beyond stays in the outbox and is found again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from phonefarm.callbacks.guard import parse_endpoint
from phonefarm.errors import Fault
from phonefarm.models.outbox import DueCallback


class DueLine:
    """``most``: so many are kept of one endpoint."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lines: dict[str, deque[DueCallback]] = {}
        self._processes: set[str] = set()

    def __len__(self) -> int:
        return len(self._processes)

    def add(self, callback: DueCallback) -> bool:
        """Unless one of its process stands here already. False if there was no place for it."""
        if callback.process_id in self._processes:
            return True
        endpoint = endpoint_of(callback.url)
        line = self._lines.setdefault(endpoint, deque())
        if len(line) >= self._most:
            return False
        line.append(callback)
        self._processes.add(callback.process_id)
        return True

    def clear(self) -> None:
        """Forget them all; the outbox knows them."""
        self._lines.clear()
        self._processes.clear()

    def take(self, has_room: Callable[[str], bool]) -> tuple[str, DueCallback] | None:
        """The next one of an endpoint that has room, and its endpoint; it stands here no longer."""
        endpoint = next((name for name in self._lines if has_room(name)), None)
        if endpoint is None:
            return None
        line = self._lines.pop(endpoint)
        callback = line.popleft()
        self._processes.discard(callback.process_id)
        if line:
            self._lines[endpoint] = line  # behind the others
        return endpoint, callback


def endpoint_of(url: str) -> str:
    """``host:port``, or the URL itself where it has none."""
    found = parse_endpoint(url)
    return url if isinstance(found, Fault) else f"{found.host}:{found.port}"
