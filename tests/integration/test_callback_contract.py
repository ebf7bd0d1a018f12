"""What the contract says of a receiver that misbehaves, walked to the end: 5 s to 12 h, then dead.

Real are the manager, its outbox in the database, the sender, the HTTP and the receivers. Simulated is the clock: the
sender's sleep moves it on once no delivery is under way, so the day that nine attempts take passes in a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from phonefarm.actors import manager_core
from phonefarm.actors.callback_sender import CallbackSender
from phonefarm.actors.ports import FarmChange
from phonefarm.actors.process_manager import ManagerConfig, ProcessManager
from phonefarm.callbacks.delivery import CallbackHttp
from phonefarm.models.outbox import Delivery, DueCallback, DuePage, Place
from phonefarm.models.phone import PhoneRow
from phonefarm.models.process import CancelCommand, Resolution, ResolvedItem, Target
from tests.farmtools import submission
from tests.unit.callbacks.test_delivery import Behaviour, Receiver, answers, receiving

pytestmark = pytest.mark.timeout(60)

START = 1_790_000_000_000
#: Contract section 7: 5 s, 30 s, 2 min, 10 min, 1 h, 3 h, 6 h, 12 h.
PAUSES = [5, 30, 120, 600, 3_600, 10_800, 21_600, 43_200]


@pytest.fixture(autouse=True)
def no_gathering(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender hears at once of what is due: the day here passes in less than the moment that words gather for."""
    monkeypatch.setattr(manager_core, "_KICKS_APART", 0.0)


