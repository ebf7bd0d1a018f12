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
from phonefarm.models.action import Action, ActionKind
from phonefarm.models.clock import Moment, monotonic_moment
from phonefarm.models.phone import PhoneReport
from phonefarm.models.session import Job, Lease, Report, ReportReply
from tests.farmtools import FakeDevice, FakeHandle, NoHost

pytestmark = [pytest.mark.timeout(30), pytest.mark.asyncio]


class Manager:
    """Agrees to everything; to reports, once ``may_answer`` is set and as ``accepts`` says."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.accepts = True

    async def phone_started(self, _phone_id: str, _host: str, _incarnation: str, _running: Sequence[Any]) -> None:
        return None

    async def report_phones(self, _reports: Sequence[PhoneReport]) -> None:
        return None

    async def report(self, _report: Report) -> ReportReply:
        await self.may_answer.wait()
        return ReportReply(accepted=self.accepts)


ACTOR = "this one"
JOB = Job(
    process_id="p", process_type="maintenance", phone_id="P1", account_id=None,
    lease=Lease(item_id="i", attempt=1, seconds=60.0), actions=(), seconds_left=60.0,
)  # fmt: skip
LOOK = replace(JOB, actions=(Action(index=0, kind=ActionKind.SEARCH, params={"keyword": "soup"}),))
NEXT = replace(JOB, lease=replace(JOB.lease, attempt=2))


@pytest.fixture
def device() -> FakeDevice:
    return FakeDevice("P1", [])


@pytest_asyncio.fixture
async def manager() -> Manager:
    return Manager()


@pytest_asyncio.fixture
async def phone(manager: Manager, device: FakeDevice) -> AsyncIterator[PhoneActor]:
    made = PhoneActor(
        PhoneConfig(phone_id="P1", host="local"), manager=cast(ManagerPort, manager), host=NoHost(),
        device=lambda _serial, _port: FakeHandle(device), make_id=lambda: ACTOR,
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


# -- the first command ----------------------------------------------------------------------------


def asked(job: Job, moment: Moment | None, *, of: str = ACTOR) -> Job:
    """``of``: the incarnation of the phone's actor to which it was granted."""
    return replace(job, lease=replace(job.lease, asked=moment, delivery_seconds=60.0, incarnation=of))


async def test_an_attempt_that_was_asked_for_here_a_moment_ago_waits_for_nobody(
    phone: PhoneActor, manager: Manager, device: FakeDevice
) -> None:
    manager.may_answer.clear()
    await phone.attach("P1", 1)
    assert await phone.run(asked(LOOK, monotonic_moment()))
    assert await asyncio.to_thread(device.started.wait, 20)
    manager.may_answer.set()


async def test_an_attempt_that_turns_out_to_be_over_is_broken_off(
    phone: PhoneActor, manager: Manager, device: FakeDevice
) -> None:
    manager.accepts = False
    device.gate.clear()
    await phone.attach("P1", 1)
    assert await phone.run(asked(replace(LOOK, actions=LOOK.actions * 3), monotonic_moment()))
    assert phone._current is not None
    await asyncio.wait_for(phone._current.gone.wait(), 20)
    assert len(device.log) <= 1, "neither another action nor a word to the app"


@pytest.mark.parametrize(
    "age", [None, Moment(clock="another machine", seconds=0.0), 60.0], ids=["not known", "elsewhere", "too old"]
)
async def test_an_attempt_of_unknown_age_touches_nothing_until_it_is_confirmed(
    phone: PhoneActor, manager: Manager, device: FakeDevice, age: Moment | float | None
) -> None:
    """A job may have been on its way for so long that its item runs elsewhere by now."""
    now = monotonic_moment()
    moment = replace(now, seconds=now.seconds - age) if isinstance(age, float) else age
    manager.accepts = False
    await phone.attach("P1", 1)
    assert await phone.run(asked(LOOK, moment))
    assert phone._current is not None
    await asyncio.wait_for(phone._current.gone.wait(), 20)
    assert device.log == []


async def test_an_attempt_of_the_actor_before_touches_nothing_until_it_is_confirmed(
    phone: PhoneActor, manager: Manager, device: FakeDevice
) -> None:
    """The start of this one has interrupted it, and a router that got no answer hands it over again."""
    manager.accepts = False
    await phone.attach("P1", 1)
    assert await phone.run(asked(LOOK, monotonic_moment(), of="the one before"))
    assert phone._current is not None
    await asyncio.wait_for(phone._current.gone.wait(), 20)
    assert device.log == []
