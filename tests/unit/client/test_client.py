"""Both clients through one suite, against the real app behind a real socket with a farm in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from phonefarm.client import AsyncFarm, Farm, Refused, Unreachable, WaitTimeout
from phonefarm.errors import ActorUnavailable
from tests.contract.base import KEY, valid_keyword_request
from tests.unit.serve.fake_farm import AUTHORISED, FakeFarm
from tests.unit.serve.http import build
from tests.unit.serve.server import served

pytestmark = pytest.mark.timeout(60)
BY = {"system": "me"}


class Client:
    """Either client behind one face: ``call("name", ...)`` gives the value of a method, ``all`` of an iterator."""

    def __init__(self, kind: str, url: str, key: str = KEY, **options: Any) -> None:
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None
        self._sync = Farm(url, key, sleep=self._sleep, **options) if kind == "sync" else None
        self._async = AsyncFarm(url, key, sleep=self._asleep, **options) if kind == "async" else None

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.on_sleep()

    async def _asleep(self, seconds: float) -> None:
        self._sleep(seconds)

    async def call(self, name: str, *args: Any, **options: Any) -> Any:
        if self._sync is not None:
            return await asyncio.to_thread(getattr(self._sync, name), *args, **options)
        return await getattr(self._async, name)(*args, **options)

    async def all(self, name: str, *args: Any, **options: Any) -> list[Any]:
        if self._sync is not None:
            return await asyncio.to_thread(lambda: list(getattr(self._sync, name)(*args, **options)))
        return [one async for one in getattr(self._async, name)(*args, **options)]

    async def close(self) -> None:
        if self._sync is not None:
            self._sync.close()
        if self._async is not None:
            await self._async.aclose()


@pytest.fixture
def farm() -> FakeFarm:
    return FakeFarm()


@pytest_asyncio.fixture
async def url(farm: FakeFarm) -> AsyncIterator[str]:
    async with served(build(farm)) as found:
        yield found


@pytest_asyncio.fixture(params=["sync", "async"])
async def client(request: pytest.FixtureRequest, url: str) -> AsyncIterator[Client]:
    made = Client(request.param, url, patience=3.0)
    yield made
    await made.close()


async def submitted(client: Client) -> str:
    accepted = await client.call("submit", valid_keyword_request())
    return str(accepted.process_id)


async def test_a_submission_and_its_repetition(client: Client) -> None:
    first = await client.call("submit", valid_keyword_request())
    again = await client.call("submit", valid_keyword_request())
    assert (first.duplicate, again.duplicate) == (False, True)
    assert first.process_id == again.process_id
    process = await client.call("get", first.process_id)
    assert (process.status, process.ended) == ("queued", False)
    assert process.etag
    assert await client.call("poll", first.process_id, etag=process.etag) is None


async def test_waiting_ends_when_the_process_does(client: Client, farm: FakeFarm) -> None:
    process_id = await submitted(client)
    waiting = asyncio.create_task(client.call("wait", process_id, timeout=60))
    while not farm.waits:
        await asyncio.sleep(0.005)
    await farm.end(process_id)
    process = await waiting
    assert (process.status, process.ended) == ("cancelled", True)


async def test_waiting_has_an_end(client: Client) -> None:
    process_id = await submitted(client)
    with pytest.raises(WaitTimeout, match="still queued"):
        await client.call("wait", process_id, timeout=0.2)


async def test_events_stream_until_the_process_has_ended(client: Client, farm: FakeFarm) -> None:
    process_id = await submitted(client)
    reading = asyncio.create_task(client.all("events", process_id))
    while not farm.news._waiters:
        await asyncio.sleep(0.005)
    await farm.end(process_id)
    events = await reading
    assert [(e.sequence, e.kind) for e in events] == [(1, "process.accepted"), (2, "process.cancelled")]
    assert await client.all("events", process_id, after=2) == []


async def test_everything_else_is_one_call(client: Client, farm: FakeFarm) -> None:
    process_id = await submitted(client)
    cancelled = await client.call("cancel", process_id, reason="test", requested_by=BY, strategy="hard")
    assert cancelled["status"] == "cancel_requested"
    copy = await client.call("replay", process_id, request_id="again", requested_by=BY)
    assert copy.raw["replay_of"] == process_id
    assert [p.process_id for p in await client.all("processes", system="me")] == [copy.process_id]
    assert len(await client.call("phones")) == 2
    assert (await client.call("phone", "VP000001"))["phone_id"] == "VP000001"
    assert (await client.call("operate", "VP000001", "pause", "test"))["state"] == "paused"
    assert len(await client.call("operate_host", "local", "drain", "test")) == 2
    assert len(await client.call("operate_group", "rack-1", "resume", "test")) == 2
    account = {"active": True, "authorization": AUTHORISED}
    assert (await client.call("put_account", "a", account))["active"] is True
    assert (await client.call("patch_account", "a", {"group": "g"}))["group"] == "g"
    assert (await client.call("account", "a"))["account_id"] == "a"
    assert len(await client.call("accounts")) == 1
    callback = (await client.call("callbacks", state="dead")).items[0]
    assert (await client.call("redeliver", callback["event_id"]))["state"] == "pending"
    assert (await client.call("queue")).items[0]["reason"] == "phone_paused"
    assert len(await client.call("capabilities")) == 3
    assert (await client.call("ready"))["status"] == "ready"
    made = await client.call("create_key", "ci", ["read"])
    assert made["secret"].startswith("pf_")
    assert [k["name"] for k in await client.call("keys")] == ["ci"]
    assert (await client.call("revoke_key", "ci"))["revoked_at"]


async def test_upkeep_is_submitted(client: Client) -> None:
    body = valid_keyword_request(inputs={"steps": [{"action": "reboot"}]})
    short = {name: body[name] for name in ("request_id", "inputs", "callback", "requested_by")}
    accepted = await client.call("submit_maintenance", {**short, "phone_id": "VP000001"})
    assert accepted.raw["process_type"] == "maintenance"


async def test_a_refusal_says_everything(client: Client) -> None:
    with pytest.raises(Refused) as refused:
        await client.call("submit", valid_keyword_request(mode="x", nonsense=1))
    assert (refused.value.status, refused.value.problem_code) == (422, "unknown_field")
    assert len(refused.value.errors) == 2
    with pytest.raises(Refused, match="unknown_"):
        await client.call("get", "no/such")


async def test_a_farm_that_is_away_is_asked_again_as_long_as_it_says(client: Client, farm: FakeFarm) -> None:
    farm.error = ActorUnavailable("away")

    def back() -> None:
        farm.error = None

    client.on_sleep = back
    assert len(await client.call("phones")) == 2
    assert client.slept == [2.0]


async def test_patience_ends(client: Client, farm: FakeFarm) -> None:
    farm.error = ActorUnavailable("away")
    with pytest.raises(Refused, match="503"):
        await client.call("phones")
    assert client.slept == [2.0, 2.0]


async def test_a_key_is_not_made_twice_by_patience(client: Client, farm: FakeFarm) -> None:
    farm.error = ActorUnavailable("away")
    with pytest.raises(Refused, match="503"):
        await client.call("create_key", "ci", ["read"])
    assert client.slept == []


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_nobody_there(kind: str) -> None:
    client = Client(kind, "http://127.0.0.1:9", patience=1.0)
    with pytest.raises(Unreachable):
        await client.call("phones")
    await client.close()


# -- a server that is no farm, or one whose connections break ------------------------------------------


class Broken:
    """Answers event streams piece by piece and hangs up in the middle, as ``pieces`` say."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.resumed: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        self.resumed += [line.split(": ")[1] for line in head.splitlines() if line.startswith("last-event-id")]
        if self.pieces:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            writer.write(self.pieces.pop(0))
        else:
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


def frame(sequence: int) -> bytes:
    data = json.dumps({"sequence": sequence, "kind": "action.finished"})
    return f"id: {sequence}\nevent: action.finished\ndata: {data}\n\n".encode()


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_broken_stream_is_taken_up_again_where_it_broke(kind: str) -> None:
    pieces = [frame(1) + frame(2) + frame(3)[:20], frame(2) + frame(3), b": nothing yet\n\n"]
    broken = Broken(pieces)
    server = await asyncio.start_server(broken.serve, "127.0.0.1", 0)
    client = Client(kind, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert [e.sequence for e in await client.all("events", "p")] == [1, 2, 3]
    assert broken.resumed == ["0", "2", "3", "3"]
    await client.close()
    server.close()
