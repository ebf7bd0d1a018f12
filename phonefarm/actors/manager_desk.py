"""The manager's desk for callbacks, keys and numbers."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from phonefarm.actors.manager_core import ManagerCore
from phonefarm.errors import PhoneFarmError
from phonefarm.models.outbox import Delivery, DueCallback
from phonefarm.models.process import KeyCommand, KeyRow, Readiness
from phonefarm.store import keys, lists, metrics, outbox


class OfficeDesk(ManagerCore):
    """Part of ``ProcessManager``."""

    # -- callbacks --

    async def list_callbacks(
        self, *, state: str | None = None, limit: int = 50, cursor: str | None = None, system: str | None = None
    ) -> dict[str, Any]:
        return await self._db.read(
            lambda c: lists.callbacks_page(c, state=state, limit=limit, cursor=cursor, system=system)
        )

    async def redeliver(self, event_id: str, *, system: str | None = None) -> dict[str, Any]:
        view = await self._detached(
            self._db.write(lambda tx: outbox.redeliver(tx, event_id, self._new_id, system=system))
        )
        self._kick()
        return view

    async def due_callbacks(self, limit: int) -> tuple[list[DueCallback], float | None]:
        return await self._db.write(lambda tx: outbox.due(tx, limit))

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

    async def metrics(self) -> dict[str, Any]:
        numbers = await self._db.read(lambda c: metrics.read(c, self._now()))
        return {**numbers, "commits": self._db.commits}

    async def readiness(self) -> Readiness:
        """Storage takes a write, the router answers."""
        return Readiness(
            parts={
                "manager": None,
                "storage": await _problem(self._db.write(lambda tx: tx.now)),
                "router": await _problem(self._router.ping()),
            }
        )


async def _problem(check: Awaitable[Any]) -> str | None:
    try:
        await check
    except PhoneFarmError as error:
        return error.message
    return None
