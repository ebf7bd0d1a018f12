"""The manager's desk for processes, on both databases: lists, waiting for news, replay, keys, forgetting."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from phonefarm.errors import AppMissing, Conflict, NotFound, ValidationFailed
from phonefarm.models.clock import new_id
from phonefarm.models.process import (
    Accepted,
    CancelCommand,
    OperateCommand,
    Operation,
    OperationScope,
    Options,
    ProcessQuery,
    ReplayCommand,
    Target,
)
from phonefarm.models.reading import ProcessAsked, ProcessBody
from phonefarm.models.states import Capability, PublicStatus, Routing
from phonefarm.store import room
from phonefarm.store.engine import sqlite_url
from tests.farmtools import LocalFarm, local_farm, submission

pytestmark = pytest.mark.timeout(90)

BY: dict[str, Any] = {"system": "tests", "user": None, "metadata": {}}
START = 1_790_000_000_000
DAY = 86_400_000


async def submit(farm: LocalFarm, **changes: Any) -> str:
    order = submission(**changes)
    (answer,) = await farm.manager.submit_many([order])
    assert isinstance(answer, Accepted), answer
    return order.process_id


def cancel(process_id: str) -> CancelCommand:
    return CancelCommand(process_id=process_id, reason="test", requested_by=BY)


async def ids(farm: LocalFarm, **filters: Any) -> list[str]:
    """Every process of a list, page by page of two."""
    found: list[str] = []
    cursor = None
    while True:
        page = await farm.manager.list_processes(ProcessQuery(limit=2, cursor=cursor, **filters))
        assert len(page["items"]) <= 2
        found += [p["process_id"] for p in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            return found


async def test_lists_are_filtered_and_paged_newest_first(db_url: str, tmp_path: Path) -> None:
    now = [START]
    async with local_farm(db_url, tmp_path, clock=lambda: now[0]) as farm:
        made = []
        for number in range(7):
            now[0] += 1_000 if number % 2 else 0  # several of one millisecond
            who: dict[str, Any] = {"system": "a" if number < 4 else "b", "user": None, "metadata": {}}
            made.append(await submit(farm, requested_by=who))
        assert sorted(await ids(farm)) == sorted(made)
        views = (await farm.manager.list_processes(ProcessQuery(limit=200)))["items"]
        keys = [(v["timestamps"]["created_at"], v["process_id"]) for v in views]
        assert keys == sorted(keys, reverse=True)
        assert await ids(farm) == [v["process_id"] for v in views]
        assert set(await ids(farm, system="a")) == set(made[:4])
        assert await ids(farm, process_type="maintenance") == []
        await farm.manager.cancel(cancel(made[0]))
        assert await ids(farm, status=PublicStatus.CANCELLED) == [made[0]]
        assert set(await ids(farm, status=PublicStatus.QUEUED)) == set(made[1:])
        assert set(await ids(farm, created_after=START + 3_000)) == {made[5], made[6]}
        assert set(await ids(farm, created_before=START + 1_000)) == {made[0]}
        first = await farm.manager.list_processes(ProcessQuery(limit=2))
        with pytest.raises(ValidationFailed):
            await farm.manager.list_processes(ProcessQuery(limit=2, cursor=first["next_cursor"], system="a"))


async def test_lists_find_a_process_by_its_phone(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1")
        await farm.add_phone("P2")
        pinned = await submit(farm, target=Target(routing=Routing.DIRECT, phone_id="P2"))
        await farm.status_of(pinned, "completed")
        assert await ids(farm, phone_id="P2") == [pinned]
        assert await ids(farm, phone_id="P1") == []
        assert await ids(farm, account_id="nobody") == []


async def test_a_status_is_waited_for_by_news_not_by_a_timer(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        process_id = await submit(farm)
        waits = [asyncio.create_task(farm.manager.await_status(process_id, seconds=3_600)) for _ in range(50)]
        await farm.until(lambda: len(farm.manager._waiters) == 50)
        await farm.manager.cancel(cancel(process_id))
        await asyncio.gather(*waits)
        assert len(farm.manager._waiters) == 0
        await farm.manager.await_status(process_id, seconds=3_600)  # over: at once
        other = await submit(farm)
        await farm.manager.await_status(other, seconds=3_600, known="executing")  # changed before the call: at once
        with pytest.raises(NotFound):
            await farm.manager.await_status(new_id(), seconds=3_600)


async def test_a_waiter_that_gives_up_is_forgotten(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        process_id = await submit(farm)
        wait = asyncio.create_task(farm.manager.await_status(process_id, seconds=3_600))
        await farm.until(lambda: len(farm.manager._waiters) == 1)
        wait.cancel()
        await asyncio.gather(wait, return_exceptions=True)
        assert len(farm.manager._waiters) == 0
        await farm.manager.await_status(process_id, seconds=0)


async def test_events_are_read_after_a_sequence_and_waited_for(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        process_id = await submit(farm)
        page = await farm.manager.process_events(process_id)
        assert [e["kind"] for e in page["items"]] == ["process.accepted"]
        assert page["over"] is False
        later = asyncio.create_task(farm.manager.process_events(process_id, after=1, seconds=3_600))
        await farm.until(lambda: len(farm.manager._waiters) == 1)
        await farm.manager.cancel(cancel(process_id))
        page = await later
        assert [e["sequence"] for e in page["items"]] == list(range(2, 2 + len(page["items"])))
        assert page["over"] is True
        some = await farm.manager.process_events(process_id, limit=2)
        assert (len(some["items"]), some["over"]) == (2, False)
        rest = await farm.manager.process_events(process_id, after=2)
        assert rest["over"] is True


async def test_another_system_s_processes_do_not_exist(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        process_id = await submit(farm)
        manager = farm.manager
        for call in (
            manager.get_process(process_id, system="other"),
            manager.process_events(process_id, system="other"),
            manager.await_status(process_id, seconds=1, system="other"),
            manager.artifact(process_id, "a.png", system="other"),
            manager.cancel(cancel(process_id), system="other"),
            manager.replay(replay(process_id), system="other"),
        ):
            with pytest.raises(NotFound) as refused:
                await call
            assert refused.value.problem_code == "unknown_process"
        (hidden,) = await manager.read_processes([ProcessAsked(process_id=process_id, system="other")])
        assert isinstance(hidden, NotFound)
        assert hidden.problem_code == "unknown_process"
        assert (await manager.get_process(process_id, system="tests"))["status"] == "queued"
        (callback,) = (await manager.list_callbacks(system="tests"))["items"]
        assert (await manager.list_callbacks(system="other"))["items"] == []
        with pytest.raises(NotFound):
            await manager.redeliver(callback["event_id"], system="other")


async def test_a_process_that_waits_is_read_with_its_reason_in_two_steps(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        ids = [await submit(farm) for _ in range(2)]

        async def told() -> bool:
            return all([(await farm.manager.get_process(process_id))["waiting"] for process_id in ids])

        await farm.until(told)
        reads = await farm.manager.read_processes([ProcessAsked(process_id=process_id) for process_id in ids])
        bodies = [read for read in reads if isinstance(read, ProcessBody)]
        reasons = await farm.manager.why_waiting([body.idle for body in bodies])
        shown = [json.loads(body.waiting(reason)) for body, reason in zip(bodies, reasons, strict=True)]
        assert shown == [await farm.manager.get_process(process_id) for process_id in ids]
        assert all(view["waiting"]["reason"] for view in shown)
        assert await farm.manager.why_waiting([("nobody",), bodies[0].idle]) == [None, reasons[0]]


def replay(source: str, **changes: Any) -> ReplayCommand:
    values: dict[str, Any] = {"process_id": new_id(), "source_id": source, "request_id": f"r-{new_id()}"}
    return ReplayCommand(**{**values, "requested_by": BY, **changes})


async def partly_failed(farm: LocalFarm) -> str:
    """A group of two of which the item of P2 failed."""
    device = await farm.add_phone("P1"), await farm.add_phone("P2")
    device[1].errors.append(AppMissing("no app"))
    target = Target(routing=Routing.GROUP, phone_ids=("P1", "P2"))
    source = await submit(farm, target=target, options=Options(priority=7))
    view = await farm.status_of(source, "failed_terminal")
    assert view["outcome"] == "partial"
    return source


async def test_a_replay_runs_only_what_did_not_finish_and_is_linked_both_ways(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        source = await partly_failed(farm)
        order = replay(source)
        answer = await farm.manager.replay(order)
        assert isinstance(answer, Accepted)
        assert (answer.process_id, answer.replay_of, answer.duplicate) == (order.process_id, source, False)
        view = await farm.status_of(order.process_id, "completed")
        assert [i["phone_id"] for i in view["items"]] == ["P2"]
        assert view["replay_of"] == source
        before = await farm.manager.get_process(source)
        assert before["linked_ids"]["replayed_by"] == [order.process_id]
        assert before["status"] == "failed_terminal"


async def test_a_replay_is_itself_idempotent_whatever_races(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        source = await partly_failed(farm)
        other = await submit(farm, request_id="taken", target=Target(routing=Routing.DIRECT, phone_id="P1"))
        answers = await asyncio.gather(*(farm.manager.replay(replay(source, request_id="again")) for _ in range(32)))
        assert all(isinstance(a, Accepted) for a in answers)
        given = [a for a in answers if isinstance(a, Accepted)]
        assert len({a.process_id for a in given}) == 1
        assert sum(not a.duplicate for a in given) == 1
        clash = await farm.manager.replay(replay(source, request_id="taken"))
        assert isinstance(clash, Conflict)
        assert clash.extra["process_id"] == other
        await farm.restart_manager()
        after = await farm.manager.replay(replay(source, request_id="again"))
        assert isinstance(after, Accepted)
        assert after.duplicate


async def test_what_did_not_fail_cannot_be_replayed(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        waiting = await submit(farm)
        with pytest.raises(Conflict) as refused:
            await farm.manager.replay(replay(waiting))
        assert refused.value.problem_code == "not_replayable"
        assert refused.value.detail == "not_replayable:queued"
        with pytest.raises(NotFound):
            await farm.manager.replay(replay(new_id()))


async def test_both_ways_to_create_a_process_share_keys_under_races(db_url: str, tmp_path: Path) -> None:
    """The second route makes the same submission, so the race is one of submissions and of replicas' batches."""
    async with local_farm(db_url, tmp_path) as farm:
        racers = [submission(request_id="same") for _ in range(60)]
        batches = [racers[n : n + 3] for n in range(0, 60, 3)]
        answers = [a for got in await asyncio.gather(*map(farm.manager.submit_many, batches)) for a in got]
        given = [a for a in answers if isinstance(a, Accepted)]
        assert len(given) == 60
        assert len({a.process_id for a in given}) == 1
        assert sum(not a.duplicate for a in given) == 1
        await farm.restart_manager()
        (again,) = await farm.manager.submit_many([submission(request_id="same")])
        assert isinstance(again, Accepted)
        assert again.duplicate
        assert len(await ids(farm)) == 1


