"""How long things took that begin in one place and end in another; seconds, given. What never ends is forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Stopwatch:
    """Remembers at most ``size`` beginnings, the newest."""

    size: int = 4_096
    _began: dict[str, float] = field(default_factory=dict)

    def start(self, key: str, now: float) -> None:
        self._began.pop(key, None)
        self._began[key] = now
        if len(self._began) > self.size:
            del self._began[next(iter(self._began))]

    def stop(self, key: str, now: float) -> float | None:
        """Seconds since its start, None if that is not known (any more)."""
        began = self._began.pop(key, None)
        return None if began is None else now - began


def missed(silence: float, beat: float) -> int:
    """Signs of life that should have come in a silence that has ended: one was due each ``beat``. Half a beat late is
    not missed."""
    return max(0, round(silence / beat) - 1)
