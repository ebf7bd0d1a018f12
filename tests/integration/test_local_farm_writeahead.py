"""What must not be done twice, on a whole farm whose parts die in the middle of it; both databases."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa

from phonefarm.core.leases import LeaseTerms
from phonefarm.errors import ActionTimedOut, CommandFailed, DeviceLost, PhoneFarmError
from phonefarm.models.action import ActionKind
from phonefarm.models.process import CancelCommand, Submission
from phonefarm.models.states import CancelStrategy
from phonefarm.store import tables
from tests.farmtools import FakeDevice, LocalFarm, counts, local_farm, maintenance

pytestmark = pytest.mark.timeout(90)


async def rebooting(farm: LocalFarm, device: FakeDevice) -> Submission:
    """Maintenance whose phone is in the middle of its reboot."""
    device.gate.clear()
    order = maintenance({"action": "reboot"}, {"action": "health_check"})
    await farm.manager.submit_many([order])
    await asyncio.to_thread(device.started.wait, 20)
    return order


async def statuses(farm: LocalFarm, order: Submission) -> list[str]:
    query = sa.select(tables.actions.c.status).where(tables.actions.c.process_id == order.process_id)
    return await farm.manager._db.read(lambda c: list(c.execute(query.order_by(tables.actions.c.idx)).scalars()))


async def test_the_start_is_committed_before_the_phone_is_touched(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        device = await farm.add_phone("P1")
        order = await rebooting(farm, device)
        assert await statuses(farm, order) == ["started"]
        device.gate.set()
        view = await farm.status_of(order.process_id, "completed")
        assert [(s["action"], s["status"]) for s in view["result"]["steps"]] == [
            ("reboot", "done"),
            ("health_check", "done"),
        ]


async def test_a_phone_whose_start_cannot_be_written_is_not_touched(db_url: str, tmp_path: Path) -> None:
    terms = LeaseTerms(seconds=2.0, delivery_seconds=2.0)
    async with local_farm(db_url, tmp_path, terms=terms) as farm:
        device = await farm.add_phone("P1")
        device.gate.clear()
        order = maintenance({"action": "health_check"}, {"action": "reboot"})
        await farm.manager.submit_many([order])
        await asyncio.to_thread(device.started.wait, 20)
        current = farm.phones["P1"]._current
        assert current is not None
        farm.cut.add("P1")
        device.gate.set()
        await asyncio.wait_for(current.gone.wait(), 20)
        assert ActionKind.REBOOT not in counts(farm.log)
        await farm.status_of(order.process_id, "retrying")
        await farm.add_phone("P2")
        view = await farm.status_of(order.process_id, "completed")
        assert view["attempts"] > 1
        assert counts(farm.log)[ActionKind.REBOOT] == 1, "nothing had been started, so it could be done elsewhere"


async def test_an_actor_that_dies_in_the_middle_ends_the_item(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        device = await farm.add_phone("P1")
        await farm.add_phone("P2")
        order = await rebooting(farm, device)
        old = farm.phones["P1"]
        await farm.add_phone("P1")  # a new incarnation
        view = await farm.status_of(order.process_id, "failed_terminal", "completed", "retrying")
        assert (view["status"], view["error"]["code"], view["error"]["retryable"]) == (
            "failed_terminal",
            "interrupted",
            False,
        )
        assert [s["status"] for s in view["result"]["steps"]] == ["interrupted", "skipped"]
        device.gate.set()
        await old.stop()
        assert counts(farm.log)[ActionKind.REBOOT] == 1


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (CommandFailed("refused"), "command_failed", "failed"),
        (DeviceLost("gone"), "interrupted", "interrupted"),
        (ActionTimedOut("its time was over"), "interrupted", "interrupted"),
    ],
)
async def test_a_failure_is_not_tried_again(
    db_url: str, tmp_path: Path, error: PhoneFarmError, code: str, status: str
) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        device = await farm.add_phone("P1")
        order = await rebooting(farm, device)
        device.errors.append(error)
        device.gate.set()
        view = await farm.status_of(order.process_id, "failed_terminal", "retrying", "completed")
        assert (view["status"], view["attempts"], view["error"]["code"]) == ("failed_terminal", 1, code)
        assert [s["status"] for s in view["result"]["steps"]] == [status, "skipped"]


async def test_a_hard_cancel_in_the_middle_of_it(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        device = await farm.add_phone("P1")
        order = await rebooting(farm, device)
        await farm.manager.cancel(
            CancelCommand(
                process_id=order.process_id, reason="r", requested_by={"system": "tests"}, strategy=CancelStrategy.HARD
            )
        )
        view = await farm.status_of(order.process_id, "cancelled")
        assert [s["status"] for s in view["result"]["steps"]] == ["interrupted", "skipped"]


@pytest.mark.fault(15)
async def test_a_restarted_manager_does_not_start_it_again(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        device = await farm.add_phone("P1")
        order = await rebooting(farm, device)
        await farm.restart_manager()
        await farm.restart_router()
        device.gate.set()
        await farm.status_of(order.process_id, "completed")
        assert counts(farm.log)[ActionKind.REBOOT] == 1
