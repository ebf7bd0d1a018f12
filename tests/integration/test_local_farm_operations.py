"""Operators at work on a whole farm: holds, checks, the screen, the queue, patched accounts; both databases."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from phonefarm.errors import Conflict, DeviceLost, NotFound, ValidationFailed
from phonefarm.models.process import (
    AccountCommand,
    AccountPatch,
    OperateCommand,
    Operation,
    OperationScope,
    Options,
    Target,
)
from phonefarm.models.states import Routing
from tests.farmtools import AUTHORISED, FakeDevice, LocalFarm, local_farm, maintenance, submission

pytestmark = pytest.mark.timeout(90)


async def operate(
    farm: LocalFarm, operation: str, name: str = "P1", scope: OperationScope = OperationScope.PHONE
) -> list[dict[str, Any]]:
    command = OperateCommand(scope=scope, name=name, operation=Operation(operation), reason="r", by="ops")
    return await farm.manager.operate(command)


async def running(farm: LocalFarm, device: FakeDevice) -> str:
    """A process that runs on a phone and stays there until the gate is opened."""
    device.gate.clear()
    order = submission()
    await farm.manager.submit_many([order])
    await asyncio.to_thread(device.started.wait, 20)
    await farm.status_of(order.process_id, "executing")  # its start is told beside its first action
    return order.process_id


async def reason_of(farm: LocalFarm, process_id: str, reason: str) -> None:
    """Wait until the process waits for this reason."""

    async def holds() -> bool:
        waiting = (await farm.manager.get_process(process_id))["waiting"]
        return waiting is not None and waiting["reason"] == reason

    await farm.until(holds)


async def test_a_drained_phone_ends_its_item_then_waits_for_its_operator(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        device = await farm.add_phone("P1")
        process_id = await running(farm, device)
        (phone,) = await operate(farm, "drain")
        assert (phone["state"], phone["draining"], phone["wanted"]["state"]) == ("busy", True, "paused")
        order = submission()
        await farm.manager.submit_many([order])
        await reason_of(farm, order.process_id, "phone_draining")
        device.gate.set()
        await farm.status_of(process_id, "completed")
        await farm.until(lambda: farm._state_is("P1", "paused"))
        await reason_of(farm, order.process_id, "phone_paused")
        await operate(farm, "resume")
        assert (await farm.status_of(order.process_id, "completed"))["attempts"] == 1


async def test_a_drain_survives_the_manager_and_the_router(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        device = await farm.add_phone("P1")
        process_id = await running(farm, device)
        await operate(farm, "drain")
        await farm.restart_manager()
        await farm.restart_router()
        order = submission()
        await farm.manager.submit_many([order])
        await reason_of(farm, order.process_id, "phone_draining")
        device.gate.set()
        await farm.status_of(process_id, "completed")
        await reason_of(farm, order.process_id, "phone_paused")


async def test_quarantine_breaks_off_what_runs_and_it_goes_on_elsewhere(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        device = await farm.add_phone("P1")
        process_id = await running(farm, device)
        await farm.add_phone("P2")
        await operate(farm, "quarantine")
        view = await farm.status_of(process_id, "completed", "cancelled", "failed_terminal")
        assert (view["status"], view["attempts"], view["items"][0]["phone_id"]) == ("completed", 2, "P2")
        phone = await farm.manager.get_phone("P1")
        assert (phone["state"], phone["why"]) == ("quarantined", "quarantined: r (by ops)")
        assert ("P1", "leave") in {(p, item) for p, item, _ in farm.log}, "the phone was left tidy"


async def test_a_retired_phone_comes_back_through_a_check(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        device = await farm.add_phone("P1")
        await operate(farm, "retire")
        await farm.until(lambda: farm.router._phones["P1"].state.value == "retired")
        (answer,) = await farm.manager.submit_many([submission(Target(routing=Routing.DIRECT, phone_id="P1"))])
        assert isinstance(answer, Conflict)
        device.alive = False
        (phone,) = await operate(farm, "release")
        assert phone["state"] == "checking"
        await farm.until(lambda: farm._state_is("P1", "offline"))
        device.alive = True
        await farm.phones["P1"].check()
        await farm.until(lambda: farm._state_is("P1", "available"))


async def test_a_resume_of_a_phone_that_went_away_says_that_it_is_away(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1")
        await operate(farm, "pause")
        await farm.phones["P1"].detach("adb: offline")
        assert (await farm.manager.get_phone("P1"))["state"] == "paused"
        (phone,) = await operate(farm, "resume")
        assert phone["state"] == "offline"
        await farm.until(lambda: _why_is(farm, "P1", "not connected"))


async def _why_is(farm: LocalFarm, phone_id: str, why: str) -> bool:
    return bool((await farm.manager.get_phone(phone_id))["why"] == why)


async def test_hosts_and_groups(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1", "rack")
        await farm.add_phone("P2", host="other")
        assert [p["phone_id"] for p in await operate(farm, "drain", "rack", OperationScope.GROUP)] == ["P1"]
        assert [p["phone_id"] for p in await operate(farm, "drain", "other", OperationScope.HOST)] == ["P2"]
        assert await operate(farm, "drain", "spare", OperationScope.HOST) == []
        assert await operate(farm, "drain", "empty", OperationScope.GROUP) == []
        for scope in (OperationScope.HOST, OperationScope.GROUP, OperationScope.PHONE):
            with pytest.raises(NotFound, match=f"unknown_{scope.value}:nobody"):
                await operate(farm, "drain", "nobody", scope)
        with pytest.raises(Conflict, match="operation_not_possible:release:paused"):
            await operate(farm, "release")


async def test_the_screen_can_be_seen_while_a_session_runs(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        device = await farm.add_phone("P1")
        await running(farm, device)
        assert (await farm.phones["P1"].screen()).startswith(b"\x89PNG")
        await farm.phones["P1"].detach("adb: offline")
        with pytest.raises(DeviceLost):
            await farm.phones["P1"].screen()


async def test_a_phone_that_went_and_came_back_during_its_session_is_checked_at_its_end(
    db_url: str, tmp_path: Path
) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        device = await farm.add_phone("P1")
        device.gate.clear()
        order = maintenance({"action": "reboot"}, {"action": "health_check"})
        await farm.manager.submit_many([order])
        await asyncio.to_thread(device.started.wait, 20)
        await farm.phones["P1"].detach("adb: offline")
        assert (await farm.manager.get_phone("P1"))["state"] == "offline"
        await farm.phones["P1"].attach("P1", 1)
        device.gate.set()
        view = await farm.status_of(order.process_id, "completed", "failed_terminal")
        assert [s["status"] for s in view["result"]["steps"]] == ["done", "done"], "a reboot is not a lost phone"
        await farm.until(lambda: farm._state_is("P1", "available"))


async def test_the_queue_is_shown_in_claim_order_with_reasons_and_to_each_system_its_own(
    db_url: str, tmp_path: Path
) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1")
        await operate(farm, "pause")
        orders = [submission(options=Options(priority=p)) for p in (1, 9, 5)]
        later = submission(options=Options(priority=9, not_before=2**42))
        other = submission(requested_by={"system": "other", "user": None, "metadata": {}})
        await farm.manager.submit_many([*orders, later, other])
        await farm.until(lambda: len(farm.router._waiting) == 5)
        page = await farm.manager.queue(limit=3)
        names = {
            o.process_id: n for o, n in zip([*orders, later, other], ["low", "top", "mid", "later", "x"], strict=True)
        }
        assert [names[i["process_id"]] for i in page["items"]] == ["top", "mid", "x"]
        rest = await farm.manager.queue(limit=3, cursor=page["next_cursor"])
        assert [names[i["process_id"]] for i in rest["items"]] == ["low", "later"]
        assert rest["next_cursor"] is None
        assert [i["position"] for i in [*page["items"], *rest["items"]]] == [1, 2, 3, 4, 5]
        assert [i["reason"] for i in rest["items"]] == ["phone_paused", "not_before"]
        assert rest["items"][1]["next_attempt_at"] == rest["items"][1]["ready_at"] == "2109-05-15T07:35:11.104Z"
        mine = await farm.manager.queue(limit=3, system="tests")
        assert [names[i["process_id"]] for i in mine["items"]] == ["top", "mid", "low"]
        rest = await farm.manager.queue(limit=3, system="tests", cursor=mine["next_cursor"])
        assert [names[i["process_id"]] for i in rest["items"]] == ["later"]
        for cursor in ("nonsense", mine["next_cursor"]):
            with pytest.raises(ValidationFailed):
                await farm.manager.queue(cursor=cursor)


async def test_a_patched_account_is_known_at_once(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1")
        await farm.manager.put_account(AccountCommand(account_id="soup", phone_id="P1", authorization=AUTHORISED))
        view = await farm.manager.patch_account(AccountPatch(account_id="soup", changes={"active": True}))
        assert (view["active"], view["phone_id"]) == (True, "P1")
        order = submission(Target(routing=Routing.DIRECT, account_id="soup"))
        await farm.until(lambda: "soup" in farm.router._accounts and farm.router._accounts["soup"].active)
        await farm.manager.submit_many([order])
        assert (await farm.status_of(order.process_id, "completed"))["items"][0]["account_id"] == "soup"


@pytest.mark.fault(34)
async def test_a_spent_account_group_waits_for_midnight_whatever_the_clock_does(db_url: str, tmp_path: Path) -> None:
    day = 86_400_000
    time = [20_000 * day]
    async with local_farm(db_url, tmp_path, clock=lambda: time[0]) as farm:
        await farm.add_phone("P1")
        command = AccountCommand(
            account_id="soup", phone_id="P1", group="g", active=True, authorization=AUTHORISED,
            daily_limits={"sessions": 1},
        )  # fmt: skip
        await farm.manager.put_account(command)
        await farm.until(lambda: "soup" in farm.router._accounts)
        target = Target(routing=Routing.QUEUE, account_group="g")
        first, second, third = (submission(target) for _ in range(3))
        await farm.manager.submit_many([first])
        await farm.status_of(first.process_id, "completed")
        await farm.manager.submit_many([second, third])
        await reason_of(farm, second.process_id, "account_daily_limit")
        await farm.restart_manager()
        await farm.restart_router()
        await reason_of(farm, second.process_id, "account_daily_limit")
        view = await farm.manager.get_process(second.process_id)
        assert view["waiting"]["next_attempt_at"] == "2024-10-05T00:00:00.000Z"
        time[0] += day  # nobody wakes the router: it looks at the clock by itself
        await farm.status_of(second.process_id, "completed")
        time[0] -= day
        await reason_of(farm, third.process_id, "account_daily_limit")
        time[0] += 2 * day
        await farm.status_of(third.process_id, "completed")
