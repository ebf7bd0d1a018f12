"""Connections to receivers, kept open for a moment so that callbacks in a row need not open one each.

A lane is what leads to one endpoint under one name at one address. HTTP clients keep connections by the address in the
URL, and two names behind one address would then share one whose certificate was checked for only one of them; so each
lane has connections of its own. Whoever asks for a lane has checked the address just then.

No redirect is followed, no cookie kept, no proxy or .netrc of the environment used: clients do that, and this is the
transport below them.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from phonefarm.callbacks.guard import Address, Endpoint

#: Shorter than receivers keep a connection that rests (two seconds and more), so that none is closed while we begin to
#: write: that would cost an attempt.
IDLE_SECONDS = 1.0
LANES, CONNECTIONS = 64, 8

Key = tuple[str, str, int, Address]


@dataclass(slots=True)
class _Lane:
    transport: httpx.AsyncHTTPTransport
    used: int = 0


class Lanes:
    """Use within one event loop; ``aclose`` at the end. ``tls``: what certificates are checked with."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls or httpx.create_ssl_context(trust_env=False)
        self._lanes: OrderedDict[Key, _Lane] = OrderedDict()

    @asynccontextmanager
    async def to(self, endpoint: Endpoint, address: Address) -> AsyncIterator[httpx.AsyncHTTPTransport]:
        """The lane's transport, which is not closed while it is used."""
        key = (endpoint.scheme, endpoint.host, endpoint.port, address)
        lane = self._lanes.pop(key, None) or _Lane(self._new())
        self._lanes[key] = lane  # the last one used
        lane.used += 1
        try:
            yield lane.transport
        finally:
            lane.used -= 1
            await self._drop_some()

    async def aclose(self) -> None:
        lanes = list(self._lanes.values())
        self._lanes.clear()
        await asyncio.gather(*(lane.transport.aclose() for lane in lanes))

    async def _drop_some(self) -> None:
        """The one that has rested longest, if there are too many."""
        while len(self._lanes) > LANES:
            key = next((key for key, lane in self._lanes.items() if not lane.used), None)
            if key is None:
                return
            await self._lanes.pop(key).transport.aclose()

    def _new(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=CONNECTIONS, keepalive_expiry=IDLE_SECONDS
        )
        return httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False, limits=limits)
