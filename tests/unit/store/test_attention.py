"""What the operator's pages read beyond the API's lists, in both databases."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from phonefarm.errors import NotFound
from phonefarm.models.attention import Attention
from phonefarm.models.clock import new_id
from phonefarm.models.outbox import CallbackState, Delivery
from phonefarm.models.phone import PhoneReport
from phonefarm.models.process import Options, ProcessQuery, ReplayCommand
from phonefarm.models.session import Entry, EntryKind
from phonefarm.models.states import PhoneState
from phonefarm.store import attention, lists, outbox, replay, roster, views
from tests.farmtools import submission
from tests.unit.store.desk import DAY, Desk, desk

pytestmark = pytest.mark.timeout(60)


def read(here: Desk, system: str | None = None) -> Attention:
    found = here.read(lambda c: attention.read(c, here.now, system))
    assert isinstance(found, Attention)
    return found


def failed(here: Desk, **changes: Any) -> str:
    job = here.start(submission(**changes))
    here.fail(job, retryable=False)
    return job.process_id


def test_nothing_needs_anybody_on_a_farm_at_rest(db_url: str) -> None:
    with desk(db_url) as here:
        assert read(here) == Attention(now=here.now)


def test_a_dead_letter_is_named_until_it_is_run_again_or_old(db_url: str) -> None:
    with desk(db_url) as here:
        first = failed(here, request_id="first")
        here.now += 1_000
        second = failed(here)
        found = read(here)
        assert found.dead_letter_count == 2
        assert [letter.process_id for letter in found.dead_letters] == [second, first]
        assert (found.dead_letters[1].request_id, found.dead_letters[1].code) == ("first", "boom")
        assert read(here, "others").dead_letter_count == 0
        again(here, second)
        assert [letter.process_id for letter in read(here).dead_letters] == [first]
        here.now += 8 * DAY
        assert read(here).dead_letter_count == 0


def again(here: Desk, process_id: str) -> None:
    command = ReplayCommand(process_id=new_id(), source_id=process_id, request_id="r", requested_by={"system": "tests"})
    source = here.read(lambda c: replay.load(c, process_id, None))
    here.submit(replay.submission(command, source), source.unfinished)


def test_receivers_that_fail_are_named_once_each(db_url: str) -> None:
    with desk(db_url) as here:
        for url in ("https://a.example/hook", "https://a.example/hook", "https://b.example/hook"):
            here.submit(submission(callback={"url": url, "metadata": {}}))
        start = here.now
        assert refuse(here, attention.FAILED_TRIES - 1).receivers == ()
        found = refuse(here, 1).receivers
        assert [(r.url, r.dead, r.count, r.since, r.http_status, r.error) for r in found] == [
            ("https://a.example/hook", False, 2, start, 500, "http_status"),
            ("https://b.example/hook", False, 1, start, 500, "http_status"),
        ]
        assert read(here, "others").receivers == ()
        here.now += 60_000
        died = here.now
        found = refuse(here, 1, CallbackState.DEAD).receivers
        assert [(r.dead, r.count, r.since) for r in found] == [(True, 2, died), (True, 1, died)]
        here.now += 8 * DAY
        assert read(here).receivers == ()


def refuse(here: Desk, times: int, state: CallbackState = CallbackState.PENDING) -> Attention:
    for _ in range(times):
        due = here.due(50).callbacks
        assert due
        answers = [
            Delivery(
                event_id=d.event_id, process_id=d.process_id, state=state, attempts=d.attempts, http_status=500,
                error="http_status", retry_in=0.0,
            )
            for d in due
        ]  # fmt: skip
        here.run(partial(outbox.done, deliveries=answers, new_id=new_id))
    return read(here)


def test_since_when_a_phone_is_in_its_state_whatever_reasons_it_had_for_it(db_url: str) -> None:
    with desk(db_url) as here:
        assert read(here).states == {}
        say(here, PhoneState.OFFLINE, "an earlier time")
        here.now += 1_000
        here.phone("A")
        here.now += 1_000
        began = here.now
        for reason in ("lost", "lost; 2 more clean checks", "lost; 1 more clean check"):
            say(here, PhoneState.QUARANTINED, reason)
            here.now += 1_000
        assert read(here).states == {"A": began}
        here.phone("A")
        assert read(here).states == {}


def say(here: Desk, state: PhoneState, why: str) -> None:
    report = PhoneReport(phone_id="A", host="h", serial="A", state=state, why=why)
    here.run(lambda tx: roster.report_phones(tx, [report]))


def test_the_queue_is_as_old_as_its_oldest_item_that_could_run(db_url: str) -> None:
    with desk(db_url) as here:
        start = here.now
        here.submit(submission(options=Options(not_before=start + DAY)))
        assert (read(here).ready_items, read(here).oldest_ready) == (0, None)
        here.submit(submission())
        here.now += 5_000
        assert (read(here).ready_items, read(here).oldest_ready) == (1, start)
        assert read(here, "others").ready_items == 0
        here.now += DAY
        assert (read(here).ready_items, read(here).oldest_ready) == (2, start)


def test_the_actions_of_a_process_newest_first(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission())
        here.finish(job, 0)
        here.now += 1_000
        action = job.actions[1]
        output = {"title": "bread"}
        here.report(job, Entry(kind=EntryKind.ACTION_FINISHED, action=action, output=output, seconds=2.5))
        both = here.read(lambda c: attention.process_actions(c, job.process_id, 10))
        assert [(a["index"], a["kind"], a["status"], a["phone_id"]) for a in both] == [
            (1, "search", "finished", "A"),
            (0, "open_app", "finished", "A"),
        ]
        assert (both[0]["params"], both[0]["output"], both[0]["seconds"]) == (action.params, output, 2.5)
        assert here.read(lambda c: attention.process_actions(c, job.process_id, 1)) == both[:1]
        with pytest.raises(NotFound):
            here.read(lambda c: attention.process_actions(c, job.process_id, 10, "others"))


def test_the_tail_of_a_history(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission())
        every = here.read(lambda c: views.process_events(c, job.process_id))["items"]
        assert len(every) > 3
        assert here.read(lambda c: views.process_events(c, job.process_id, tail=2))["items"] == every[-2:]
        assert here.read(lambda c: views.process_events(c, job.process_id, tail=1_000))["items"] == every
        last = every[-1]["sequence"]
        assert here.read(lambda c: views.process_events(c, job.process_id, last, tail=2))["items"] == []


def test_callbacks_of_one_process(db_url: str) -> None:
    with desk(db_url) as here:
        mine, other = submission(), submission()
        here.submit(mine)
        here.submit(other)
        page = partial(lists.callbacks_page, state=None, limit=10, cursor=None, system=None)
        assert {c["process_id"] for c in here.read(page)["items"]} == {mine.process_id, other.process_id}
        found = here.read(lambda c: page(c, process_id=mine.process_id))["items"]
        assert [c["process_id"] for c in found] == [mine.process_id]


def found_by(here: Desk, text: str, **changes: Any) -> tuple[list[str], str | None]:
    page = here.read(lambda c: lists.processes_page(c, ProcessQuery(request_id=text, **changes)))
    return [view["request_id"] for view in page["items"]], page["next_cursor"]


def test_processes_by_a_part_of_their_request_id(db_url: str) -> None:
    with desk(db_url) as here:
        for name in ("Order-100%", "order-2", "other"):
            here.submit(submission(request_id=name))
            here.now += 1
        assert found_by(here, "ORDER") == (["order-2", "Order-100%"], None)
        assert found_by(here, "%") == (["Order-100%"], None)
        assert found_by(here, "_") == ([], None)
        first, cursor = found_by(here, "order", limit=1)
        assert first == ["order-2"]
        assert found_by(here, "order", limit=1, cursor=cursor) == (["Order-100%"], None)


def test_a_search_looks_through_so_many_processes_a_page(db_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "SEARCHED", 3)
    with desk(db_url) as here:
        for number in range(10):
            here.submit(submission(request_id=f"{'wanted' if number in (1, 9) else 'r'}-{number}"))
            here.now += 1
        pages, cursor = [], None
        while True:
            names, cursor = found_by(here, "wanted", cursor=cursor)
            pages.append(names)
            if cursor is None:
                break
        assert pages == [["wanted-9"], [], ["wanted-1"]]
