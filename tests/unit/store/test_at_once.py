"""Accepting and granting in one transaction, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from phonefarm.core.planning import plan
from phonefarm.errors import NotFound
from phonefarm.models.clock import new_id
from phonefarm.models.process import Accepted, Operation, Options, ResolvedItem, Submission, SubmitOutcome
from phonefarm.models.queue import WaitingItem
from phonefarm.models.session import Job
from phonefarm.models.states import PhoneState
from phonefarm.store import accept, at_once, views
from tests.farmtools import submission
from tests.unit.store.desk import TERMS, Desk, desk

pytestmark = pytest.mark.timeout(90)


def planned(order: Submission | None = None, **item: str) -> accept.Planned:
    order = order or submission()
    total = len(plan(order.capability, order.inputs))
    return accept.Planned(submission=order, items=[ResolvedItem(**item)], actions_total=total)


def ask(
    here: Desk, *batch: accept.Planned | accept.Refused, spare: str = "AB"
) -> tuple[list[SubmitOutcome], list[WaitingItem], list[Job]]:
    """Phones "A", "B" were spare, whatever they are now."""
    rows = [replace(here.row(name), state=PhoneState.AVAILABLE) for name in spare]
    outcomes, waiting, jobs = here.run(
        lambda tx: at_once.accept_and_grant(tx, batch, rows, plan=plan, terms=TERMS, new_id=new_id)
    )
    return outcomes, waiting, jobs


def test_an_item_is_granted_by_the_commit_that_accepts_it(db_url: str) -> None:
    with desk(db_url) as here:
        here.phone("A")
        commits, order = here.writer.commits, submission()
        (outcome,), waiting, (job,) = ask(here, planned(order), spare="A")
        assert here.writer.commits == commits + 2, "one of them was the look at the phone"
        assert isinstance(outcome, Accepted)
        assert not waiting
        assert (job.process_id, job.phone_id, job.lease.attempt) == (order.process_id, "A", 1)
        assert len(job.actions) == len(plan(order.capability, order.inputs))
        page = here.read(lambda c: views.process_events(c, order.process_id, 0, 10, None, 0))
        assert [event["kind"] for event in page["items"]] == ["process.accepted", "item.claimed", "process.planned"]
        assert here.row("A").state is PhoneState.BUSY


def test_what_finds_no_spare_phone_waits(db_url: str) -> None:
    with desk(db_url) as here:
        here.phone("A")
        here.phone("B")
        first, second, third = submission(), submission(options=Options(priority=9)), submission()
        outcomes, waiting, jobs = ask(here, planned(first), planned(second), planned(third, phone_id="B"), spare="A")
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert [job.process_id for job in jobs] == [second.process_id], "the more urgent one"
        assert {item.process_id for item in waiting} == {first.process_id, third.process_id}


def test_a_phone_that_is_not_spare_any_more_is_not_given(db_url: str) -> None:
    """Taken, set apart, or wished to be; the others of the batch are granted all the same."""
    with desk(db_url) as here:
        for name in "ABCD":
            here.phone(name)
        here.start(submission(), "A")
        here.operate(Operation.PAUSE, "B")
        here.phone("C", PhoneState.OFFLINE)
        batch = [planned(phone_id=name) for name in "ABCD"]
        outcomes, waiting, jobs = ask(here, *batch, spare="ABCD")
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert [job.phone_id for job in jobs] == ["D"]
        assert [item.phone_id for item in waiting] == ["A", "B", "C"]


def test_nothing_is_granted_twice_for_one_key_nor_for_a_refusal(db_url: str) -> None:
    with desk(db_url) as here:
        here.phone("A")
        here.phone("B")
        order, error = submission(), NotFound("unknown_phone", "unknown_phone:x")
        refused = accept.Refused(submission=submission(), error=error)
        outcomes, waiting, jobs = ask(here, planned(order), planned(replace(order, process_id=new_id())), refused)
        assert [getattr(outcome, "duplicate", None) for outcome in outcomes] == [False, True, None]
        assert (len(waiting), len(jobs)) == (0, 1)
        assert ask(here, planned(order))[1:] == ([], [])


def test_what_may_not_run_yet_waits(db_url: str) -> None:
    with desk(db_url) as here:
        here.phone("A")
        _, waiting, jobs = ask(here, planned(submission(options=Options(not_before=here.now + 1))), spare="A")
        assert (len(waiting), jobs) == (1, [])
