"""What must not be done twice is written down first, and never started again (rule R4), in both databases."""

from __future__ import annotations

import pytest

from phonefarm.models.clock import new_id
from phonefarm.models.process import CancelCommand, Options
from phonefarm.models.session import Entry, EntryKind, Job
from phonefarm.store import cancel, rescue
from tests.farmtools import maintenance
from tests.unit.store.desk import Desk, desk

HEALTH, REBOOT, PICTURE = ({"action": name} for name in ("health_check", "reboot", "screenshot"))


def test_a_start_is_a_row_before_the_phone_is_touched_and_a_finish_closes_it(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(maintenance(REBOOT, HEALTH))
        assert here.begin(job).accepted
        assert here.actions(job) == [(1, 0, "started")]
        assert here.begin(job).accepted, "the same report again, after a lost answer"
        assert here.actions(job) == [(1, 0, "started")]
        here.finish(job)
        here.finish(job)
        assert here.actions(job) == [(1, 0, "finished")]
        assert here.item(job)["actions_done"] == 1


def test_what_can_be_repeated_has_no_row_before_it_is_done(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(maintenance(HEALTH))
        here.begin(job)
        assert here.actions(job) == []


def dies(here: Desk, job: Job, how: str) -> None:
    if how == "lease":
        here.now += 11_000
        here.rescue()
    elif how == "actor":
        here.run(lambda tx: rescue.take_from_restarted(tx, "A", "new", [], new_id))
    elif how == "lost":
        here.fail(job, 1)
    else:
        here.report(job, Entry(kind=EntryKind.CANCELLED, action=job.actions[1]))


@pytest.mark.parametrize("how", ["lease", "actor", "lost", "broken off"])
def test_one_that_is_never_heard_of_again_ends_its_item(db_url: str, how: str) -> None:
    with desk(db_url) as here:
        job = here.start(maintenance(HEALTH, REBOOT, PICTURE))
        here.begin(job, 0)
        here.finish(job, 0)
        here.begin(job, 1)
        dies(here, job, how)
        row = here.item(job)
        assert row["state"] == "DEAD_LETTER"
        assert here.actions(job) == [(1, 0, "finished"), (1, 1, "interrupted")]
        error = row["error"]
        assert (error["code"], error["retryable"], error["action"]) == ("interrupted", False, "reboot")
        assert "not known" in error["message"]
        assert "action.interrupted" in here.events(job.process_id)
        view = here.process(job.process_id)
        assert view["status"] == "failed_terminal"
        assert [s["status"] for s in view["result"]["steps"]] == ["done", "interrupted", "skipped"]
        here.now += 600_000
        assert here.grant(job.lease.item_id, "B") is None


def test_one_the_phone_refused_has_failed_and_is_not_tried_again(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(maintenance(REBOOT, HEALTH))
        here.begin(job)
        here.fail(job, 0, definite=True)
        row = here.item(job)
        assert (row["state"], row["error"]["code"], row["error"]["retryable"]) == ("DEAD_LETTER", "boom", False)
        assert here.actions(job) == [(1, 0, "failed")]
        assert "action.failed" in here.events(job.process_id)


@pytest.mark.parametrize("how", ["phone", "lease"])
def test_a_cancel_in_the_middle_of_it(db_url: str, how: str) -> None:
    with desk(db_url) as here:
        job = here.start(maintenance(REBOOT, HEALTH))
        here.begin(job)
        command = CancelCommand(process_id=job.process_id, reason="r", requested_by={"system": "t"})
        here.run(lambda tx: cancel.cancel(tx, command, new_id))
        if how == "phone":
            here.report(job, Entry(kind=EntryKind.CANCELLED, action=job.actions[0]))
        else:
            here.now += 11_000
            here.rescue()
        assert here.item(job)["state"] == "CANCELLED"
        assert here.actions(job) == [(1, 0, "interrupted")]
        assert [s["status"] for s in here.process(job.process_id)["result"]["steps"]] == ["interrupted", "skipped"]


def test_a_later_attempt_cannot_start_it_again(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(maintenance(REBOOT, HEALTH))
        here.begin(job)
        here.finish(job)
        here.begin(job, 1)
        here.fail(job, 1)
        assert here.item(job)["state"] == "RETRYABLE"
        here.now += 2_000
        again = here.grant(job.lease.item_id)
        assert again is not None
        assert [a.kind.value for a in again.actions] == ["health_check"], "it is not even handed out"
        before = here.item(again)
        refused = here.report(again, Entry(kind=EntryKind.ACTION_STARTED, action=job.actions[0]))
        assert not refused.accepted
        assert here.item(again) == before
        assert here.actions(again) == [(1, 0, "finished")]


def test_a_failing_step_is_recorded_once_it_is_given_up(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(maintenance(HEALTH, PICTURE, options=Options(max_attempts=2)))
        here.finish(job, 0)
        here.begin(job, 1)
        here.fail(job, 1)
        assert here.actions(job) == [(1, 0, "finished")], "it is tried again"
        here.now += 2_000
        last = here.grant(job.lease.item_id)
        assert last is not None
        here.begin(last, 0)
        here.fail(last, 0)
        assert here.actions(last) == [(1, 0, "finished"), (2, 1, "failed")]
        assert [s["status"] for s in here.process(job.process_id)["result"]["steps"]] == ["done", "failed"]


def test_a_step_whose_phone_was_never_heard_of_again_was_interrupted(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(maintenance(HEALTH, PICTURE, options=Options(max_attempts=1)))
        here.finish(job, 0)
        here.begin(job, 1)
        here.now += 11_000
        here.rescue()
        assert here.actions(job) == [(1, 0, "finished"), (1, 1, "interrupted")]
