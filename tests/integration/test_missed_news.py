"""News that does not arrive is caught up with, and what arrives twice or late changes nothing; both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from phonefarm.actors.phone import PhoneActor, PhoneConfig
from phonefarm.actors.ports import FarmChange, ManagerPort
from phonefarm.core.leases import LeaseTerms
from phonefarm.errors import ActorUnavailable
from phonefarm.models.outbox import CallbackState, Delivery
from phonefarm.models.phone import PhoneReport, PhoneRow
from phonefarm.models.process import AccountCommand, CancelCommand, Resolution, Target
from phonefarm.models.states import CancelStrategy, PhoneState, Routing
from phonefarm.store.writer import Change
from tests.farmtools import AUTHORISED, FakeDevice, FakeHandle, LocalFarm, NoHost, local_farm, submission

pytestmark = pytest.mark.timeout(90)

#: So long that no timer helps within the test's time.
TERMS = LeaseTerms(seconds=3_600.0, delivery_seconds=3_600.0)


def lose(farm: LocalFarm, monkeypatch: pytest.MonkeyPatch, times: int) -> list[FarmChange]:
    """The next so many calls to the router do not arrive; those that were lost."""
    lost: list[FarmChange] = []
    arrives = farm.router.changed

    async def changed(change: FarmChange) -> list[PhoneRow]:
        if len(lost) < times:
            lost.append(change)
            raise ActorUnavailable("lost on the way there")
        return await arrives(change)

    monkeypatch.setattr(farm.router, "changed", changed)
    return lost


async def test_a_request_the_router_never_heard_of_is_run(
    db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with local_farm(db_url, tmp_path, terms=TERMS) as farm:
        await farm.add_phone("P1")
        await farm.until(lambda: "P1" in farm.router._phones)
        farm.manager._take_spare()
        lost = lose(farm, monkeypatch, 3)
        order = submission()
        await farm.manager.submit_many([order])
        await farm.status_of(order.process_id, "completed")
        assert len(lost) == 3
        assert any(change.waiting for change in lost), "the request was among what was lost"


async def test_a_grant_the_router_never_heard_of_is_run(
    db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manager grants by itself where the router called a phone spare; the lease is of an hour."""
    async with local_farm(db_url, tmp_path, terms=TERMS) as farm:
        await farm.add_phone("P1")
        await farm.until(lambda: farm.manager._spare)
        lost = lose(farm, monkeypatch, 3)
        order = submission()
        await farm.manager.submit_many([order])
        view = await farm.status_of(order.process_id, "completed")
        assert view["attempts"] == 1
        assert len(lost) == 3
        assert any(change.granted for change in lost), "the grant was among what was lost"


