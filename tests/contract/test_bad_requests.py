"""Every bad request gets the status and code the contract gives it, as problem+json, and changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.contract.bad_requests import CASES, KEY, BadRequest, valid_keyword_request
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import connect

pytestmark = pytest.mark.timeout(60)


async def send(client: httpx.AsyncClient, case: BadRequest) -> httpx.Response:
    """A case exactly as it stands, without any header the client would add of itself."""
    request = client.build_request(case.method, case.path, content=case.body or None)
    request.headers.update(case.headers)
    return await client.send(request)


def check(case: BadRequest, response: httpx.Response) -> None:
    """What must hold for a case on any farm."""
    problem = response.json()
    assert (response.status_code, problem["code"]) == (case.status, case.code), problem
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["status"] == case.status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"].startswith(case.code)
    if case.detail is not None:
        assert problem["detail"] == case.detail
    if case.status == 422:
        assert problem["errors"]
        assert problem["errors"][0]["code"] == case.code
        assert all(set(error) == {"loc", "code", "msg"} for error in problem["errors"])
    if case.loc is not None:
        assert list(case.loc) in [error["loc"] for error in problem["errors"]]
    if case.status == 401:
        assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.fault(38)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.asyncio
async def test_bad_request(case: BadRequest) -> None:
    farm = FakeFarm()
    async with connect(farm) as client:
        check(case, await send(client, case))
    assert not farm.processes
    assert not farm.accounts


def test_the_table_is_large_and_its_names_differ() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.asyncio
async def test_the_base_body_is_good() -> None:
    """Otherwise the table would prove nothing."""
    async with connect(FakeFarm(), key=KEY) as client:
        response = await client.post("/capability-requests/enqueue", json=valid_keyword_request())
    assert response.status_code == 202, response.text


@pytest.mark.fault(38)
@pytest.mark.parametrize(("size", "status"), [(256 * 1024, 202), (256 * 1024 + 1, 413), (4_000_000, 413)])
@pytest.mark.asyncio
async def test_the_cap_counts_the_stream(size: int, status: int) -> None:
    """A chunked body says no length; one of exactly the cap is read."""
    text = httpx.Request("POST", "http://x", json=valid_keyword_request()).content
    read = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        yield text
        for start in range(len(text), size, 65_536):
            part = b" " * min(65_536, size - start)
            read += len(part)
            yield part

    async with connect(FakeFarm(), key=KEY) as client:
        headers = {"Content-Type": "application/json"}
        response = await client.post("/capability-requests/enqueue", content=chunks(), headers=headers)
    assert response.status_code == status, response.text
    assert read <= 256 * 1024 + 2 * 65_536


@pytest.mark.asyncio
async def test_all_faults_at_once_the_first_by_order_gives_the_code() -> None:
    body = valid_keyword_request(
        mode="sometimes",
        capability="keyword_warmup",
        target={"routing": "queue", "phone_ids": ["a"]},
        inputs={"keywords": [], "judge": True, "app": "none", "colour": 1},
    )
    async with connect(FakeFarm(), key=KEY) as client:
        response = await client.post("/capability-requests/enqueue", json=body)
    problem = response.json()
    assert [error["code"] for error in problem["errors"]] == [
        "too_short",
        "unknown_field",
        "unsupported_mode",
        "invalid_target",
        "unknown_app",
        "missing_keyword_judge_prompt",
    ]
    assert problem["code"] == "too_short"


@pytest.mark.asyncio
async def test_a_problem_does_not_echo() -> None:
    """Not the value of a field, not a prompt, not a long name in full."""
    secret = "s3cret-" * 50
    body = valid_keyword_request(mode=secret, capability=secret)
    body[secret] = 1
    body["inputs"] = {"keywords": [], "prompts": {"keyword_judge": {"task_prompt": "{" + secret + "}"}}}
    body["callback"] = {"url": f"http://10.0.0.1/{secret}"}
    async with connect(FakeFarm(), key=KEY) as client:
        response = await client.post("/capability-requests/enqueue", json=body)
    assert response.status_code == 422
    assert secret not in response.text
