"""Operations, accounts, callbacks, queue, keys, metrics, screens and documentation of the app."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from PIL import Image

from phonefarm.actors.ports import PhonePort
from phonefarm.core.metrics import HTTP_REQUESTS, HTTP_SECONDS
from phonefarm.core.tally import Tally
from phonefarm.errors import ActorUnavailable, DeviceLost
from phonefarm.models.process import Operation, OperationScope
from phonefarm.serve.app import create_app
from phonefarm.serve.auth import KeyRing
from phonefarm.serve.live_keys import FRESH_SECONDS, LiveKeys
from phonefarm.serve.routes import ENDPOINTS
from phonefarm.serve.screens import wanted
from tests.contract.bad_requests import BOUND_SYSTEM, KEY, valid_keyword_request
from tests.unit.serve.fake_farm import AUTHORISED, FakeFarm
from tests.unit.serve.http import key_ring

pytestmark = pytest.mark.timeout(60)
REASON = {"reason": "new battery"}


@pytest.mark.parametrize("operation", [o for o in Operation if o is not Operation.RELEASE])
async def test_every_operation_on_a_phone(client: httpx.AsyncClient, farm: FakeFarm, operation: Operation) -> None:
    answer = await client.post(f"/phones/VP000001/{operation.value}", json=REASON)
    assert answer.status_code == 200
    assert answer.json()["phone_id"] == "VP000001"
    (command,) = farm.operations
    assert (command.scope, command.operation, command.reason, command.by) == (
        OperationScope.PHONE,
        operation,
        "new battery",
        "all",
    )


async def test_an_operation_that_makes_no_sense_is_a_conflict(client: httpx.AsyncClient) -> None:
    answer = await client.post("/phones/VP000001/release", json=REASON)
    assert (answer.status_code, answer.json()["detail"]) == (409, "operation_not_possible:release:available")


@pytest.mark.parametrize(("place", "name"), [("hosts", "local"), ("groups", "rack-1")])
@pytest.mark.parametrize("operation", ["drain", "resume"])
async def test_hosts_and_groups(client: httpx.AsyncClient, place: str, name: str, operation: str) -> None:
    answer = await client.post(f"/{place}/{name}/{operation}", json=REASON)
    assert answer.status_code == 200
    assert len(answer.json()["items"]) == 2
    unknown = await client.post(f"/{place}/nobody/{operation}", json=REASON)
    assert (unknown.status_code, unknown.json()["code"]) == (404, f"unknown_{place[:-1]}")
    assert (await client.post(f"/{place}/{name}/retire", json=REASON)).status_code == 404


async def test_operations_need_their_scope_and_a_reason(client: httpx.AsyncClient, reader: httpx.AsyncClient) -> None:
    refused = await reader.post("/phones/VP000001/pause", json=REASON)
    assert (refused.status_code, refused.json()["detail"]) == (403, "missing_scope:operate")
    for body in ({}, {"reason": ""}, {"reason": "x", "force": True}):
        assert (await client.post("/phones/VP000001/pause", json=body)).status_code == 422


async def test_an_account_is_patched(client: httpx.AsyncClient, farm: FakeFarm) -> None:
    assert (await client.patch("/accounts/acct-x", json={"active": False})).status_code == 404
    await client.put("/accounts/acct-x", json={"group": "soups"})
    refused = await client.patch("/accounts/acct-x", json={"active": True})
    assert (refused.status_code, refused.json()["code"]) == (422, "authorization_required")
    done = await client.patch("/accounts/acct-x", json={"active": True, "authorization": AUTHORISED})
    assert done.json()["active"] is True
    assert done.json()["group"] == "soups"
    assert (await client.patch("/accounts/acct-x", json={"name": "x"})).json()["code"] == "unknown_field"


async def test_redelivery(client: httpx.AsyncClient, reader: httpx.AsyncClient) -> None:
    event_id = (await client.get("/callbacks")).json()["items"][0]["event_id"]
    assert (await client.post(f"/callbacks/{event_id}/redeliver")).status_code == 202
    assert (await reader.post(f"/callbacks/{event_id}/redeliver")).status_code == 403
    for unknown in ("0193580c-7a11-7b02-8e0c-000000000000", "none"):
        assert (await client.post(f"/callbacks/{unknown}/redeliver")).json()["code"] == "unknown_callback"


async def test_queue_and_metrics(client: httpx.AsyncClient) -> None:
    (item,) = (await client.get("/queue")).json()["items"]
    assert item["reason"] == "phone_paused"
    assert (await client.get("/queue?cursor=x")).json()["code"] == "invalid_cursor"
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'phonefarm_phones{state="available"} 2.0' in answer.text
    assert "phonefarm_commits_total 7.0" in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "status=x",
        "process_type=x",
        "system=",
        "created_after=today",
        "limit=0",
        "limit=201",
        "limit=x",
        "nope=1",
        "limit=1&limit=2",
        "cursor=x",
    ],
)
async def test_bad_filters(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/processes?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_filters_reach_the_farm(client: httpx.AsyncClient, farm: FakeFarm) -> None:
    text = "status=queued&process_type=maintenance&system=s&phone_id=p&account_id=a&limit=7"
    times = "created_after=2026-11-01T00:00:00Z&created_before=2026-11-02T00:00:00%2B01:00"
    assert (await client.get(f"/processes?{text}&{times}")).status_code == 200
    (query,) = farm.queries
    assert (query.status, query.process_type, query.system, query.limit) == ("queued", "maintenance", "s", 7)
    assert (query.phone_id, query.account_id) == ("p", "a")
    assert (query.created_after, query.created_before) == (1_793_491_200_000, 1_793_574_000_000)


# -- keys --------------------------------------------------------------------------------------------


async def test_a_new_key_works_at_once_with_its_scopes_and_only_them(client: httpx.AsyncClient) -> None:
    made = await client.post("/keys", json={"name": "ci", "scopes": ["read"]})
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    secret = made.json()["secret"]
    assert secret.startswith("pf_")
    ours = {"Authorization": f"Bearer {secret}"}
    assert (await client.get("/phones", headers=ours)).status_code == 200
    refused = await client.post("/capability-requests/enqueue", json=valid_keyword_request(), headers=ours)
    assert refused.status_code == 403
    listed = await client.get("/keys")
    assert secret not in listed.text
    assert "digest" not in listed.text
    again = await client.post("/keys", json={"name": "ci", "scopes": ["read"]})
    assert (again.status_code, again.json()["code"]) == (409, "key_exists")
    assert (await client.delete("/keys/ci")).json()["revoked_at"] is not None
    assert (await client.delete("/keys/nobody")).json()["code"] == "unknown_key"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["root"]},
        {"name": "a b", "scopes": ["read"]},
    ],
)
async def test_a_bad_key(client: httpx.AsyncClient, body: dict[str, object]) -> None:
    assert (await client.post("/keys", json=body)).status_code == 422


def bearer(secret: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {secret}".encode())]


async def test_rows_are_remembered_for_a_moment_and_no_longer(farm: FakeFarm, client: httpx.AsyncClient) -> None:
    secret = (await client.post("/keys", json={"name": "ci", "scopes": ["read"]})).json()["secret"]
    now = [0.0]
    keys = LiveKeys(key_ring(), farm, clock=lambda: now[0])
    for _ in range(5):
        assert await keys.authenticate(bearer(secret)) is not None
    assert farm.key_reads == 1
    await farm.revoke_key("ci")
    assert await keys.authenticate(bearer(secret)) is not None
    now[0] += FRESH_SECONDS + 0.1
    assert await keys.authenticate(bearer(secret)) is None
    reads = farm.key_reads
    for _ in range(50):
        assert await keys.authenticate(bearer("guess")) is None
    assert farm.key_reads == reads, "guessing does not keep the manager busy"


async def test_while_the_manager_is_away_what_is_remembered_holds(farm: FakeFarm, client: httpx.AsyncClient) -> None:
    secret = (await client.post("/keys", json={"name": "ci", "scopes": ["read"]})).json()["secret"]
    now = [0.0]
    keys = LiveKeys(key_ring(), farm, clock=lambda: now[0])
    farm.error = ActorUnavailable("away")
    with pytest.raises(ActorUnavailable):
        await keys.authenticate(bearer(secret))
    assert await keys.authenticate(bearer(KEY)) is not None, "the farm's own key needs nobody"
    farm.error = None
    assert await keys.authenticate(bearer(secret)) is not None
    farm.error = ActorUnavailable("away")
    now[0] += 100
    assert await keys.authenticate(bearer(secret)) is not None


async def test_an_unknown_key_while_the_manager_is_away_is_503(farm: FakeFarm, client: httpx.AsyncClient) -> None:
    farm.error = ActorUnavailable("away")
    answer = await client.get("/phones", headers={"Authorization": "Bearer guess"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_a_bound_key_sees_its_own_system_only(client: httpx.AsyncClient, bound: httpx.AsyncClient) -> None:
    others = (await client.post("/capability-requests/enqueue", json=valid_keyword_request())).json()["process_id"]
    for path in ("", "/events", "/artifacts/a.png"):
        assert (await bound.get(f"/processes/{others}{path}")).status_code == 404
    assert (await bound.get("/processes")).json()["items"] == []
    refused = await bound.get("/processes?system=other")
    assert (refused.status_code, refused.json()["code"]) == (403, "wrong_system")
    assert (await bound.get(f"/processes?system={BOUND_SYSTEM}")).status_code == 200


async def test_replay(client: httpx.AsyncClient, farm: FakeFarm) -> None:
    source = (await client.post("/capability-requests/enqueue", json=valid_keyword_request())).json()["process_id"]
    body = {"request_id": "again", "requested_by": {"system": "me"}}
    refused = await client.post(f"/processes/{source}/replay", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_replayable")
    await farm.end(source)
    first = await client.post(f"/processes/{source}/replay", json=body)
    assert (first.status_code, first.json()["replay_of"]) == (202, source)
    assert first.headers["location"] == f"/processes/{first.json()['process_id']}"
    again = await client.post(f"/processes/{source}/replay", json=body, headers={"Idempotency-Key": "again"})
    assert (again.status_code, again.json()["process_id"]) == (200, first.json()["process_id"])
    other = await client.post(f"/processes/{source}/replay", json=body, headers={"Idempotency-Key": "x"})
    assert other.json()["code"] == "idempotency_key_mismatch"


# -- screens -----------------------------------------------------------------------------------------


class Lens:
    """A phone whose screen is a picture of 200 x 400, or an error."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        out = io.BytesIO()
        Image.new("RGB", (200, 400), "navy").save(out, "PNG")
        self.picture = out.getvalue()

    async def screen(self) -> bytes:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.picture


