"""What a router hands to phones while it reads the farm anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from phonefarm.actors.ports import FarmChange
from phonefarm.actors.router import Router
from phonefarm.models.clock import clock_name
from phonefarm.models.phone import PhoneRow
from phonefarm.models.queue import Assignment, QueueSnapshot, WaitingItem
from phonefarm.models.session import Job, Lease
from phonefarm.models.states import PhoneState

pytestmark = [pytest.mark.timeout(20), pytest.mark.asyncio]

JOB = Job(
    process_id="p", process_type="maintenance", phone_id="P1", account_id=None,
    lease=Lease(item_id="i", attempt=1, seconds=60.0), actions=(), seconds_left=60.0,
)  # fmt: skip


class Undelivered:
    """A manager that knows of one job nobody has heard a phone take. ``asked`` grows with each snapshot."""

    def __init__(self) -> None:
        self.job = JOB
        self.asked = asyncio.Semaphore(0)

    async def snapshot(self) -> QueueSnapshot:
        self.asked.release()
        return QueueSnapshot(waiting=(), running=(), phones=(), accounts=(), undelivered=(self.job,))


class SlowPhone:
    """Takes a job when it is allowed to."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.news = asyncio.Event()
        self.may_take = asyncio.Event()

    async def run(self, job: Job) -> bool:
        self.asked.append(job.lease.attempt)
        self.news.set()
        await self.may_take.wait()
        return True


async def test_a_job_on_its_way_is_not_handed_over_again_when_the_farm_is_read_anew() -> None:
    manager, phone = Undelivered(), SlowPhone()
    router = Router(manager=manager, phone=lambda _phone_id: phone)  # type: ignore[arg-type, return-value]
    await router.start()
    try:
        await phone.news.wait()
        for _ in range(2):
            await manager.asked.acquire()
            await router.changed(FarmChange(missed=True))
        await manager.asked.acquire()
        manager.job = replace(JOB, lease=replace(JOB.lease, attempt=2))
        phone.news.clear()
        await router.changed(FarmChange(missed=True))
        await phone.news.wait()
        assert phone.asked == [1, 2], "once each, although the first was listed three times"
    finally:
        phone.may_take.set()
        await router.stop()


async def test_a_job_that_a_phone_took_may_be_handed_over_again_by_a_later_snapshot() -> None:
    """The manager lists it until the phone's first report arrives; the phone says again that it has it."""
    manager, phone = Undelivered(), SlowPhone()
    phone.may_take.set()
    router = Router(manager=manager, phone=lambda _phone_id: phone)  # type: ignore[arg-type, return-value]
    await router.start()
    try:
        await phone.news.wait()
        phone.news.clear()
        await router.changed(FarmChange(missed=True))
        await phone.news.wait()
        assert phone.asked == [1, 1]
    finally:
        await router.stop()


class Granting:
    """A manager with one phone and one item that waits, which grants what it is asked for."""

    def __init__(self) -> None:
        self.asked_at = 0.0

    async def snapshot(self) -> QueueSnapshot:
        phone = PhoneRow(phone_id="P1", host="h", serial="s", state=PhoneState.AVAILABLE)
        waiting = WaitingItem(item_id="i", process_id="p", priority=0, created_at=0)
        return QueueSnapshot(waiting=(waiting,), running=(), phones=(phone,), accounts=(), undelivered=())

    async def claim(self, _wishes: Sequence[Assignment]) -> list[Job]:
        self.asked_at = time.monotonic()
        return [JOB]


class Taking:
    def __init__(self) -> None:
        self.job = asyncio.get_running_loop().create_future()

    async def run(self, job: Job) -> bool:
        self.job.set_result(job)
        return True


