"""Signing in at the console, and who may change what there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from hatchling.builders.wheel import WheelBuilder
from starlette.routing import Route

from phonefarm.errors import ActorUnavailable
from phonefarm.models.process import KeyCommand
from phonefarm.serve.app import create_app
from phonefarm.serve.auth import KeyRing, Scope, digest_of, make_key
from phonefarm.serve.console import pages, signin
from phonefarm.serve.console.page import Page
from phonefarm.serve.console.routes import LAST, PAGES
from phonefarm.serve.console.session import COOKIE, SECONDS, Sessions
from phonefarm.serve.live_keys import LiveKeys
from phonefarm.serve.routes import ENDPOINTS
from tests.contract.bad_requests import KEY, READER_KEY
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import build, key_ring

pytestmark = pytest.mark.timeout(60)

ORIGIN = "http://farm.test"
SOME_ID = "0193580c-7a10-7c3e-8f5a-3b1f6a4f2f11"
HTML = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}


def visit(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    """A browser, as far as it matters here."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN, headers={**HTML, **headers})


async def sign_in(client: httpx.AsyncClient, key: str = KEY, next: str = "/") -> httpx.Response:
    return await client.post(signin.PATH, data={"key": key, "next": next})


@pytest_asyncio.fixture
async def browser(farm: FakeFarm) -> AsyncIterator[httpx.AsyncClient]:
    async with visit(build(farm)) as client:
        assert (await sign_in(client)).status_code == 303
        yield client


def token_of(page: httpx.Response) -> str:
    return page.text.partition('name="csrf" content="')[2].partition('"')[0]


# -- signing in ------------------------------------------------------------------------------------


async def test_a_stranger_is_sent_to_sign_in_and_comes_back_to_where_they_wanted(farm: FakeFarm) -> None:
    async with visit(build(farm)) as client:
        sent = await client.get("/", params={"state": "busy"})
        assert (sent.status_code, sent.headers["location"]) == (303, "/console/sign-in?next=/%3Fstate%3Dbusy")
        form = await client.get(sent.headers["location"])
        assert 'name="next" value="/?state=busy"' in form.text
        done = await sign_in(client, next="/?state=busy")
        assert (done.status_code, done.headers["location"]) == (303, "/?state=busy")
        assert (await client.get("/")).status_code == 200
        program = await client.get("/", headers={"Accept": "*/*", "Cookie": ""})
    assert (program.status_code, program.json()["code"]) == (401, "unauthorized")


