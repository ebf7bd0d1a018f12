"""The lifecycle as a state machine: any order of submissions, grants, reports, cancels, expiries, restarts and
operators' wishes keeps the rules (R1 to R8 of the design notes), on both databases, with the clock in the test's hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from phonefarm.core import metrics
from phonefarm.core.leases import LeaseTerms
from phonefarm.core.lifecycle import ITEM, ITEM_FINAL, ITEM_RUNNING, PHONE, PROCESS, PROCESS_FINAL, public_status
from phonefarm.core.metrics import Metric
from phonefarm.core.planning import plan
from phonefarm.core.tally import Tally
from phonefarm.errors import Conflict
from phonefarm.models.action import NOT_REPEATABLE, ActionKind
from phonefarm.models.clock import new_id
from phonefarm.models.phone import PhoneReport, PhoneRow
from phonefarm.models.process import (
    Accepted,
    CancelCommand,
    OperateCommand,
    Operation,
    OperationScope,
    Options,
    ResolvedItem,
    Submission,
)
from phonefarm.models.queue import Assignment
from phonefarm.models.session import Entry, EntryKind, ErrorInfo, Job, Report
from phonefarm.models.states import Capability, ItemState, PhoneState, ProcessState
from phonefarm.store import accept, at_once, cancel, claim, operations, progress, rescue, roster, tables
from phonefarm.store.engine import Engines, open_engines
from phonefarm.store.migrate import upgrade
from phonefarm.store.writer import Tx, Writer, maps
from tests.farmtools import keyword_inputs, maintenance, submission

pytestmark = pytest.mark.timeout(300)

PHONES = ("A", "B")
TERMS = LeaseTerms(seconds=10, delivery_seconds=10)
LENGTH = len(plan(submission().capability, keyword_inputs()))
#: Upkeep whose second or first step must not be done twice; by the body of a request.
STEPS = {"x": ("health_check", "reboot", "screenshot"), "y": ("reboot", "health_check")}


def an_order(key: str, body: str, options: Options) -> Submission:
    """Keys that begin with m are of maintenance."""
    if key.startswith("m"):
        return maintenance(*({"action": name} for name in STEPS[body]), request_id=key, options=options)
    return submission(request_id=key, inputs=keyword_inputs(keywords=[body]), options=options)


class Lifecycle(RuleBasedStateMachine):
    """``jobs`` holds every grant ever made, so that stale attempts keep reporting."""

    engines: Engines
    jobs = Bundle("jobs")
    processes = Bundle("processes")

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000
        self.seen: dict[str, str] = {}
        self.final: dict[str, tuple[str, int]] = {}
        self.keys: dict[str, str] = {}
        self.phones: dict[str, str] = {}
        self.tally = Tally()
        with self.engines.writer.begin() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                connection.execute(sa.delete(table))
        self.writer = self._writer()
        reports = [PhoneReport(phone_id=p, host="h", serial=p, state=PhoneState.AVAILABLE) for p in PHONES]
        self.run(lambda tx: roster.report_phones(tx, reports))

    def _writer(self) -> Writer:
        writer = Writer(self.engines, clock=lambda: self.now, on_stale=lambda: None, tally=self.tally)
        writer.start()
        return writer

    def run(self, change: Callable[[Tx], Any]) -> Any:
        value = self.writer.submit(change).result(30)
        self._moves()
        return value

    def _moves(self) -> None:
        """Each change moves a phone along the table, or leaves it."""
        with self.engines.reader.connect() as connection:
            now = {p: s for p, s in connection.execute(sa.select(tables.phones.c.id, tables.phones.c.state))}
            connection.rollback()
        for phone, state in now.items():
            before = self.phones.get(phone, state)
            assert before == state or PhoneState(state) in PHONE[PhoneState(before)], (phone, before, state)
        self.phones = now

    def teardown(self) -> None:
        self.writer.stop()

    # -- what may happen --

    @rule(
        target=processes,
        key=st.sampled_from(["k1", "k2", "k3", "m1", "m2", "m3"]),
        body=st.sampled_from(["x", "y"]),
        pins=st.lists(st.sampled_from([None, *PHONES]), min_size=1, max_size=2, unique=True),
        attempts=st.integers(2, 4),
        life=st.sampled_from([None, 5_000]),
    )
    def submit(self, key: str, body: str, pins: list[str | None], attempts: int, life: int | None) -> str:
        self._submit(key, body, pins, Options(max_attempts=attempts, expires_at=life and self.now + life), ())
        return self.keys[key]

    @rule(
        target=jobs,
        key=st.sampled_from(["k1", "k2", "k3", "m1", "m2", "m3"]),
        body=st.sampled_from(["x", "y"]),
        pins=st.lists(st.sampled_from([None, *PHONES]), min_size=1, max_size=2, unique=True),
        spare=st.lists(st.sampled_from(PHONES), min_size=1, unique=True),
    )
    def submit_where_phones_were_spare(self, key: str, body: str, pins: list[str | None], spare: list[str]) -> Any:
        """They may not be any more."""
        before = {row["id"]: row for row in self._rows(sa.select(tables.phones))}
        jobs = self._submit(key, body, pins, Options(max_attempts=2), spare)
        for job in jobs:
            phone = before[job.phone_id]
            assert (phone["state"], phone["wanted_state"]) == ("available", None)
            assert job.phone_id in spare
        return multiple(*jobs)

    def _submit(
        self, key: str, body: str, pins: Sequence[str | None], options: Options, spare: Sequence[str]
    ) -> list[Job]:
        order = an_order(key, body, options)
        total = len(plan(order.capability, order.inputs))
        planned = accept.Planned(submission=order, items=[ResolvedItem(phone_id=p) for p in pins], actions_total=total)
        rows = [PhoneRow(phone_id=p, host="h", serial=p, state=PhoneState.AVAILABLE) for p in spare]
        outcomes, waiting, jobs = self.run(
            lambda tx: at_once.accept_and_grant(tx, [planned], rows, plan=plan, terms=TERMS, new_id=new_id)
        )
        (outcome,) = outcomes
        new = isinstance(outcome, Accepted) and not outcome.duplicate
        assert len(waiting) + len(jobs) == (len(pins) if new else 0)
        if isinstance(outcome, Accepted):
            assert outcome.duplicate == (key in self.keys)
            assert self.keys.setdefault(key, outcome.process_id) == outcome.process_id
        else:
            assert isinstance(outcome, Conflict)
            assert outcome.extra["process_id"] == self.keys[key]
        return list(jobs)

    @rule(target=jobs, phone=st.sampled_from(PHONES), pick=st.sampled_from([0, 0, 0, 1, 2]))
    def grant(self, phone: str, pick: int) -> Any:
        items = tables.items
        waiting = items.c.state.in_(["QUEUED", "RETRYABLE"])
        with self.engines.reader.connect() as connection:
            # any item may be wished for; those that wait come first, so that most wishes make sense
            order = (sa.case((waiting, 0), else_=1), items.c.attempt.desc(), items.c.id)
            ids = [i for (i,) in connection.execute(sa.select(items.c.id).order_by(*order))]
            connection.rollback()
        if not ids:
            return multiple()
        wish = Assignment(item_id=ids[min(pick, len(ids) - 1)], phone_id=phone)
        return multiple(*self._claim(wish))

    def _claim(self, wish: Assignment) -> list[Job]:
        free = self._rows(sa.select(tables.phones).where(tables.phones.c.id == wish.phone_id))[0]
        granted, _, _ = self.run(lambda tx: claim.claim(tx, [wish], plan=plan, terms=TERMS, new_id=new_id))
        assert not granted or (free["state"], free["wanted_state"]) == ("available", None)
        for job in granted:
            query = sa.select(tables.actions).where(tables.actions.c.item_id == job.lease.item_id)
            known = {row["idx"] for row in self._rows(query)}
            assert not [a for a in job.actions if not a.repeatable and a.index in known], "handed out again (R4)"
        return list(granted)

    def _rows(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        with self.engines.reader.connect() as connection:
            rows = maps(connection, query)
            connection.rollback()
        return rows

    def report(self, job: Job, *entries: Entry) -> bool:
        report = Report(
            phone_id=job.phone_id,
            process_id=job.process_id,
            item_id=job.lease.item_id,
            attempt=job.lease.attempt,
            entries=entries,
        )
        before = self.item(job)
        reply, _ = self.run(lambda tx: progress.apply_report(tx, report, files={}, terms=TERMS, new_id=new_id))
        current = before["attempt"] == job.lease.attempt and ItemState(before["state"]) in ITEM_RUNNING
        if not current:
            assert self.item(job) == before, "a stale attempt changed something (R3)"
        return bool(reply.accepted)

    def item(self, job: Job) -> dict[str, Any]:
        query = sa.select(tables.items).where(tables.items.c.id == job.lease.item_id)
        with self.engines.reader.connect() as connection:
            row = dict(connection.execute(query).mappings().one())
            connection.rollback()
        return row

    @rule(job=jobs)
    def start(self, job: Job) -> None:
        self.report(job, Entry(kind=EntryKind.STARTED))

    @rule(job=jobs, index=st.integers(0, LENGTH - 1))
    def act(self, job: Job, index: int) -> None:
        if job.actions:
            action = job.actions[index % len(job.actions)]
            for _ in range(2):  # a report sent again changes nothing
                self.report(job, Entry(kind=EntryKind.ACTION_FINISHED, action=action, seconds=1.0))

    @rule(job=jobs, index=st.integers(0, LENGTH - 1), late=st.sampled_from([False, False, True]))
    def begin(self, job: Job, index: int, late: bool) -> None:
        """A start; ``late``: of a whole plan, as a phone would that did not listen to what it was given."""
        query = sa.select(tables.processes).where(tables.processes.c.id == job.process_id)
        (process,) = self._rows(query)
        whole = plan(Capability(process["process_type"]), process["inputs"]) if late else job.actions
        if whole:
            self.report(job, Entry(kind=EntryKind.ACTION_STARTED, action=whole[index % len(whole)]))

    @rule(phone=st.sampled_from(PHONES), operation=st.sampled_from([*Operation, Operation.RESUME, Operation.RELEASE]))
    def an_operator_wishes(self, phone: str, operation: Operation) -> None:
        wish = OperateCommand(scope=OperationScope.PHONE, name=phone, operation=operation, reason="r")
        before, effects = self._rows(sa.select(tables.phones)), operations.OperateEffects()
        try:
            effects = self.run(lambda tx: operations.operate(tx, wish))
        except Conflict:
            assert self._rows(sa.select(tables.phones)) == before, "a refused operation changed something"
        for phone_id in effects.checks:
            self.phone_says(phone_id, PhoneState.AVAILABLE)

    @rule(phone=st.sampled_from(PHONES), state=st.sampled_from([PhoneState.OFFLINE, PhoneState.CHECKING]))
    def phone_goes_and_comes(self, phone: str, state: PhoneState) -> None:
        for reported in (state, PhoneState.CHECKING, PhoneState.AVAILABLE):
            self.phone_says(phone, reported)

    def phone_says(self, phone: str, state: PhoneState) -> None:
        report = PhoneReport(phone_id=phone, host="h", serial=phone, state=state)
        self.run(lambda tx: roster.report_phones(tx, [report]))

    @rule(job=jobs, retryable=st.sampled_from([True, True, False]))
    def fail(self, job: Job, retryable: bool) -> None:
        self.report(job, Entry(kind=EntryKind.FAILED, error=ErrorInfo(code="x", message="x", retryable=retryable)))

    @rule(job=jobs, kind=st.sampled_from([EntryKind.FINISHED, EntryKind.CANCELLED]))
    def end(self, job: Job, kind: EntryKind) -> None:
        self.report(job, Entry(kind=kind))

    @rule(target=jobs, job=jobs)
    def a_zombie_reports_after_its_item_was_given_to_its_phone_again(self, job: Job) -> Any:
        self.report(job, Entry(kind=EntryKind.FAILED, error=ErrorInfo(code="x", message="x", retryable=True)))
        self.now += 1_500
        wish = Assignment(item_id=job.lease.item_id, phone_id=job.phone_id)
        granted = self._claim(wish)
        for kind in (EntryKind.STARTED, EntryKind.FINISHED):
            accepted = self.report(job, Entry(kind=kind))
            assert not (granted and accepted), "a stale attempt was not told to stop"
        return multiple(*granted)

    @rule(process=processes)
    def cancel(self, process: str) -> None:
        command = CancelCommand(process_id=process, reason="r", requested_by={"system": "t"})
        self.run(lambda tx: cancel.cancel(tx, command, new_id))

    @rule(ms=st.sampled_from([1, 1_500, 6_000, 6_000, 11_000]))
    def time_passes(self, ms: int) -> None:
        self.now += ms
        self.run(lambda tx: rescue.expire_leases(tx, new_id))
        self.run(lambda tx: rescue.expire_items(tx, new_id))

    @rule(phone=st.sampled_from(PHONES))
    def phone_restarts(self, phone: str) -> None:
        self.run(lambda tx: rescue.take_from_restarted(tx, phone, new_id(), [], new_id))

    @rule()
    def manager_restarts(self) -> None:
        self.writer.stop()
        self.writer = self._writer()

    # -- what always holds --

    @invariant()
    def rules_hold(self) -> None:
        with self.engines.reader.connect() as connection:
            processes, items = maps(connection, sa.select(tables.processes)), maps(connection, sa.select(tables.items))
            events, outbox = maps(connection, sa.select(tables.events)), maps(connection, sa.select(tables.outbox))
            phones = maps(connection, sa.select(tables.phones))
            connection.rollback()
        self._states(processes, items)
        self._history(processes, items, events)
        self._callbacks(processes, outbox)
        self._operators(items, phones)
        self._written_ahead(items)
        self._counted(processes, items, outbox)

    def _counted(self, *tables_: list[dict[str, Any]]) -> None:
        """What is kept by counting is what a look at every row gives."""
        words: dict[Metric, Callable[[str], str]] = {
            metrics.PROCESSES: lambda state: public_status(ProcessState(state)).value,
            metrics.ITEMS: str,
            metrics.CALLBACKS: str,
        }
        for (metric, word), rows in zip(words.items(), tables_, strict=True):
            kept = {labels[0]: value for (m, labels), value in self.tally.numbers.items() if m is metric and value}
            assert kept == Counter(word(row["state"]) for row in rows), metric.name

    def _operators(self, items: list[dict[str, Any]], phones: list[dict[str, Any]]) -> None:
        running = {i["running_phone"] for i in items if i["running_phone"]}
        assert {p["id"] for p in phones if p["state"] == "busy"} == running
        assert {p["id"] for p in phones if p["wanted_state"]} <= running, "a wish outlived what it waited for"
        assert not {p["id"] for p in phones if p["state"] in ("paused", "quarantined", "retired")} & running

    def _written_ahead(self, items: list[dict[str, Any]]) -> None:
        by_id = {i["id"]: i for i in items}
        once: dict[tuple[str, int], int] = {}
        for row in self._rows(sa.select(tables.actions)):
            item, key = by_id[row["item_id"]], (row["item_id"], row["idx"])
            if ActionKind(row["kind"]) in NOT_REPEATABLE:
                assert once.setdefault(key, row["attempt"]) == row["attempt"], "started twice (R4)"
            if row["status"] == "started":
                assert item["running_phone"], "a started action was left behind (R4)"
                assert item["attempt"] == row["attempt"]
            elif row["status"] != "finished":
                assert ItemState(item["state"]) in ITEM_FINAL, "went on after a failed or interrupted action (R4)"

    def _states(self, processes: list[dict[str, Any]], items: list[dict[str, Any]]) -> None:
        for row in [*processes, *items]:
            known, state = self.final.get(row["id"]), row["state"]
            assert known in (None, (state, row["finished_at"])), "a final state changed (R2)"
            if row["finished_at"] is not None:
                self.final[row["id"]] = (state, row["finished_at"])
        for row in items:
            assert row["attempt"] <= row["max_attempts"], "attempts are bounded (R7)"
            assert row["actions_done"] <= row["actions_total"]
            assert (ItemState(row["state"]) in ITEM_RUNNING) == (row["lease_until"] is not None)
        for row in processes:
            mine = [i for i in items if i["process_id"] == row["id"]]
            over = all(ItemState(i["state"]) in ITEM_FINAL for i in mine)
            assert over == (ProcessState(row["state"]) in PROCESS_FINAL)
            if over and row["cancel_requested_at"] is not None:
                assert not any(i["state"] == "RETRYABLE" for i in mine), "cancel beats retry (R8)"

    def _history(
        self, processes: list[dict[str, Any]], items: list[dict[str, Any]], events: list[dict[str, Any]]
    ) -> None:
        arrows = {(at.value, to.value) for (at, _), to in ITEM.items()}
        steps = {(a.value, b.value) for a, onward in PROCESS.items() for b in onward}
        for row in processes:
            mine = sorted((e for e in events if e["process_id"] == row["id"]), key=lambda e: e["sequence"])
            assert [e["sequence"] for e in mine] == list(range(1, row["event_seq"] + 1)), "history has no gap (R5)"
            state = "QUEUED"
            for event in mine:
                if event["item_id"] is None and event["from_state"]:
                    assert (event["from_state"], event["to_state"]) in steps
                    assert event["from_state"] == state
                    state = event["to_state"]
                elif event["from_state"]:
                    assert (event["from_state"], event["to_state"]) in arrows
            assert state == row["state"]
        assert len({e["id"] for e in events}) == len(events)
        assert {i["process_id"] for i in items} == {p["id"] for p in processes}

    def _callbacks(self, processes: list[dict[str, Any]], outbox: list[dict[str, Any]]) -> None:
        ends = {"completed", "failed_terminal", "cancelled"}
        for row in processes:
            mine = sorted((c for c in outbox if c["process_id"] == row["id"]), key=lambda c: c["sequence"])
            assert [c["sequence"] for c in mine] == list(range(1, row["callback_seq"] + 1))
            milestones = [c["milestone"] for c in mine]
            assert milestones[0] == "accepted"
            final = ProcessState(row["state"]) in PROCESS_FINAL
            assert sum(m in ends for m in milestones) == final, "one last milestone, once it is over"
            assert milestones.count("cancel_requested") == (row["cancel_requested_at"] is not None)


def test_any_order_of_events_keeps_the_rules(db_url: str, tmp_path: Path) -> None:
    engines = open_engines(db_url)
    upgrade(engines)

    class Here(Lifecycle):
        pass

    Here.engines = engines
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=40 if engines.is_sqlite else 15,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    engines.dispose()
