"""Work for phones that are spare is granted by the commit that accepts it; both databases, fake phones."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from phonefarm.actors.ports import FarmChange
from phonefarm.errors import ActorUnavailable
from phonefarm.models.phone import PhoneRow
from phonefarm.models.process import OperateCommand, Operation, OperationScope, Target
from phonefarm.models.queue import Assignment
from phonefarm.models.session import Job
from phonefarm.models.states import Routing
from tests.farmtools import LocalFarm, local_farm, maintenance, submission

pytestmark = pytest.mark.timeout(90)


def claims(farm: LocalFarm, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the items that the router asks for from now on."""
    asked: list[str] = []
    claim = farm.manager.claim

    async def heard(wishes: Sequence[Assignment]) -> list[Job]:
        asked.extend(wish.item_id for wish in wishes)
        return await claim(wishes)

    monkeypatch.setattr(farm.manager, "claim", heard)
    return asked


async def spare(farm: LocalFarm, *names: str) -> None:
    """Until the manager knows that these phones are spare, and no others."""
    await farm.until(lambda: {phone.phone_id for phone in farm.manager._spare} == set(names))


async def one_spare(farm: LocalFarm) -> PhoneRow:
    """The only phone of a farm, as the manager was told of it."""
    await farm.add_phone("P1")
    await spare(farm, "P1")
    (phone,) = farm.manager._spare
    return phone


async def events(farm: LocalFarm, process_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await farm.manager.process_events(process_id))["items"]
    return found


@pytest.mark.parametrize(
    "target",
    [
        Target(routing=Routing.QUEUE),
        Target(routing=Routing.QUEUE, phone_group="rack"),
        Target(routing=Routing.DIRECT, phone_id="P1"),
    ],
    ids=["any", "group", "direct"],
)
async def test_an_idle_phone_gets_its_work_by_the_commit_that_accepts_it(
    db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1", "rack")
        asked = claims(farm, monkeypatch)
        for _ in range(3):
            await spare(farm, "P1")
            order = submission(target)
            await farm.manager.submit_many([order])
            view = await farm.status_of(order.process_id, "completed")
            assert view["attempts"] == 1
            first, second, *_ = await events(farm, order.process_id)
            assert (first["kind"], second["kind"]) == ("process.accepted", "item.claimed")
            assert first["at"] == second["at"], "one transaction has one time"
        assert asked == []


async def test_every_phone_of_a_group_gets_its_item_at_once(
    db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        for name in ("P1", "P2", "P3"):
            await farm.add_phone(name, "rack")
        await spare(farm, "P1", "P2", "P3")
        asked = claims(farm, monkeypatch)
        order = submission(Target(routing=Routing.GROUP, phone_group="rack"))
        await farm.manager.submit_many([order])
        await farm.status_of(order.process_id, "completed")
        assert asked == []
        assert {phone for phone, _, _ in farm.log} == {"P1", "P2", "P3"}


async def test_no_phone_is_spare_while_anything_waits(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        for name in ("P1", "P2"):
            await farm.add_phone(name)
        await spare(farm, "P1", "P2")
        command = OperateCommand(scope=OperationScope.PHONE, name="P2", operation=Operation.PAUSE, reason="r")
        await farm.manager.operate(command)
        await spare(farm, "P1")
        waits = submission(Target(routing=Routing.DIRECT, phone_id="P2"))
        await farm.manager.submit_many([waits])
        await farm.until(lambda: len(farm.router._waiting) == 1)
        order = submission()
        await farm.manager.submit_many([order])
        await farm.status_of(order.process_id, "completed")
        assert farm.manager._spare == (), "the router places what comes meanwhile"


async def test_a_phone_that_was_spare_for_a_router_that_is_gone_is_used_all_the_same(
    db_url: str, tmp_path: Path
) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1")
        await spare(farm, "P1")
        await farm.restart_router()
        order = submission()
        await farm.manager.submit_many([order])
        assert (await farm.status_of(order.process_id, "completed"))["attempts"] == 1


async def test_whatever_races_for_spare_phones_runs_once_and_none_of_them_has_two(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        names = ("P1", "P2", "P3")
        for name in names:
            await farm.add_phone(name)
        await spare(farm, *names)
        orders = [maintenance({"action": "health_check"}, {"action": "screenshot"}) for _ in range(24)]
        await asyncio.gather(*(farm.manager.submit_many([order]) for order in orders))
        for order in orders:
            assert (await farm.status_of(order.process_id, "completed"))["attempts"] == 1
        assert len(farm.log) == 2 * len(orders)
        for name in names:
            mine = [item for phone, item, _ in farm.log if phone == name]
            assert mine[0::2] == mine[1::2], "one item after the other"


async def test_an_answer_of_before_the_last_news_says_nothing(
    db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what is accepted meanwhile, and waits, could be overtaken by what comes after it."""
    async with local_farm(db_url, tmp_path) as farm:
        phone = await one_spare(farm)
        answers: list[asyncio.Future[list[PhoneRow]]] = []

        async def changed(_change: FarmChange) -> list[PhoneRow]:
            answers.append(asyncio.get_running_loop().create_future())
            return await answers[-1]

        monkeypatch.setattr(farm.router, "changed", changed)
        first = asyncio.create_task(farm.manager._tell_news(FarmChange(), farm.manager._stir()))
        await farm.until(lambda: len(answers) == 1)
        assert farm.manager._spare == (), "not before the answer"
        await farm.manager.submit_many([submission()])
        await farm.until(lambda: len(answers) == 2)
        answers[0].set_result([phone])
        await first
        assert farm.manager._spare == ()
        answers[1].set_result([phone])
        await spare(farm, "P1")


async def test_a_router_that_missed_something_knows_of_no_spare_phones(
    db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not know who waits."""
    async with local_farm(db_url, tmp_path) as farm:
        phone = await one_spare(farm)
        hears = asyncio.Event()

        async def changed(change: FarmChange) -> list[PhoneRow]:
            if (change.waiting or change.missed) and not hears.is_set():
                raise ActorUnavailable("lost on the way there")
            return [phone]

        monkeypatch.setattr(farm.router, "changed", changed)
        farm.manager._take_spare()
        await farm.manager.submit_many([submission()])
        await farm.until(lambda: farm.manager._missed is not None)
        await farm.manager._tell_news(FarmChange(), farm.manager._stir())
        assert farm.manager._spare == ()
        hears.set()
        await farm.until(lambda: farm.manager._missed is None)
        await farm.manager._tell_news(FarmChange(), farm.manager._stir())
        await spare(farm, "P1")