async def test_the_cookie_is_closed_to_scripts_and_sites_and_does_not_hold_the_key(farm: FakeFarm) -> None:
    app = build(farm)
    async with visit(app) as client:
        plain = (await sign_in(client)).headers["set-cookie"]
    assert plain.endswith("; HttpOnly; SameSite=Strict")
    assert f"Max-Age={SECONDS}" in plain
    assert KEY not in plain
    for headers in ({"X-Forwarded-Proto": "https"}, {}):
        async with visit(app, **headers) as client:
            client.base_url = httpx.URL(ORIGIN if headers else "https://farm.test")
            assert (await sign_in(client)).headers["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize("key", ["wrong", "", "é", "a\0b", "x" * 100_000])
async def test_a_wrong_key_is_told_so_and_gets_nothing(farm: FakeFarm, key: str) -> None:
    async with visit(build(farm)) as client:
        refused = await sign_in(client, key)
        assert refused.status_code == 401
        assert "set-cookie" not in refused.headers
        assert "This is no key of this farm" in refused.text
        assert (await client.get("/")).status_code == 303


@pytest.mark.parametrize(
    "where", ["//evil.test", "https://evil.test/", "/\\evil.test", "javascript:alert(1)", "", "/a b", "/\r\nX: y"]
)
async def test_signing_in_leads_nowhere_else(farm: FakeFarm, where: str) -> None:
    async with visit(build(farm)) as client:
        assert (await sign_in(client, next=where)).headers["location"] == "/"


async def test_signing_out_takes_the_cookie_away(browser: httpx.AsyncClient) -> None:
    token = token_of(await browser.get("/"))
    gone = await browser.post("/console/sign-out", data={"csrf": token})
    assert (gone.status_code, gone.headers["location"]) == (303, signin.PATH)
    assert (await browser.get("/")).status_code == 303


async def test_who_comes_from_another_site_can_ask_whether_a_cookie_is_there_after_all(
    browser: httpx.AsyncClient,
) -> None:
    assert (await browser.get("/console/whoami")).status_code == 204
    browser.cookies.clear()
    assert (await browser.get("/console/whoami", headers={"Accept": "*/*"})).status_code == 401


# -- what a session is -----------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def sessions(farm: FakeFarm, own: KeyRing | None = None, clock: Clock | None = None) -> Sessions:
    """Those of one replica."""
    ring = own or key_ring()
    return Sessions(ring, LiveKeys(ring, farm, clock=clock or Clock()), now=clock or Clock())


def sent(value: str) -> list[tuple[bytes, bytes]]:
    return [(b"cookie", f"other=1; {COOKIE}={value}".encode())]


async def test_another_replica_and_the_farm_after_a_restart_know_a_session(farm: FakeFarm) -> None:
    value = sessions(farm).cookie_for(make_key(KEY, name="all"))
    found = await sessions(farm).of(sent(value))
    assert found is not None
    assert found.key.name == "all"


async def test_a_session_ends(farm: FakeFarm) -> None:
    clock = Clock()
    here = sessions(farm, clock=clock)
    value = here.cookie_for(make_key(KEY, name="all"))
    clock.now += SECONDS - 1
    assert await here.of(sent(value)) is not None
    clock.now += 1
    assert await here.of(sent(value)) is None


async def test_no_other_key_of_the_same_name_and_no_other_farm_takes_it(farm: FakeFarm) -> None:
    value = sessions(farm).cookie_for(make_key(KEY, name="all"))
    other = KeyRing([make_key("another secret", name="all")])
    assert await sessions(farm, other).of(sent(value)) is None
    half = KeyRing([make_key(KEY, name="all"), make_key("of another farm", name="x")])
    assert await sessions(farm, half).of(sent(value)) is None


async def test_a_made_key_that_is_called_as_the_farm_s_own_stays_what_it_is(farm: FakeFarm) -> None:
    made = make_key("pf_made", name="all", scopes={Scope.READ})
    await farm.create_key(KeyCommand(name="all", digest=made.digest.hex(), scopes=("read",), system=None))
    here = sessions(farm)
    for key, scopes in ((made, {Scope.READ}), (make_key(KEY, name="all"), set(Scope))):
        found = await here.of(sent(here.cookie_for(key)))
        assert found is not None
        assert found.key.scopes == scopes


async def test_what_was_changed_or_made_up_is_no_session(farm: FakeFarm) -> None:
    here = sessions(farm)
    value = here.cookie_for(make_key(READER_KEY, name="reader"))
    ends, nonce, name, mac = value.split(".")
    other_name = here.cookie_for(make_key(KEY, name="all")).split(".")[2]
    bad = [
        f"{int(ends) + 1}.{nonce}.{name}.{mac}",
        f"{ends}.{nonce}.{other_name}.{mac}",
        f"{ends}.{nonce[::-1]}.{name}.{mac}",
        f"{ends}.{nonce}.{name}.{'0' * 64}",
        f"{ends}.{nonce}.{name}",
        f"{ends}.{nonce}.!.{mac}",
        f"{ends}.{nonce}._w.{mac}",
        "",
        "." * 500,
        value + "x",
    ]
    for each in bad:
        assert await here.of(sent(each)) is None, each
    assert await here.of([*sent("nonsense"), *sent(value)]) is not None


async def test_a_revoked_key_ends_its_sessions(farm: FakeFarm) -> None:
    clock = Clock()
    here = sessions(farm, clock=clock)
    made = make_key("pf_made", name="night-shift", scopes={Scope.READ})
    command = KeyCommand(name=made.name, digest=digest_of(b"pf_made").hex(), scopes=("read",), system=None)
    await farm.create_key(command)
    value = here.cookie_for(made)
    found = await here.of(sent(value))
    assert found is not None
    assert found.key.scopes == {Scope.READ}
    await farm.revoke_key("night-shift")
    clock.now += 3
    assert await here.of(sent(value)) is None


async def test_the_farm_s_own_key_works_while_the_manager_is_away_and_others_are_told_so(farm: FakeFarm) -> None:
    farm.error = ActorUnavailable("away")
    here = sessions(farm)
    assert await here.of(sent(here.cookie_for(make_key(KEY, name="all")))) is not None
    with pytest.raises(ActorUnavailable):
        await here.of(sent(here.cookie_for(make_key("pf_made", name="night-shift"))))


# -- what a cookie may do --------------------------------------------------------------------------


async def test_the_cookie_counts_on_the_api_where_it_only_reads(browser: httpx.AsyncClient) -> None:
    for endpoint in ENDPOINTS:
        if endpoint.method == "GET" and "{" not in endpoint.path:
            assert (await browser.get(endpoint.path)).status_code == 200, endpoint.path
    body = {"reason": "from another site"}
    for method, path in (("POST", "/phones/VP000001/pause"), ("PUT", "/accounts/a"), ("DELETE", "/keys/a")):
        assert (await browser.request(method, path, json=body)).status_code == 401, path


async def test_a_wrong_key_beside_a_cookie_is_a_wrong_key(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/phones", headers={"Authorization": "Bearer wrong"})).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN},
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://farm.test.evil.test"},
        {},
    ],
    ids=str,
)
async def test_a_form_from_elsewhere_is_refused_even_with_its_token(farm: FakeFarm, headers: dict[str, str]) -> None:
    app = build(farm)
    async with visit(app) as client:
        await sign_in(client)
        token = token_of(await client.get("/"))
        del client.headers["Sec-Fetch-Site"]
        for path in ("/console/sign-out", signin.PATH):
            refused = await client.post(path, data={"csrf": token, "key": KEY}, headers=headers)
            assert refused.status_code == 403, path
            assert "set-cookie" not in refused.headers
            assert "cross_site" in refused.text
        allowed = await client.post("/console/sign-out", data={"csrf": token}, headers={"Origin": ORIGIN})
        assert allowed.status_code == 303


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.method != "GET" and p.path != signin.PATH], ids=lambda p: p.path
)
async def test_every_form_needs_its_session_s_token(browser: httpx.AsyncClient, farm: FakeFarm, page: Page) -> None:
    async with visit(build(farm)) as other:
        await sign_in(other)
        foreign = token_of(await other.get("/"))
    path = page.path.format(phone_id="VP000001", operation="pause", process_id=SOME_ID, event_id=SOME_ID)
    for token in ({}, {"csrf": ""}, {"csrf": "é"}, {"csrf": foreign}):
        refused = await browser.post(path, data={"reason": "test", **token})
        assert refused.status_code == 403
        assert "cross_site" in refused.text
    assert farm.operations == []
    assert farm.cancels == []
    assert farm.processes == {}


