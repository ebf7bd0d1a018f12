"""Reading processes for many callers with few calls.

The bodies are asked for first, of all together; then, of those that wait, why they do. These are two calls because the
second needs the router: whoever reads a process that does not wait must not wait for the router either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from phonefarm.models.reading import ProcessAsked, ProcessBody, ProcessRead
from phonefarm.serve.gathering import Gathering


class Reader(Protocol):
    """The part of ``FarmPort`` that is needed here."""

    async def read_processes(self, asked: Sequence[ProcessAsked]) -> list[ProcessRead]: ...
    async def why_waiting(self, idle: Sequence[Sequence[str]]) -> list[dict[str, Any] | None]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A process as it is answered. ``status`` is the public one, ``body`` JSON."""

    status: str
    body: bytes = field(repr=False)


class Reads:
    """Must be used from one event loop."""

    def __init__(self, farm: Reader) -> None:
        self._bodies: Gathering[ProcessAsked, ProcessBody] = Gathering(farm.read_processes)
        self._reasons: Gathering[Sequence[str], dict[str, Any] | None] = Gathering(farm.why_waiting)

    async def process(self, process_id: str, *, system: str | None = None) -> Seen:
        """Raises NotFound, for a process of another ``system`` too, and Unavailable."""
        found = await self._bodies.answer(ProcessAsked(process_id=process_id, system=system))
        reason = await self._reasons.answer(found.idle) if found.idle else None
        return Seen(status=found.status, body=found.waiting(reason))
