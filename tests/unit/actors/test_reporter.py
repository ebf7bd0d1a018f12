"""When a phone's side of an attempt sends its reports, and what it never waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from phonefarm.actors import reporter as reporters
from phonefarm.actors.reporter import Hooks, Reporter
from phonefarm.core import leases
from phonefarm.errors import ActorUnavailable
from phonefarm.models.action import Action, ActionKind
from phonefarm.models.clock import Moment, monotonic_moment
from phonefarm.models.session import CancelOrder, Entry, EntryKind, Job, Lease, Report, ReportReply
from phonefarm.models.states import CancelStrategy

pytestmark = pytest.mark.timeout(30)

#: A pace that no test outlives: what is sent was not waiting for it.
NEVER = 3600.0
STARTED = Entry(kind=EntryKind.STARTED)
FIRST, SECOND, THIRD = (
    Entry(kind=EntryKind.ACTION_STARTED, action=Action(index=n, kind=ActionKind.SCREENSHOT, params={}))
    for n in range(3)
)


class Manager:
    """Takes reports; ``replies`` are given first, an error is raised."""

    def __init__(self) -> None:
        self.reports: list[tuple[Entry, ...]] = []
        self.replies: list[ReportReply | ActorUnavailable] = []
        self._news = asyncio.Condition()

    async def report(self, report: Report) -> ReportReply:
        async with self._news:
            self.reports.append(report.entries)
            self._news.notify_all()
        reply = self.replies.pop(0) if self.replies else ReportReply(accepted=True)
        if isinstance(reply, ActorUnavailable):
            raise reply
        return reply

    async def heard(self, number: int) -> None:
        """Until so many reports have come."""
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(self.reports) >= number)


class Told:
    """What the session was told."""

    def __init__(self) -> None:
        self.lost = False
        self.cancels: list[CancelOrder] = []
        self.holds: list[float] = []
        self.hooks = Hooks(lost=self._lost, cancel=self.cancels.append, held=self.holds.append)

    def _lost(self) -> None:
        self.lost = True


def job(seconds: float, asked: Moment | None = None) -> Job:
    lease = Lease(item_id="i", attempt=1, seconds=seconds, delivery_seconds=seconds / 2, asked=asked)
    return Job(
        process_id="p", process_type="maintenance", phone_id="P1", account_id=None,
        lease=lease, actions=(), seconds_left=60.0,
    )  # fmt: skip


@asynccontextmanager
async def reporting(
    manager: Manager, told: Told, *, lease: float = 600.0, asked: Moment | None = None
) -> AsyncIterator[Reporter]:
    """A reporter that runs; it must end by itself once it is closed."""
    reporter = Reporter(job(lease, asked), manager, told.hooks)  # type: ignore[arg-type]
    running = asyncio.create_task(reporter.run())
    try:
        yield reporter
    finally:
        reporter.close()
        await asyncio.wait_for(running, 10)


@pytest.fixture
def paced(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    return lambda seconds: monkeypatch.setattr(reporters, "PACE_SECONDS", seconds)


async def settle() -> None:
    """Whatever can be done without waiting for anything is done."""
    for _ in range(20):
        await asyncio.sleep(0)


async def begun(manager: Manager, reporter: Reporter) -> None:
    """Started, and the first action is reported: from here on reports keep their pace."""
    reporter.add(STARTED)
    assert await reporter.flush()
    reporter.add(FIRST)
    await manager.heard(2)
    await settle()


async def test_the_start_and_the_first_action_wait_for_nothing(paced: Callable[[float], None]) -> None:
    paced(NEVER)
    manager = Manager()
    async with reporting(manager, Told()) as reporter:
        await begun(manager, reporter)
        assert manager.reports == [(STARTED,), (FIRST,)]


async def test_what_happens_soon_after_a_report_goes_together(paced: Callable[[float], None]) -> None:
    paced(NEVER)
    manager = Manager()
    async with reporting(manager, Told()) as reporter:
        await begun(manager, reporter)
        reporter.add(SECOND)
        await settle()
        reporter.add(THIRD)
    assert manager.reports[2:] == [(SECOND, THIRD)]


async def test_what_gathers_goes_by_itself_when_the_moment_is_over(paced: Callable[[float], None]) -> None:
    paced(0.01)
    manager = Manager()
    async with reporting(manager, Told()) as reporter:
        await begun(manager, reporter)
        reporter.add(SECOND)
        await manager.heard(3)


async def test_a_flush_does_not_wait_for_the_pace(paced: Callable[[float], None]) -> None:
    paced(NEVER)
    manager = Manager()
    async with reporting(manager, Told()) as reporter:
        await begun(manager, reporter)
        reporter.add(SECOND)
        await settle()
        assert len(manager.reports) == 2, "it is gathering"
        assert await asyncio.wait_for(reporter.flush(), 10)
        assert manager.reports[2:] == [(SECOND,)]
        reporter.add(THIRD)
        await settle()
        assert len(manager.reports) == 3, "it gathers again once nobody waits"
        assert await asyncio.wait_for(reporter.flush(), 10)


@pytest.mark.parametrize("kind", [EntryKind.FINISHED, EntryKind.FAILED, EntryKind.CANCELLED])
async def test_the_last_entry_does_not_wait_for_the_pace(paced: Callable[[float], None], kind: EntryKind) -> None:
    paced(NEVER)
    manager, last = Manager(), Entry(kind=kind)
    async with reporting(manager, Told()) as reporter:
        await begun(manager, reporter)
        reporter.add(SECOND)
        await settle()
        reporter.add(last)
        await manager.heard(3)
        assert manager.reports[2:] == [(SECOND, last)]


async def test_a_close_delivers_at_once_what_was_gathering(paced: Callable[[float], None]) -> None:
    paced(NEVER)
    manager = Manager()
    async with reporting(manager, Told()) as reporter:
        await begun(manager, reporter)
        reporter.add(SECOND)
        await settle()
    assert manager.reports[2:] == [(SECOND,)]


async def test_a_lost_report_is_sent_again_with_what_came_since(paced: Callable[[float], None]) -> None:
    paced(NEVER)
    manager = Manager()
    async with reporting(manager, Told()) as reporter:
        await begun(manager, reporter)
        manager.replies.append(ActorUnavailable("gone"))
        reporter.add(SECOND)
        flushed = asyncio.create_task(reporter.flush())
        await manager.heard(3)
        reporter.add(THIRD)
        assert await asyncio.wait_for(flushed, 10)
        assert manager.reports[2:] == [(SECOND,), (SECOND, THIRD)]


async def test_a_cancel_comes_with_the_answer_to_what_was_gathering(paced: Callable[[float], None]) -> None:
    paced(0.05)
    manager, told = Manager(), Told()
    order = CancelOrder(strategy=CancelStrategy.SOFT)
    async with reporting(manager, told) as reporter:
        await begun(manager, reporter)
        manager.replies.append(ReportReply(accepted=True, cancel=order))
        reporter.add(SECOND)
        await manager.heard(3)
        await settle()
        assert told.cancels == [order]


async def test_a_lease_is_held_from_when_its_report_was_sent(paced: Callable[[float], None]) -> None:
    """Not from when its entries began to gather, nor from when the answer came."""
    paced(0.05)
    manager, told, loop = Manager(), Told(), asyncio.get_running_loop()
    async with reporting(manager, told, lease=600.0) as reporter:
        await begun(manager, reporter)
        before = loop.time()
        reporter.add(SECOND)
        await manager.heard(3)
        after = loop.time()
        await settle()
        assert before + 600.0 * leases.SAFETY <= told.holds[-1] <= after + 600.0 * leases.SAFETY


async def test_a_refused_report_ends_it_while_entries_gather(paced: Callable[[float], None]) -> None:
    paced(NEVER)
    manager, told = Manager(), Told()
    async with reporting(manager, told) as reporter:
        await begun(manager, reporter)
        manager.replies.append(ReportReply(accepted=False))
        reporter.add(SECOND)
        assert not await asyncio.wait_for(reporter.flush(), 10)
        assert told.lost


async def test_an_idle_attempt_beats_whatever_the_pace(paced: Callable[[float], None]) -> None:
    paced(0.05)
    manager = Manager()
    async with reporting(manager, Told(), lease=1.0) as reporter:
        await begun(manager, reporter)
        await manager.heard(4)
        assert {entry.kind for report in manager.reports[2:] for entry in report} == {EntryKind.HEARTBEAT}


# -- an attempt whose grant was asked for on this machine -----------------------------------------


async def test_the_lease_of_a_grant_counts_from_before_it_was_asked_for() -> None:
    told, asked = Told(), monotonic_moment()
    async with reporting(Manager(), told, asked=asked) as reporter:
        assert reporter.held
        assert told.holds == [leases.stop_at(asked.seconds, 300.0)]
        reporter.add(STARTED)
        assert await reporter.flush()
        assert told.holds[1] > leases.stop_at(asked.seconds, 600.0), "an answer renews it by the whole term"


@pytest.mark.parametrize("asked", [None, Moment(clock="another", seconds=0.0)], ids=["not said", "elsewhere"])
async def test_a_grant_that_may_be_old_is_not_held(asked: Moment | None) -> None:
    async with reporting(Manager(), Told(), asked=asked) as reporter:
        assert not reporter.held


async def test_a_held_start_is_told_with_the_first_action(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporters, "START_SECONDS", NEVER)
    manager = Manager()
    async with reporting(manager, Told(), asked=monotonic_moment()) as reporter:
        reporter.add(STARTED)
        await settle()
        assert manager.reports == []
        reporter.put(FIRST)
        assert await reporter.flush()
        assert manager.reports == [(STARTED, FIRST)]


async def test_a_held_start_waits_for_no_action_that_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporters, "START_SECONDS", 0.01)
    manager = Manager()
    async with reporting(manager, Told(), asked=monotonic_moment()) as reporter:
        reporter.add(STARTED)
        await manager.heard(1)
        assert manager.reports == [(STARTED,)]


# -- from the session's thread -----------------------------------------------------------------------


async def test_an_idle_reporter_hears_every_entry_of_another_thread(paced: Callable[[float], None]) -> None:
    """The heartbeat is 200 s away: an entry that wakes nobody would be waited for in vain."""
    paced(0.0)
    manager = Manager()
    async with reporting(manager, Told()) as reporter:
        for number in range(1, 301):
            await asyncio.to_thread(reporter.put, SECOND)
            await manager.heard(number)
            await asyncio.sleep(0)
    assert sum(manager.reports, ()) == (SECOND,) * 300


async def test_entries_of_another_thread_arrive_in_order_and_once(paced: Callable[[float], None]) -> None:
    paced(0.0)
    manager = Manager()
    entries = [Entry(kind=EntryKind.ACTION_FINISHED, seconds=float(n)) for n in range(3_000)]

    def put_all() -> None:
        for entry in entries:
            reporter.put(entry)

    async with reporting(manager, Told()) as reporter:
        await asyncio.to_thread(put_all)
        assert await asyncio.wait_for(reporter.flush(), 10)
    assert [entry.seconds for entry in sum(manager.reports, ())] == [entry.seconds for entry in entries]
