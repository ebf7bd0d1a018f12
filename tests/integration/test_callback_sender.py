"""The callback sender against an outbox in memory: order, limits, a manager that goes away, real receivers.

Time is simulated: ``Outbox`` decides what is due by ``Time``, and the sender sleeps on ``Time`` too. ``Time.settle``
lets everything that can run come to rest, ``Time.advance`` moves the clock to the next sleeper.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import cast

import pytest

from phonefarm.actors.callback_sender import ASK, AT_ONCE, AT_ONCE_PER_ENDPOINT, SHORT, CallbackSender, OutboxPort
from phonefarm.actors.ports import ManagerPort, SenderPort
from phonefarm.callbacks.delivery import Answer, CallbackHttp, judge_answer
from phonefarm.errors import ActorUnavailable, StorageUnavailable
from phonefarm.models.outbox import CallbackState, Delivery, DueCallback, DuePage, Place

pytestmark = pytest.mark.timeout(60)


class Time:
    """A clock that moves only when told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        future = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, future))
        await future

    async def settle(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Moves on by ``seconds``, waking the sleepers on the way, each at its time."""
        end = self.now + seconds
        await self.settle()
        while due := [entry for entry in self._waiting() if entry[0] <= end]:
            self.now, future = min(due, key=lambda entry: entry[0])
            future.set_result(None)
            await self.settle()
        self.now = end

    def _waiting(self) -> list[tuple[float, asyncio.Future[None]]]:
        self._sleepers = [entry for entry in self._sleepers if not entry[1].done()]
        return self._sleepers


@dataclass
class Row:
    callback: DueCallback
    state: CallbackState = CallbackState.PENDING
    due_at: float = 0.0


class Outbox:
    """The manager's side, in memory: what is due, first in line of its process; repeated reports change nothing."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.rows: dict[str, Row] = {}
        self.asked: list[int] = []
        self.reports: list[list[Delivery]] = []
        self.away: list[Exception] = []
        self.lost_replies = 0

    def add(self, process: str, count: int = 1, *, url: str = "https://hook.example/") -> None:
        for sequence in range(1, count + 1):
            event = f"{process}-{sequence}"
            self.rows[event] = Row(
                DueCallback(event_id=event, process_id=process, sequence=sequence, url=url, body=b"{}")
            )

    async def due_callbacks(self, limit: int, after: Place | None = None) -> DuePage:
        await asyncio.sleep(0)
        self.asked.append(limit)
        if self.away:
            raise self.away.pop(0)
        heads: dict[str, tuple[int, Row]] = {}
        for place, row in enumerate(self.rows.values()):
            if row.state is CallbackState.PENDING:
                heads.setdefault(row.callback.process_id, (place, row))
        first = after[0] + 1 if after is not None else 0
        due = [(place, row.callback) for place, row in heads.values() if row.due_at <= self.time.now and place >= first]
        page, more = due[:limit], len(due) >= limit
        later = [row.due_at - self.time.now for _, row in heads.values() if row.due_at > self.time.now]
        return DuePage(
            callbacks=tuple(callback for _, callback in page),
            after=(page[-1][0], page[-1][1].event_id) if more else None,
            next_in=None if more else min(later, default=None),
        )

    async def callbacks_done(self, deliveries: Sequence[Delivery]) -> None:
        await asyncio.sleep(0)
        self.reports.append(list(deliveries))
        if self.away:
            raise self.away.pop(0)
        for delivery in deliveries:
            self._apply(delivery)
        if self.lost_replies:
            self.lost_replies -= 1
            raise ActorUnavailable("the answer was lost")

    def _apply(self, delivery: Delivery) -> None:
        row = self.rows[delivery.event_id]
        if row.state is not CallbackState.PENDING or row.due_at > self.time.now:
            return
        row.state = delivery.state
        row.due_at = self.time.now + (delivery.retry_in or 0.0)
        row.callback = replace(row.callback, attempts=row.callback.attempts + 1)
        for other in self.rows.values() if delivery.gone else ():
            if other.callback.process_id == delivery.process_id:
                other.state = CallbackState.DEAD

    def states(self) -> Counter[CallbackState]:
        return Counter(row.state for row in self.rows.values())


class Http:
    """Deliveries that last until told: ``status`` says what comes back; ``hold`` keeps them open."""

    def __init__(self, status: Callable[[DueCallback], int] = lambda _due: 200, *, hold: bool = False) -> None:
        self.status = status
        self.open = asyncio.Event()
        self.sent: list[DueCallback] = []
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.closed = False
        if not hold:
            self.open.set()

    async def deliver(self, due: DueCallback) -> Delivery:
        self.sent.append(due)
        names = ("all", due.url, due.process_id)
        self.running.update(names)
        self.most |= self.running
        try:
            await asyncio.sleep(0)
            await self.open.wait()
            return judge_answer(due, Answer(status=self.status(due)), jitter=0.0)
        finally:
            self.running.subtract(names)

    async def aclose(self) -> None:
        self.closed = True

    def order(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for due in self.sent:
            found[due.process_id].append(due.sequence)
        return found


@asynccontextmanager
async def sending(outbox: Outbox, http: Http) -> AsyncIterator[CallbackSender]:
    sender = CallbackSender(outbox, http, sleep=outbox.time.sleep, chance=lambda: 1.0, pace_seconds=0.0)
    await sender.start()
    try:
        await outbox.time.settle()
        yield sender
    finally:
        await sender.stop()


def test_it_fits_the_ports() -> None:
    def fits(sender: CallbackSender, manager: ManagerPort) -> tuple[SenderPort, OutboxPort]:
        return sender, manager  # what is proven here, the type checker proves

    sender = CallbackSender(Outbox(Time()), Http())
    assert fits(sender, cast(ManagerPort, None))[0] is sender


@pytest.mark.asyncio
async def test_everything_goes_out_in_order_per_process_without_a_timer() -> None:
    outbox, http = Outbox(Time()), Http()
    for number in range(50):
        outbox.add(f"p{number}", 5, url=f"https://hook{number % 10}.example/")
    async with sending(outbox, http):
        for _ in range(20):
            await outbox.time.settle()
    assert outbox.states() == {CallbackState.DELIVERED: 250}
    assert set(map(tuple, http.order().values())) == {(1, 2, 3, 4, 5)}
    assert outbox.time.now == 0.0


@pytest.mark.asyncio
async def test_limits_hold() -> None:
    outbox, http = Outbox(Time()), Http(hold=True)
    for number in range(60):
        outbox.add(f"p{number}", 2, url=f"https://hook{number % 5}.example/")
    async with sending(outbox, http) as sender:
        await sender.kick()
        await outbox.time.settle()
        assert http.most["all"] == AT_ONCE
        http.open.set()
        for _ in range(20):
            await outbox.time.settle()
    assert outbox.states() == {CallbackState.DELIVERED: 120}
    assert max(count for name, count in http.most.items() if name.startswith("https")) == AT_ONCE_PER_ENDPOINT
    assert max(count for name, count in http.most.items() if name.startswith("p")) == 1


@pytest.mark.fault(35)
@pytest.mark.asyncio
async def test_a_hanging_receiver_with_a_long_line_does_not_hold_up_others() -> None:
    outbox, http = Outbox(Time()), Http(hold=True)
    for number in range(10 * ASK):
        outbox.add(f"slow{number}", url="https://slow.example/")
    outbox.add("other", url="https://other.example/")
    async with sending(outbox, http):
        await outbox.time.advance(2)
        assert {due.process_id for due in http.sent} == {"slow0", "slow1", "slow2", "slow3", "other"}


@pytest.mark.asyncio
async def test_however_long_the_line_of_one_is_the_others_are_found_behind_it() -> None:
    outbox, http = Outbox(Time()), Http(hold=True)
    for number in range(5_000):
        outbox.add(f"slow{number}", url="https://slow.example/")
    outbox.add("other", url="https://other.example/")
    async with sending(outbox, http):
        await outbox.time.advance(5)
        assert "other" in {due.process_id for due in http.sent}
        assert http.running["https://slow.example/"] == AT_ONCE_PER_ENDPOINT


@pytest.mark.asyncio
async def test_what_waits_in_the_line_is_looked_at_again_when_there_is_news() -> None:
    """An event that is ordered anew goes before the later one of its process, though that stood in the line."""
    outbox, http = Outbox(Time()), Http(hold=True)
    for number in range(2 * SHORT):
        outbox.add(f"slow{number}")
    outbox.add("p", 2)
    outbox.rows["p-1"].state = CallbackState.DEAD
    async with sending(outbox, http) as sender:
        await outbox.time.advance(1)
        outbox.rows["p-1"].state = CallbackState.PENDING
        await sender.kick()
        await outbox.time.advance(1)
        http.open.set()
        for _ in range(20):
            await outbox.time.settle()
    assert http.order()["p"] == [1, 2]


@pytest.mark.asyncio
async def test_the_question_is_short_again_once_the_line_is() -> None:
    outbox, http = Outbox(Time()), Http()
    for number in range(5 * ASK):
        outbox.add(f"p{number}")
    async with sending(outbox, http) as sender:
        for _ in range(30):
            await outbox.time.settle()
        await sender.kick()
        await outbox.time.settle()
    assert outbox.states() == {CallbackState.DELIVERED: 5 * ASK}
    assert outbox.asked[-1] == ASK


@pytest.mark.asyncio
async def test_retries_follow_the_schedule_then_the_callback_is_dead() -> None:
    times: list[float] = []

    def status(due: DueCallback) -> int:
        times.append(outbox.time.now)
        return 500 if due.sequence == 1 else 200

    outbox, http = Outbox(Time()), Http(status)
    outbox.add("p", 2)
    async with sending(outbox, http):
        await outbox.time.advance(48 * 3_600)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == [5, 30, 120, 600, 3600, 10800, 21600, 43200, 0]
    assert [row.state for row in outbox.rows.values()] == [CallbackState.DEAD, CallbackState.DELIVERED]


@pytest.mark.asyncio
async def test_gone_ends_the_process() -> None:
    outbox, http = Outbox(Time()), Http(lambda _due: 410)
    outbox.add("p", 3)
    async with sending(outbox, http):
        await outbox.time.advance(100)
    assert len(http.sent) == 1
    assert outbox.states() == {CallbackState.DEAD: 3}


@pytest.mark.asyncio
async def test_a_kick_is_enough_and_without_one_the_rescue_timer_finds_it() -> None:
    outbox, http = Outbox(Time()), Http()
    async with sending(outbox, http) as sender:
        outbox.add("kicked")
        await sender.kick()
        await outbox.time.settle()
        assert [due.process_id for due in http.sent] == ["kicked"]
        outbox.add("forgotten")
        await outbox.time.advance(29.9)
        assert len(http.sent) == 1
        await outbox.time.advance(0.2)
        assert [due.process_id for due in http.sent] == ["kicked", "forgotten"]


@pytest.mark.asyncio
async def test_it_backs_off_while_the_manager_is_away() -> None:
    outbox, http = Outbox(Time()), Http()
    outbox.add("p")
    outbox.away = [StorageUnavailable("away") for _ in range(8)]
    async with sending(outbox, http) as sender:
        await sender.kick()
        await outbox.time.advance(60)
    assert outbox.time.sleeps[:8] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0])
    assert outbox.states() == {CallbackState.DELIVERED: 1}


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [ActorUnavailable("away"), RuntimeError("a bug")])
async def test_what_could_not_be_reported_is_reported_later_and_not_sent_again(error: Exception) -> None:
    outbox, http = Outbox(Time()), Http(hold=True)
    outbox.add("p", 2)
    async with sending(outbox, http):
        outbox.away = [error] * 3
        http.open.set()
        await outbox.time.advance(10)
    assert [due.event_id for due in http.sent] == ["p-1", "p-2"]
    assert [[delivery.event_id for delivery in report] for report in outbox.reports] == [["p-1"]] * 4 + [["p-2"]]


