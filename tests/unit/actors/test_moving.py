"""Where a phone's actor lives: every way a phone can turn up on a host while its actor lives on another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from phonefarm.actors.moving import Means, Moving, PhoneElsewhere
from phonefarm.errors import ActorUnavailable, NotFound, PhoneFarmError
from phonefarm.models.phone import Claim

pytestmark = pytest.mark.timeout(10)


class World:
    """One phone, its actor, the other host and the manager; ``log`` lists what was done to the actor."""

    def __init__(self) -> None:
        self.home: str | None = None  # where the actor lives; None: there is none
        self.answers = True
        self.retires = True
        self.claim: Claim | None = Claim.FREE  # of the other host; None: it does not answer
        self.recorded: str | None = None
        self.why: str | None = None
        self.slow = 0  # questions that a new actor does not answer
        self.starting = 0
        self.log: list[str] = []
        self.asked: list[tuple[str, str, str]] = []

    def moving(self, name: str = "here", lease_seconds: float = 0.0) -> Moving:
        async def make(_phone_id: str) -> bool:
            if self.home is not None:
                return False
            self.home, self.answers = name, True
            self.starting = self.slow
            self.log.append("made")
            return True

        async def end(_phone_id: str) -> None:
            self.home = None
            self.log.append("ended")

        means: Any = Means(
            manager=self,  # type: ignore[arg-type]
            phone=lambda _phone_id: _Phone(self),  # type: ignore[arg-type,return-value]
            host=lambda _name: self,  # type: ignore[arg-type,return-value]
            make=make,
            end=end,
        )
        return Moving(name, means, lease_seconds=lease_seconds, cores=4)

    async def get_phone(self, _phone_id: str) -> dict[str, Any]:
        if self.recorded is None:
            raise NotFound("unknown_phone", "unknown_phone")
        return {"host": self.recorded}

    async def list_hosts(self) -> list[dict[str, Any]]:
        return [{"host": "there", "why": self.why}]

    async def contest(self, phone_id: str, by: str, body: str) -> Claim:
        self.asked.append((phone_id, by, body))
        if self.claim is None:
            raise ActorUnavailable("away")
        return self.claim


class _Phone:
    def __init__(self, world: World) -> None:
        self._world = world

    async def home(self) -> str:
        if self._world.starting:
            self._world.starting -= 1
            raise ActorUnavailable("it starts")
        if self._world.home is None or not self._world.answers:
            raise ActorUnavailable("away")
        return self._world.home

    async def retire(self, _why: str) -> None:
        if not self._world.retires:
            raise ActorUnavailable("away")
        self._world.log.append("retired")


async def adopt(moving: Moving) -> Any:
    """As a host does: again, as long as the phone is seen."""
    for _ in range(3):
        try:
            return await moving.here("P", "serial", "body")
        except PhoneFarmError as error:
            last = error
    raise last


async def test_a_new_phone_gets_an_actor_here() -> None:
    world = World()
    await adopt(world.moving())
    assert (world.home, world.log) == ("here", ["made"])
    await adopt(world.moving())
    assert world.log == ["made"]
    assert await world.moving().mine("P") is not None
    assert await world.moving("there").mine("P") is None


class Start:
    """A new actor of many: it answers once it is let."""

    def __init__(self) -> None:
        self.up = asyncio.Event()

    async def home(self) -> str:
        await self.up.wait()
        return "here"


@pytest.mark.parametrize(("cores", "at_once"), [(1, 2), (2, 2), (6, 6)])
async def test_of_a_whole_rack_as_many_actors_start_at_a_time_as_the_host_has_cores(cores: int, at_once: int) -> None:
    started: dict[str, Start] = {}

    async def make(phone_id: str) -> bool:
        started[phone_id] = Start()
        return True

    means: Any = Means(manager=None, phone=started.__getitem__, host=None, make=make, end=None)  # type: ignore[arg-type]
    moving = Moving("here", means, lease_seconds=0.0, cores=cores)
    names = [f"P{number}" for number in range(at_once + 2)]
    rack = [asyncio.ensure_future(moving.here(name, "serial", "body")) for name in names]
    for more in range(3):
        while len(started) < at_once + more:
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(started) == at_once + more, "one more only when one is up"
        started[names[more]].up.set()
    for start in started.values():
        start.up.set()
    assert len(await asyncio.gather(*rack)) == len(names)


async def test_a_phone_that_its_host_has_lost_moves_and_the_old_actor_confirms_first() -> None:
    world = World()
    world.home = "there"
    await adopt(world.moving(lease_seconds=60.0))  # confirmed, so nothing is waited for
    assert (world.home, world.log) == ("here", ["retired", "ended", "made"])
    assert world.asked == [("P", "here: serial", "body")]


async def test_a_new_actor_that_takes_its_time_is_not_taken_for_a_lost_one() -> None:
    world = World()
    world.home, world.recorded, world.slow = "there", "there", 3
    await adopt(world.moving(lease_seconds=60.0))
    assert (world.home, world.log) == ("here", ["retired", "ended", "made"])
    fresh = World()
    fresh.recorded, fresh.slow = "there", 3
    await adopt(fresh.moving(lease_seconds=60.0))
    assert (fresh.home, fresh.log) == ("here", ["made"])


@pytest.mark.parametrize("claim", [Claim.SAME, Claim.TWIN])
async def test_a_phone_that_its_host_still_has_stays_there(claim: Claim) -> None:
    world = World()
    world.home, world.claim = "there", claim
    with pytest.raises(PhoneElsewhere):
        await adopt(world.moving())
    assert (world.home, world.log) == ("there", [])


async def test_a_host_that_does_not_answer_keeps_its_phone_while_its_actor_answers() -> None:
    world = World()
    world.home, world.claim, world.why = "there", None, "not heard of for 9 s"
    with pytest.raises(PhoneElsewhere):
        await adopt(world.moving())
    assert world.log == []


async def test_a_host_that_was_given_up_loses_its_phone_after_a_lease_term(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        assert world.log == ["ended"], "no new actor before the old one's lease is over"
        waited.append(seconds)

    monkeypatch.setattr("phonefarm.actors.moving.asyncio.sleep", sleep)
    world.home, world.answers, world.claim, world.recorded = "there", False, None, "there"
    with pytest.raises(PhoneElsewhere):
        await adopt(world.moving(lease_seconds=7.0))
    assert world.log == [], "not given up yet"
    world.why = "not heard of for more than 9 s: look at its power"
    await adopt(world.moving(lease_seconds=7.0))
    assert (world.home, world.log, waited) == ("here", ["ended", "made"], [7.0])


async def test_an_actor_that_does_not_confirm_its_end_costs_a_lease_term(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("phonefarm.actors.moving.asyncio.sleep", sleep)
    world.home, world.retires = "there", False
    await adopt(world.moving(lease_seconds=7.0))
    assert (world.log, waited) == (["ended", "made"], [7.0])


@pytest.mark.parametrize("recorded", [None, "here"])
async def test_an_actor_of_ours_that_still_starts_is_waited_for(recorded: str | None) -> None:
    world = World()
    world.home, world.answers, world.recorded = "here", False, recorded
    with pytest.raises(ActorUnavailable):
        await adopt(world.moving())
    assert world.log == []
