"""How often a hot change asks its database, and that asking less has weakened nothing; both databases.

Each statement is a round trip between a request and its phone. The numbers are those of today: one that grows is to be
looked at, one that shrinks is written down here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from phonefarm.core.planning import plan
from phonefarm.models.clock import new_id
from phonefarm.models.phone import PhoneRow
from phonefarm.models.process import Operation, ResolvedItem
from phonefarm.models.queue import Assignment
from phonefarm.models.session import Entry, EntryKind, ErrorInfo, Job
from phonefarm.models.states import PhoneState
from phonefarm.store import claim, tables
from phonefarm.store.roster import phone_rows
from phonefarm.store.writer import maps
from tests.farmtools import maintenance, submission
from tests.unit.store.desk import TERMS, Desk, desk

pytestmark = pytest.mark.timeout(60)

HEALTH, REBOOT = {"action": "health_check"}, {"action": "reboot"}


@contextmanager
def counted(here: Desk) -> Iterator[list[str]]:
    """The statements of the writer, without what begins a transaction."""
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            said.append(statement)

    sa.event.listen(here.engines.writer, "before_cursor_execute", note)
    try:
        yield said
    finally:
        sa.event.remove(here.engines.writer, "before_cursor_execute", note)


def done(job: Job, place: int) -> Entry:
    return Entry(kind=EntryKind.ACTION_FINISHED, action=job.actions[place], seconds=1.0)


def begun(job: Job, place: int) -> Entry:
    return Entry(kind=EntryKind.ACTION_STARTED, action=job.actions[place])


def test_a_session_asks_its_database_so_often(db_url: str) -> None:
    with desk(db_url) as here:
        (item_id,) = here.submit(submission())
        with counted(here) as said:
            job = here.grant(item_id)
        assert job is not None
        assert len(said) == 8, said
        steps = {
            "started": ([Entry(kind=EntryKind.STARTED)], 8),
            "its first action": ([begun(job, 0)], 5),
            "its next action": ([begun(job, 1)], 3),
            "one action more": ([done(job, 0)], 8),
            "four actions more": ([done(job, place) for place in range(1, 5)], 8),
            "nothing": ([Entry(kind=EntryKind.HEARTBEAT)], 3),
            "finished": ([Entry(kind=EntryKind.FINISHED)], 11),
        }
        for name, (entries, number) in steps.items():
            with counted(here) as said:
                assert here.report(job, *entries).accepted
            assert len(said) == number, (name, said)


# -- the compare-and-set of a grant ---------------------------------------------------------------


def away(here: Desk) -> None:
    here.phone("A", PhoneState.OFFLINE)


def drained(here: Desk) -> None:
    """Free again as far as its state goes, but an operator wants it out of the pool."""
    here.run(
        lambda tx: tx.rows(sa.update(tables.phones).where(tables.phones.c.id == "A").values(wanted_state="paused"))
    )


def with_an_item(here: Desk) -> None:
    """Its state has not followed, as after news that crossed."""
    here.start(submission())
    here.run(lambda tx: tx.rows(sa.update(tables.phones).values(state=PhoneState.AVAILABLE.value)))


def unknown(here: Desk) -> None:
    here.run(lambda tx: tx.rows(sa.delete(tables.phones).where(tables.phones.c.id == "A")))


@pytest.mark.parametrize("how", [away, drained, with_an_item, unknown])
def test_a_phone_that_is_not_free_is_given_nothing(db_url: str, how: Callable[[Desk], None]) -> None:
    with desk(db_url) as here:
        (item_id,) = here.submit(submission())
        how(here)
        assert here.grant(item_id, "A") is None
        assert here.grant(item_id, "B") is not None, "another one is"


def test_an_account_in_use_is_given_nothing(db_url: str) -> None:
    with desk(db_url) as here:
        here.account("me")
        first, second = here.submit(submission())[0], here.submit(submission())[0]
        assert here.grant(first, "A", "me") is not None
        assert here.grant(second, "B", "me") is None
        assert here.grant(second, "B") is not None, "without it"


def test_an_item_of_another_phone_or_of_later_is_not_granted(db_url: str) -> None:
    with desk(db_url) as here:
        (pinned,) = here.submit(submission(), [ResolvedItem(phone_id="B")])
        (later,) = here.submit(submission())
        here.run(
            lambda tx: tx.rows(
                sa.update(tables.items).where(tables.items.c.id == later).values(ready_at=here.now + 5_000)
            )
        )
        assert here.grant(pinned, "A") is None
        assert here.grant(later, "A") is None
        here.now += 5_000
        assert here.grant(later, "A") is not None
        assert here.grant(pinned, "B") is not None


def test_two_wishes_for_one_phone_in_one_wave_give_one_job(db_url: str) -> None:
    with desk(db_url) as here:
        wishes = [Assignment(item_id=here.submit(submission())[0], phone_id="A", account_id=None) for _ in range(2)]
        jobs, _, _ = here.run(lambda tx: claim.claim(tx, wishes, plan=plan, terms=TERMS, new_id=new_id))
        assert [job.lease.item_id for job in jobs] == [wishes[0].item_id]
        busy = here.run(lambda tx: phone_rows(tx, ["A"]))
        assert busy == [PhoneRow(phone_id="A", host="h", serial="A", state=PhoneState.BUSY, why=None, groups=())]


def test_a_later_grant_leaves_out_what_was_done(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission())
        here.report(job, done(job, 0), done(job, 1))
        here.fail(job)
        here.now += 600_000
        again = here.grant(job.lease.item_id, "B")
        assert again is not None
        assert again.actions == job.actions[2:]


# -- reports of more than one entry ---------------------------------------------------------------


def test_an_action_that_is_said_twice_counts_once(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission())
        here.report(job, done(job, 0), done(job, 0), done(job, 1))
        here.report(job, done(job, 1), done(job, 2))
        assert here.actions(job) == [(1, 0, "finished"), (1, 1, "finished"), (1, 2, "finished")]
        row = here.item(job)
        assert (row["actions_done"], row["seconds_used"]) == (3, 3.0)
        assert here.events(job.process_id).count("action.finished") == 3


def test_an_end_in_the_report_of_the_last_actions_knows_of_them(db_url: str) -> None:
    error = ErrorInfo(code="boom", message="it broke", retryable=False, definite=True)
    with desk(db_url) as here:
        job = here.start(submission())
        entries = [begun(job, 0), done(job, 0), begun(job, 1), Entry(kind=EntryKind.FAILED, error=error)]
        assert here.report(job, *entries).accepted
        assert here.actions(job) == [(1, 0, "finished"), (1, 1, "failed")]


def test_what_must_not_be_repeated_is_finished_in_the_row_of_its_start(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(maintenance(REBOOT, HEALTH))
        here.report(job, begun(job, 0), done(job, 0), begun(job, 1), done(job, 1), Entry(kind=EntryKind.FINISHED))
        assert here.actions(job) == [(1, 0, "finished"), (1, 1, "finished")]
        assert here.process(job.process_id)["status"] == "completed"


def test_the_first_action_has_one_time(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission())
        first = here.now
        here.report(job, begun(job, 0), begun(job, 1))
        here.now += 1_000
        here.report(job, begun(job, 2))
        query = sa.select(tables.processes.c.first_action_at).where(tables.processes.c.id == job.process_id)
        assert here.read(lambda c: maps(c, query)) == [{"first_action_at": first}]


def test_a_phone_that_is_to_be_drained_is_so_once_its_item_ends(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission())
        here.operate(Operation.DRAIN)
        here.report(job, Entry(kind=EntryKind.FINISHED))
        assert here.row("A").state is PhoneState.PAUSED
        assert [row.state for row in here.effects.phones] == [PhoneState.PAUSED]
