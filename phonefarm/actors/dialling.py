"""Phones on the network: their addresses are connected, and connected again after a loss.

The adb server forgets an address whose phone went away, so somebody has to dial again: at once, then less and less
often, for as long as the address is known. A phone that was known before and is dialled again is counted as the rung
``connect`` of its ladder: once when it is back, once when it stays away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from phonefarm import logs
from phonefarm.errors import DeviceError

log = logs.logger(__name__)

#: Seconds between two attempts: the first and the longest pause.
FIRST_PAUSE, LAST_PAUSE = 0.25, 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """What dialling needs of its host. ``connect``: raises DeviceError; ``state``: adb's word for an address;
    ``owner``: the phone last seen there; ``redialled``: told of a known phone and whether it came back."""

    connect: Callable[[str], Awaitable[Any]]
    state: Callable[[str], str | None]
    owner: Callable[[str], str | None]
    redialled: Callable[[str, bool], Awaitable[None]]


class Dialler:
    """The addresses of one host."""

    def __init__(self, addresses: Iterable[str], line: Line) -> None:
        self._addresses = dict.fromkeys(addresses)
        self._line = line
        self._dialling: set[str] = set()

    @property
    def addresses(self) -> list[str]:
        return list(self._addresses)

    def add(self, address: str) -> None:
        self._addresses[address] = None

    def missing(self) -> list[str]:
        """Addresses without a phone that nobody dials yet; from now on somebody does: ``dial`` each of them."""
        found = [a for a in self._addresses if a not in self._dialling and not self._there(a)]
        self._dialling.update(found)
        return found

    async def dial(self, address: str) -> None:
        """Until the phone is there."""
        pause, known = FIRST_PAUSE, None
        try:
            while not self._there(address):
                known = known or self._line.owner(address)
                try:
                    await self._line.connect(address)
                except DeviceError as error:
                    log.debug("phone.unreachable", serial=address, error=error)
                await asyncio.sleep(pause)
                if known is not None and pause < LAST_PAUSE <= pause * 2:
                    await self._line.redialled(known, False)
                pause = min(pause * 2, LAST_PAUSE)
            if known is not None:
                await self._line.redialled(known, True)
        finally:
            self._dialling.discard(address)

    def _there(self, address: str) -> bool:
        return self._line.state(address) in ("device", "unauthorized")
