"""Reading processes for many callers: one call for those that come together, a second one only for those that wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from phonefarm.errors import NotFound, PhoneFarmError, StorageUnavailable, Unavailable
from phonefarm.models.reading import ProcessAsked, ProcessBody, ProcessRead
from phonefarm.serve.reads import Reads
from tests.farmtools import submission
from tests.unit.serve.fake_farm import FakeFarm

pytestmark = [pytest.mark.timeout(60), pytest.mark.asyncio]


class Farm:
    """Ids that begin with w wait, those with u are unknown. ``router`` holds the reasons until it is set."""

    def __init__(self) -> None:
        self.asked: list[list[ProcessAsked]] = []
        self.reasons: list[list[Sequence[str]]] = []
        self.router = asyncio.Event()
        self.error: PhoneFarmError | None = None

    async def read_processes(self, asked: Sequence[ProcessAsked]) -> list[ProcessRead]:
        self.asked.append(list(asked))
        return [self._read(one.process_id) for one in asked]

    def _read(self, process_id: str) -> ProcessRead:
        if process_id.startswith("u"):
            return NotFound("unknown_process")
        idle = (f"{process_id}-1", f"{process_id}-2") if process_id.startswith("w") else ()
        return ProcessBody(status="queued", body=b'{"process_id":"%s","waiting":null}' % process_id.encode(), idle=idle)

    async def why_waiting(self, idle: Sequence[Sequence[str]]) -> list[dict[str, Any] | None]:
        self.reasons.append(list(idle))
        await self.router.wait()
        if self.error is not None:
            raise self.error
        return [{"reason": "phones_busy", "position": position} for position, _ in enumerate(idle)]


async def test_those_that_wait_share_a_second_call() -> None:
    farm = Farm()
    farm.router.set()
    reads = Reads(farm)
    seen = await asyncio.gather(*(reads.process(name, system="s") for name in ("w1", "e1", "w2")))
    assert farm.asked == [[ProcessAsked(process_id=name, system="s") for name in ("w1", "e1", "w2")]]
    assert farm.reasons == [[("w1-1", "w1-2"), ("w2-1", "w2-2")]]
    bodies = [json.loads(one.body) for one in seen]
    assert [body["process_id"] for body in bodies] == ["w1", "e1", "w2"]
    assert [body["waiting"] for body in bodies] == [
        {"reason": "phones_busy", "position": 0},
        None,
        {"reason": "phones_busy", "position": 1},
    ]


async def test_what_does_not_wait_never_waits_for_the_router() -> None:
    farm = Farm()
    reads = Reads(farm)
    held = asyncio.create_task(reads.process("w1"))
    seen, unknown = await asyncio.gather(reads.process("e1"), reads.process("u1"), return_exceptions=True)
    assert not isinstance(seen, BaseException)
    assert json.loads(seen.body)["waiting"] is None
    assert isinstance(unknown, NotFound)
    assert (await reads.process("e2")).status == "queued"
    assert not held.done()
    farm.router.set()
    assert json.loads((await held).body)["waiting"]["reason"] == "phones_busy"


async def test_a_manager_that_goes_away_between_the_calls_is_unavailable() -> None:
    farm = Farm()
    farm.router.set()
    farm.error = Unavailable("away")
    with pytest.raises(Unavailable):
        await Reads(farm).process("w1")


async def made(farm: FakeFarm, count: int) -> list[str]:
    orders = [submission() for _ in range(count)]
    await farm.submit_many(orders)
    return [order.process_id for order in orders]


async def test_gets_that_come_together_are_one_call(farm: FakeFarm, client: httpx.AsyncClient) -> None:
    ids = await made(farm, 5)
    answers = await asyncio.gather(*(client.get(f"/processes/{process_id}") for process_id in ids))
    assert [answer.json()["process_id"] for answer in answers] == ids
    assert sorted(name for batch in farm.reads for name in batch) == sorted(ids)
    assert len(farm.reads) <= 2


async def test_storage_trouble_is_said_to_each(farm: FakeFarm, client: httpx.AsyncClient) -> None:
    ids = await made(farm, 3)
    farm.error = StorageUnavailable("gone")
    answers = await asyncio.gather(*(client.get(f"/processes/{process_id}") for process_id in ids))
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "storage_unavailable")] * 3
    farm.error = None
    assert (await client.get(f"/processes/{ids[0]}")).status_code == 200