@pytest.mark.fault(15)
@pytest.mark.asyncio
async def test_a_report_whose_answer_was_lost_is_repeated() -> None:
    outbox, http = Outbox(Time()), Http()
    outbox.add("p", 2)
    outbox.lost_replies = 1
    async with sending(outbox, http):
        await outbox.time.advance(10)
    assert http.order() == {"p": [1, 2]}
    assert outbox.states() == {CallbackState.DELIVERED: 2}


@pytest.mark.asyncio
async def test_an_unforeseen_error_of_one_delivery_is_a_retry() -> None:
    def broken(due: DueCallback) -> int:
        if not due.attempts:
            raise RuntimeError("a bug")
        return 200

    outbox, http = Outbox(Time()), Http(broken)
    outbox.add("p")
    async with sending(outbox, http):
        await outbox.time.advance(7)
    assert outbox.reports[0][0].error == "internal_error"
    assert outbox.states() == {CallbackState.DELIVERED: 1}


@pytest.mark.asyncio
async def test_stop_ends_deliveries_which_stay_due() -> None:
    outbox, http = Outbox(Time()), Http(hold=True)
    outbox.add("p")
    async with sending(outbox, http) as sender:
        await sender.stop()
        assert (http.running["all"], http.closed, outbox.reports) == (0, True, [])
    assert outbox.states() == {CallbackState.PENDING: 1}