async def test_a_duplicate_answers_for_a_phone_that_was_retired_since(db_url: str, tmp_path: Path) -> None:
    """Whichever route made the first, and after a restart; a new request for that phone is refused."""
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1")
        target = Target(routing=Routing.QUEUE, phone_id="P1")
        upkeep = {
            "capability": Capability.MAINTENANCE,
            "inputs": {"steps": [{"action": "health_check", "params": {}}], "metadata": {}},
        }
        first = [submission(target, request_id="a"), submission(target, request_id="b", **upkeep)]
        await farm.manager.submit_many(first)
        for order in first:
            await farm.status_of(order.process_id, "completed")
        retire = OperateCommand(
            scope=OperationScope.PHONE, name="P1", operation=Operation.RETIRE, reason="old", by="test"
        )
        await farm.manager.operate(retire)
        await farm.restart_manager()
        again = [submission(target, request_id="a"), submission(target, request_id="b", **upkeep)]
        for answer, order in zip(await farm.manager.submit_many(again), first, strict=True):
            assert isinstance(answer, Accepted)
            assert (answer.duplicate, answer.process_id) == (True, order.process_id)
        (refused,) = await farm.manager.submit_many([submission(target)])
        assert isinstance(refused, Conflict)
        assert refused.problem_code == "phone_retired"


