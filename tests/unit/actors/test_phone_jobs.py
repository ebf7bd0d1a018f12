"""Which jobs a phone's actor takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
import pytest_asyncio

from phonefarm.actors.phone import PhoneActor, PhoneConfig
from phonefarm.actors.ports import ManagerPort
from phonefarm.models.phone import PhoneReport
from phonefarm.models.session import Job, Lease, Report, ReportReply
from tests.farmtools import FakeDevice, FakeHandle, NoHost

pytestmark = [pytest.mark.timeout(30), pytest.mark.asyncio]


class Manager:
    """Agrees to everything."""

    async def phone_started(self, _phone_id: str, _host: str, _incarnation: str, _running: Sequence[Any]) -> None:
        return None

    async def report_phones(self, _reports: Sequence[PhoneReport]) -> None:
        return None

    async def report(self, _report: Report) -> ReportReply:
        return ReportReply(accepted=True)


JOB = Job(
    process_id="p", process_type="maintenance", phone_id="P1", account_id=None,
    lease=Lease(item_id="i", attempt=1, seconds=60.0), actions=(), seconds_left=60.0,
)  # fmt: skip
NEXT = replace(JOB, lease=replace(JOB.lease, attempt=2))


@pytest_asyncio.fixture
async def phone() -> AsyncIterator[PhoneActor]:
    made = PhoneActor(
        PhoneConfig(phone_id="P1", host="local"), manager=cast(ManagerPort, Manager()), host=NoHost(),
        device=lambda _serial, _port: FakeHandle(FakeDevice("P1", [])),
    )  # fmt: skip
    await made.start()
    yield made
    await made.stop()


async def test_an_attempt_that_was_refused_once_is_refused_for_ever(phone: PhoneActor) -> None:
    """Two routers may ask, the older one of which gives the attempt back: it must not run for the other meanwhile."""
    assert not await phone.run(JOB)
    await phone.attach("P1", 1)
    assert not await phone.run(JOB)
    assert await phone.run(NEXT)


async def test_an_attempt_that_runs_or_has_run_is_taken_once(phone: PhoneActor) -> None:
    await phone.attach("P1", 1)
    assert await phone.run(JOB)
    assert await phone.run(JOB)
    while phone._current is not None:
        await asyncio.sleep(0)
    assert await phone.run(JOB)
    assert phone._current is None
