"""The keys that hold right now: the farm's own, and those made at run time, which the manager keeps.

A replica remembers the rows for ``FRESH_SECONDS``, so a revoked key may be used for that long and no longer. A secret
that is not known makes it ask at once, so a new key works at once; but not more often than every ``ASK_SECONDS``, so
guessing does not keep the manager busy. While the manager is away the rows that are remembered hold, and a replica that
knows none says 503 rather than that a key is wrong.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from phonefarm.errors import Unavailable
from phonefarm.models.process import KeyRow
from phonefarm.serve.auth import ApiKey, KeyRing, Scope, digest_of, find_key, presented

FRESH_SECONDS = 2.0
ASK_SECONDS = 1.0


class KeyPort(Protocol):
    """The part of the farm that knows keys."""

    async def key_rows(self) -> list[KeyRow]: ...


class LiveKeys:
    """``own``: the keys of the farm's configuration. ``clock``: monotonic seconds."""

    def __init__(self, own: KeyRing, farm: KeyPort, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._own = own
        self._farm = farm
        self._clock = clock
        self._rows: tuple[ApiKey, ...] | None = None
        self._read_at = float("-inf")
        self._asking = asyncio.Lock()

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> ApiKey | None:
        """The key of a request by its raw headers, None for no or a wrong one. Raises Unavailable."""
        secret = presented(headers)
        if secret is None:
            return None
        return self._own.find(secret) or await self._find(digest_of(secret))

    async def named(self, name: str) -> list[ApiKey]:
        """The made keys of a name: one, or none. Raises Unavailable."""
        await self._refresh(FRESH_SECONDS)
        return [key for key in self._rows or () if key.name == name]

    async def _find(self, digest: bytes) -> ApiKey | None:
        await self._refresh(FRESH_SECONDS)
        found = find_key(digest, self._rows or ())
        if found is None:
            await self._refresh(ASK_SECONDS)
            found = find_key(digest, self._rows or ())
        return found

    async def _refresh(self, older_than: float) -> None:
        async with self._asking:
            if self._clock() - self._read_at <= older_than:
                return
            try:
                rows = await self._farm.key_rows()
            except Unavailable:
                if self._rows is None:
                    raise
                return
            self._rows = tuple(_key(row) for row in rows)
            self._read_at = self._clock()


def _key(row: KeyRow) -> ApiKey:
    scopes = frozenset(Scope(name) for name in row.scopes if name in set(Scope))
    return ApiKey(name=row.name, digest=bytes.fromhex(row.digest), scopes=scopes, system=row.system)
