"""Phones that are unfit, unsteady or lost, in a farm of real actors: what they are, why, and what work does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from phonefarm.models.phone import Battery
from phonefarm.models.process import Accepted, OperateCommand, Operation, OperationScope, Target
from phonefarm.models.states import Routing
from phonefarm.settings import Limits, Patience
from tests.farmtools import FakeDevice, LocalFarm, local_farm, submission


async def phone(farm: LocalFarm, phone_id: str = "A") -> dict[str, Any]:
    return await farm.manager.get_phone(phone_id)


async def becomes(farm: LocalFarm, state: str, words: str | None, phone_id: str = "A") -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def reached() -> bool:
        found.update(await phone(farm, phone_id))
        return found["state"] == state and (words is None or words in (found["why"] or ""))

    try:
        await farm.until(reached)
    except TimeoutError:
        raise AssertionError(f"{found['state']}: {found['why']}") from None
    return found


def battery(device: FakeDevice, **values: Any) -> None:
    device.facts = replace(device.facts, battery=Battery(**values))


async def operate(farm: LocalFarm, operation: Operation) -> None:
    command = OperateCommand(scope=OperationScope.PHONE, name="A", operation=operation, reason="r", by="ops")
    await farm.manager.operate(command)


DIRECT = Target(routing=Routing.DIRECT, phone_id="A")


@pytest.mark.fault(27)
async def test_an_empty_battery_holds_work_back_says_why_and_ends_by_itself(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        device = await farm.add_phone("A", check_seconds=0.05)
        battery(device, level=12, temperature=25.0, charging=False)
        await becomes(farm, "checking", "battery at 12 %, needs 20 %")
        (outcome,) = await farm.manager.submit_many([submission(DIRECT)])
        assert isinstance(outcome, Accepted)
        view = await farm.status_of(outcome.process_id, "queued")
        assert view["waiting"]["reason"] == "phone_unfit"
        battery(device, level=12, temperature=25.0, charging=True)
        await farm.status_of(outcome.process_id, "completed")


async def test_limits_are_those_of_the_phone(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        device = await farm.add_phone("A", check_seconds=0.05, limits=Limits(temperature=35))
        battery(device, level=80, temperature=36.0, charging=True)
        await becomes(farm, "checking", "at most 35")


async def test_a_phone_that_comes_and_goes_is_set_apart_and_comes_back_after_clean_checks(
    db_url: str, tmp_path: Path
) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        patience = Patience(losses=3, seconds=600, clean=3)
        await farm.add_phone("A", patience=patience)
        actor = farm.phones["A"]
        for _ in range(3):
            await actor.detach("adb: not connected")
            await actor.attach("A", 1)
            await farm.until(lambda: _settled(farm))
        await becomes(farm, "quarantined", "lost 3 times within 10 minutes")
        (outcome,) = await farm.manager.submit_many([submission(DIRECT)])
        assert isinstance(outcome, Accepted)
        view = await farm.status_of(outcome.process_id, "queued")
        assert view["waiting"]["reason"] == "phone_quarantined"
        for _ in range(2):
            await actor._check(announce=False)
        assert (await phone(farm))["state"] == "available" or (await phone(farm))["state"] == "busy"
        await farm.status_of(outcome.process_id, "completed")


async def _settled(farm: LocalFarm) -> bool:
    return (await phone(farm))["state"] in ("available", "quarantined")


async def test_an_operator_releases_a_phone_that_was_set_apart(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("A")
        await farm.phones["A"].distrust("does not answer; tried without success: reconnect")
        await becomes(farm, "quarantined", "3 more clean checks, or by an operator")
        await operate(farm, Operation.RELEASE)
        await becomes(farm, "available", None)


async def test_an_operator_s_quarantine_outlives_clean_checks(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("A", patience=Patience(clean=1))
        await farm.phones["A"].distrust("flaps")
        await operate(farm, Operation.QUARANTINE)
        await becomes(farm, "quarantined", "by ops")
        await farm.phones["A"]._check(announce=False)
        await becomes(farm, "quarantined", "by ops")


async def test_a_check_without_an_answer_asks_the_host_for_help(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        device = await farm.add_phone("A", check_seconds=0.05)
        device.alive = False
        await becomes(farm, "offline", "check failed")
        await farm.until(lambda: farm.host.asked)
        await farm.phones["A"].distrust("does not answer")
        await becomes(farm, "quarantined", "check failed")
        device.alive = True
        await becomes(farm, "available", None)


async def test_a_farm_that_is_started_anew_gives_every_phone_another_chance(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("A")
        await farm.add_phone("B")
        await farm.phones["A"].distrust("flaps")
        command = OperateCommand(scope=OperationScope.PHONE, name="B", operation=Operation.QUARANTINE, reason="r")
        await farm.manager.operate(command)
        farm.next_run()
        await farm.restart_manager()
        assert (await phone(farm))["state"] == "offline"
        assert (await phone(farm, "B"))["state"] == "quarantined"