async def test_a_granted_job_says_when_it_was_asked_for() -> None:
    """Before the manager was asked, so that the phone's side never believes the grant younger than it is."""
    manager, phone, began = Granting(), Taking(), time.monotonic()
    router = Router(manager=manager, phone=lambda _phone_id: phone)  # type: ignore[arg-type, return-value]
    await router.start()
    try:
        asked = (await phone.job).lease.asked
        assert asked.clock == clock_name() != ""
        assert began <= asked.seconds <= manager.asked_at
    finally:
        await router.stop()


async def test_a_job_out_of_a_snapshot_says_nothing_of_its_age() -> None:
    manager, phone = Undelivered(), Taking()
    router = Router(manager=manager, phone=lambda _phone_id: phone)  # type: ignore[arg-type, return-value]
    await router.start()
    try:
        assert (await phone.job).lease.asked is None
    finally:
        await router.stop()


def phone_row(phone_id: str) -> PhoneRow:
    return PhoneRow(phone_id=phone_id, host="h", serial="s", state=PhoneState.AVAILABLE)


class Idle:
    """A manager of a farm with two phones and nothing to do, whose snapshots take their time from the second on."""

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def snapshot(self) -> QueueSnapshot:
        phones = (phone_row("P1"), phone_row("P2"))
        self.asked.release()
        await self.may_answer.wait()
        return QueueSnapshot(waiting=(), running=(), phones=phones, accounts=(), undelivered=())


async def test_phones_are_spare_while_nothing_waits_and_the_farm_is_known() -> None:
    manager, phone = Idle(), SlowPhone()
    router = Router(manager=manager, phone=lambda _phone_id: phone)  # type: ignore[arg-type, return-value]
    assert await router.changed(FarmChange()) == [], "it knows nothing yet"
    await router.start()
    try:
        await router._loaded.wait()
        assert [row.phone_id for row in await router.changed(FarmChange())] == ["P1", "P2"]
        assert [row.phone_id for row in await router.changed(FarmChange(granted=(JOB,)))] == ["P2"]
        later = WaitingItem(item_id="x", process_id="p", priority=0, created_at=0, ready_at=2**60)
        assert await router.changed(FarmChange(waiting=(later,))) == [], "though it may not run yet"
        spare = await router.changed(FarmChange(gone=("x",), freed=("P1",)))
        assert [row.phone_id for row in spare] == ["P2", "P1"], "which has just worked"
        assert await router.changed(FarmChange(missed=True)) == [], "what it knows may be wrong"
    finally:
        phone.may_take.set()
        await router.stop()


async def test_a_grant_that_comes_while_the_farm_is_read_anew_is_handed_over_once_and_keeps_its_phone() -> None:
    """The snapshot may be of before it."""
    manager, phone = Idle(), SlowPhone()
    router = Router(manager=manager, phone=lambda _phone_id: phone)  # type: ignore[arg-type, return-value]
    await router.start()
    try:
        await router._loaded.wait()
        await manager.asked.acquire()
        manager.may_answer.clear()
        await router.changed(FarmChange(missed=True))
        await manager.asked.acquire()
        await router.changed(FarmChange(granted=(JOB,)))
        await phone.news.wait()
        manager.may_answer.set()
        while not (spare := await router.changed(FarmChange())):
            await asyncio.sleep(0)
        assert [row.phone_id for row in spare] == ["P2"]
        assert phone.asked == [1]
    finally:
        phone.may_take.set()
        await router.stop()


class Stumbling(Idle):
    """The first snapshot is no snapshot."""

    async def snapshot(self) -> QueueSnapshot:
        first, self.first = self.first, False
        if first:
            return None  # type: ignore[return-value]
        return await super().snapshot()

    first = True


async def test_a_fault_nobody_foresaw_does_not_end_the_placing() -> None:
    router = Router(manager=Stumbling(), phone=lambda _phone_id: SlowPhone())  # type: ignore[arg-type, return-value]
    await router.start()
    try:
        await router._loaded.wait()
        assert await router.ping() == "ok"
    finally:
        await router.stop()