@pytest.fixture
def lens() -> Lens:
    return Lens()


@pytest_asyncio.fixture
async def viewer(farm: FakeFarm, lens: Lens) -> AsyncIterator[httpx.AsyncClient]:
    def phone(_phone_id: str) -> PhonePort:
        return lens  # type: ignore[return-value]

    transport = httpx.ASGITransport(create_app(farm, keys=key_ring(), phone=phone))
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://farm.test", headers=headers) as client:
        yield client


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("image/png", "PNG"),
        ("image/jpeg", "JPEG"),
        ("image/webp", "WEBP"),
        ("*/*", "PNG"),
        ("image/png;q=0.1, image/webp", "WEBP"),
    ],
)
async def test_a_screen_in_the_format_asked_for(viewer: httpx.AsyncClient, accept: str, kind: str) -> None:
    answer = await viewer.get("/phones/VP000001/screen?width=50", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    image = Image.open(io.BytesIO(answer.content))
    assert (image.format, image.size) == (kind, (50, 100))


async def test_a_screen_is_never_made_wider_and_comes_as_it_is_without_a_width(
    viewer: httpx.AsyncClient, lens: Lens
) -> None:
    assert (await viewer.get("/phones/VP000001/screen")).content == lens.picture
    wide = await viewer.get("/phones/VP000001/screen?width=4096")
    assert Image.open(io.BytesIO(wide.content)).size == (200, 400)


async def test_screens_that_cannot_be(viewer: httpx.AsyncClient, lens: Lens) -> None:
    assert (await viewer.get("/phones/VP000009/screen")).json()["code"] == "unknown_phone"
    text = await viewer.get("/phones/VP000001/screen", headers={"Accept": "text/html"})
    assert (text.status_code, text.json()["code"]) == (406, "not_acceptable")
    for width in ("15", "4097", "x"):
        assert (await viewer.get(f"/phones/VP000001/screen?width={width}")).status_code == 422
    lens.error = DeviceLost("unplugged")
    gone = await viewer.get("/phones/VP000001/screen")
    assert (gone.status_code, gone.json()["detail"]) == (409, "phone_not_reachable:device_lost")
    lens.error, lens.picture = None, b"\x89PNG broken"
    broken = await viewer.get("/phones/VP000001/screen?width=100")
    assert (broken.status_code, broken.json()["detail"]) == (409, "phone_not_reachable:bad_screen")


def test_accept_headers() -> None:
    assert wanted(None) == "image/png"
    assert wanted("image/jpeg;q=0.5, image/png;q=0.2") == "image/jpeg"
    assert wanted("image/jpeg;q=0") is None
    assert wanted("image/*;q=0.2, text/html") == "image/png"
    assert wanted("image/webp;q=x") is None


# -- documentation -----------------------------------------------------------------------------------


async def test_the_docs_name_every_route_and_load_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for endpoint in ENDPOINTS:
        assert f"<code>{endpoint.path}</code>" in answer.text, endpoint.path
    for word in ("<script", "src=", "@import", "url(", "http-equiv", "<link", "<img"):
        assert word not in answer.text
    assert "missing_fyp_judge_prompt" in answer.text
    assert "edit_profile" in answer.text


async def test_requests_are_counted_by_route_never_by_path(farm: FakeFarm) -> None:
    tally = Tally()
    app = create_app(farm, keys=KeyRing.single("secret"), meter=tally)
    headers = {"Authorization": "Bearer secret"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://farm") as client:
        for path in ("/phones/VP000001", "/phones/VP000002", "/nowhere/canary", "/phones/no-such-phone"):
            await client.get(path, headers=headers)
        await client.get("/phones")
        await client.request("CANARY", "/phones", headers=headers)
        await client.post("/capability-requests/enqueue", json={}, headers=headers)
    counted = {labels: value for (metric, labels), value in tally.numbers.items() if metric is HTTP_REQUESTS}
    assert counted == {
        ("/phones/{phone_id}", "GET", "200"): 2,
        ("/phones/{phone_id}", "GET", "404"): 1,
        ("none", "GET", "404"): 1,
        ("none", "GET", "401"): 1,
        ("/phones", "other", "405"): 1,
        ("/capability-requests/enqueue", "POST", "422"): 1,
    }
    assert sum(d.count for (metric, _), d in tally.distributions.items() if metric is HTTP_SECONDS) == 7


async def test_the_callers_request_id_goes_back_if_it_is_a_plain_word(client: httpx.AsyncClient) -> None:
    for sent, back in (("a-1/b", "a-1/b"), ("x" * 129, None), ("two words", None), ('"', None)):
        answer = await client.get("/phones", headers={"X-Request-ID": sent})
        assert answer.headers.get("x-request-id") == back
    assert "x-request-id" not in (await client.get("/phones")).headers


async def test_where_the_server_sends_the_request_id_back_the_app_does_not(farm: FakeFarm) -> None:
    app = create_app(farm, keys=key_ring(), echo_request_id=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://farm.test") as client:
        assert "x-request-id" not in (await client.get("/healthz", headers={"X-Request-ID": "a"})).headers
