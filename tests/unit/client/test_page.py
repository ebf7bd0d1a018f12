"""The code of docs/client.md, run as it stands there against the real app with a farm in memory."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest

from phonefarm.callbacks.signing import callback_headers
from tests.contract.base import KEY, valid_keyword_request
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import build
from tests.unit.serve.server import served

pytestmark = pytest.mark.timeout(60)

PAGE = Path(__file__).parents[3] / "docs" / "client.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
ENDED = ["process.accepted", "process.cancelled"]


def run(block: str, **names: Any) -> dict[str, Any]:
    exec(compile(block, str(PAGE), "exec", dont_inherit=True), names)
    return names


async def end_the_only_process(farm: FakeFarm) -> None:
    while not farm.processes:
        await asyncio.sleep(0.005)
    await farm.end(next(iter(farm.processes)))


def test_all_of_the_page_is_run() -> None:
    assert len(BLOCKS) == 4


async def test_asking_and_following() -> None:
    farm = FakeFarm()
    async with served(build(farm)) as url:
        page = asyncio.create_task(asyncio.to_thread(run, BLOCKS[0], url=url, key=KEY, body=valid_keyword_request()))
        await end_the_only_process(farm)
        names = await page
    assert names["kinds"] == ENDED
    assert names["process"].status == "cancelled"


async def test_the_same_in_an_event_loop() -> None:
    farm = FakeFarm()
    async with served(build(farm)) as url:
        page = asyncio.create_task(run(BLOCKS[1])["ask"](url, KEY, valid_keyword_request()))
        await end_the_only_process(farm)
        kinds, process = await page
    assert kinds == ENDED
    assert process.ended


async def test_refusals() -> None:
    async with served(build(FakeFarm())) as url:
        names = await asyncio.to_thread(run, BLOCKS[2], url=url, key=KEY, body=valid_keyword_request())
    assert names["told"][0] == 422
    assert names["told"][1]


@pytest.mark.parametrize("secret", ["a secret", "another"])
def test_callbacks(secret: str) -> None:
    raw = b'{"milestone":"completed"}'
    headers = callback_headers(secret="a secret", event_id="e", body=raw, timestamp=int(time.time()))
    assert run(BLOCKS[3], secret=secret, headers=headers, raw=raw)["believed"] is (secret == "a secret")