async def test_processes_are_forgotten_after_their_time_and_their_keys_with_them(db_url: str, tmp_path: Path) -> None:
    now = [START]
    async with local_farm(db_url, tmp_path, clock=lambda: now[0]) as farm:
        ended = await submit(farm, request_id="old")
        await farm.manager.cancel(cancel(ended))
        running = await submit(farm, request_id="running")
        now[0] += 91 * DAY
        assert await farm.manager.prune() == 0, "its callbacks are still to be delivered"
        await deliver_all(farm)
        now[0] += DAY
        kept = tmp_path / "artifacts" / ended
        kept.mkdir(parents=True)
        assert await farm.manager.prune() == 1
        assert not kept.exists()
        assert await ids(farm) == [running]
        (fresh,) = await farm.manager.submit_many([submission(request_id="old")])
        assert isinstance(fresh, Accepted)
        assert not fresh.duplicate


async def test_what_is_forgotten_leaves_no_room_in_an_embedded_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SPARE_PAGES", 0)
    now, path = [START], tmp_path / "farm.db"

    def pages(name: str) -> int:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

    async with local_farm(sqlite_url(path), tmp_path, clock=lambda: now[0]) as farm:
        for number in range(60):
            await farm.manager.cancel(cancel(await submit(farm, request_id=f"r-{number}")))
        await deliver_all(farm)
        before = pages("page_count")
        now[0] += 91 * DAY
        assert await farm.manager.prune() == 60
        assert pages("page_count") < before - 10
        assert pages("freelist_count") <= pages("page_count") * room.SPARE_SHARE + 1


async def test_processes_are_kept_until_their_time(db_url: str, tmp_path: Path) -> None:
    now = [START]
    async with local_farm(db_url, tmp_path, clock=lambda: now[0]) as farm:
        ended = await submit(farm)
        await farm.manager.cancel(cancel(ended))
        await deliver_all(farm)
        now[0] += 90 * DAY - 1_000
        assert await farm.manager.prune() == 0
        assert await ids(farm) == [ended]


async def deliver_all(farm: LocalFarm) -> None:
    """Every pending callback as delivered."""
    from phonefarm.models.outbox import CallbackState, Delivery

    while due := (await farm.manager.due_callbacks(10)).callbacks:
        await farm.manager.callbacks_done(
            [
                Delivery(event_id=c.event_id, process_id=c.process_id, state=CallbackState.DELIVERED, http_status=204)
                for c in due
            ]
        )