@pytest.mark.asyncio
async def test_stop_reports_what_is_known() -> None:
    outbox, http = Outbox(Time()), Http(hold=True)
    outbox.add("p")
    async with sending(outbox, http):
        outbox.away = [StorageUnavailable("away")]
        http.open.set()
        await outbox.time.settle()
    assert outbox.states() == {CallbackState.DELIVERED: 1}


# -- over the wire -------------------------------------------------------------------------------


class Hook:
    """A receiver on a free port of loopback; the path says how it answers."""

    def __init__(self) -> None:
        self.events: dict[str, list[int]] = defaultdict(list)
        self.all_in = asyncio.Event()
        self.expected = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:"))
        event = json.loads(await reader.readexactly(length))
        if head.startswith("POST /hang"):
            await asyncio.Event().wait()
        status = "503 Later\r\nRetry-After: 3600" if head.startswith("POST /later") else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        self.events[event["process"]].append(event["sequence"])
        if sum(map(len, self.events.values())) == self.expected:
            self.all_in.set()


@pytest.mark.fault(35)
@pytest.mark.asyncio
async def test_real_receivers_one_of_which_hangs() -> None:
    hook, outbox = Hook(), Outbox(Time())
    server = await asyncio.start_server(hook.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    hanging = await asyncio.start_server(hook.serve, "127.0.0.1", 0)
    for number in range(40):
        outbox.add(f"good{number}", 3, url=f"http://127.0.0.1:{port}/ok")
        outbox.add(f"hung{number}", 3, url=f"http://127.0.0.1:{hanging.sockets[0].getsockname()[1]}/hang")
    outbox.add("later", 2, url=f"http://127.0.0.1:{port}/later")
    for row in outbox.rows.values():
        body = {"process": row.callback.process_id, "sequence": row.callback.sequence}
        row.callback = replace(row.callback, body=json.dumps(body).encode())
    hook.expected = 40 * 3 + 1
    http = CallbackHttp(allow=["127.0.0.0/8"], secret="s3cret")
    sender = CallbackSender(outbox, http)
    await sender.start()
    await hook.all_in.wait()
    await sender.stop()
    server.close()
    hanging.close()
    assert hook.events.pop("later") == [1]
    assert set(map(tuple, hook.events.values())) == {(1, 2, 3)}


@pytest.mark.asyncio
async def test_what_ends_within_a_moment_is_told_in_one_call() -> None:
    """The pace is so slow that the second turn never begins: what has ended is told at the end."""
    outbox, http = Outbox(Time()), Http()
    for number in range(8):
        outbox.add(f"p{number}")
    sender = CallbackSender(outbox, http, pace_seconds=3_600.0)
    await sender.start()
    while len(sender._unreported) < 8:
        await asyncio.sleep(0)
    assert outbox.reports == []
    await sender.stop()
    assert [len(report) for report in outbox.reports] == [8]