async def test_what_is_no_form_is_refused(browser: httpx.AsyncClient) -> None:
    token = {"X-CSRF-Token": token_of(await browser.get("/"))}
    assert (await browser.post("/console/sign-out", json={}, headers=token)).status_code == 415
    kind = {**token, "Content-Type": "application/x-www-form-urlencoded"}
    for body, status in (
        (b"a=%ff%fe", 422),
        (b"a", 422),
        (b"a=" + b"b" * 300_000, 413),
        (b"&".join([b"a=1"] * 600), 422),
    ):
        assert (await browser.post("/console/sign-out", content=body, headers=kind)).status_code == status


@pytest.mark.parametrize("page", [p for p in PAGES if p.scope is not None], ids=lambda p: f"{p.method} {p.path}")
async def test_a_key_without_the_scope_is_told_so_in_words(farm: FakeFarm, page: Page) -> None:
    keys = KeyRing([make_key(KEY, scopes=set(Scope) - {page.scope})])
    async with visit(create_app(farm, keys=keys)) as client:
        await sign_in(client)
        token = token_of(await client.get("/console/nowhere-but-signed-in"))
        if not token:  # the error page of a missing scope carries the token too
            token = token_of(await client.get("/"))
        path = page.path.format(phone_id="VP000001", operation="pause", process_id=SOME_ID, event_id=SOME_ID)
        answer = await client.request(page.method, path, headers={"X-CSRF-Token": token}, **_form(page))
    assert answer.status_code == 403, answer.text
    assert f"missing_scope:{page.scope}" in answer.text
    assert page.fragment or "Your key may not do this" in answer.text


