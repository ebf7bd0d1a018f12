"""The manager's desk for phones, accounts and the queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from phonefarm import logs
from phonefarm.actors.manager_core import ManagerCore
from phonefarm.actors.ports import FarmChange
from phonefarm.actors.waiters import ANY
from phonefarm.core import stopwatch
from phonefarm.core.leases import BEATS_PER_TERM
from phonefarm.core.metrics import HEARTBEATS_MISSED, HOSTS_GIVEN_UP
from phonefarm.errors import NotFound
from phonefarm.models.clock import rfc3339
from phonefarm.models.phone import AccountRow, HostReport, RungReport
from phonefarm.models.process import AccountCommand, AccountPatch, OperateCommand
from phonefarm.store import accounts, diary, homes, hosts, operations, roster, snapshot, views
from phonefarm.store.cursor import decode, encode
from phonefarm.store.writer import Change

log = logs.logger(__name__)

#: Queue items asked of the router at once when some of them may be another system's.
_CHUNK = 1_000
_TIMES = ("created_at", "ready_at", "next_attempt_at")


class FarmDesk(ManagerCore):
    """Part of ``ProcessManager``."""

    async def list_phones(self) -> list[dict[str, Any]]:
        return await self._db.read(lambda c: views.phone_list(c, self._now()))

    async def get_phone(self, phone_id: str) -> dict[str, Any]:
        found = await self._db.read(lambda c: views.phone_list(c, self._now(), phone_id))
        if not found:
            raise NotFound("unknown_phone", f"unknown_phone:{phone_id}")
        return found[0]

    async def phone_history(self, phone_id: str, *, system: str | None = None) -> dict[str, Any]:
        return await self._db.read(lambda c: diary.history(c, phone_id, system))

    async def await_commit(self, known: int, *, seconds: float) -> int:
        with self._waiters.waiter(ANY) as news:
            if self._db.commits == known and not self._stopping:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await news.wait()
        return self._db.commits

    async def list_hosts(self) -> list[dict[str, Any]]:
        return await self._db.read(hosts.host_list)

    async def report_host(self, report: HostReport) -> bool:
        """What a host says of itself, a sign of life too. False: it had been given up."""
        now = asyncio.get_running_loop().time()
        late = stopwatch.missed(now - self._beats.get(report.name, now), self._config.host_seconds / BEATS_PER_TERM)
        if late:
            self._tally.add(HEARTBEATS_MISSED, report.name, by=late)
        self._beats[report.name] = now
        self._presence.heard(report.name, now)
        known = await self._db.write(lambda tx: homes.report_host(tx, report))
        if not known or self._hosts_said.get(report.name) != report:
            _log_host(report)
        self._hosts_said[report.name] = report
        return known

    async def give_up_silent_hosts(self) -> None:
        """Phones of hosts that were not heard of for a lease's term are offline."""
        for host in self._presence.silent(asyncio.get_running_loop().time()):
            rows = await self._db.write(lambda tx, host=host: homes.give_up(tx, host, self._config.host_seconds))  # type: ignore[misc]
            for row in rows:
                self._starts.forgive(row.phone_id)
            if rows:
                self._tally.add(HOSTS_GIVEN_UP, host)
                log.error(
                    "host.silent",
                    host=host,
                    phones=[row.phone_id for row in rows],
                    cause=f"not heard of for more than {self._config.host_seconds:g} s",
                    next_step="look at its power, its network and its Ray node",
                )
                self._news(FarmChange(phones=tuple(rows)))

    async def rung_tried(self, report: RungReport) -> None:
        """What a host did for a phone that did not answer."""
        await self._db.write(lambda tx: hosts.count_rung(tx, report))
        log.info("rung.tried", phone=report.phone_id, rung=report.rung.value, helped=report.helped)

    async def operate(self, command: OperateCommand) -> list[dict[str, Any]]:
        """Do it; the phones it holds of now. Raises NotFound, Conflict ``operation_not_possible``."""
        return await self._detached(self._operate(command))

    async def _operate(self, command: OperateCommand) -> list[dict[str, Any]]:
        names = {"hosts": self._config.hosts, "groups": self._config.groups}
        effects = await self._db.write(lambda tx: operations.operate(tx, command, **names))
        log.info(
            "operator.asked",
            operation=command.operation.value,
            scope=command.scope.value,
            name=command.name,
            by=command.by,
            reason=command.reason,
        )
        for row in effects.phones:
            log.info("phone.operated", phone=row.phone_id, state=row.state, draining=row.draining)
        change = FarmChange(
            phones=tuple(effects.phones), cancels=tuple(effects.cancels), checks=tuple(effects.checks)
        )  # fmt: skip
        self._news(change)
        done = set(effects.done)
        return [phone for phone in await self.list_phones() if phone["phone_id"] in done]

    async def put_account(self, command: AccountCommand) -> dict[str, Any]:
        await self._detached(self._write_account(lambda tx: roster.put_account(tx, command)))
        return await self.get_account(command.account_id)

    async def patch_account(self, patch: AccountPatch) -> dict[str, Any]:
        """Change what was given. Raises NotFound, ValidationFailed ``authorization_required``."""
        await self._detached(self._write_account(lambda tx: accounts.patch_account(tx, patch)))
        return await self.get_account(patch.account_id)

    async def _write_account(self, change: Change[AccountRow]) -> None:
        """Write it and tell the router, whether or not the caller still waits."""
        self._news(FarmChange(accounts=(await self._db.write(change),)))

    async def get_account(self, account_id: str) -> dict[str, Any]:
        found = await self._accounts(account_id)
        if not found:
            raise NotFound("unknown_account", f"unknown_account:{account_id}")
        return found[0]

    async def list_accounts(self) -> list[dict[str, Any]]:
        return await self._accounts(None)

    async def _accounts(self, account_id: str | None) -> list[dict[str, Any]]:
        today = roster.day_of(self._now())
        return await self._db.read(lambda c: views.account_list(c, today, account_id))

    async def queue(self, *, limit: int = 50, cursor: str | None = None, system: str | None = None) -> dict[str, Any]:
        """What waits, in claim order. With ``system``, items of other systems are left out; positions are the
        farm's. Raises ValidationFailed for a bad cursor."""
        filters = {"list": "queue", "system": system}
        offset = decode(cursor, filters)[0] if cursor is not None else 0
        shown: list[dict[str, Any]] = []
        async for item in self._queue(offset, limit, system):
            if len(shown) == limit:
                last = shown[-1]
                return {"items": shown, "next_cursor": encode(last["position"], last["queue_item_id"], filters)}
            shown.append({**item, **{name: rfc3339(item[name]) for name in _TIMES}})
        return {"items": shown, "next_cursor": None}

    async def _queue(self, offset: int, limit: int, system: str | None) -> AsyncIterator[dict[str, Any]]:
        """The queue from ``offset`` on, of ``system`` or of all, as the router tells it."""
        size = limit + 1 if system is None else _CHUNK
        while page := await self._router.queue(offset=offset, limit=size):
            mine = await self._mine({item["process_id"] for item in page}, system)
            for item in page:
                if item["process_id"] in mine:
                    yield item
            if len(page) < size:
                return
            offset += len(page)

    async def _mine(self, process_ids: set[str], system: str | None) -> set[str]:
        if system is None:
            return process_ids
        return await self._db.read(lambda c: snapshot.of_system(c, process_ids, system))


def _log_host(report: HostReport) -> None:
    if report.why is None:
        log.info("host.well", host=report.name)
    else:
        log.warning("host.in_trouble", host=report.name, cause=report.why, next_step="what the cause says")
