"""Hang-ups and a slow disk, from the socket to the database: committed whole or not at all, and found by asking again.

Real are the app, its server, the manager and SQLite; the disk is made slow by another connection that has begun to
write. The phones are fake and idle.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from phonefarm.models.process import ProcessQuery
from phonefarm.serve.app import ServeConfig
from phonefarm.serve.intake import IntakeLimits
from tests.contract.base import ENQUEUE, KEY, valid_keyword_request
from tests.databases import new_sqlite
from tests.farmtools import LocalFarm, local_farm
from tests.unit.serve.http import LOOPBACK, build
from tests.unit.serve.server import served

pytestmark = pytest.mark.timeout(90)

LATER = {"not_before": "2040-01-01T00:00:00Z"}
HEADERS = {"Authorization": f"Bearer {KEY}"}


class Here:
    """A farm behind a socket. ``url`` of it, ``database`` its file."""

    def __init__(self, farm: LocalFarm, url: str, database: Path) -> None:
        self.farm = farm
        self.url = url
        self.database = database

    async def post(self, body: dict[str, Any], seconds: float = 30) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, headers=HEADERS, timeout=seconds, trust_env=False) as client:
            return await client.post(ENQUEUE, json=body)

    async def made(self) -> list[str]:
        """Request ids of the processes that there are."""
        return [one["request_id"] for one in (await self.farm.manager.list_processes(ProcessQuery()))["items"]]

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Nothing can be committed meanwhile."""
        connection = sqlite3.connect(self.database, isolation_level=None, timeout=20)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
        finally:
            connection.close()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with behind_a_socket(tmp_path) as made:
        yield made


@asynccontextmanager
async def behind_a_socket(directory: Path) -> AsyncIterator[Here]:
    url = new_sqlite(directory)
    async with local_farm(url, directory) as farm:
        await farm.add_phone("P1")
        config = ServeConfig(callbacks_allow=LOOPBACK, intake=IntakeLimits(seconds=1.0))
        async with served(build(farm.manager, config)) as address:
            yield Here(farm, address, Path(url.removeprefix("sqlite:///")))


def asked(request_id: str) -> dict[str, Any]:
    return valid_keyword_request(request_id=request_id, options=LATER)


@pytest.mark.fault(4)
async def test_storage_that_is_too_slow_is_503_and_the_request_is_found_or_made_afterwards(here: Here) -> None:
    with here.slow():
        late = await here.post(asked("late"))
        assert late.status_code == 503, late.text
        assert int(late.headers["Retry-After"]) >= 1
        assert late.headers["content-type"] == "application/problem+json"
        assert await here.made() == []

    async def again() -> bool:
        answer = await here.post(asked("late"))
        return answer.status_code in (200, 202)

    await here.farm.until(again)
    duplicate = await here.post(asked("late"))
    assert (duplicate.status_code, duplicate.json()["duplicate"]) == (200, True)
    assert await here.made() == ["late"]


@pytest.mark.fault(3)
@pytest.mark.parametrize("cut", [10, -10], ids=["at its beginning", "before its end"])
async def test_a_caller_that_hangs_up_while_it_sends_has_made_nothing(here: Here, cut: int) -> None:
    body = json.dumps(asked("cut")).encode()
    await send_and_leave(here, body, body[:cut])
    assert await here.made() == []
    assert (await here.post(asked("cut"))).status_code == 202
    assert await here.made() == ["cut"]


@pytest.mark.fault(3)
async def test_a_caller_that_hangs_up_while_it_waits_has_made_one_process_or_none(here: Here) -> None:
    """It leaves while its commit is held; whatever became of it, the same request again makes two of nothing."""
    body = json.dumps(asked("left")).encode()
    with here.slow():
        await send_and_leave(here, body, body)
    answer = await here.post(asked("left"))
    assert answer.status_code in (200, 202), answer.text
    assert await here.made() == ["left"]
    (view,) = (await here.farm.manager.list_processes(ProcessQuery()))["items"]
    assert view["process_id"] == answer.json()["process_id"]
    events = await here.farm.manager.process_events(view["process_id"])
    assert [event["kind"] for event in events["items"]].count("process.accepted") == 1
    callbacks = await here.farm.manager.list_callbacks()
    assert [one["milestone"] for one in callbacks["items"]] == ["accepted"]


async def send_and_leave(here: Here, whole: bytes, sent: bytes) -> None:
    host, port = here.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST {ENQUEUE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(whole)}\r\n\r\n"
    )
    writer.write(head.encode() + sent)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