def _form(page: Page) -> dict[str, Any]:
    return {} if page.method == "GET" else {"data": {"reason": "test"}}


# -- every page ------------------------------------------------------------------------------------


async def test_every_page_has_the_strict_policy_and_nothing_inline(browser: httpx.AsyncClient) -> None:
    shown = [await browser.get(p.path) for p in PAGES if p.method == "GET" and not p.fragment and "{" not in p.path]
    shown.append(await browser.get("/console/nowhere"))
    assert len(shown) > 2
    for answer in shown:
        assert answer.headers["content-security-policy"] == pages.POLICY
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        text = answer.text
        assert "<style" not in text
        assert " style=" not in text
        assert "javascript:" not in text
        assert text.count("<script") == text.count("<script src=")
        assert "http://" not in text.replace(ORIGIN, "")
        assert "https://" not in text
    for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'self'"):
        assert part in pages.POLICY
    assert "unsafe" not in pages.POLICY


def test_every_route_is_an_endpoint_or_a_page(farm: FakeFarm) -> None:
    there = {(m, r.path) for r in build(farm).routes if isinstance(r, Route) for m in r.methods or ()}
    assert there == {(e.method, e.path) for e in ENDPOINTS} | {(p.method, p.path) for p in (*PAGES, LAST)}
    assert all(p.path == "/" or p.path.startswith("/console/") for p in PAGES)


async def test_files_are_kept_by_their_hash(browser: httpx.AsyncClient) -> None:
    browser.cookies.clear()
    page = await browser.get(signin.PATH)
    path = page.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    named = await browser.get(path)
    assert (named.status_code, named.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert named.headers["cache-control"] == "public, max-age=31536000, immutable"
    known = await browser.get(path, headers={"If-None-Match": named.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert (await browser.get(path.partition("?")[0])).headers["cache-control"] == "no-cache"
    for bad in ("nothing.css", "..%2fpages.py", "%2e%2e%2fpages.py"):
        assert (await browser.get(f"/console/static/{bad}")).status_code == 404


def test_the_wheel_has_the_console_s_files() -> None:
    root = Path(__file__).parents[3]
    packed = {file.distribution_path for file in WheelBuilder(str(root)).recurse_included_files()}
    mine = root / "phonefarm" / "serve" / "console"
    here = {str(path.relative_to(root)) for part in ("static", "templates") for path in (mine / part).iterdir()}
    assert len(here) > 10
    assert here <= packed


async def test_a_farm_that_is_away_or_broken_is_said_on_a_page(browser: httpx.AsyncClient, farm: FakeFarm) -> None:
    farm.error = ActorUnavailable("away at 10.1.2.3")
    away = await browser.get("/")
    assert away.status_code == 503
    assert away.headers["retry-after"]
    assert "The farm is away for a moment" in away.text
    farm.error = RuntimeError("KeyError at /srv")
    broken = await browser.get("/")
    assert broken.status_code == 500
    assert "Something went wrong inside" in broken.text
    assert "/srv" not in broken.text
    assert "10.1.2.3" not in away.text
