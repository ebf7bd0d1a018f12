"""Operators' holds, in both databases: at once, after the item, by breaking it off; and their ends."""

from __future__ import annotations

import pytest

from phonefarm.errors import Conflict, NotFound
from phonefarm.models.process import Operation, OperationScope, Options
from phonefarm.models.session import Entry, EntryKind
from phonefarm.models.states import CancelStrategy, PhoneState
from phonefarm.store import roster
from tests.farmtools import submission
from tests.unit.store.desk import desk


def test_an_idle_phone_is_held_at_once_and_says_why(db_url: str) -> None:
    with desk(db_url) as here:
        for operation, state in (("pause", "paused"), ("quarantine", "quarantined"), ("retire", "retired")):
            effects = here.operate(Operation(operation))
            view = here.view("A")
            assert (view["state"], view["why"]) == (state, f"{state}: r (by ops)")
            assert (view["wanted"], view["draining"]) == (None, False)
            assert [row.state.value for row in effects.phones] == [state]
        assert here.grant(*here.submit(submission())) is None


def test_a_busy_phone_that_is_drained_ends_its_item_and_gets_no_other(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission())
        here.operate(Operation.DRAIN)
        view = here.view("A")
        assert (view["state"], view["draining"]) == ("busy", True)
        assert view["wanted"] == {"state": "paused", "why": "drained: r (by ops)"}
        assert here.row("A").draining
        assert here.report(job, Entry(kind=EntryKind.HEARTBEAT)).cancel is None, "the item goes on"
        here.report(job, Entry(kind=EntryKind.FINISHED))
        assert [(p.state, p.draining) for p in here.effects.phones] == [(PhoneState.PAUSED, False)]
        assert here.view("A")["why"] == "drained: r (by ops)"
        assert here.grant(*here.submit(submission())) is None


def test_a_pending_drain_can_be_taken_back(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission())
        here.operate(Operation.PAUSE)
        here.operate(Operation.RESUME)
        assert here.view("A")["wanted"] is None
        here.report(job, Entry(kind=EntryKind.FINISHED))
        assert here.row("A").state is PhoneState.AVAILABLE


@pytest.mark.parametrize(("operation", "state"), [(Operation.QUARANTINE, "quarantined"), (Operation.RETIRE, "retired")])
def test_what_runs_is_broken_off_and_may_go_on_elsewhere(db_url: str, operation: Operation, state: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission())
        effects = here.operate(operation)
        ((phone, item, attempt, order),) = effects.cancels
        assert (phone, item, attempt) == ("A", job.lease.item_id, 1)
        assert order.strategy is CancelStrategy.HARD
        reply = here.report(job, Entry(kind=EntryKind.HEARTBEAT))
        assert reply.cancel == order, "the order goes with the answer too, in case it was lost"
        here.report(job, Entry(kind=EntryKind.CANCELLED))
        row = here.item(job)
        assert (row["state"], row["error"]["code"], row["error"]["retryable"]) == ("RETRYABLE", "interrupted", True)
        assert row["cancel"] is None
        assert f"{state}: r (by ops)" in row["error"]["message"]
        assert here.row("A").state.value == state
        here.now += 2_000
        assert here.grant(job.lease.item_id, "A") is None
        assert here.grant(job.lease.item_id, "B") is not None


def test_a_phone_that_does_not_answer_is_quarantined_by_the_rescue(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission())
        here.operate(Operation.QUARANTINE)
        here.now += 11_000
        here.rescue()
        assert here.item(job)["error"]["code"] == "lease_expired"
        assert here.row("A").state is PhoneState.QUARANTINED


def test_quarantine_outranks_a_pending_drain(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission())
        here.operate(Operation.DRAIN)
        assert here.operate(Operation.QUARANTINE).cancels
        here.report(job, Entry(kind=EntryKind.FINISHED))
        assert here.row("A").state is PhoneState.QUARANTINED
        assert here.item(job)["state"] == "DONE", "what finished before it was broken off counts"


