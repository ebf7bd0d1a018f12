"""Looking at all phones: one watcher for everybody, none for nobody; pictures that are taken once for all."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image

from phonefarm.errors import ActorUnavailable, Conflict, DeviceLost, PhoneFarmError
from phonefarm.models.process import KeyCommand
from phonefarm.serve import live_keys
from phonefarm.serve.app import create_app
from phonefarm.serve.auth import digest_of
from phonefarm.serve.console import shots, signin
from phonefarm.serve.console.shots import FORGET_SECONDS, FRESH_SECONDS, Shots
from phonefarm.serve.console.watch import Picture, Watch
from phonefarm.serve.screens import Screens
from tests.contract.bad_requests import KEY
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import key_ring
from tests.unit.serve.server import served

pytestmark = pytest.mark.timeout(60)


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


# -- the watcher -----------------------------------------------------------------------------------


class Reader:
    """Somebody who looks; ``seen`` grows."""

    def __init__(self, watch: Watch) -> None:
        self.seen: list[Picture] = []
        self._task = asyncio.create_task(self._look(watch))

    async def _look(self, watch: Watch) -> None:
        pictures = watch.pictures()
        async with contextlib.aclosing(pictures):  # type: ignore[type-var]
            async for picture in pictures:
                self.seen.append(picture)

    def states(self) -> list[str]:
        return [picture.phones["VP000001"]["state"] for picture in self.seen]

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_nobody_who_looks_costs_nothing_and_many_cost_as_much_as_one(farm: FakeFarm) -> None:
    watch = Watch(farm, apart=0.0)
    assert farm.commit_waits == 0
    first, second = Reader(watch), Reader(watch)
    await until(lambda: first.seen and second.seen)
    waits = farm.commit_waits
    await farm.commit("VP000001", state="busy")
    await until(lambda: first.states()[-1] == second.states()[-1] == "busy")
    assert farm.commit_waits == waits + 1
    await first.leave()
    await farm.commit("VP000001", state="paused")
    await until(lambda: second.states()[-1] == "paused")
    await second.leave()
    assert watch.readers == 0
    assert not watch.knows("VP000001")
    waits = farm.commit_waits
    await farm.commit("VP000001", state="busy")
    for _ in range(20):
        await asyncio.sleep(0)
    assert farm.commit_waits == waits
    third = Reader(watch)
    await until(lambda: third.seen)
    assert third.states() == ["busy"]
    await third.leave()


async def test_what_does_not_change_a_phone_is_no_new_picture_but_readers_are_called_from_time_to_time(
    farm: FakeFarm,
) -> None:
    reader = Reader(watch := Watch(farm, apart=0.0, beat=0.05))
    await until(lambda: len(reader.seen) > 2)
    assert {picture.number for picture in reader.seen} == {1}
    assert watch.knows("VP000002")
    await reader.leave()


@pytest.mark.parametrize("error", [ActorUnavailable("away"), RuntimeError("a bug")], ids=["away", "bug"])
async def test_a_farm_that_is_away_is_said_so_and_its_phones_stay_as_they_were_known(
    farm: FakeFarm, error: Exception
) -> None:
    reader = Reader(Watch(farm, apart=0.01, beat=0.01))
    await until(lambda: reader.seen)
    farm.error = error
    await until(lambda: reader.seen[-1].away)
    assert reader.states()[-1] == "available"
    farm.error = None
    await until(lambda: not reader.seen[-1].away)
    await reader.leave()


# -- pictures --------------------------------------------------------------------------------------


def png(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (600, 1200), colour).save(out, "PNG")
    return out.getvalue()


class Phone:
    """A screen that can be looked at; ``looks`` counts."""

    def __init__(self) -> None:
        self.looks = 0
        self.png = png("red")
        self.error: PhoneFarmError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def screen(self) -> bytes:
        self.looks += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.png


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def looking(phone: Phone) -> tuple[Shots, Clock]:
    clock = Clock()
    return Shots(Screens(lambda _name: phone), clock=clock), clock  # type: ignore[arg-type, return-value]


async def test_a_phone_is_asked_once_however_many_look(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = Phone()
    here, clock = looking(phone)
    found = await asyncio.gather(*(here.jpeg("A", width) for width in (240, 240, 240, 480)))
    assert phone.looks == 1
    small, large = (Image.open(io.BytesIO(shot.data)) for shot in (found[0], found[3]))
    assert (small.format, small.size, large.size) == ("JPEG", (240, 480), (480, 960))
    assert found[0].tag == found[1].tag != found[3].tag
    clock.now += FRESH_SECONDS / 2
    await here.jpeg("A", 240)
    assert phone.looks == 1
    clock.now += FRESH_SECONDS
    rendered: list[int] = []

    def render(_png: bytes, width: int) -> bytes:
        rendered.append(width)
        return b"new"

    monkeypatch.setattr(shots, "_small", render)
    assert (await here.jpeg("A", 240)).tag == found[0].tag
    assert (phone.looks, rendered) == (2, [])
    clock.now += 2 * FRESH_SECONDS
    phone.png = png("blue")
    changed = await here.jpeg("A", 240)
    assert changed.tag != found[0].tag
    assert (changed.data, rendered) == (b"new", [240])


async def test_what_nobody_asks_for_any_more_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    here, clock = looking(Phone())
    await here.jpeg("A", 240)
    clock.now += 2 * FRESH_SECONDS
    await here.jpeg("B", 240)
    assert here._kept["A"].png == b""
    assert here._kept["B"].png
    clock.now += FORGET_SECONDS
    await here.jpeg("B", 240)
    assert set(here._kept) == {"B"}


@pytest.mark.parametrize(
    ("error", "code"), [(DeviceLost("gone"), "device_lost"), (ActorUnavailable("dead"), "actor_unavailable")]
)
async def test_a_phone_that_cannot_be_seen_is_a_named_refusal(error: PhoneFarmError, code: str) -> None:
    phone = Phone()
    phone.error = error
    here, clock = looking(phone)
    with pytest.raises(Conflict, match=f"phone_not_reachable:{code}"):
        await here.jpeg("A", 240)
    phone.error, phone.png = None, b"no picture"
    with pytest.raises(Conflict, match="phone_not_reachable:bad_screen"):
        await here.jpeg("A", 240)
    phone.png = png("red")
    clock.now += 2 * FRESH_SECONDS
    assert (await here.jpeg("A", 240)).data[:2] == b"\xff\xd8"


async def test_a_slow_phone_is_not_waited_for_and_not_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shots, "PATIENCE_SECONDS", 0.01)
    phone = Phone()
    phone.gate.clear()
    here, _ = looking(phone)
    for _ in range(3):
        with pytest.raises(Conflict, match="no_picture_in_time"):
            await here.jpeg("A", 240)
    assert phone.looks == 1
    monkeypatch.setattr(shots, "PATIENCE_SECONDS", 20)
    waiting = asyncio.create_task(here.jpeg("A", 240))
    await asyncio.sleep(0)
    phone.gate.set()
    assert (await waiting).data
    assert phone.looks == 1


# -- over the wire ---------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def signed_in(app: FastAPI, key: str = KEY) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app on a real socket, with a session of ``key``; news is not held back."""
    app.state.looking.watch._apart = 0.0
    async with served(app) as url, httpx.AsyncClient(base_url=url, headers={"Origin": url}, timeout=30) as client:
        assert (await client.post(signin.PATH, data={"key": key})).status_code == 303
        yield client


