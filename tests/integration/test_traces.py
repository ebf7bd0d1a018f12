"""A request followed from HTTP to adb, over an attempt that was broken off; and what must not be found on the way.

The farm runs in this process over a real database, a real adb server and a virtual phone; traces go to a real receiver,
logs to a file, numbers to /metrics. Nothing of them holds what was planted.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from phonefarm import logs, tracing
from phonefarm.actors.device import AdbDevice
from phonefarm.actors.phone import PhoneActor, PhoneConfig
from phonefarm.core.leases import LeaseTerms
from phonefarm.serve.app import ServeConfig, create_app
from phonefarm.serve.auth import KeyRing
from phonefarm.store.database import Database
from tests.contract.base import valid_keyword_request, valid_prompt
from tests.databases import new_sqlite
from tests.farmtools import LocalFarm, _Lazy, local_farm
from tests.integration.test_devices_rack import Phone, rack_of
from tests.otlp import Otlp, Seen, otlp_receiver

pytestmark = pytest.mark.timeout(120)

PLANTED = {
    name: f"canary-{name}-7f3a" for name in ("api-key", "typed", "prompt", "task", "token", "user-metadata", "reason")
}
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield logs.to_file(tmp_path, "farm", level="debug")
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def otlp() -> Iterator[Otlp]:
    with otlp_receiver() as received:
        tracing.start(received.url, "tests")
        yield received
        tracing.stop()


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Phone]:
    with rack_of(1, tmp_path, "--profile", "instant") as rack:
        yield rack.next()


async def actor_of(farm: LocalFarm, phone: Phone) -> PhoneActor:
    """The real actor of the virtual phone, with the phone available."""
    made = PhoneActor(
        PhoneConfig(phone_id=phone.serialno, host="local"),
        manager=_Lazy(lambda: farm.manager),
        host=farm.host,
        device=lambda serial, port: AdbDevice(phone_id=phone.serialno, serial=serial, port=port),
    )
    farm.phones[phone.serialno] = made
    await made.start()
    await made.attach(phone.address, phone.rack.server.port)
    return made


@asynccontextmanager
async def http(farm: LocalFarm) -> AsyncIterator[httpx.AsyncClient]:
    config = ServeConfig(callbacks_allow=("127.0.0.0/8",))
    app = create_app(farm.manager, keys=KeyRing.single(PLANTED["api-key"]), config=config)
    headers = {"Authorization": f"Bearer {PLANTED['api-key']}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://farm", headers=headers) as client:
        yield client


def a_request() -> dict[str, Any]:
    prompt = valid_prompt(system_prompt=PLANTED["prompt"], task_prompt=PLANTED["task"])
    inputs = {
        "keywords": [PLANTED["typed"]],
        "videos_per_keyword": 2,
        "watch_seconds": {"min": 1, "max": 1},
        "judge": True,
        "prompts": {"keyword_judge": prompt},
    }
    who = {"system": "tests", "user": None, "metadata": {"note": PLANTED["user-metadata"]}}
    url = f"http://127.0.0.1:9/hook?token={PLANTED['token']}"
    return valid_keyword_request(callback_url=url, inputs=inputs, requested_by=who)


async def test_a_trace_leads_from_the_request_to_the_phone_and_nothing_tells_secrets(
    otlp: Otlp, log: Path, phone: Phone, tmp_path: Path
) -> None:
    terms = LeaseTerms(seconds=10.0, delivery_seconds=10.0)
    async with local_farm(new_sqlite(tmp_path), tmp_path, terms=terms) as farm, http(farm) as client:
        first = await actor_of(farm, phone)
        headers = {"traceparent": CALLER, "X-Request-ID": "caller-7"}
        answer = await client.post("/capability-requests/enqueue", json=a_request(), headers=headers)
        assert answer.status_code == 202, answer.text
        assert answer.headers["x-request-id"] == "caller-7"
        process_id = answer.json()["process_id"]

        async def some_done() -> bool:
            view = await farm.manager.get_process(process_id)
            return bool(view["partial_progress"]["actions_done"])

        await farm.until(some_done)
        await first.stop()  # as if its process had been killed
        await actor_of(farm, phone)
        view = await farm.status_of(process_id, "completed", "failed_terminal")
        assert view["status"] == "completed"
        attempts = view["attempts"]
        assert attempts >= 2
        refused = await client.post("/capability-requests/enqueue", json={**a_request(), "mode": PLANTED["reason"]})
        assert refused.status_code == 422
        numbers = (await client.get("/metrics")).text
        refusal = (await client.get("/metrics", headers={"Authorization": f"Bearer {PLANTED['token']}"})).status_code
        assert refusal == 401
    tracing.stop()
    _is_one_trace(otlp, process_id, attempts)
    _log_follows(log, process_id, phone, attempts)
    assert "phonefarm_action_seconds_bucket" in numbers
    told = {"traces": b"".join(otlp.bodies), "log": log.read_bytes(), "metrics": numbers.encode()}
    assert process_id.encode() in told["traces"], "the look finds what is there"
    assert process_id.encode() in told["log"]
    assert not [
        (name, where) for name, word in PLANTED.items() for where, data in told.items() if word.encode() in data
    ]


def _planted(data: bytes) -> list[str]:
    return [name for name, word in PLANTED.items() if word.encode() in data]


def _is_one_trace(otlp: Otlp, process_id: str, attempts: int) -> None:
    numbered = list(range(1, attempts + 1))
    spans = [span for span in otlp.spans() if span.trace == CALLER.split("-")[1]]
    by_id = {span.id: span for span in spans}
    (request,) = [span for span in spans if span.name == "POST /capability-requests/enqueue"]
    assert request.parent == CALLER.split("-")[2]
    of = {name: _named(spans, name) for name in ("process.accept", "item.claim", "item.dispatch", "item.attempt")}
    assert {name: len(found) for name, found in of.items()} == {
        "process.accept": 1,
        "item.claim": attempts,
        "item.dispatch": attempts,
        "item.attempt": attempts,
    }
    for found in of.values():
        for span in found:
            assert span.parent == request.id
            assert span.attributes["phonefarm.process"] == process_id
    assert sorted(a.attributes["phonefarm.attempt"] for a in of["item.attempt"]) == numbered
    tried = {span.id for span in of["item.attempt"]}
    actions = [span for span in spans if span.name.startswith("action.")]
    assert {span.parent for span in actions} == tried, "each attempt has actions of its own"
    commands = [span for span in spans if span.name.startswith("adb.")]
    assert {by_id[span.parent].name.partition(".")[0] for span in commands} <= {"action", "item"}
    within = [span for span in commands if span.parent in {action.id for action in actions}]
    assert {"input", "uiautomator"} <= {word for s in within for word in s.attributes["phonefarm.command"].split()}


def _named(spans: list[Seen], name: str) -> list[Seen]:
    return [span for span in spans if span.name == name]


def _log_follows(log: Path, process_id: str, phone: Phone, attempts: int) -> None:
    numbered = list(range(1, attempts + 1))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    mine = [line for line in lines if line.get("process") == process_id]
    assert mine[0]["event"] == "request.admitted"
    assert mine[0]["http_request"] == "caller-7"
    started = [line for line in mine if line["event"] == "attempt.started"]
    assert [line["attempt"] for line in started] == numbered
    assert {line["phone"] for line in started} == {phone.serialno}
    assert mine[-1]["event"] == "attempt.ended"
    done = [line for line in mine if line["event"] == "action.finished"]
    assert {line["attempt"] for line in done} >= {1, attempts}, "what runs in threads has its ids too"
    assert all({"cause", "next_step"} <= line.keys() for line in lines if line["level"] in ("warning", "error"))


async def test_what_a_database_cannot_do_says_nothing_of_its_password(log: Path) -> None:
    url = "postgresql+psycopg://farm:canary-db-password@127.0.0.1:9/farm"
    opening = asyncio.ensure_future(Database(url, on_stale=lambda: None).open(lambda _tx: None))
    async with asyncio.timeout(60):
        while '"event": "database.unusable"' not in log.read_text():
            await asyncio.sleep(0.02)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert "canary" not in log.read_text()
