"""Looking at all phones at once: one watcher a replica, however many people look, and none while nobody does.

It waits for the manager's next commit, reads the phones, and gives every reader the new picture of the farm; at most
one a second. A reader that is slow misses pictures, never the newest. While the farm is away the readers keep what
they have and are told so; the watcher tries on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from phonefarm import logs
from phonefarm.actors.ports import FarmPort
from phonefarm.errors import PhoneFarmError

log = logs.logger(__name__)

#: Seconds between two pictures, and without news after which readers are told nothing, but that.
APART_SECONDS, BEAT_SECONDS = 1.0, 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """The phones by id. ``number`` grows with each; ``away``: the farm did not answer, this is what was known."""

    number: int = 0
    phones: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    away: bool = False


class Watch:
    """``apart`` and ``beat`` in seconds."""

    def __init__(self, farm: FarmPort, *, apart: float = APART_SECONDS, beat: float = BEAT_SECONDS) -> None:
        self._farm = farm
        self._apart = apart
        self._beat = beat
        self._readers = 0
        self._task: asyncio.Task[None] | None = None
        self._newer = asyncio.Condition()
        self.picture = Picture()

    @property
    def readers(self) -> int:
        return self._readers

    def knows(self, phone_id: str) -> bool:
        """Whether the phone is known to exist, without asking."""
        return self._readers > 0 and phone_id in self.picture.phones

    async def pictures(self) -> AsyncIterator[Picture]:
        """Each newer picture, and the same again after ``beat`` seconds without one."""
        async with self._reading():
            seen = 0
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._beat):
                        await self._after(seen)
                seen = self.picture.number
                if seen:
                    yield self.picture

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        self._readers += 1
        if self._task is None:
            self.picture = Picture()
            self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            yield
        finally:
            self._readers -= 1
            if self._readers == 0 and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _after(self, seen: int) -> None:
        async with self._newer:
            await self._newer.wait_for(lambda: self.picture.number > seen)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        commit, number = -1, 0
        while True:
            began = loop.time()
            try:
                commit = await self._farm.await_commit(commit, seconds=self._beat)
                began = loop.time()
                phones = {phone["phone_id"]: phone for phone in await self._farm.list_phones()}
                picture = Picture(phones=phones)
            except PhoneFarmError as error:
                log.info("console.phones_not_seen", error=error)
                picture = Picture(phones=self.picture.phones, away=True)
            except Exception:
                log.exception("console.watch_failed", next_step=logs.REPORT_IT)
                picture = Picture(phones=self.picture.phones, away=True)
            if (picture.phones, picture.away) != (self.picture.phones, self.picture.away):
                number += 1
                await self._show(Picture(number=number, phones=picture.phones, away=picture.away))
            await asyncio.sleep(max(0.0, began + self._apart - loop.time()))

    async def _show(self, picture: Picture) -> None:
        async with self._newer:
            self.picture = picture
            self._newer.notify_all()
