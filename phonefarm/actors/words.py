"""What a phone's actor tells its manager, until it is heard.

One word at a time, so that the last one is the one that stays: a word that has not come through is dropped for a newer
one. Calls that are safe to repeat are repeated until they are answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from phonefarm import logs
from phonefarm.actors.ports import ManagerPort
from phonefarm.errors import PhoneFarmError
from phonefarm.models.phone import PhoneReport

log = logs.logger(__name__)

_FIRST_PAUSE, _LAST_PAUSE = 0.1, 5.0


class Words:
    """To one manager. Lives on the actor's event loop."""

    def __init__(self, manager: ManagerPort) -> None:
        self._manager = manager
        self._count = 0
        self._saying = asyncio.Lock()

    async def say(self, report: PhoneReport) -> None:
        """Returns once it was heard, or a newer word is on its way."""
        self._count += 1
        word = self._count
        async with self._saying:
            await self.insist(lambda: self._manager.report_phones([report]), lambda: word == self._count)

    async def insist(
        self, call: Callable[[], Awaitable[None]], still_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        """Repeat a call that is safe to repeat until it is answered, or not wanted any more."""
        pause = _FIRST_PAUSE
        while still_wanted():
            try:
                return await call()
            except PhoneFarmError as error:
                log.info("manager.awaited", error=error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)