class AnyTarget:
    """A router that lets every process wait for ever."""

    async def resolve(self, targets: Sequence[Target]) -> list[Resolution]:
        return [(ResolvedItem(),) for _ in targets]

    async def changed(self, _change: FarmChange) -> list[PhoneRow]:
        return []

    async def waiting_reasons(self, _item_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        return {}

    async def queue(self, *, offset: int, limit: int) -> list[dict[str, Any]]:
        return []

    async def ping(self) -> str:
        return "ok"


class Clock:
    """Milliseconds since the epoch, moved by ``sleep``; ``busy`` deliveries hold it still."""

    def __init__(self) -> None:
        self.now = START
        self.end = START
        self.busy = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self.moved = asyncio.Condition()

    def __call__(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await self.quiet()
        async with self.moved:
            await self.moved.wait_for(lambda: self.now < self.end)
            self.now = min(self.end, self.now + max(1, round(seconds * 1000)))
            self.moved.notify_all()

    async def quiet(self) -> None:
        """Until no delivery is under way, and whoever was woken by the last one's end has cancelled this sleep."""
        for _ in range(2):
            for _ in range(50):
                await asyncio.sleep(0)
            await self.idle.wait()
        for _ in range(50):
            await asyncio.sleep(0)

    async def pass_by(self, seconds: float) -> None:
        """Let so much time pass."""
        async with self.moved:
            self.end = self.now + round(seconds * 1000)
            self.moved.notify_all()
            await self.moved.wait_for(lambda: self.now >= self.end)


class Timed:
    """``CallbackHttp`` that notes when each attempt was made."""

    def __init__(self, clock: Clock, http: CallbackHttp) -> None:
        self._clock = clock
        self._http = http
        self.attempts: list[tuple[int, str]] = []

    async def deliver(self, due: DueCallback) -> Delivery:
        self._clock.busy += 1
        self._clock.idle.clear()
        self.attempts.append((round((self._clock.now - START) / 1000), due.event_id))
        try:
            return await self._http.deliver(due)
        finally:
            self._clock.busy -= 1
            if not self._clock.busy:
                self._clock.idle.set()

    async def aclose(self) -> None:
        await self._http.aclose()


class Counted:
    """The manager as the sender sees it; knows when every attempt so far has been written down."""

    def __init__(self, manager: ProcessManager) -> None:
        self._manager = manager
        self.asked = 0
        self.written = 0
        self.news = asyncio.Condition()

    async def due_callbacks(self, limit: int, after: Place | None = None) -> DuePage:
        found = await self._manager.due_callbacks(limit, after)
        async with self.news:
            self.asked += 1
            self.news.notify_all()
        return found

    async def callbacks_done(self, deliveries: Sequence[Delivery]) -> None:
        await self._manager.callbacks_done(deliveries)
        async with self.news:
            self.written += len(deliveries)
            self.news.notify_all()


class Story:
    """A manager with one process whose callbacks go to one receiver."""

    def __init__(self, manager: ProcessManager, outbox: Counted, http: Timed, clock: Clock, receiver: Receiver) -> None:
        self.manager = manager
        self.outbox = outbox
        self.http = http
        self.clock = clock
        self.receiver = receiver

    async def submit(self) -> str:
        url = f"http://127.0.0.1:{self.receiver.port}/hook"
        asked = self.outbox.asked
        (answer,) = await self.manager.submit_many([submission(callback={"url": url, "metadata": {}})])
        await self.seen(asked)
        return str(getattr(answer, "process_id"))  # noqa: B009

    async def cancel(self, process_id: str) -> None:
        by: dict[str, Any] = {"system": "tests", "user": None, "metadata": {}}
        asked = self.outbox.asked
        await self.manager.cancel(CancelCommand(process_id=process_id, reason="test", requested_by=by))
        await self.seen(asked)

    async def redeliver(self, event_id: str) -> dict[str, Any]:
        asked = self.outbox.asked
        view = await self.manager.redeliver(event_id)
        await self.seen(asked)
        return view

    async def seen(self, asked: int) -> None:
        """The sender has asked again since, and what it then sent is written down: only now may time pass."""
        async with self.outbox.news:
            await self.outbox.news.wait_for(lambda: self.outbox.asked > asked)
        for _ in range(20):
            await asyncio.sleep(0)
        async with self.outbox.news:
            await self.outbox.news.wait_for(lambda: self.outbox.written == len(self.http.attempts))

    async def callbacks(self, process_id: str) -> list[dict[str, Any]]:
        """Those of the process, oldest first, once every attempt that was made is written down."""
        async with self.outbox.news:
            await self.outbox.news.wait_for(lambda: self.outbox.written == len(self.http.attempts))
        found = (await self.manager.list_callbacks())["items"]
        return sorted((c for c in found if c["process_id"] == process_id), key=lambda c: c["sequence"])

    def times(self, event_id: str) -> list[int]:
        """Seconds since the start at which the event was attempted."""
        return [at for at, event in self.http.attempts if event == event_id]


@asynccontextmanager
async def story(db_url: str, directory: Path, behaviour: Behaviour, *, total: float = 5.0) -> AsyncIterator[Story]:
    clock = Clock()
    http = Timed(clock, CallbackHttp(allow=["127.0.0.0/8"], clock=clock, chance=lambda: 0.0, total_seconds=total))
    sender: list[CallbackSender] = []

    class Kick:
        async def kick(self) -> None:
            for one in sender:
                await one.kick()

    config = ManagerConfig(db_url=db_url, artifact_dir=directory, rescue_seconds=3_600.0)
    manager = ProcessManager(config, router=AnyTarget(), sender=Kick(), on_stale=lambda: None, clock=clock)
    await manager.start()
    outbox = Counted(manager)
    sender.append(
        CallbackSender(outbox, http, sleep=clock.sleep, chance=lambda: 0.0, rescue_seconds=1e9, pace_seconds=0.0)
    )
    async with receiving(behaviour) as receiver:
        await sender[0].start()
        try:
            yield Story(manager, outbox, http, clock, receiver)
        finally:
            await sender[0].stop()
            await manager.stop()


@pytest.mark.fault(35)
async def test_a_receiver_that_fails_is_tried_nine_times_then_the_callback_is_dead_and_redeliverable(
    db_url: str, tmp_path: Path
) -> None:
    async with story(db_url, tmp_path, answers("500 Oops")) as at:
        process_id = await at.submit()
        await at.clock.pass_by(sum(PAUSES) + 60)
        (callback,) = await at.callbacks(process_id)
        expected = [sum(PAUSES[:n]) for n in range(len(PAUSES) + 1)]
        for made, planned in zip(at.times(callback["event_id"]), expected, strict=True):
            assert planned <= made <= planned + 5
        assert (callback["state"], callback["attempts"], callback["http_status"]) == ("dead", 9, 500)
        assert callback["next_attempt_at"] is None
        at.receiver.behaviour = answers("204 No Content")
        again = await at.redeliver(callback["event_id"])
        assert (again["state"], again["attempts"]) == ("pending", 0)
        await at.clock.pass_by(1)
        (callback,) = await at.callbacks(process_id)
        assert callback["state"] == "delivered"


@pytest.mark.fault(35)
async def test_a_receiver_that_hangs_is_left_after_the_total_time_and_tried_again(db_url: str, tmp_path: Path) -> None:
    released = asyncio.Event()

    async def hangs(_receiver: Receiver, _writer: asyncio.StreamWriter) -> None:
        await released.wait()

    async with story(db_url, tmp_path, hangs, total=0.2) as at:
        process_id = await at.submit()
        await at.clock.pass_by(5 + 30)
        (callback,) = await at.callbacks(process_id)
        assert (callback["state"], callback["error"], callback["http_status"]) == ("pending", "timeout", None)
        assert len(at.times(callback["event_id"])) in (2, 3)
        released.set()


@pytest.mark.fault(35)
async def test_a_redirect_is_a_failure_and_is_not_followed(db_url: str, tmp_path: Path) -> None:
    async with receiving(answers("204 No Content")) as elsewhere:
        there = f"Location: http://127.0.0.1:{elsewhere.port}/hook"
        async with story(db_url, tmp_path, answers("307 Temporary Redirect", there)) as at:
            process_id = await at.submit()
            await at.clock.pass_by(6)
            (callback,) = await at.callbacks(process_id)
            assert (callback["state"], callback["http_status"]) == ("pending", 307)
            assert len(at.receiver.requests) == 2
        assert elsewhere.requests == []


@pytest.mark.fault(35)
async def test_gone_kills_the_event_and_the_later_ones_of_the_process(db_url: str, tmp_path: Path) -> None:
    async with story(db_url, tmp_path, answers("410 Gone")) as at:
        at.receiver.behaviour = answers("503 Away")
        process_id = await at.submit()
        await at.cancel(process_id)
        at.receiver.behaviour = answers("410 Gone")
        await at.clock.pass_by(100_000)
        found = await at.callbacks(process_id)
        assert [c["milestone"] for c in found] == ["accepted", "cancel_requested", "cancelled"]
        assert [c["state"] for c in found] == ["dead"] * 3
        assert {event for _, event in at.http.attempts} == {found[0]["event_id"]}


@pytest.mark.fault(35)
async def test_too_many_requests_is_asked_again_when_the_receiver_said(db_url: str, tmp_path: Path) -> None:
    async with story(db_url, tmp_path, answers("429 Slow Down", "Retry-After: 777")) as at:
        process_id = await at.submit()
        await at.clock.pass_by(1)
        at.receiver.behaviour = answers("200 OK")
        await at.clock.pass_by(800)
        (callback,) = await at.callbacks(process_id)
        assert callback["state"] == "delivered"
        first, second = at.times(callback["event_id"])
        assert 777 <= second - first <= 779


async def test_the_next_event_waits_for_the_one_before_it(db_url: str, tmp_path: Path) -> None:
    async with story(db_url, tmp_path, answers("500 Oops")) as at:
        process_id = await at.submit()
        await at.cancel(process_id)
        await at.clock.pass_by(60)
        found = await at.callbacks(process_id)
        assert {event for _, event in at.http.attempts} == {found[0]["event_id"]}
        at.receiver.behaviour = answers("204 No Content")
        await at.clock.pass_by(7_200)
        found = await at.callbacks(process_id)
        assert [c["state"] for c in found] == ["delivered"] * 3
        firsts = [at.times(c["event_id"])[-1] for c in found]
        assert firsts == sorted(firsts)
