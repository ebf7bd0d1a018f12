"""A host's signs of life: how it is, told to the manager again and again.

The manager gives a host up that it has not heard of for a lease's term, and says so when it hears of it again: then the
host tells its phones once more where they are, and they report how they are. A sign of life that was not heard is given
again soon: a farm does not know a host before it has spoken, and at the start the manager may still open its database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from phonefarm import logs
from phonefarm.actors.ladder import LadderConfig
from phonefarm.actors.ports import ManagerPort
from phonefarm.errors import PhoneFarmError
from phonefarm.models.phone import HostReport

log = logs.logger(__name__)

#: A sign of life may take so many beats: a new process connects first, on a busy machine for seconds.
_PATIENCE = 3
#: Seconds until one that was not heard is given again at first; doubled up to a beat.
_AGAIN = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class HostConfig:
    """``connect``: addresses of phones on the network, ``host:port``. ``usb``: others hang on cables.
    ``offline_seconds``: how long a listed phone may be offline before it is helped. ``beat_seconds``: how often the
    manager hears of this host."""

    name: str
    connect: tuple[str, ...] = ()
    usb: bool = False
    ladder: LadderConfig = field(default_factory=LadderConfig)
    offline_seconds: float = 5.0
    look_seconds: float = 60.0
    beat_seconds: float = 10.0


class Pulse:
    """``strangers`` names other adb servers; ``given_up`` is called when the manager had given this host up."""

    def __init__(
        self,
        config: HostConfig,
        *,
        port: int,
        manager: ManagerPort,
        strangers: Callable[[], Awaitable[tuple[str, ...]]],
        given_up: Callable[[], None],
    ) -> None:
        self._config = config
        self._port = port
        self._manager = manager
        self._find = strangers
        self._given_up = given_up
        self._strangers: tuple[str, ...] = ()
        self._unheard = 1
        self.trouble: str | None = None

    async def run(self) -> None:
        """Until cancelled."""
        beats = max(1, round(self._config.look_seconds / self._config.beat_seconds))
        while True:
            for _ in range(beats):
                await asyncio.sleep(self._rest())
                await self.beat()
            await self.look()

    def _rest(self) -> float:
        beat = self._config.beat_seconds
        return min(beat, _AGAIN * 2.0 ** min(self._unheard, 16)) if self._unheard else beat

    async def look(self) -> None:
        """Look how this host is, and tell."""
        self._strangers = await self._find()
        await self.beat()

    async def beat(self) -> None:
        """Tell how this host is."""
        why = self.trouble
        if why is None and self._config.usb and self._strangers:
            why = f"another adb server may hold phones on cables: {self._strangers[0]}; end it"
        report = HostReport(
            name=self._config.name, adb_port=self._port, why=why, strangers=self._strangers
        )  # fmt: skip
        try:
            async with asyncio.timeout(_PATIENCE * self._config.beat_seconds):
                known = await self._manager.report_host(report)
        except (PhoneFarmError, TimeoutError) as error:
            log.info("host.not_heard", host=self._config.name, error=error)
            self._unheard += 1
            return
        self._unheard = 0
        if not known:
            self._given_up()
