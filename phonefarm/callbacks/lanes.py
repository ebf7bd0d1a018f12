"""Connections to receivers, kept open for a moment so that callbacks in a row need not open one each.

A lane is what leads to one endpoint under one name at one address: an HTTP client whose resolver knows that address
and no other. HTTP clients keep connections by name, and one that was opened to an address the name had before would be
used for the name still; so each lane has connections of its own. Whoever asks for a lane has checked the address just
then.

No cookie is kept, no proxy or .netrc of the environment used, no answer unpacked.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import certifi
from aiohttp.abc import AbstractResolver, ResolveResult

from phonefarm.callbacks.guard import Address, Endpoint

#: Shorter than receivers keep a connection that rests (two seconds and more), so that none is closed while we begin to
#: write: that would cost an attempt.
IDLE_SECONDS = 1.0
LANES = 64
CONNECT_SECONDS = 3.0

Key = tuple[str, str, int, Address]


@dataclass(slots=True)
class _Lane:
    client: aiohttp.ClientSession
    used: int = 0


class Lanes:
    """Use within one event loop; ``aclose`` at the end. ``tls``: what certificates are checked with.
    ``connect_seconds``: how long a connection may take, with its TLS."""

    def __init__(self, tls: ssl.SSLContext | None = None, *, connect_seconds: float = CONNECT_SECONDS) -> None:
        self._tls = tls or ssl.create_default_context(cafile=certifi.where())
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds)
        self._lanes: OrderedDict[Key, _Lane] = OrderedDict()

    @asynccontextmanager
    async def to(self, endpoint: Endpoint, address: Address) -> AsyncIterator[aiohttp.ClientSession]:
        """The lane's client, which is not closed while it is used; without connections that the receiver closed."""
        for _ in range(2):  # the loop looks at its sockets, then acts on what it saw
            await asyncio.sleep(0)
        key = (endpoint.scheme, endpoint.host, endpoint.port, address)
        lane = self._lanes.pop(key, None) or _Lane(self._new(address))
        self._lanes[key] = lane  # the last one used
        lane.used += 1
        try:
            yield lane.client
        finally:
            lane.used -= 1
            await self._drop_some()

    async def aclose(self) -> None:
        lanes = list(self._lanes.values())
        self._lanes.clear()
        await asyncio.gather(*(lane.client.close() for lane in lanes))

    async def _drop_some(self) -> None:
        """The one that has rested longest, if there are too many."""
        while len(self._lanes) > LANES:
            key = next((key for key, lane in self._lanes.items() if not lane.used), None)
            if key is None:
                return
            await self._lanes.pop(key).client.close()

    def _new(self, address: Address) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=_Only(address), use_dns_cache=False, ssl=self._tls, limit=0, keepalive_timeout=IDLE_SECONDS
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("Accept",),
        )


class _Only(AbstractResolver):
    """Knows one address, whatever the name."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The address, as a name server would have given it."""
        known = socket.AF_INET if self._address.version == 4 else socket.AF_INET6
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        one = ResolveResult(hostname=host, host=str(self._address), port=port, family=known, proto=0, flags=flags)
        return [one]

    async def close(self) -> None:
        """Nothing is open."""