async def frames(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def test_the_wall_is_told_what_it_shows_and_then_only_what_changes(farm: FakeFarm) -> None:
    app = create_app(farm, keys=key_ring())
    async with signed_in(app) as client, client.stream("GET", "/console/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = frames(answer)
        first = await anext(told)
        assert sorted(first["tiles"]) == first["all"] == ["VP000001", "VP000002"]
        await farm.commit("VP000002", last_seen="2026-11-25T00:00:00.000Z")  # no tile shows that
        await farm.commit("VP000002", state="busy", why="<b>&")
        change = await anext(told)
        assert list(change["tiles"]) == ["VP000002"]
        assert "t-busy" in change["tiles"]["VP000002"]
        assert "<b>" not in change["tiles"]["VP000002"]
        assert "s-busy" in change["summary"]
        async with client.stream("GET", "/console/events?state=busy") as filtered:
            only = frames(filtered)
            assert (await anext(only))["all"] == ["VP000002"]
            await farm.commit("VP000002", state="available")
            left = await anext(only)
            assert (left["all"], left["tiles"]) == ([], {})
        assert app.state.desk.held[0] >= 1
    await until(lambda: app.state.desk.held == [0] and app.state.looking.watch.readers == 0)


async def test_a_stream_ends_with_the_key_it_began_with(farm: FakeFarm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_keys, "FRESH_SECONDS", 0.0)
    made = KeyCommand(name="night", digest=digest_of(b"pf_night").hex(), scopes=("read",), system=None)
    await farm.create_key(made)
    app = create_app(farm, keys=key_ring())
    async with signed_in(app, "pf_night") as client, client.stream("GET", "/console/events") as answer:
        told = frames(answer)
        await anext(told)
        await farm.revoke_key("night")
        await farm.commit("VP000001", state="busy")
        assert [change async for change in told] == []
        assert (await client.get("/console/whoami")).status_code == 401


async def test_a_phone_s_page_is_told_that_the_phone_has_changed_but_not_of_its_lease(farm: FakeFarm) -> None:
    async with signed_in(create_app(farm, keys=key_ring())) as client:
        assert (await client.get("/console/events/nobody")).status_code == 404
        async with client.stream("GET", "/console/events/VP000001") as answer:
            told = frames(answer)
            await farm.commit("VP000001", lease={"attempt": 1, "expires_at": None})
            await asyncio.sleep(0)
            await farm.commit("VP000002", state="busy")
            waiting = asyncio.ensure_future(anext(told))
            await until(lambda: farm.commit_waits > 2)
            assert not waiting.done()
            await farm.commit("VP000001", state="busy")
            assert await waiting == {"changed": True}


async def test_a_picture_over_the_wire(farm: FakeFarm) -> None:
    phone = Phone()
    app = create_app(farm, keys=key_ring(), phone=lambda _name: phone)  # type: ignore[arg-type, return-value]
    async with signed_in(app) as client:
        first = await client.get("/console/screens/VP000001?width=240")
        assert (first.status_code, first.headers["content-type"]) == (200, "image/jpeg")
        same = await client.get("/console/screens/VP000001?width=240", headers={"If-None-Match": first.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        for path, status in (("VP000001?width=241", 422), ("nobody", 404), ("nobody?width=x", 422)):
            bad = await client.get(f"/console/screens/{path}")
            assert (bad.status_code, bad.headers["content-type"]) == (status, "application/problem+json")
        phone.error = DeviceLost("gone")
        app.state.looking.shots._kept.clear()
        assert (await client.get("/console/screens/VP000001")).json()["detail"] == "phone_not_reachable:device_lost"
