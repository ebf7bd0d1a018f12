"""The way of one request through manager, router and phone actors, on both databases, with fake phones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from phonefarm.core.leases import LeaseTerms
from phonefarm.errors import AppMissing, Conflict, DeviceLost, NotFound, RequestError
from phonefarm.models.process import (
    Accepted,
    AccountCommand,
    CancelCommand,
    CancelStatus,
    Options,
    ProcessQuery,
    Target,
)
from phonefarm.models.session import Entry, EntryKind, Report
from phonefarm.models.states import CancelStrategy, PublicStatus, Routing
from tests.farmtools import AUTHORISED, keyword_inputs, local_farm, submission

pytestmark = pytest.mark.timeout(90)


async def test_a_request_runs_on_a_phone_and_its_result_is_read_back(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1")
        order = submission()
        (answer,) = await farm.manager.submit_many([order])
        assert answer == Accepted(
            process_id=order.process_id, request_id=order.request_id, process_type="keyword_warmup"
        )
        view = await farm.status_of(order.process_id, "completed")
        (keyword,) = view["result"]["keywords"]
        assert [v["title"] for v in keyword["videos"]] == ["about sourdough"] * 2
        assert keyword["screenshot"] == "P1-keyword-01.png"
        assert view["outcome"] == "succeeded"
        assert view["partial_progress"]["percent"] == 100
        file = await farm.manager.artifact(order.process_id, keyword["screenshot"])
        assert file.data.startswith(b"\x89PNG")
        times = view["timestamps"]
        order_of_times = ["created_at", "executing_at", "first_action_at", "finished_at"]
        assert [times[n] for n in order_of_times] == sorted(times[n] for n in order_of_times)
        kinds = [e["kind"] for e in (await farm.manager.process_events(order.process_id))["items"]]
        assert kinds[0] == "process.accepted"
        assert kinds[-1] == "process.completed"
        assert (await farm.manager.get_phone("P1"))["state"] == "available"


@pytest.mark.fault(1)
async def test_a_key_makes_one_process_whatever_races(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1")
        racers = [submission(request_id="same") for _ in range(64)]
        answers = await asyncio.gather(*(farm.manager.submit_many([racer]) for racer in racers))
        given = [answer for (answer,) in answers if isinstance(answer, Accepted)]
        assert len(given) == 64
        assert len({answer.process_id for answer in given}) == 1
        assert sum(not answer.duplicate for answer in given) == 1
        assert len((await farm.manager.list_processes(ProcessQuery()))["items"]) == 1


@pytest.mark.fault(15)
async def test_a_batch_sent_again_after_a_lost_reply_is_recognised_as_itself(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1")
        order = submission()
        for _ in range(2):
            (answer,) = await farm.manager.submit_many([order])
            assert isinstance(answer, Accepted)
            assert not answer.duplicate


@pytest.mark.fault(2)
async def test_another_body_with_a_used_key_is_a_conflict_that_names_what_differs(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1")
        await farm.manager.submit_many([submission(request_id="same")])
        other = submission(request_id="same", inputs=keyword_inputs(keywords=["rye"]))
        (answer,) = await farm.manager.submit_many([other])
        assert isinstance(answer, Conflict)
        assert answer.detail == "idempotency_key_reused:inputs.keywords"
        assert answer.extra["differs"] == ["inputs.keywords"]


async def test_one_bad_request_does_not_hurt_its_batch(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1")
        unknown = submission(Target(routing=Routing.DIRECT, phone_id="nobody"))
        answers = await farm.manager.submit_many([submission(), unknown, submission()])
        assert [type(a) for a in answers] == [Accepted, NotFound, Accepted]
        assert isinstance(answers[1], RequestError)
        assert answers[1].detail == "unknown_phone:nobody"


async def test_a_group_gets_one_item_a_phone_and_an_account_joins_its_phone(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        for phone in ("P1", "P2", "P3"):
            await farm.add_phone(phone, "rack")
        await farm.manager.put_account(
            AccountCommand(account_id="soup", phone_id="P2", active=True, authorization=AUTHORISED)
        )
        await farm.until(lambda: "soup" in farm.router._accounts)
        target = Target(routing=Routing.GROUP, phone_group="rack", account_ids=("soup",))
        order = submission(target)
        await farm.manager.submit_many([order])
        view = await farm.status_of(order.process_id, "completed")
        assert sorted((i["phone_id"], i["account_id"]) for i in view["items"]) == [
            ("P1", None),
            ("P2", "soup"),
            ("P3", None),
        ]


@pytest.mark.fault(19)
async def test_a_lost_phone_s_queue_work_goes_on_elsewhere_after_its_last_finished_action(
    db_url: str, tmp_path: Path
) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        first = await farm.add_phone("P1")
        first.gate.clear()
        order = submission()
        await farm.manager.submit_many([order])
        await asyncio.to_thread(first.started.wait, 20)
        await farm.add_phone("P2")
        first.errors.append(DeviceLost("cable pulled"))
        first.alive = False
        first.gate.set()
        view = await farm.status_of(order.process_id, "completed")
        assert view["attempts"] == 2
        assert view["items"][0]["phone_id"] == "P2"
        kinds = [e["kind"] for e in (await farm.manager.process_events(order.process_id))["items"]]
        assert "item.interrupted" in kinds
        assert (await farm.manager.get_phone("P1"))["state"] == "offline"


async def test_direct_work_waits_for_its_phone_and_says_so(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1")
        await farm.add_phone("P2")
        await farm.phones["P1"].detach("adb: offline")
        order = submission(Target(routing=Routing.DIRECT, phone_id="P1"))
        await farm.manager.submit_many([order])
        await farm.until(lambda: order.process_id in {i.process_id for i in farm.router._waiting.values()})
        view = await farm.manager.get_process(order.process_id)
        assert view["status"] == "queued"
        assert view["waiting"]["reason"] == "phone_offline"
        await farm.phones["P1"].attach("P1", 1)
        view = await farm.status_of(order.process_id, "completed")
        assert view["items"][0]["phone_id"] == "P1"


async def test_what_cannot_be_retried_fails_at_once_with_its_evidence(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        phone = await farm.add_phone("P1")
        phone.errors.append(AppMissing("org.phonefarm.feed is not installed"))
        order = submission()
        await farm.manager.submit_many([order])
        view = await farm.status_of(order.process_id, "failed_terminal")
        assert view["outcome"] == "failed"
        assert view["error"]["code"] == "app_missing"
        assert view["error"]["action"] == "open_app"
        assert [a["name"] for a in view["result"]["artifacts"]] == ["P1-failure-1.png", "P1-failure-1.xml"]


@pytest.mark.fault(29)
async def test_attempts_are_bounded(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        phone = await farm.add_phone("P1")
        phone.errors += [DeviceLost("1"), DeviceLost("2"), DeviceLost("3")]
        order = submission(options=Options(max_attempts=2))
        await farm.manager.submit_many([order])
        view = await farm.status_of(order.process_id, "failed_terminal")
        assert view["attempts"] == 2
        assert view["error"]["code"] == "device_lost"


@pytest.mark.fault(30)
async def test_cancel_of_what_waits_ends_it_and_asking_again_is_harmless(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1")
        order = submission(options=Options(not_before=2**42))
        await farm.manager.submit_many([order])
        command = CancelCommand(process_id=order.process_id, reason="no", requested_by={"system": "tests"})
        answer = await farm.manager.cancel(command)
        assert answer.status is CancelStatus.REQUESTED
        assert len(answer.cancelled_queue_item_ids) == 1
        assert answer.active_target is None
        again = await farm.manager.cancel(command)
        assert again.status is CancelStatus.IGNORED
        assert again.process_status is PublicStatus.CANCELLED
        milestones = [c["milestone"] for c in reversed((await farm.manager.list_callbacks())["items"])]
        assert milestones == ["accepted", "cancel_requested", "cancelled"]


@pytest.mark.fault(30)
@pytest.mark.parametrize("strategy", list(CancelStrategy))
async def test_cancel_of_what_runs_leaves_the_phone_tidy(db_url: str, tmp_path: Path, strategy: CancelStrategy) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        phone = await farm.add_phone("P1")
        phone.gate.clear()
        order = submission()
        await farm.manager.submit_many([order])
        await asyncio.to_thread(phone.started.wait, 20)
        answer = await farm.manager.cancel(
            CancelCommand(
                process_id=order.process_id,
                reason="no",
                requested_by={"system": "tests"},
                strategy=strategy,
                force_after_seconds=0.05,
            )
        )
        assert answer.active_target is not None
        assert answer.active_target["phone_id"] == "P1"
        if strategy is CancelStrategy.SOFT:
            await farm.until(lambda: farm.phones["P1"]._current and farm.phones["P1"]._current.stop.reason)
            phone.gate.set()
        view = await farm.status_of(order.process_id, "cancelled")
        assert view["outcome"] == "cancelled"
        assert farm.log[-1][1] == "leave"
        await farm.until(lambda: farm._state_is("P1", "available"))


async def test_a_restarted_phone_actor_gives_up_what_it_ran_and_the_item_goes_on(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        phone = await farm.add_phone("P1")
        phone.gate.clear()
        order = submission()
        await farm.manager.submit_many([order])
        await farm.status_of(order.process_id, "executing")
        old = farm.phones["P1"]
        await farm.add_phone("P1")  # a new incarnation of the same actor
        phone.gate.set()
        view = await farm.status_of(order.process_id, "completed")
        assert view["attempts"] == 2
        await old.stop()


@pytest.mark.fault(7)
async def test_a_restarted_manager_is_the_only_writer_and_the_session_goes_on(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        phone = await farm.add_phone("P1")
        phone.gate.clear()
        order = submission()
        await farm.manager.submit_many([order])
        await farm.status_of(order.process_id, "executing")
        await farm.restart_manager()
        await farm.restart_router()
        phone.gate.set()
        view = await farm.status_of(order.process_id, "completed")
        assert view["attempts"] == 1


@pytest.mark.fault(14)
async def test_an_unheard_phone_loses_its_lease_and_its_late_word_changes_nothing(db_url: str, tmp_path: Path) -> None:
    terms = LeaseTerms(seconds=0.5, delivery_seconds=0.5)
    async with local_farm(db_url, tmp_path, terms=terms) as farm:
        first = await farm.add_phone("P1")
        first.gate.clear()
        order = submission()
        await farm.manager.submit_many([order])
        await asyncio.to_thread(first.started.wait, 20)
        farm.cut.add("P1")
        await farm.add_phone("P2")
        view = await farm.status_of(order.process_id, "completed")
        assert view["items"][0]["phone_id"] == "P2"
        kinds = [e["data"]["error"]["code"] for e in (await farm.manager.process_events(order.process_id))["items"] if
                 e["kind"] == "item.interrupted"]  # fmt: skip
        assert kinds == ["lease_expired"]
        ran = [(phone, action.index) for phone, item, action in farm.log if item != "leave"]
        assert ran[0] == ("P1", 0)
        assert {phone for phone, _ in ran[1:]} == {"P2"}, "the unheard phone stopped by itself"


async def test_an_account_at_its_daily_limit_waits_and_says_so(db_url: str, tmp_path: Path) -> None:
    day = 86_400_000
    time = [20_000 * day]
    async with local_farm(db_url, tmp_path, clock=lambda: time[0]) as farm:
        await farm.add_phone("P1")
        await farm.manager.put_account(
            AccountCommand(
                account_id="soup", phone_id="P1", active=True, authorization=AUTHORISED, daily_limits={"sessions": 1}
            )
        )
        await farm.until(lambda: "soup" in farm.router._accounts)
        first, second = (submission(Target(routing=Routing.DIRECT, account_id="soup")) for _ in range(2))
        await farm.manager.submit_many([first])
        await farm.status_of(first.process_id, "completed")
        await farm.manager.submit_many([second])
        await farm.until(lambda: farm.router._accounts["soup"].spent_day == 20_000)
        view = await farm.manager.get_process(second.process_id)
        assert view["status"] == "queued"
        assert view["waiting"]["reason"] == "account_daily_limit"
        assert view["waiting"]["next_attempt_at"] == "2024-10-05T00:00:00.000Z"
        time[0] += day
        await farm.restart_router()
        view = await farm.status_of(second.process_id, "completed")
        assert view["attempts"] == 1


@pytest.mark.fault(31)
async def test_what_is_not_started_in_time_expires(db_url: str, tmp_path: Path) -> None:
    time = [1_000_000]
    async with local_farm(db_url, tmp_path, clock=lambda: time[0]) as farm:
        await farm.add_phone("P1")
        await farm.phones["P1"].detach("adb: offline")
        order = submission(Target(routing=Routing.DIRECT, phone_id="P1"), options=Options(expires_at=1_005_000))
        await farm.manager.submit_many([order])
        time[0] += 5_000
        view = await farm.status_of(order.process_id, "failed_terminal")
        assert view["outcome"] == "expired"
        assert view["error"]["code"] == "expired"
        assert view["attempts"] == 0


async def test_a_farm_that_is_started_anew_has_seen_no_phone_yet(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        await farm.add_phone("P1")
        await farm.restart_manager()
        assert (await farm.manager.get_phone("P1"))["state"] == "available", "only the manager was restarted"
        farm.next_run()
        await farm.restart_manager()
        phone = await farm.manager.get_phone("P1")
        assert (phone["state"], phone["why"]) == ("offline", "not seen since the farm was started")
        await farm.add_phone("P1")


@pytest.mark.fault(19)
async def test_a_phone_that_is_unplugged_in_mid_command_is_lost_and_nothing_is_cancelled(
    db_url: str, tmp_path: Path
) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        first = await farm.add_phone("P1")
        first.gate.clear()
        order = submission()
        await farm.manager.submit_many([order])
        await asyncio.to_thread(first.started.wait, 20)
        await farm.add_phone("P2")
        await farm.phones["P1"].detach("adb: not connected")
        view = await farm.status_of(order.process_id, "completed", "cancelled", "failed_terminal")
        assert view["status"] == "completed"
        assert view["items"][0]["phone_id"] == "P2"
        errors = [e["data"]["error"]["code"] for e in (await farm.manager.process_events(order.process_id))["items"] if
                  e["kind"] == "item.interrupted"]  # fmt: skip
        assert errors == ["device_lost"]
        assert (await farm.manager.get_phone("P1"))["state"] == "offline"


async def test_nobody_can_cancel_an_item_that_no_caller_wanted_cancelled(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        phone = await farm.add_phone("P1")
        phone.gate.clear()
        order = submission()
        await farm.manager.submit_many([order])
        view = await farm.status_of(order.process_id, "executing")
        report = Report(
            phone_id="P1",
            process_id=order.process_id,
            item_id=view["items"][0]["queue_item_id"],
            attempt=1,
            entries=(Entry(kind=EntryKind.CANCELLED),),
        )
        assert (await farm.manager.report(report)).accepted
        phone.gate.set()
        view = await farm.status_of(order.process_id, "completed", "cancelled")
        assert view["status"] == "completed"


async def test_a_timer_goes_on_after_a_fault_that_nobody_foresaw(db_url: str, tmp_path: Path) -> None:
    async with local_farm(db_url, tmp_path) as farm:
        tries: asyncio.Queue[int] = asyncio.Queue()

        async def work() -> None:
            tries.put_nowait(1)
            raise ZeroDivisionError

        timer = asyncio.create_task(farm.manager._repeat(0.0, work))
        for _ in range(3):
            await tries.get()
        timer.cancel()
        await asyncio.gather(timer, return_exceptions=True)
