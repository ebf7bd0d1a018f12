"""The ladder: what a host does for a phone that adb lists but that does not answer, mildest first.

``reconnect`` (adb drops its transport and takes it again), ``connect`` (network phones: forgotten and dialled anew),
``server_restart`` (only while no other phone of the host works: it hurts them all), ``reboot`` (if the farm may). After
each rung the phone has some time to say who it is. Each try and its success is counted for the phone; one that no rung
helped is quarantined, and left in peace for a while before it is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from phonefarm import logs
from phonefarm.devices.probe import Identity
from phonefarm.errors import DeviceError
from phonefarm.models.phone import Rung

log = logs.logger(__name__)

_PAUSE = 0.25


class Hands(Protocol):
    """What a host can do to its adb server. Blocking; each raises DeviceError when it cannot be done."""

    def reconnect(self, serial: str) -> None: ...
    def disconnect(self, address: str) -> None: ...
    def connect(self, address: str, timeout: float = ...) -> str: ...
    def restart(self) -> None: ...
    def reboot(self, serial: str) -> None: ...
    def identify(self, serial: str, timeout: float = ...) -> Identity: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class LadderConfig:
    """Seconds: ``wait`` for a phone to answer after each rung, ``ask`` for one answer, ``dial`` to be connected,
    ``rest`` before a phone that no rung helped is tried again. ``reboot``: whether phones may be rebooted."""

    wait: Mapping[Rung, float] = field(
        default_factory=lambda: {
            Rung.RECONNECT: 10.0,
            Rung.CONNECT: 15.0,
            Rung.SERVER: 20.0,
            Rung.REBOOT: 180.0,
        }
    )
    ask: float = 5.0
    dial: float = 12.0
    rest: float = 600.0
    reboot: bool = True


class Ladder:
    """``run`` runs blocking work in a thread; ``alone``: whether no other phone works; ``count`` hears of each try."""

    def __init__(
        self,
        config: LadderConfig,
        *,
        hands: Hands,
        run: Callable[[Callable[[], object]], Awaitable[object]],
        alone: Callable[[str], bool],
        count: Callable[[str, Rung, bool], Awaitable[None]],
    ) -> None:
        self._config = config
        self._hands = hands
        self._run = run
        self._alone = alone
        self._count = count
        self._climbing: set[str] = set()
        self._rest_until: dict[str, float] = {}

    def may_climb(self, phone_id: str) -> bool:
        """Not while it is being helped, and not soon after nothing helped."""
        now = asyncio.get_running_loop().time()
        return phone_id not in self._climbing and now >= self._rest_until.get(phone_id, now)

    def climbs(self, phone_id: str) -> bool:
        """Whether it is being helped now."""
        return phone_id in self._climbing

    def forget(self, phone_id: str) -> None:
        """The phone answers again: the next trouble is a new one."""
        self._rest_until.pop(phone_id, None)

    async def climb(self, phone_id: str, serial: str) -> str | None:
        """Help the phone. None when it answers again, else what was tried, in words."""
        self._climbing.add(phone_id)
        try:
            tried = []
            for rung in self._rungs(phone_id, serial):
                helped = await self._try(rung, phone_id, serial)
                await self._count(phone_id, rung, helped)
                if helped:
                    return None
                tried.append(rung.value)
            self._rest_until[phone_id] = asyncio.get_running_loop().time() + self._config.rest
            await self._count(phone_id, Rung.QUARANTINE, False)
            return ", ".join(tried)
        finally:
            self._climbing.discard(phone_id)

    def _rungs(self, phone_id: str, serial: str) -> Iterator[Rung]:
        yield Rung.RECONNECT
        if ":" in serial:
            yield Rung.CONNECT
        if self._alone(phone_id):
            yield Rung.SERVER
        if self._config.reboot:
            yield Rung.REBOOT

    async def _try(self, rung: Rung, phone_id: str, serial: str) -> bool:
        try:
            await self._run(lambda: self._do(rung, serial))
        except DeviceError as error:
            log.info("rung.failed", rung=rung.value, phone=phone_id, serial=serial, error=error)
        return await self._answers(phone_id, serial, self._config.wait[rung])

    def _do(self, rung: Rung, serial: str) -> None:
        match rung:
            case Rung.RECONNECT:
                self._hands.reconnect(serial)
            case Rung.CONNECT:
                self._hands.disconnect(serial)
            case Rung.SERVER:
                self._hands.restart()
            case _:
                self._hands.reboot(serial)
        if ":" in serial:
            self._hands.connect(serial, self._config.dial)

    async def _answers(self, phone_id: str, serial: str, seconds: float) -> bool:
        """Whether the phone says who it is, within ``seconds``."""
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            try:
                found = await self._run(lambda: self._hands.identify(serial, self._config.ask))
            except DeviceError:
                await asyncio.sleep(_PAUSE)
                continue
            return isinstance(found, Identity) and found.phone_id == phone_id
        return False