def test_a_hold_ends_through_a_check(db_url: str) -> None:
    with desk(db_url) as here:
        for hold, lift in (("pause", "resume"), ("quarantine", "release"), ("retire", "release")):
            here.operate(Operation(hold))
            effects = here.operate(Operation(lift))
            assert effects.checks == ["A"]
            assert here.row("A").state is PhoneState.CHECKING
            assert here.grant(*here.submit(submission())) is None, "not before the check has passed"
            here.phone("A")
            assert here.row("A").state is PhoneState.AVAILABLE


def test_what_is_reported_stays_underneath_a_hold(db_url: str) -> None:
    with desk(db_url) as here:
        here.operate(Operation.PAUSE)
        here.phone("A", PhoneState.OFFLINE)
        assert here.row("A").state is PhoneState.PAUSED
        here.operate(Operation.RESUME)
        assert here.row("A").state is PhoneState.OFFLINE
        here.operate(Operation.QUARANTINE)
        here.phone("A", PhoneState.UNAUTHORIZED)
        here.operate(Operation.RELEASE)
        assert here.row("A").state is PhoneState.UNAUTHORIZED


def test_a_farm_started_anew_keeps_holds_and_has_seen_nobody(db_url: str) -> None:
    with desk(db_url) as here:
        here.operate(Operation.RETIRE)
        here.run(lambda tx: roster.begin_run(tx, 7))
        assert here.row("A").state is PhoneState.RETIRED
        here.operate(Operation.RELEASE)
        assert here.row("A").state is PhoneState.OFFLINE


def test_what_makes_no_sense_is_a_conflict_that_changes_nothing(db_url: str) -> None:
    with desk(db_url) as here:
        with pytest.raises(Conflict) as refused:
            here.operate(Operation.RELEASE)
        assert (refused.value.problem_code, refused.value.detail) == (
            "operation_not_possible",
            "operation_not_possible:release:available",
        )
        here.operate(Operation.QUARANTINE)
        before = here.view("A")
        for operation in (Operation.RESUME, Operation.PAUSE, Operation.DRAIN):
            with pytest.raises(Conflict) as refused:
                here.operate(operation)
            assert refused.value.detail == f"operation_not_possible:{operation.value}:quarantined"
        assert here.view("A") == before


def test_doing_it_again_is_harmless(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission())
        for _ in range(2):
            assert here.operate(Operation.DRAIN).done == ["A"]
        here.report(job, Entry(kind=EntryKind.FINISHED))
        for operation in (Operation.PAUSE, Operation.QUARANTINE, Operation.RETIRE):
            for _ in range(2):
                assert here.operate(operation).done == ["A"]


def test_a_host_and_a_group_are_all_their_phones_but_those_taken_out(db_url: str) -> None:
    with desk(db_url) as here:
        here.phone("C", host="k", group="g")
        here.phone("D", host="k")
        here.operate(Operation.QUARANTINE, "D")
        assert here.operate(Operation.DRAIN, "k", OperationScope.HOST).done == ["C"]
        assert [here.row(p).state.value for p in "ABCD"] == ["available", "available", "paused", "quarantined"]
        assert here.operate(Operation.RESUME, "g", OperationScope.GROUP).checks == ["C"]
        assert here.operate(Operation.DRAIN, "spare", OperationScope.HOST).done == [], "configured, without a phone"


@pytest.mark.parametrize("scope", list(OperationScope))
def test_who_is_not_known_is_not_found(db_url: str, scope: OperationScope) -> None:
    with desk(db_url) as here, pytest.raises(NotFound) as unknown:
        here.operate(Operation.DRAIN, "nobody", scope)
    assert unknown.value.detail == f"unknown_{scope.value}:nobody"


def test_a_broken_off_attempt_counts(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission(options=Options(max_attempts=1)))
        here.operate(Operation.QUARANTINE)
        here.report(job, Entry(kind=EntryKind.CANCELLED))
        assert here.item(job)["state"] == "DEAD_LETTER"
