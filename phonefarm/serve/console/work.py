"""The queue, what needs a person, and the accounts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, TypeVar

from fastapi import Request, Response

from phonefarm.errors import PhoneFarmError, RequestError, StorageUnavailable
from phonefarm.models.clock import rfc3339
from phonefarm.models.process import Readiness
from phonefarm.serve.auth import Scope
from phonefarm.serve.console import needs, pages, queue_view
from phonefarm.serve.console.page import Page
from phonefarm.serve.desk import Desk, desk_of, key_of

T = TypeVar("T")
_QUEUE_SHOWN = 200
BOUNDS = needs.Bounds()


async def show_queue(request: Request) -> Response:
    desk, system = desk_of(request), key_of(request).system
    cursor = request.query_params.get("cursor")
    page, attention = await asyncio.gather(
        desk.farm.queue(limit=_QUEUE_SHOWN, cursor=cursor, system=system),
        desk.farm.attention(system=system),
    )
    items = page["items"]
    return pages.page(
        request,
        "queue.html",
        lanes=queue_view.lanes(items),
        shown=len(items),
        oldest=min((item["created_at"] for item in items), default=None),
        ready=attention.ready_items,
        first=cursor is None,
        following=page["next_cursor"],
    )


# -- health ----------------------------------------------------------------------------------------


async def show_health(request: Request) -> Response:
    desk = desk_of(request)
    facts = await read_facts(desk, key_of(request).system)
    found = needs.needs(facts, round(time.time() * 1000), BOUNDS)
    rows = [{"need": need, "since": rfc3339(need.since)} for need in found]
    return pages.page(request, "health.html", needs=rows, looked_at=needs.looked_at(facts), Severity=needs.Severity)


async def read_facts(desk: Desk, system: str | None) -> needs.Facts:
    """All that can be read of the farm; what cannot be is itself something to tell."""
    troubles: dict[str, str] = {}
    farm = desk.farm
    phones, hosts, attention, readiness = await asyncio.gather(
        _read(farm.list_phones(), troubles),
        _read(farm.list_hosts(), troubles),
        _read(farm.attention(system=system), troubles),
        _read(farm.readiness(), troubles),
    )
    parts = dict(readiness.parts) if isinstance(readiness, Readiness) else {}
    named = {**parts, **{name: parts.get(name) or said for name, said in troubles.items()}}
    return needs.Facts(phones=phones, hosts=hosts, attention=attention, parts=named, health=desk.health)


async def _read(what: Awaitable[T], troubles: dict[str, str]) -> T | None:
    try:
        return await what
    except RequestError:
        raise
    except PhoneFarmError as error:
        part = "storage" if isinstance(error, StorageUnavailable) else "manager"
        troubles.setdefault(part, error.message)
        return None


# -- accounts --------------------------------------------------------------------------------------


async def show_accounts(request: Request) -> Response:
    accounts = await desk_of(request).farm.list_accounts()
    return pages.page(request, "accounts.html", accounts=[{**a, "use": list(_use(a))} for a in accounts])


def _use(account: dict[str, Any]) -> Any:
    """What an account has used of its day: (unit, used, limit or None)."""
    for unit in ("sessions", "minutes"):
        yield unit, account["used_today"][unit], account["daily_limits"][unit]


PAGES = (
    Page(method="GET", path="/console/queue", scope=Scope.READ, handler=show_queue, nav="Queue"),
    Page(method="GET", path="/console/health", scope=Scope.READ, handler=show_health, nav="Health"),
)
ACCOUNTS = (Page(method="GET", path="/console/accounts", scope=Scope.READ, handler=show_accounts, nav="Accounts"),)
