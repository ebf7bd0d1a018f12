"""What holds for every route: keys, scopes, sizes, types, unknown parameters, and a farm that is away or broken."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from phonefarm.errors import ActorUnavailable, Conflict, PhoneFarmError
from phonefarm.models.process import Operation
from phonefarm.serve.app import ServeConfig, create_app
from phonefarm.serve.auth import KeyRing, Scope, make_key
from phonefarm.serve.endpoint import Endpoint
from phonefarm.serve.intake import IntakeLimits
from phonefarm.serve.routes import ENDPOINTS
from tests.contract.base import KEY, UNKNOWN_ID, valid_keyword_request
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import LOOPBACK, connect

pytestmark = pytest.mark.timeout(60)

CLOSED = [endpoint for endpoint in ENDPOINTS if endpoint.scope is not None]
BODIES = [endpoint for endpoint in CLOSED if endpoint.body is not None]
#: Answered from the program alone.
WITHOUT_FARM = ("/capabilities", "/docs", "/openapi.json")
PARAMETERS = {
    "process_id": UNKNOWN_ID,
    "event_id": UNKNOWN_ID,
    "phone_id": "VP000001",
    "account_id": "acct-soup",
    "host": "local",
    "group": "rack-1",
    "name": "a.png",
}


def title(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def path_of(endpoint: Endpoint) -> str:
    return endpoint.path.format(**PARAMETERS)


def body_of(endpoint: Endpoint) -> Any:
    return next(iter(endpoint.body_examples.values())) if endpoint.body is not None else None


async def send(client: httpx.AsyncClient, endpoint: Endpoint, **more: Any) -> httpx.Response:
    return await client.request(endpoint.method, path_of(endpoint), json=body_of(endpoint), **more)


def is_problem(answer: httpx.Response, status: int, code: str = "") -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert not code or answer.json()["code"] == code


@pytest.mark.parametrize("endpoint", CLOSED, ids=title)
async def test_without_a_key_and_with_a_wrong_one(endpoint: Endpoint) -> None:
    for key in (None, "wrong"):
        async with connect(FakeFarm(), key=key) as client:
            answer = await send(client, endpoint)
        is_problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("endpoint", CLOSED, ids=title)
async def test_with_every_scope_but_the_right_one(endpoint: Endpoint) -> None:
    others = set(Scope) - {endpoint.scope}
    app = create_app(
        FakeFarm(), keys=KeyRing([make_key(KEY, scopes=others)]), config=ServeConfig(callbacks_allow=LOOPBACK)
    )
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://farm.test", headers=headers
    ) as client:
        answer = await send(client, endpoint)
    is_problem(answer, 403, "missing_scope")
    assert answer.json()["detail"] == f"missing_scope:{endpoint.scope}"


@pytest.mark.parametrize("endpoint", CLOSED, ids=title)
async def test_a_parameter_it_does_not_know(client: httpx.AsyncClient, endpoint: Endpoint) -> None:
    is_problem(await send(client, endpoint, params={"nonsense": "1"}), 422, "unknown_field")


@pytest.mark.parametrize("endpoint", BODIES, ids=title)
async def test_a_body_that_is_too_large_of_another_type_or_no_json(
    client: httpx.AsyncClient, endpoint: Endpoint
) -> None:
    async def sent(content: bytes, kind: str = "application/json") -> httpx.Response:
        headers = {"Content-Type": kind}
        return await client.request(endpoint.method, path_of(endpoint), content=content, headers=headers)

    is_problem(await sent(b" " * (256 * 1024 + 1)), 413, "payload_too_large")
    is_problem(await sent(json.dumps(body_of(endpoint)).encode(), "text/plain"), 415, "unsupported_media_type")
    is_problem(await sent(b"{"), 422, "invalid_json")
    is_problem(await sent(b'{"nonsense": 1}'), 422)


@pytest.mark.parametrize("endpoint", [e for e in CLOSED if e.path not in WITHOUT_FARM], ids=title)
async def test_a_farm_that_is_away_or_broken(endpoint: Endpoint) -> None:
    farm = FakeFarm()
    limits = IntakeLimits(seconds=0.02, pause=0.001)
    config = ServeConfig(callbacks_allow=LOOPBACK, intake=limits)
    async with connect(farm, key=KEY, config=config) as client:
        farm.error = ActorUnavailable("away at 10.1.2.3")
        answer = await send(client, endpoint)
        is_problem(answer, 503, "actor_unavailable")
        assert answer.headers["retry-after"]
        farm.error = PhoneFarmError("KeyError at /srv")
        is_problem(broken := await send(client, endpoint), 500, "internal_error")
        assert "/srv" not in broken.text


@pytest.mark.parametrize("operation", Operation)
async def test_an_operation_in_the_wrong_state(client: httpx.AsyncClient, farm: FakeFarm, operation: Operation) -> None:
    farm.error = Conflict("operation_not_possible", f"operation_not_possible:{operation}:retired")
    answer = await client.post(f"/phones/VP000001/{operation}", json={"reason": "test"})
    is_problem(answer, 409, "operation_not_possible")


async def test_upkeep_twice_and_with_another_body(client: httpx.AsyncClient) -> None:
    body = valid_keyword_request(inputs={"steps": [{"action": "reboot"}]})
    short = {name: body[name] for name in ("request_id", "inputs", "callback", "requested_by")} | {
        "phone_id": "VP000001"
    }
    statuses = [(await client.post("/maintenance/requests", json=short)).status_code for _ in range(2)]
    assert statuses == [202, 200]
    other = {**short, "options": {"priority": 9}}
    is_problem(await client.post("/maintenance/requests", json=other), 409, "idempotency_key_reused")
