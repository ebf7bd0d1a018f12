"""The samples are true: requests are accepted by the program, answers fit the OpenAPI document."""

from __future__ import annotations

import httpx
import pytest

from phonefarm.serve.routes import ENDPOINTS
from scripts.openapi import CAPABILITIES, OPENAPI, capabilities_text, openapi_text
from tests.contract.base import KEY
from tests.contract.samples import Sample, faults, same_shape, samples
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import connect

pytestmark = pytest.mark.timeout(60)
ALL = list(samples())


@pytest.mark.parametrize("sample", [s for s in ALL if s.status is not None], ids=lambda s: s.name)
def test_an_answer_fits_the_document(sample: Sample) -> None:
    assert sample.status is not None
    assert faults(sample.operation, sample.status, sample.body) == []


@pytest.mark.parametrize("sample", [s for s in ALL if s.status is None], ids=lambda s: s.name)
async def test_a_request_is_taken(sample: Sample) -> None:
    farm = FakeFarm()
    async with connect(farm, key=KEY) as client:
        await client.put("/accounts/acct-soup", json={})
        first = await client.post("/capability-requests/enqueue", json=base_request())
        process_id = first.json()["process_id"]
        if sample.operation.endswith("/replay"):
            await farm.end(process_id)
        answer = await send(client, sample, process_id)
    assert answer.status_code in (200, 201, 202), answer.text
    assert faults(sample.operation, answer.status_code, answer.json()) == []


def base_request() -> dict[str, object]:
    (found,) = [s.body for s in ALL if s.name == "enqueue-keyword-judged.request.json"]
    return {**found, "request_id": "base"}


async def send(client: httpx.AsyncClient, sample: Sample, process_id: str) -> httpx.Response:
    method, path = sample.operation.split(" ")
    filled = path.format(process_id=process_id, account_id="acct-soup", phone_id="VP000001", operation="pause")
    return await client.request(method, filled, json=sample.body)


def test_shapes_are_compared_deeply() -> None:
    assert same_shape({"a": [{"b": 1}]}, {"a": [{"c": 1}]}) == ["$.a[0].b is missing"]
    assert same_shape({"a": {"b": None}}, {"a": {"b": {"c": 1}}}) == []


def test_the_checked_in_documents_are_current() -> None:
    """After a change of the API: ``make openapi``."""
    assert OPENAPI.read_text("utf-8") == openapi_text()
    assert CAPABILITIES.read_text("utf-8") == capabilities_text()


def test_every_operation_with_a_body_has_an_example_and_every_answer_a_schema() -> None:
    for endpoint in ENDPOINTS:
        assert endpoint.body is None or endpoint.body_examples, endpoint.path
        for status, answer in endpoint.answers.items():
            shapeless = endpoint.path == "/openapi.json" or answer.media_type != "application/json"
            assert answer.empty or answer.model or shapeless, (endpoint.path, status)
