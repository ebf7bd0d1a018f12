"""The manager's desk for callbacks, keys and numbers."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from phonefarm.actors.manager_core import ManagerCore
from phonefarm.core.lifecycle import ITEM_WAITING
from phonefarm.core.metrics import EPOCH, ITEMS, QUEUE_ITEMS
from phonefarm.core.tally import Sample, value_of
from phonefarm.errors import PhoneFarmError
from phonefarm.models.attention import Attention
from phonefarm.models.outbox import Delivery, DuePage, Place
from phonefarm.models.process import KeyCommand, KeyRow, Readiness
from phonefarm.store import attention, counting, keys, lists, metrics, outbox

#: Seconds for which numbers that were read are good enough, and between two times that they are told elsewhere.
FRESH_SECONDS, TOLD_SECONDS = 1.0, 10.0


class OfficeDesk(ManagerCore):
    """Part of ``ProcessManager``."""

    _reading: asyncio.Task[list[Sample]] | None = None
    _reading_until = 0.0
    _told_at = 0.0

    # -- callbacks --

    async def list_callbacks(
        self,
        *,
        state: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        system: str | None = None,
        process_id: str | None = None,
    ) -> dict[str, Any]:
        asked = {"state": state, "limit": limit, "cursor": cursor, "system": system, "process_id": process_id}
        return await self._db.read(lambda c: lists.callbacks_page(c, **asked))  # type: ignore[arg-type]

    async def redeliver(self, event_id: str, *, system: str | None = None) -> dict[str, Any]:
        view = await self._detached(
            self._db.write(lambda tx: outbox.redeliver(tx, event_id, self._new_id, system=system))
        )
        self._kick()
        return view

    async def due_callbacks(self, limit: int, after: Place | None = None) -> DuePage:
        """Raises StaleWriter where another manager has taken over."""
        epoch = self._db.epoch
        return await self._db.read(lambda c: outbox.due(c, limit, after=after, epoch=epoch, clock=self._clock))

    async def callbacks_done(self, deliveries: Sequence[Delivery]) -> None:
        await self._db.write(lambda tx: outbox.done(tx, deliveries, self._new_id))

    # -- keys --

    async def key_rows(self) -> list[KeyRow]:
        return await self._db.read(keys.usable)

    async def list_keys(self) -> list[dict[str, Any]]:
        return await self._db.read(keys.listed)

    async def create_key(self, command: KeyCommand) -> dict[str, Any]:
        return await self._detached(self._db.write(lambda tx: keys.create(tx, command)))

    async def revoke_key(self, name: str) -> dict[str, Any]:
        return await self._detached(self._db.write(lambda tx: keys.revoke(tx, name)))

    # -- numbers --

    async def metrics(self) -> list[Sample]:
        """Read at most once a second, however many ask; who asks meanwhile waits for the same answer."""
        now = asyncio.get_running_loop().time()
        if self._reading is None or now >= self._reading_until:
            self._reading, self._reading_until = self._background(self._read_numbers()), now + FRESH_SECONDS
        return await asyncio.shield(self._reading)

    async def _read_numbers(self) -> list[Sample]:
        if self._counts_doubted:
            await self._recount()
        read = await self._db.read(lambda c: metrics.read(c, self._now()))
        counted = self._tally.samples()
        waiting = sum(float(_number(counted, state.value)) for state in ITEM_WAITING)
        return [
            *counted,
            *read,
            Sample(name=QUEUE_ITEMS.name, labels=(), value=waiting),
            Sample(name=EPOCH.name, labels=(), value=float(self._db.epoch)),
        ]

    async def _recount(self) -> None:
        """After a commit that may have happened: what is kept by counting is counted anew."""
        self._counts_doubted = False
        try:
            await self._db.write(counting.recount)
        except PhoneFarmError:
            self._counts_doubted = True
            raise

    async def tell_numbers(self) -> None:
        """To the mirror, now and then."""
        now = asyncio.get_running_loop().time()
        if self._mirror is not None and now >= self._told_at + TOLD_SECONDS:
            samples = await self.metrics()
            self._told_at = now
            self._mirror.take(samples, self._tally.observed())

    async def attention(self, *, system: str | None = None) -> Attention:
        """What may need a person, and how full the disk of the farm's state is."""
        found = await self._db.read(lambda c: attention.read(c, self._now(), system))
        disk = await asyncio.to_thread(_disk, self._config.artifact_dir)
        return found if disk is None else replace(found, disk_free=disk.free, disk_total=disk.total)

    async def readiness(self) -> Readiness:
        """Storage takes a write, the router answers."""
        return Readiness(
            parts={
                "manager": None,
                "storage": await _problem(self._db.write(lambda tx: tx.now)),
                "router": await _problem(self._router.ping()),
            }
        )


def _number(samples: Sequence[Sample], state: str) -> float:
    found = value_of(samples, ITEMS, state)
    return found if isinstance(found, float) else 0.0


def _disk(directory: Path) -> shutil._ntuple_diskusage | None:
    """The disk of a directory, or of the nearest one above it that is there yet; None if it cannot be looked at."""
    try:
        here = next(path for path in (directory, *directory.parents) if path.exists())
        return shutil.disk_usage(here)
    except OSError:
        return None


async def _problem(check: Awaitable[Any]) -> str | None:
    try:
        await check
    except PhoneFarmError as error:
        return error.message
    return None
