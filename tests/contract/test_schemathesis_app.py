"""schemathesis over the whole API, against the app behind a real socket with a farm in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest

from phonefarm.serve.app import no_farm_document
from phonefarm.serve.routes import ENDPOINTS
from tests.contract.base import KEY, valid_keyword_request
from tests.contract.fuzz import fuzz
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import build
from tests.unit.serve.server import served

pytestmark = pytest.mark.timeout(300)
EXAMPLES = 15


async def test_no_server_error_and_no_undocumented_answer(record_property: Callable[[str, object], None]) -> None:
    farm = FakeFarm()
    async with served(build(farm)) as url:
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {KEY}"}) as client:
            made = await client.post("/capability-requests/enqueue", json=valid_keyword_request())
            process_id = made.json()["process_id"]
            await client.put("/accounts/acct-soup", json={})
        known = {
            "process_id": [process_id],
            "phone_id": ["VP000001"],
            "account_id": ["acct-soup"],
            "host": ["local"],
            "group": ["rack-1"],
            "event_id": ["0193580c-7a11-7b02-8e0c-5d1f2a7c9e01"],
        }
        spared = frozenset({"GET /phones/{phone_id}/screen"})  # this farm has no phones to look at
        found = await asyncio.to_thread(
            fuzz, no_farm_document(), url, KEY, examples=EXAMPLES, known=known, spared=spared
        )
    record_property("schemathesis", found.summary)
    print(found.summary)
    assert len({operation for operation, _ in found.seen}) == len(ENDPOINTS) - len(spared)
    assert found.cases > 500
