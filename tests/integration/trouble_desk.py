"""A farm behind its HTTP app, for tests whose database is in trouble (fault 33), and what is found in that database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from phonefarm.core.leases import LeaseTerms
from phonefarm.store import tables
from phonefarm.store.engine import check_integrity, open_engines
from tests.contract.bad_requests import ENQUEUE, KEY, valid_keyword_request
from tests.farmtools import LocalFarm
from tests.unit.serve.http import connect


class Desk:
    """A farm behind its HTTP app, whatever its database says. ``accepted``: how often it said 202."""

    def __init__(self, farm: LocalFarm, client: httpx.AsyncClient) -> None:
        self.farm = farm
        self.client = client
        self.sent: list[str] = []
        self.accepted = 0

    async def send(self, key: str) -> httpx.Response:
        """A submission for any phone, padded so that it needs some room."""
        self.sent.append(key)
        body = valid_keyword_request(request_id=key, target={"routing": "queue"})
        body["callback"]["metadata"] = {"padding": "x" * 4_000}
        answer = await self.client.post(ENQUEUE, json=body)
        self.accepted += answer.status_code == 202
        return answer

    async def refused(self, code: str) -> dict[str, Any]:
        """Refused by that name. Before, the farm may still be opening its database, or have room for a little more."""
        answer = await self.send(f"refused-{len(self.sent)}")
        while answer.status_code == 202 or answer.json()["code"] != code:
            assert answer.status_code in (202, 503), answer.text
            assert len(self.sent) < 2_000, answer.text
            await asyncio.sleep(0.01 if answer.status_code == 503 else 0)
            answer = await self.send(f"refused-{len(self.sent)}")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert answer.headers["retry-after"]
        if code != "storage_full":  # it is ready for whatever needs no room
            assert (await self.client.get("/readyz")).status_code == 503
        assert (await self.client.get("/healthz")).status_code == 200
        problem: dict[str, Any] = answer.json()
        assert len(problem["detail"]) > len(code) + 20, "a next step"
        return problem

    async def accepts_again(self) -> None:
        """By itself: something new is sent until it is written."""

        async def taken() -> bool:
            return (await self.send(f"again-{len(self.sent)}")).status_code == 202

        await self.farm.until(taken)


@asynccontextmanager
async def desk(url: str, directory: Path) -> AsyncIterator[Desk]:
    """Starts without waiting for the database."""
    farm = LocalFarm(url, directory, terms=LeaseTerms(), clock=None)
    starting = asyncio.gather(farm.manager.start(), farm.router.start())
    try:
        async with connect(farm.manager, key=KEY) as client:
            yield Desk(farm, client)
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await farm.stop()


def whole(url: str) -> int:
    """How many processes a database has; each with its item, its history and its callback."""
    engines = open_engines(url)
    check_integrity(engines)
    with engines.reader.connect() as connection:
        counts = {
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (tables.processes, tables.items, tables.events, tables.outbox)
        }
    engines.dispose()
    (count,) = counts
    return int(count)
