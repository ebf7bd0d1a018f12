"""A farm that lists nothing refuses every spelling of an inner address when a request is made (fault 37)."""

from __future__ import annotations

import pytest

from phonefarm.serve.app import ServeConfig
from tests.contract.bad_bodies import FORBIDDEN_EVERYWHERE
from tests.contract.base import ENQUEUE, KEY, valid_keyword_request
from tests.unit.callbacks.test_guard import FORBIDDEN_HOSTS, INVALID_URLS
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import connect

pytestmark = [pytest.mark.timeout(60), pytest.mark.asyncio, pytest.mark.fault(37)]


async def test_every_spelling_is_422_and_nothing_is_made() -> None:
    farm = FakeFarm()
    urls = [f"http://{host}/hook" for host in FORBIDDEN_HOSTS] + list(FORBIDDEN_EVERYWHERE)
    readable = [url for url in INVALID_URLS if url and "\0" not in url]  # the others are wrong before they are URLs
    async with connect(farm, key=KEY, config=ServeConfig()) as client:
        for url in urls + readable:
            body = valid_keyword_request(callback_url=url)
            body["callback"]["url"] = url
            answer = await client.post(ENQUEUE, json=body)
            code = "forbidden_callback_address" if url in urls else "invalid_callback_url"
            assert (answer.status_code, answer.json()["code"]) == (422, code), url
            assert answer.json()["errors"][0]["loc"] == ["callback", "url"]
    assert not farm.processes


async def test_a_public_one_is_taken() -> None:
    """Otherwise the test above would prove nothing."""
    async with connect(FakeFarm(), key=KEY, config=ServeConfig()) as client:
        for url in ("https://example.com/hook", "http://8.8.8.8:8080/hook", "https://[2606:4700:4700::1111]/"):
            body = valid_keyword_request(request_id=url)
            body["callback"]["url"] = url
            assert (await client.post(ENQUEUE, json=body)).status_code == 202, url