async def test_a_request_for_any_phone_is_accepted_while_the_router_is_away(
    db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody need be asked where it goes; one for a certain phone must wait."""

    async def away(_targets: Sequence[Target]) -> list[Resolution]:
        raise ActorUnavailable("the router is away")

    async with local_farm(db_url, tmp_path, terms=TERMS) as farm:
        await farm.add_phone("P1")
        await farm.until(lambda: "P1" in farm.router._phones)
        monkeypatch.setattr(farm.router, "resolve", away)
        order = submission()
        await farm.manager.submit_many([order])
        await farm.status_of(order.process_id, "completed")
        with pytest.raises(ActorUnavailable):
            await farm.manager.submit_many([submission(target=Target(routing=Routing.QUEUE, phone_id="P1"))])


async def test_the_sender_hears_of_many_commits_at_once_and_of_the_last_one(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path, terms=TERMS) as farm:
        await farm.until(lambda: farm.manager._kicks is not None and farm.manager._kicks.done())
        before, commits = farm.sender.kicks, farm.manager._db.commits
        for _ in range(20):
            await farm.manager.submit_many([submission()])
        assert farm.sender.kicks - before < farm.manager._db.commits - commits
        seen = farm.sender.kicks
        await farm.manager.submit_many([submission()])
        await farm.until(lambda: farm.sender.kicks > seen)


async def test_a_cancel_the_router_never_heard_of_stops_the_phone(
    db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before the phone's next heartbeat, which would tell it too."""
    async with local_farm(db_url, tmp_path, terms=TERMS) as farm:
        phone = await farm.add_phone("P1")
        phone.gate.clear()
        order = submission()
        await farm.manager.submit_many([order])
        await asyncio.to_thread(phone.started.wait, 20)
        await farm.status_of(order.process_id, "executing")
        current = farm.phones["P1"]._current
        assert current is not None
        await farm.until(lambda: farm.manager._missed is None)
        lose(farm, monkeypatch, 2)
        command = CancelCommand(
            process_id=order.process_id, reason="r", requested_by={"system": "tests"}, strategy=CancelStrategy.HARD
        )
        await farm.manager.cancel(command)
        await farm.status_of(order.process_id, "cancelled")


class Listener:
    """A manager to whom the answer of one call is lost; ``heard`` is what it was told."""

    def __init__(self, deaf_to: PhoneState) -> None:
        self.heard: list[PhoneState] = []
        self._deaf_to = deaf_to
        self.refused = asyncio.Event()

    async def phone_started(self, _phone_id: str, _host: str, _incarnation: str, _running: Sequence[Any]) -> None:
        return None

    async def report_phones(self, reports: Sequence[PhoneReport]) -> None:
        (report,) = reports
        if report.state is self._deaf_to and not self.refused.is_set():
            self.refused.set()
            raise ActorUnavailable("lost on the way there")
        self.heard.append(report.state)


async def test_the_last_word_of_a_phone_is_the_one_that_stays() -> None:
    """It is unplugged while it tries again to say that it is available."""
    manager = Listener(PhoneState.AVAILABLE)
    device = FakeDevice("P1", [])
    phone = PhoneActor(
        PhoneConfig(phone_id="P1", host="local"), manager=cast(ManagerPort, manager), host=NoHost(),
        device=lambda _serial, _port: FakeHandle(device),
    )  # fmt: skip
    await phone.start()
    await phone.attach("P1", 1)
    await asyncio.wait_for(manager.refused.wait(), 20)
    await phone.detach("unplugged")
    async with phone._words._saying:
        pass
    assert manager.heard[-1] is PhoneState.OFFLINE
    assert PhoneState.AVAILABLE not in manager.heard
    await phone.stop()


@pytest.mark.fault(15)
async def test_an_attempt_to_deliver_that_is_reported_twice_counts_once(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.manager.submit_many([submission()])
        for number in range(3):
            (due,) = (await farm.manager.due_callbacks(10)).callbacks
            assert due.attempts == number
            failed = Delivery(
                event_id=due.event_id, process_id=due.process_id, state=CallbackState.PENDING,
                attempts=due.attempts, error="http_500", retry_in=0.0,
            )  # fmt: skip
            for _ in range(3):
                await farm.manager.callbacks_done([failed])
        (view,) = (await farm.manager.list_callbacks())["items"]
        assert view["attempts"] == 3


async def test_an_account_whose_caller_hangs_up_is_known_to_the_router(
    db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is gone while the change is being committed."""
    async with local_farm(db_url, tmp_path, terms=TERMS) as farm:
        await farm.add_phone("P1")
        written, go_on = asyncio.Event(), asyncio.Event()
        write = farm.manager._db.write

        async def slowly(change: Change[Any]) -> Any:
            value = await write(change)
            written.set()
            await go_on.wait()
            return value

        monkeypatch.setattr(farm.manager._db, "write", slowly)
        command = AccountCommand(account_id="late", phone_id="P1", active=True, authorization=AUTHORISED)
        caller = asyncio.create_task(farm.manager.put_account(command))
        await written.wait()
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        go_on.set()
        await farm.until(lambda: "late" in farm.router._accounts)


@pytest.mark.parametrize("spare", [False, True], ids=["waits", "granted"])
async def test_what_was_accepted_by_a_manager_that_died_before_it_told_the_router_is_run(
    db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spare: bool
) -> None:
    """The farm is idle, so nothing else makes the router ask."""
    async with local_farm(db_url, tmp_path, terms=TERMS) as farm:
        await farm.add_phone("P1")
        await farm.until(lambda: farm.manager._spare)
        if not spare:
            farm.manager._take_spare()
        monkeypatch.setattr(farm.manager, "_news", lambda _change: None)
        order = submission()
        await farm.manager.submit_many([order])
        await farm.restart_manager()
        view = await farm.status_of(order.process_id, "completed")
        assert view["attempts"] == 1
