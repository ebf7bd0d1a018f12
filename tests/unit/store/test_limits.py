"""Daily limits, not_before, expires_at and max_attempts, the clock in the test's hand, in both databases."""

from __future__ import annotations

import pytest

from phonefarm.core.planning import plan
from phonefarm.models.process import Options, ResolvedItem
from phonefarm.models.session import Entry, EntryKind
from phonefarm.store import roster, snapshot
from tests.farmtools import submission
from tests.unit.store.desk import DAY, TERMS, Desk, desk


def spent(here: Desk, account_id: str = "soup") -> bool:
    return bool(here.run(lambda tx: roster.is_spent(tx, account_id)))


def test_a_session_counts_when_it_is_first_claimed(db_url: str) -> None:
    with desk(db_url) as here:
        here.account("soup", daily_limits={"sessions": 2})
        first, second, third = (here.submit(submission(), [ResolvedItem(account_id="soup")])[0] for _ in range(3))
        job = here.grant(first, "A", "soup")
        assert job is not None
        here.fail(job)
        here.now += 2_000
        assert not spent(here)
        job = here.grant(first, "A", "soup")
        assert job is not None, "a retry is the same session"
        assert not spent(here)
        here.report(job, Entry(kind=EntryKind.FINISHED))
        job = here.grant(second, "A", "soup")
        assert job is not None
        here.report(job, Entry(kind=EntryKind.FINISHED))
        assert spent(here)
        assert here.grant(third, "A", "soup") is None
        here.now += DAY
        assert here.grant(third, "A", "soup") is not None


def test_the_last_session_of_a_day_goes_on_after_it_was_broken_off(db_url: str) -> None:
    with desk(db_url) as here:
        here.account("soup", daily_limits={"sessions": 1, "minutes": 10})
        first, second = (here.submit(submission(), [ResolvedItem(account_id="soup")])[0] for _ in range(2))
        for _ in range(2):
            job = here.grant(first, "A", "soup")
            assert job is not None, "it is the session that was counted"
            assert here.grant(second, "B", "soup") is None
            here.fail(job)
            here.now += 10_000
        assert here.grant(second, "A", "soup") is None
        job = here.grant(first, "A", "soup")
        assert job is not None
        here.finish(job, 0, seconds=600.0)
        assert spent(here)
        assert here.run(lambda tx: roster.is_spent(tx, "soup", begun=True)), "minutes bound every session"


def test_a_group_s_item_counts_for_every_account_it_is_given(db_url: str) -> None:
    with desk(db_url) as here:
        here.account("soup", phone_id="A", group="g", daily_limits={"sessions": 1})
        here.account("stew", phone_id="B", group="g", daily_limits={"sessions": 1})
        (item,) = here.submit(submission(), [ResolvedItem(account_group="g")])
        job = here.grant(item, "A", "soup")
        assert job is not None
        here.fail(job)
        here.now += 2_000
        assert here.grant(item, "A", "soup") is None
        assert here.grant(item, "B", "stew") is not None
        assert spent(here, "soup")
        assert spent(here, "stew")


def test_minutes_count_while_it_runs_and_bound_the_session(db_url: str) -> None:
    with desk(db_url) as here:
        here.account("soup", daily_limits={"minutes": 10})
        first, second = (here.submit(submission(), [ResolvedItem(account_id="soup")])[0] for _ in range(2))
        job = here.grant(first, "A", "soup")
        assert job is not None
        assert job.seconds_left == 600, "less than the session's own 15 minutes"
        here.finish(job, 0, seconds=400.0)
        here.report(job, Entry(kind=EntryKind.FAILED, action=job.actions[1], seconds=50.0))
        here.now += 2_000
        job = here.grant(first, "A", "soup")
        assert job is not None
        assert job.seconds_left == 150
        here.finish(job, 0, seconds=150.0)
        assert spent(here)
        here.report(job, Entry(kind=EntryKind.FINISHED))
        assert here.grant(second, "A", "soup") is None
        here.now += DAY
        job = here.grant(second, "A", "soup")
        assert job is not None
        assert job.seconds_left == 600


def test_without_a_limit_of_minutes_the_session_has_its_own_time(db_url: str) -> None:
    with desk(db_url) as here:
        here.account("soup")
        (item,) = here.submit(submission(), [ResolvedItem(account_id="soup")])
        job = here.grant(item, "A", "soup")
        assert job is not None
        assert job.seconds_left == 900


@pytest.mark.fault(34)
def test_a_clock_that_jumps_over_midnight_and_back_gives_no_day_twice(db_url: str) -> None:
    with desk(db_url) as here:
        here.account("soup", daily_limits={"sessions": 1})

        def session() -> bool:
            (item,) = here.submit(submission(), [ResolvedItem(account_id="soup")])
            job = here.grant(item, "A", "soup")
            if job is not None:
                here.report(job, Entry(kind=EntryKind.FINISHED))
            return job is not None

        assert [session(), session()] == [True, False]
        here.now += DAY
        assert [session(), session()] == [True, False]
        here.now -= DAY
        assert session() is False
        row = here.run(lambda tx: snapshot.snapshot(tx, plan=plan, terms=TERMS)).accounts[0]
        assert row.spent_day == here.now // DAY, "a router that starts now knows it"


def test_not_before_is_waited_for(db_url: str) -> None:
    with desk(db_url) as here:
        (item,) = here.submit(submission(options=Options(not_before=here.now + 60_000)))
        assert here.grant(item) is None
        here.now += 60_000
        assert here.grant(item) is not None


@pytest.mark.fault(31)
def test_of_a_group_what_has_not_started_expires_and_the_rest_makes_it_partial(db_url: str) -> None:
    with desk(db_url) as here:
        order = submission(options=Options(expires_at=here.now + 5_000))
        first, second = here.submit(order, [ResolvedItem(phone_id="A"), ResolvedItem(phone_id="B")])
        job = here.grant(first, "A")
        assert job is not None
        here.report(job, Entry(kind=EntryKind.STARTED))
        here.now += 5_000
        here.rescue()
        assert here.grant(second, "B") is None, "expired, never started"
        view = here.process(order.process_id)
        assert [i["status"] for i in view["items"]] == ["executing", "failed_terminal"]
        here.report(job, Entry(kind=EntryKind.FINISHED))
        view = here.process(order.process_id)
        assert (view["status"], view["outcome"]) == ("failed_terminal", "partial")
        assert view["error"]["code"] == "expired"


def test_what_has_started_does_not_expire_with_its_retry(db_url: str) -> None:
    with desk(db_url) as here:
        order = submission(options=Options(expires_at=here.now + 5_000))
        job = here.start(order)
        here.fail(job)
        here.now += 6_000
        here.rescue()
        assert here.item(job)["state"] == "RETRYABLE"
        assert here.grant(job.lease.item_id) is not None


@pytest.mark.fault(29)
@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_no_more_attempts_than_asked_for(db_url: str, attempts: int) -> None:
    with desk(db_url) as here:
        order = submission(options=Options(max_attempts=attempts))
        (item,) = here.submit(order)
        for number in range(1, attempts + 1):
            job = here.grant(item)
            assert job is not None
            assert job.lease.attempt == number
            here.fail(job)
            here.now += 200_000
        assert here.process(order.process_id)["status"] == "failed_terminal"
        assert here.grant(item) is None
