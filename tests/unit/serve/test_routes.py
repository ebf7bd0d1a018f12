"""Every route in front of a fake farm: answers, headers, scopes, and faults of the farm."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from phonefarm.errors import ActorUnavailable, PhoneFarmError, StaleWriter, StorageRefused, StorageUnavailable
from phonefarm.models.process import ArtifactFile, Readiness
from phonefarm.serve.app import ServeConfig
from phonefarm.serve.intake import IntakeLimits
from phonefarm.serve.routes import ENDPOINTS
from tests.contract.bad_requests import BOUND_SYSTEM, ENQUEUE, KEY, UNKNOWN_ID, valid_keyword_request
from tests.unit.serve.fake_farm import AUTHORISED, FakeFarm
from tests.unit.serve.http import LOOPBACK, connect

pytestmark = [pytest.mark.timeout(60), pytest.mark.asyncio]

CANCEL = {"reason": "wrong keywords", "requested_by": {"system": "lab"}}


async def create(client: httpx.AsyncClient, **overrides: Any) -> str:
    response = await client.post(ENQUEUE, json=valid_keyword_request(**overrides))
    assert response.status_code == 202, response.text
    process_id: str = response.json()["process_id"]
    return process_id


async def test_accepted_then_duplicate_then_conflict(client: httpx.AsyncClient) -> None:
    first = await client.post(ENQUEUE, json=valid_keyword_request(request_id="r-1"))
    process_id = first.json()["process_id"]
    accepted = {
        "status": "accepted",
        "process_id": process_id,
        "request_id": "r-1",
        "process_type": "keyword_warmup",
    }
    assert (first.status_code, first.json()) == (202, accepted)
    again = await client.post(ENQUEUE, json=valid_keyword_request(request_id="r-1"))
    assert (again.status_code, again.json()) == (200, {**accepted, "duplicate": True, "process_status": "queued"})
    assert first.headers["location"] == again.headers["location"] == f"/processes/{process_id}"
    other = valid_keyword_request(request_id="r-1", inputs={"keywords": ["other"]})
    conflict = await client.post(ENQUEUE, json=other)
    assert conflict.status_code == 409
    assert conflict.headers["content-type"] == "application/problem+json"
    assert conflict.json() == {
        "type": "about:blank",
        "title": "Idempotency key reused",
        "status": 409,
        "code": "idempotency_key_reused",
        "detail": "idempotency_key_reused:inputs.keywords",
        "process_id": process_id,
        "differs": ["inputs.keywords"],
    }


@pytest.mark.parametrize("mode", ["manual", "unattended"])
@pytest.mark.parametrize(
    "target",
    [
        {"routing": "direct", "phone_id": "VP000001"},
        {"routing": "direct", "account_id": "acct-soup"},
        {"routing": "direct", "phone_id": "VP000001", "account_id": "acct-soup"},
        {"routing": "queue"},
        {"routing": "queue", "phone_group": "rack-1", "account_id": None, "phone_ids": []},
        {"routing": "group", "phone_ids": ["VP000001", "VP000002"], "account_ids": ["acct-soup"]},
        {"routing": "group", "phone_group": "rack-1"},
    ],
)
async def test_keyword_warmup_in_every_mode_and_routing(
    client: httpx.AsyncClient, mode: str, target: dict[str, Any]
) -> None:
    await create(client, mode=mode, target=target)


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
async def test_content_types(client: httpx.AsyncClient, kind: str) -> None:
    content = json.dumps(valid_keyword_request())
    response = await client.post(ENQUEUE, content=content, headers={"Content-Type": kind})
    assert response.status_code == 202


async def test_a_bound_key_may_name_its_system(bound: httpx.AsyncClient) -> None:
    await create(bound, requested_by={"system": BOUND_SYSTEM})
    response = await bound.post(f"/processes/{UNKNOWN_ID}/cancel", json=CANCEL)
    assert (response.status_code, response.json()["code"]) == (403, "wrong_system")


async def test_reading_a_process(client: httpx.AsyncClient, farm: FakeFarm) -> None:
    process_id = await create(client)
    assert (await client.get(f"/processes/{process_id}")).json() == await farm.get_process(process_id)
    events = (await client.get(f"/processes/{process_id}/events")).json()
    assert [event["kind"] for event in events["items"]] == ["process.accepted"]
    assert events["next_cursor"] is None


async def test_processes_are_listed_newest_first_up_to_a_limit(client: httpx.AsyncClient) -> None:
    ids = [await create(client, request_id=f"r{number}") for number in range(3)]
    found = (await client.get("/processes", params={"limit": 2})).json()
    assert [item["process_id"] for item in found["items"]] == [ids[2], ids[1]]
    assert found["next_cursor"] is None


async def test_an_artifact_is_served_as_it_is_and_harmless(client: httpx.AsyncClient, farm: FakeFarm) -> None:
    process_id = await create(client)
    farm.artifacts[process_id, "keyword-01.png"] = ArtifactFile(media_type="image/png", data=b"\x89PNG")
    response = await client.get(f"/processes/{process_id}/artifacts/keyword-01.png")
    assert (response.content, response.headers["content-type"]) == (b"\x89PNG", "image/png")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]
    missing = await client.get(f"/processes/{process_id}/artifacts/none.png")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_artifact")


async def test_cancel_then_cancel_again(client: httpx.AsyncClient, farm: FakeFarm) -> None:
    process_id = await create(client)
    body = {**CANCEL, "strategy": "hard", "force_after_seconds": 2.5}
    response = await client.post(f"/processes/{process_id}/cancel", json=body)
    assert response.status_code == 202
    assert response.json() == {
        "status": "cancel_requested",
        "cancelled_queue_item_ids": [],
        "active_queue_item_ids": [],
        "active_target": None,
        "termination": {
            "process_id": process_id,
            "status": "none",
            "terminate_issued": False,
            "container": None,
        },
        "process": {"process_id": process_id, "status": "cancelled"},
    }
    again = await client.post(f"/processes/{process_id}/cancel", json=CANCEL)
    assert (again.status_code, again.json()["status"]) == (200, "ignored_terminal")
    assert [command.strategy for command in farm.cancels] == ["hard", "soft_then_force"]
    assert [command.force_after_seconds for command in farm.cancels] == [2.5, 10]


async def test_phones(client: httpx.AsyncClient) -> None:
    found = (await client.get("/phones")).json()
    assert [item["phone_id"] for item in found["items"]] == ["VP000001", "VP000002"]
    assert (await client.get("/phones/VP000001")).json()["phone_id"] == "VP000001"


async def test_accounts(client: httpx.AsyncClient, farm: FakeFarm) -> None:
    body = {
        "phone_id": "VP000001",
        "active": True,
        "authorization": {**AUTHORISED, "granted_at": "2026-11-01T01:00:00+01:00"},
        "daily_limits": {"sessions": 3},
    }
    response = await client.put("/accounts/acct-bread", json=body)
    assert (response.status_code, response.json()["account_id"]) == (200, "acct-bread")
    command = farm.accounts["acct-bread"]
    assert command.authorization == AUTHORISED
    assert command.daily_limits == {"sessions": 3, "minutes": None}
    assert (await client.get("/accounts/acct-bread")).json()["active"] is True
    assert len((await client.get("/accounts")).json()["items"]) == 1


async def test_an_empty_account_is_inactive(client: httpx.AsyncClient, farm: FakeFarm) -> None:
    assert (await client.put("/accounts/plain", json={})).status_code == 200
    assert farm.accounts["plain"].active is False
    assert farm.accounts["plain"].authorization is None


async def test_callbacks_and_capabilities(client: httpx.AsyncClient) -> None:
    (callback,) = (await client.get("/callbacks?state=dead")).json()["items"]
    assert callback["state"] == "dead"
    capabilities = (await client.get("/capabilities")).json()["items"]
    assert [item["capability"] for item in capabilities] == ["keyword_warmup", "fyp_warmup", "maintenance"]


async def test_health_needs_no_key(farm: FakeFarm) -> None:
    async with connect(farm) as anybody:
        assert (await anybody.get("/healthz")).json() == {"status": "ok"}
        ready = await anybody.get("/readyz")
        assert (ready.status_code, ready.json()["parts"]["storage"]) == (200, "ok")
        farm.ready = Readiness(parts={"manager": None, "storage": "disk full at /srv/x", "router": None})
        away = await anybody.get("/readyz")
        farm.error = ActorUnavailable("away")
        gone = await anybody.get("/readyz")
        alive = await anybody.get("/healthz")
    assert (away.status_code, away.json()["detail"]) == (503, "not_ready:storage")
    assert "/srv" not in away.text
    assert away.headers["retry-after"]
    assert (gone.status_code, gone.json()["parts"]) == (503, {"manager": "away"})
    assert alive.status_code == 200


async def test_reading_needs_only_read(reader: httpx.AsyncClient) -> None:
    for path in ("/processes", "/phones", "/accounts", "/callbacks", "/capabilities", "/openapi.json"):
        assert (await reader.get(path)).status_code == 200, path


READS = [
    endpoint.path
    for endpoint in ENDPOINTS
    if endpoint.method == "GET" and endpoint.scope and "name" not in endpoint.path
]


@pytest.mark.parametrize("path", [path for path in READS if path not in ("/capabilities", "/docs", "/openapi.json")])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ActorUnavailable("manager at 10.1.2.3"), 503, "actor_unavailable"),
        (StorageUnavailable("disk full at /srv"), 503, "storage_unavailable"),
        (StaleWriter("epoch 3"), 503, "unavailable"),
        (StorageRefused("schema at /srv"), 503, "storage_refused"),
        (PhoneFarmError("manager failed: KeyError at /srv"), 500, "internal_error"),
        (ZeroDivisionError("division at /srv"), 500, "internal_error"),
    ],
)
async def test_faults_of_the_farm(
    client: httpx.AsyncClient, farm: FakeFarm, path: str, error: Exception, status: int, code: str
) -> None:
    farm.error = error
    filled = path.format(process_id=UNKNOWN_ID, phone_id="a", account_id="a")
    response = await client.get(filled)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in response.headers) is (status == 503)
    for secret in ("/srv", "10.1.2.3", "Traceback", "Error at"):
        assert secret not in response.text


async def test_a_submission_while_the_manager_is_away(farm: FakeFarm) -> None:
    config = ServeConfig(callbacks_allow=LOOPBACK, intake=IntakeLimits(seconds=0.02, pause=0.001))
    farm.error = ActorUnavailable("away")
    async with connect(farm, key=KEY, config=config) as client:
        response = await client.post(ENQUEUE, json=valid_keyword_request())
        assert (response.status_code, response.json()["code"]) == (503, "actor_unavailable")
        assert response.headers["retry-after"]
        farm.error = None
        assert (await client.post(ENQUEUE, json=valid_keyword_request())).status_code == 202


async def test_a_full_intake_is_429(farm: FakeFarm) -> None:
    config = ServeConfig(callbacks_allow=LOOPBACK, intake=IntakeLimits(waiting=0))
    async with connect(farm, key=KEY, config=config) as client:
        response = await client.post(ENQUEUE, json=valid_keyword_request())
    assert (response.status_code, response.json()["code"]) == (429, "too_many_requests")
    assert response.headers["retry-after"]


async def test_405_names_all_methods(client: httpx.AsyncClient) -> None:
    response = await client.delete("/accounts/a")
    assert response.headers["allow"] == "GET, PATCH, PUT"
