"""The checker finds what it is for: a clean history passes, and each planted violation is found under its rule."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.checker import check
from tests.chaos.records import CANCEL, SUBMIT, Delivery, Reading, Records, Request, Rows, Touch, Violation

pytestmark = pytest.mark.timeout(30)

#: The beginning of the story, in ms; a second later it was all over.
START = 1_790_000_000_000


class Story:
    """A history as it should be, made step by step. Each step takes 10 ms; every record can be spoilt afterwards."""

    def __init__(self) -> None:
        self.now = START
        self.processes: dict[str, dict[str, Any]] = {}
        self.items: dict[str, dict[str, Any]] = {}
        self.actions: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.outbox: list[dict[str, Any]] = []
        self.phones: list[dict[str, Any]] = []
        self.accounts: list[dict[str, Any]] = []
        self.account_usage: list[dict[str, Any]] = []
        self.requests: list[Request] = []
        self.readings: list[Reading] = []
        self.touches: list[Touch] = []
        self.deliveries: list[Delivery] = []

    def records(self) -> Records:
        rows = Rows(
            processes=list(self.processes.values()), items=list(self.items.values()), actions=self.actions,
            events=self.events, outbox=self.outbox, phones=self.phones, accounts=self.accounts,
            account_usage=self.account_usage,
        )  # fmt: skip
        return Records(
            rows=rows, requests=self.requests, readings=self.readings, touches=self.touches, deliveries=self.deliveries
        )

    # -- one step each --

    def tick(self) -> float:
        self.now += 10
        return self.now / 1000

    def submit(self, name: str, *, total: int, body: str = "b", account: str | None = None) -> None:
        key = ("keyword_warmup", "tests", name)
        at = self.tick()
        self.requests.append(
            Request(kind=SUBMIT, key=key, body=body, sent_at=at, answered_at=at, status=202, process_id=name)
        )
        self.processes[name] = {
            "id": name, "process_type": key[0], "system": key[1], "request_id": name, "state": None, "event_seq": 0,
            "callback_seq": 0, "error": None, "cancel_requested_at": None, "finished_at": None, "replay_of": None,
        }  # fmt: skip
        self.items[f"{name}-i"] = {
            "id": f"{name}-i", "process_id": name, "ordinal": 0, "state": "QUEUED", "attempt": 0, "max_attempts": 3,
            "account_id": account, "running_phone": None, "actions_total": total, "actions_done": 0, "error": None,
            "finished_at": None,
        }  # fmt: skip
        self.process(name, "process.accepted", "QUEUED")

    def event(self, name: str, kind: str, **values: Any) -> None:
        process = self.processes[name]
        process["event_seq"] += 1
        empty = {"item_id": None, "phone_id": None, "from_state": None, "to_state": None, "data": None}
        number = {"id": f"{name}-e{process['event_seq']}", "sequence": process["event_seq"]}
        self.events.append({**empty, **number, "process_id": name, "at": self.now, "kind": kind, **values})

    def process(self, name: str, kind: str, state: str, milestone: str | None = "") -> None:
        """A process moves; ``milestone`` as its state says, unless told."""
        row = self.processes[name]
        self.event(name, kind, from_state=row["state"], to_state=state)
        row["state"] = state
        if state in ("DONE", "PARTIAL", "DEAD_LETTER", "CANCELLED"):
            row["finished_at"] = self.now
        named = {"QUEUED": "accepted", "EXECUTING": "executing", "DONE": "completed", "RETRYABLE": "retrying"}
        more = {"DEAD_LETTER": "failed_terminal", "CANCELLED": "cancelled", "PLANNED": None}
        announced = {**named, **more}[state] if milestone == "" else milestone
        if announced is not None:
            self.announce(name, announced)

    def announce(self, name: str, milestone: str) -> None:
        row = self.processes[name]
        row["callback_seq"] += 1
        number = row["callback_seq"]
        event_id = f"{name}-c{number}"
        said = {"event_id": event_id, "sequence": number, "milestone": milestone, "process": {"process_id": name}}
        body = json.dumps(said)
        self.outbox.append(
            {"id": event_id, "process_id": name, "sequence": number, "milestone": milestone, "body": body,
             "state": "delivered"}
        )  # fmt: skip
        self.deliveries.append(
            Delivery(
                process_id=name, sequence=number, event_id=event_id, milestone=milestone, at=self.now / 1000 + number,
                status=204, body=body.encode(),
            )
        )  # fmt: skip

    def item(self, name: str, kind: str, state: str, phone: str | None = None, **data: Any) -> None:
        row = self.items[f"{name}-i"]
        before = None if kind == "item.claimed" else row["state"]
        self.event(
            name, kind, item_id=row["id"], phone_id=phone, from_state=before, to_state=state,
            data={"attempt": row["attempt"], **data} if row["attempt"] else None,
        )  # fmt: skip
        row["state"] = state
        if state in ("DONE", "DEAD_LETTER", "CANCELLED"):
            row["finished_at"] = self.now

    def claim(self, name: str, phone: str, account: str | None = None) -> None:
        self.tick()
        self.items[f"{name}-i"]["attempt"] += 1
        self.item(name, "item.claimed", "CLAIMED", phone, account_id=account)

    def start(self, name: str, phone: str) -> None:
        self.tick()
        self.item(name, "item.started", "EXECUTING", phone)

    def touch(self, name: str, phone: str, kind: str, index: int, *, account: str | None = None) -> None:
        item = self.items[f"{name}-i"]
        once = f"{name}-i/{index}" if kind == "reboot" else None
        at = self.tick()
        self.touches.append(
            Touch(
                phone_id=phone, kind=kind, started=at, ended=at + 0.005, item_id=item["id"], attempt=item["attempt"],
                index=index, account_id=account, once=once,
            )
        )  # fmt: skip

    def wrote(self, name: str, kind: str, index: int, status: str = "finished") -> None:
        item = self.items[f"{name}-i"]
        self.tick()
        self.actions.append(
            {"item_id": item["id"], "attempt": item["attempt"], "idx": index, "kind": kind, "status": status,
             "skipped": None}
        )  # fmt: skip
        if status == "finished":
            item["actions_done"] += 1
            self.event(
                name, "action.finished", item_id=item["id"], data={"index": index, "attempt": item["attempt"]}
            )  # fmt: skip


def story() -> Story:
    """Four requests: one that is retried on another phone, a reboot that is broken off, one cancelled, one repeated."""
    told = Story()
    told.accounts.append({"id": "soup", "daily_limits": {"sessions": 1}})
    told.phones += [{"id": "P1", "state": "available"}, {"id": "P2", "state": "available"}]
    retried(told)
    broken_off(told)
    cancelled(told)
    first = told.requests[0]
    told.requests.append(replace(first, sent_at=told.tick(), answered_at=told.tick(), status=200))
    told.requests.append(
        replace(first, sent_at=told.tick(), answered_at=told.tick(), status=409, body="c", process_id=None)
    )
    told.readings += [
        Reading(process_id="retried", at=START / 1000 + 0.1, status="executing"),
        Reading(process_id="retried", at=told.tick(), status="completed"),
    ]
    return told


def retried(told: Story) -> None:
    told.submit("retried", total=2, account="soup")
    told.claim("retried", "P1", "soup")
    told.process("retried", "process.planned", "PLANNED")
    told.start("retried", "P1")
    told.process("retried", "process.started", "EXECUTING")
    told.touch("retried", "P1", "open_app", 0, account="soup")
    told.wrote("retried", "open_app", 0)
    told.tick()
    told.item("retried", "item.interrupted", "RETRYABLE", "P1")
    told.process("retried", "process.interrupted", "RETRYABLE")
    told.claim("retried", "P2", "soup")
    told.start("retried", "P2")
    told.process("retried", "process.started", "EXECUTING")
    told.touch("retried", "P2", "watch", 1, account="soup")
    told.wrote("retried", "watch", 1)
    told.item("retried", "item.finished", "DONE", "P2")
    told.process("retried", "process.completed", "DONE")
    told.event("retried", "callback.delivered", data={"event_id": "retried-c1"})
    told.account_usage.append({"account_id": "soup", "day": START // 86_400_000, "sessions": 1})


def broken_off(told: Story) -> None:
    told.submit("reboot", total=2)
    told.claim("reboot", "P1")
    told.process("reboot", "process.planned", "PLANNED")
    told.start("reboot", "P1")
    told.process("reboot", "process.started", "EXECUTING")
    told.wrote("reboot", "reboot", 0, "interrupted")
    told.touch("reboot", "P1", "reboot", 0)
    told.touches[-1] = replace(told.touches[-1], ended=None)
    told.tick()
    error = {"code": "interrupted"}
    told.items["reboot-i"]["error"] = told.processes["reboot"]["error"] = error
    told.event("reboot", "action.interrupted", item_id="reboot-i", data={"index": 0, "attempt": 1})
    told.item("reboot", "item.failed", "DEAD_LETTER", "P1")
    told.process("reboot", "process.failed", "DEAD_LETTER")


def cancelled(told: Story) -> None:
    told.submit("cancel", total=1)
    at = told.tick()
    key = ("keyword_warmup", "tests", "cancel")
    told.requests.append(
        Request(kind=CANCEL, key=key, body="", sent_at=at, answered_at=at, status=202, process_id="cancel")
    )
    told.processes["cancel"]["cancel_requested_at"] = told.now
    told.event("cancel", "process.cancel_requested")
    told.announce("cancel", "cancel_requested")
    told.item("cancel", "item.cancelled", "CANCELLED")
    told.process("cancel", "process.cancelled", "CANCELLED")


def test_a_clean_history_passes() -> None:
    assert check(story().records()) == []


def events(told: Story, name: str, kind: str) -> list[dict[str, Any]]:
    return [e for e in told.events if e["process_id"] == name and e["kind"] == kind]


def lost(told: Story) -> None:
    """Accepted, and then gone with all that belonged to it."""
    del told.processes["cancel"], told.items["cancel-i"]
    told.events = [e for e in told.events if e["process_id"] != "cancel"]
    told.outbox = [c for c in told.outbox if c["process_id"] != "cancel"]
    told.deliveries = [d for d in told.deliveries if d.process_id != "cancel"]


def cancel_lost(told: Story) -> None:
    told.requests.append(replace(told.requests[-1], kind=CANCEL, status=202, process_id="retried"))


def two_of_a_key(told: Story) -> None:
    told.submit("again", total=1)
    told.processes["again"]["request_id"] = "retried"
    told.requests[-1] = replace(told.requests[-1], key=told.requests[0].key)


def accepted_twice(told: Story) -> None:
    told.requests.append(replace(told.requests[0], sent_at=told.tick()))


def duplicate_of_nothing(told: Story) -> None:
    told.requests[0] = replace(told.requests[0], status=200)
    told.requests[1:] = [r for r in told.requests[1:] if r.key != told.requests[0].key]


def other_body_accepted(told: Story) -> None:
    told.requests = [replace(r, status=200, process_id="retried") if r.status == 409 else r for r in told.requests]


def made_up(told: Story) -> None:
    told.requests = [r for r in told.requests if r.process_id != "cancel"]


def ended_twice(told: Story) -> None:
    told.processes["retried"]["state"] = "DONE"
    told.event("retried", "process.failed", from_state="DONE", to_state="DEAD_LETTER")
    told.processes["retried"]["state"] = "DEAD_LETTER"


def worked_after_its_end(told: Story) -> None:
    told.event("cancel", "action.finished", item_id="cancel-i", data={"index": 0, "attempt": 0})


def left_a_final_state_before_a_reader(told: Story) -> None:
    told.readings.append(Reading(process_id="retried", at=told.tick(), status="executing"))


def never_ended(told: Story) -> None:
    told.submit("waits", total=1)


def skipped_a_number(told: Story) -> None:
    told.claim("reboot", "P2")
    told.items["reboot-i"]["attempt"] = 3
    told.events[-1]["data"]["attempt"] = 3


def attempts_overlap(told: Story) -> None:
    first = next(t for t in told.touches if t.attempt == 1 and t.kind == "open_app")
    told.touches.remove(first)
    told.touches.append(replace(first, ended=first.started + 10))


def zombie(told: Story) -> None:
    """The first attempt goes on, on its phone, while the second one runs on another."""
    first = next(t for t in told.touches if t.kind == "open_app")
    late = next(t for t in told.touches if t.kind == "watch").started + 0.001
    told.touches.append(replace(first, kind="watch", started=late, ended=late + 0.001))


def stale_report(told: Story) -> None:
    (action,) = [e for e in told.events if e["kind"] == "action.finished" and e["data"]["index"] == 1]
    action["data"]["attempt"] = 1


def touched_too_early(told: Story) -> None:
    touch = next(t for t in told.touches if t.kind == "reboot")
    told.touches[told.touches.index(touch)] = replace(touch, started=touch.started - 0.5)


def touched_by_another(told: Story) -> None:
    touch = next(t for t in told.touches if t.kind == "watch")
    told.touches[told.touches.index(touch)] = replace(touch, phone_id="P3")


def two_items_on_a_phone(told: Story) -> None:
    (start,) = [e for e in events(told, "retried", "item.claimed") if e["data"]["attempt"] == 2]
    start["phone_id"] = "P1"
    (claim,) = events(told, "reboot", "item.claimed")
    claim["at"] = start["at"]


def done_twice(told: Story) -> None:
    touch = next(t for t in told.touches if t.kind == "reboot")
    told.touches.append(replace(touch, started=touch.started + 0.001))


def rebooted_elsewhere_too(told: Story) -> None:
    """Phones that do not know for whom: the mark alone gives it away."""
    marks = [
        Touch(phone_id=phone, kind="reboot", started=told.tick(), ended=told.tick(), once="the reboot of r-7")
        for phone in ("P1", "P2")
    ]
    told.touches += marks


def not_written_ahead(told: Story) -> None:
    told.actions = [a for a in told.actions if a["kind"] != "reboot"]


def went_on_after_an_interruption(told: Story) -> None:
    (row,) = [a for a in told.actions if a["kind"] == "reboot"]
    row["status"] = "started"


def called_something_else(told: Story) -> None:
    told.items["reboot-i"]["error"] = {"code": "lease_expired"}


def a_gap_in_history(told: Story) -> None:
    told.events.remove(events(told, "retried", "item.started")[0])


def state_is_not_its_history(told: Story) -> None:
    told.processes["reboot"]["state"] = "PARTIAL"


def milestone_missing(told: Story) -> None:
    gone = next(c for c in told.outbox if c["process_id"] == "retried" and c["milestone"] == "retrying")
    told.outbox.remove(gone)
    told.deliveries = [d for d in told.deliveries if d.event_id != gone["id"]]


def result_of_nothing(told: Story) -> None:
    told.touches = [t for t in told.touches if t.kind != "open_app"]


def result_counted_twice(told: Story) -> None:
    told.actions.append({**told.actions[0], "attempt": 2})


def busy_with_nothing(told: Story) -> None:
    told.phones[0]["state"] = "busy"


def too_many_attempts(told: Story) -> None:
    told.items["retried-i"]["max_attempts"] = 1


def died_without_a_word(told: Story) -> None:
    told.items["reboot-i"]["error"] = None


def retried_after_cancel(told: Story) -> None:
    row = told.items["cancel-i"]
    wrong = {"item_id": "cancel-i", "phone_id": "P1", "data": {"attempt": 1, "account_id": None}}
    place = next(i for i, e in enumerate(told.events) if e["kind"] == "process.cancel_requested")
    at = told.events[place]
    told.events.insert(place + 1, {**at, **wrong, "id": "x", "kind": "item.claimed", "to_state": "CLAIMED"})
    row["attempt"] = 1


def callback_lost(told: Story) -> None:
    told.deliveries = [d for d in told.deliveries if (d.process_id, d.milestone) != ("retried", "completed")]


def callback_pending(told: Story) -> None:
    told.outbox[-1]["state"] = "pending"


def callback_overtook(told: Story) -> None:
    first, second = [d for d in told.deliveries if d.process_id == "reboot"][:2]
    told.deliveries[told.deliveries.index(first)] = replace(first, at=second.at + 0.001)


def callback_repeated_late(told: Story) -> None:
    first = next(d for d in told.deliveries if d.process_id == "reboot")
    told.deliveries.append(replace(first, at=first.at + 100))


def callback_changed(told: Story) -> None:
    told.deliveries.append(replace(told.deliveries[-1], body=b"another", at=told.deliveries[-1].at + 100))


def callback_with_another_id(told: Story) -> None:
    told.deliveries.append(replace(told.deliveries[-1], event_id="x", at=told.deliveries[-1].at + 100))


def too_many_sessions(told: Story) -> None:
    told.accounts[0]["daily_limits"] = {"sessions": 0}


def session_counted_twice(told: Story) -> None:
    told.account_usage[0]["sessions"] = 2


PLANTED: list[tuple[str, Callable[[Story], None]]] = [
    ("R1", lost), ("R1", cancel_lost),
    ("keys", two_of_a_key), ("keys", accepted_twice), ("keys", duplicate_of_nothing), ("keys", other_body_accepted),
    ("keys", made_up),
    ("R2", ended_twice), ("R2", worked_after_its_end), ("R2", left_a_final_state_before_a_reader), ("R2", never_ended),
    ("R3", skipped_a_number), ("R3", attempts_overlap), ("R3", zombie), ("R3", stale_report), ("R3", touched_too_early),
    ("R3", touched_by_another), ("R3", two_items_on_a_phone),
    ("R4", done_twice), ("R4", rebooted_elsewhere_too), ("R4", not_written_ahead),
    ("R4", went_on_after_an_interruption), ("R4", called_something_else),
    ("R5", a_gap_in_history), ("R5", state_is_not_its_history), ("R5", milestone_missing), ("R5", result_of_nothing),
    ("R5", result_counted_twice), ("R5", busy_with_nothing),
    ("R7", too_many_attempts), ("R7", died_without_a_word),
    ("R8", retried_after_cancel),
    ("callbacks", callback_lost), ("callbacks", callback_pending), ("callbacks", callback_overtook),
    ("callbacks", callback_repeated_late), ("callbacks", callback_changed), ("callbacks", callback_with_another_id),
    ("accounts", too_many_sessions), ("accounts", session_counted_twice),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "plant"), PLANTED, ids=[plant.__name__ for _, plant in PLANTED])
def test_a_planted_violation_is_found(rule: str, plant: Callable[[Story], None]) -> None:
    told = story()
    plant(told)
    found: list[Violation] = check(told.records())
    assert rule in {violation.rule for violation in found}, [str(v) for v in found]
