"""Two USB phones with one serial: adb itself cannot tell them apart. No real adb server can be made to list such twins
without cables, so its answers are played here; everything else of a host is in ``test_host_ladder``."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from phonefarm.actors import host as hosts
from phonefarm.actors.host import HostActor, HostConfig
from phonefarm.devices.probe import Identity
from phonefarm.devices.tracker import DUPLICATE
from phonefarm.errors import ActorUnavailable, DeviceTimeout
from phonefarm.models.phone import Claim
from phonefarm.models.states import PhoneState
from tests.integration.test_host_ladder import Heard, Told

pytestmark = pytest.mark.timeout(30)


class PlayedAdb:
    """An adb server whose lists a test writes."""

    port = 1

    def __init__(self) -> None:
        self.lists: queue.Queue[dict[str, str] | None] = queue.Queue()
        self.dumb = False

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def end_tracking(self) -> None:
        self.lists.put(None)

    def track(self) -> Iterator[Mapping[str, str]]:
        while (seen := self.lists.get()) is not None:
            yield seen

    def identify(self, serial: str, timeout: float = 1.0) -> Identity:
        if self.dumb:
            raise DeviceTimeout("no answer")
        return Identity(phone_id=serial, body=serial)

    def strangers(self) -> tuple[str, ...]:
        return ()

    def connect(self, address: str, timeout: float = 1.0) -> str:
        return address

    def reconnect(self, serial: str) -> None: ...
    def disconnect(self, address: str) -> None: ...
    def restart(self) -> None: ...
    def reboot(self, serial: str) -> None: ...


class OneHome:
    """The one phone's actor lives here."""

    def __init__(self, heard: Heard) -> None:
        self.heard = heard
        self.asked = 0
        self.away = 0  # so many calls more find the actor away
        self.broken = 0  # so many calls more fail as nobody foresaw

    async def here(self, phone_id: str, _serial: str, _body: str) -> Heard:
        assert phone_id == "A"
        self.asked += 1
        if self.broken:
            self.broken -= 1
            raise ValueError("the name is taken")
        if self.away:
            self.away -= 1
            raise ActorUnavailable("it starts")
        return self.heard

    async def mine(self, _phone_id: str) -> Heard:
        return self.heard


@asynccontextmanager
async def seeing(home: OneHome, told: Told | None = None) -> AsyncIterator[tuple[HostActor, PlayedAdb]]:
    """A host that sees the phone A."""
    adb = PlayedAdb()
    manager: Any = told or Told()
    host = HostActor(HostConfig(name="h", usb=True), adb=adb, manager=manager, homes=home)  # type: ignore[arg-type]
    await host.start()
    try:
        adb.lists.put({"A": "device"})
        await attached(home, 1)
        yield host, adb
    finally:
        await host.shutdown()


async def attached(home: OneHome, times: int) -> None:
    while len(home.heard.attached) < times:
        await asyncio.sleep(0.01)


@pytest.mark.fault(21)
async def test_a_known_phone_that_gets_a_twin_is_set_apart_and_an_unknown_one_is_shown() -> None:
    told, home = Told(), OneHome(heard := Heard())
    async with seeing(home, told) as (host, adb):
        adb.lists.put({"A": DUPLICATE, "B": DUPLICATE})
        while not (heard.distrusted and told.phones):
            await asyncio.sleep(0.01)
        assert "cannot tell them apart" in heard.distrusted[0]
        assert (told.phones[0].phone_id, told.phones[0].state) == ("B", PhoneState.QUARANTINED)
        assert await host.whereis("A") is None
        adb.lists.put({"A": "device"})
        await attached(home, 2)


@pytest.mark.fault(20)
async def test_a_phone_that_was_let_go_since_it_did_not_answer_is_seen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another host asks for it while it hangs here: it may be two phones, so it is looked at again when it answers."""
    monkeypatch.setattr(hosts, "_CONTESTED_SECONDS", 0.05)
    home = OneHome(Heard())
    async with seeing(home) as (host, adb):
        adb.dumb = True
        assert await host.contest("A", "h2: A", "another body") is Claim.FREE
        adb.dumb = False
        while home.asked < 2:
            await asyncio.sleep(0.01)


@pytest.mark.fault(21)
async def test_a_twin_elsewhere_sets_the_phone_apart_even_if_its_actor_is_away_at_first() -> None:
    """The other host goes on asking; the phone is told as soon as its actor can be."""
    home = OneHome(heard := Heard())
    async with seeing(home) as (host, _adb):
        home.away = 2
        while not heard.distrusted:
            assert await host.contest("A", "h2: A", "another body") is Claim.TWIN
            await asyncio.sleep(0.01)
        assert "h2: A" in heard.distrusted[0]
        assert not home.away


@pytest.mark.fault(21)
async def test_a_phone_whose_twin_left_comes_back_even_if_its_actor_is_away_at_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosts, "_CONTESTED_SECONDS", 0.05)
    home = OneHome(heard := Heard())
    async with seeing(home) as (host, _adb):
        assert await host.contest("A", "h2: A", "another body") is Claim.TWIN
        while not heard.distrusted:
            await asyncio.sleep(0.001)
        home.away = 1
        await attached(home, 2)


@pytest.mark.fault(21)
async def test_a_host_whose_phone_is_gone_says_no_more_that_there_are_two() -> None:
    """The other host has the phone's actor by then, and takes the phone for the only one that it is."""
    home = OneHome(heard := Heard())
    async with seeing(home) as (host, adb):
        home.away = 1_000_000
        assert await host.contest("A", "h2: A", "another body") is Claim.TWIN
        while home.asked < 2:
            await asyncio.sleep(0.01)
        adb.lists.put({})
        while host._serials:
            await asyncio.sleep(0.01)
        home.away = 0
        while host._contested["A"]:
            await asyncio.sleep(0.01)
        assert not heard.distrusted


async def test_a_phone_is_adopted_even_if_that_fails_at_first_as_nobody_foresaw() -> None:
    """It stays plugged in, so nothing else would make its host look at it again."""
    home = OneHome(Heard())
    home.broken = 2
    async with seeing(home):
        assert home.asked == 3
