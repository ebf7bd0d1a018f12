"""Long polling, ETags and event streams of the app, over a real socket where a stream needs one."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from phonefarm.serve import desk as desks
from phonefarm.serve.app import create_app
from tests.contract.bad_requests import KEY, valid_keyword_request
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import build, key_ring
from tests.unit.serve.server import served

pytestmark = pytest.mark.timeout(60)


async def create(client: httpx.AsyncClient) -> str:
    answer = await client.post("/capability-requests/enqueue", json=valid_keyword_request())
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json()["process_id"])


async def test_an_unchanged_process_is_304(client: httpx.AsyncClient, farm: FakeFarm) -> None:
    process_id = await create(client)
    first = await client.get(f"/processes/{process_id}")
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        same = await client.get(f"/processes/{process_id}", headers={"If-None-Match": known})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    await farm.end(process_id)
    changed = await client.get(f"/processes/{process_id}", headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


async def test_wait_answers_when_the_status_changes(client: httpx.AsyncClient, farm: FakeFarm) -> None:
    process_id = await create(client)
    poll = asyncio.create_task(client.get(f"/processes/{process_id}?wait=60"))
    while not farm.waits:
        await asyncio.sleep(0)
    await farm.end(process_id)
    assert (await poll).json()["status"] == "cancelled"
    assert farm.waits == [60.0]


async def test_wait_answers_at_once_when_the_caller_s_tag_is_old(client: httpx.AsyncClient, farm: FakeFarm) -> None:
    process_id = await create(client)
    answer = await client.get(f"/processes/{process_id}?wait=60", headers={"If-None-Match": '"old"'})
    assert answer.status_code == 200
    assert farm.waits == []


@pytest.mark.parametrize(
    ("wait", "code"), [("61", "out_of_range"), ("x", "wrong_type"), ("-1", "wrong_type"), ("", "wrong_type")]
)
async def test_a_bad_wait(client: httpx.AsyncClient, wait: str, code: str) -> None:
    process_id = await create(client)
    answer = await client.get(f"/processes/{process_id}", params={"wait": wait})
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_too_many_waiters_are_told_to_come_back(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    process_id = await create(client)
    monkeypatch.setattr(desks, "MOST_WAITING", 0)
    for path, headers in ((f"/processes/{process_id}?wait=1", {}), (f"/processes/{process_id}/events", STREAM)):
        answer = await client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_waiting")
        assert answer.headers["retry-after"]
    assert (await client.get(f"/processes/{process_id}")).status_code == 200


STREAM = {"Accept": "text/event-stream"}


async def read_stream(answer: httpx.Response) -> list[tuple[str, str, int]]:
    """(id, event, sequence of the data) of each frame."""
    found: list[dict[str, str]] = [{}]
    async for line in answer.aiter_lines():
        if not line:
            found.append({})
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[-1][name] = value
    return [(e["id"], e["event"], json.loads(e["data"])["sequence"]) for e in found if e]


async def test_a_stream_is_live_ends_with_the_process_and_can_be_taken_up_again(farm: FakeFarm) -> None:
    async with (
        served(build(farm)) as url,
        httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {KEY}"}) as client,
    ):
        process_id = await create(client)
        path = f"/processes/{process_id}/events"
        async with client.stream("GET", path, headers=STREAM) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            ending = asyncio.create_task(farm.end(process_id))
            assert await read_stream(answer) == [("1", "process.accepted", 1), ("2", "process.cancelled", 2)]
            await ending
        async with client.stream("GET", path, headers={**STREAM, "Last-Event-ID": "1"}) as answer:
            assert await read_stream(answer) == [("2", "process.cancelled", 2)]
        done = await client.get(path, headers={**STREAM, "Last-Event-ID": "2"})
        assert (done.status_code, done.content) == (204, b"")
        bad = await client.get(path, headers={**STREAM, "Last-Event-ID": "two"})
        assert (bad.status_code, bad.json()["code"]) == (422, "invalid_event_id")
        unknown = await client.get(path.replace(process_id, "0193580c-7a10-7c3e-8f5a-3b1f6a4f2f11"), headers=STREAM)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_process")


async def test_a_stream_whose_reader_leaves_is_let_go(farm: FakeFarm) -> None:
    app = create_app(farm, keys=key_ring())
    async with (
        served(app) as url,
        httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {KEY}"}) as client,
    ):
        farm.processes.clear()
        body = valid_keyword_request()
        body["callback"]["url"] = "https://example.com/hook"
        process_id = (await client.post("/capability-requests/enqueue", json=body)).json()["process_id"]
        async with client.stream("GET", f"/processes/{process_id}/events", headers=STREAM) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data"):
                    break
            assert app.state.desk.held == [1]
        while app.state.desk.held != [0]:
            await asyncio.sleep(0.01)
