"""Rules of callbacks: the outbox holds what the history announces (R5), and the receiver got what the outbox holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from tests.chaos.records import Delivery, Row, View, Violation

_MILESTONE = {
    "QUEUED": "accepted",
    "PLANNED": "accepted",
    "EXECUTING": "executing",
    "RETRYABLE": "retrying",
    "DONE": "completed",
    "PARTIAL": "failed_terminal",
    "DEAD_LETTER": "failed_terminal",
    "CANCELLED": "cancelled",
}


def check(view: View) -> Iterator[Violation]:
    """Outbox and deliveries of every process."""
    arrived: dict[str, list[Delivery]] = {}
    for delivery in sorted(view.records.deliveries, key=lambda d: d.at):
        arrived.setdefault(delivery.process_id, []).append(delivery)
    for process_id, row in view.processes.items():
        outbox = view.outbox.get(process_id, ())
        for what in _announced(row, outbox, view.events.get(process_id, ())):
            yield Violation(rule="R5", subject=process_id, what=what)
        for what in _delivered(outbox, arrived.pop(process_id, []), view):
            yield Violation(rule="callbacks", subject=process_id, what=what)
    for process_id in arrived:
        yield Violation(rule="callbacks", subject=process_id, what="callbacks of a process that is not there")


def _announced(row: Row, outbox: Sequence[Row], history: Sequence[Row]) -> Iterator[str]:
    """Every milestone of the history, in its order, numbered without a gap."""
    milestones, expected = [c["milestone"] for c in outbox], list(_milestones(history))
    if milestones != expected:
        yield f"its outbox says {milestones}, its history {expected}"
    numbers = [c["sequence"] for c in outbox]
    if numbers != list(range(1, row["callback_seq"] + 1)):
        yield f"its outbox has the numbers {numbers}, its row says {row['callback_seq']}"
    for callback in outbox:
        body = json.loads(callback["body"])
        said = (body["event_id"], body["sequence"], body["milestone"], body["process"]["process_id"])
        if said != (callback["id"], callback["sequence"], callback["milestone"], row["id"]):
            yield f"the body of callback {callback['sequence']} says {said}"


def _milestones(history: Sequence[Row]) -> Iterator[str]:
    state = None
    for event in history:
        if event["kind"] == "process.cancel_requested":
            yield "cancel_requested"
        elif event["item_id"] is None and event["to_state"] is not None:
            milestone = _MILESTONE[event["to_state"]]
            if milestone != state:
                yield milestone
            state = milestone


def _delivered(outbox: Sequence[Row], arrived: Sequence[Delivery], view: View) -> Iterator[str]:
    known = {c["id"]: c for c in outbox}
    for delivery in arrived:
        row = known.get(delivery.event_id)
        if row is None:
            yield f"{delivery.milestone} ({delivery.event_id}) arrived and is not in the outbox"
        elif (row["sequence"], row["milestone"]) != (delivery.sequence, delivery.milestone):
            yield f"event {delivery.event_id} arrived as number {delivery.sequence}, {delivery.milestone}"
        elif delivery.body and delivery.body != row["body"].encode():
            yield f"number {delivery.sequence} arrived with another body than the outbox holds"
    yield from _none_missing(outbox, arrived, view.records.over)
    yield from _in_order(outbox, arrived, view.records.one_sender)


def _none_missing(outbox: Sequence[Row], arrived: Sequence[Delivery], over: bool) -> Iterator[str]:
    taken = {d.event_id for d in arrived if _taken(d)}
    for row in outbox:
        if row["state"] == "delivered" and row["id"] not in taken:
            yield f"number {row['sequence']} counts as delivered and never arrived"
        if over and row["state"] == "pending":
            yield f"number {row['sequence']} ({row['milestone']}) was never delivered"


def _in_order(outbox: Sequence[Row], arrived: Sequence[Delivery], one_sender: bool) -> Iterator[str]:
    """None before its predecessor was taken, or given up; and with one sender, none again behind its successor."""
    settled = {row["sequence"] for row in outbox if row["state"] == "dead"}
    highest = 0
    for delivery in arrived:
        if any(n not in settled for n in range(1, delivery.sequence)):
            yield f"number {delivery.sequence} arrived before its predecessor was taken"
        if one_sender and delivery.sequence < highest:
            yield f"number {delivery.sequence} arrived after number {highest}"
        highest = max(highest, delivery.sequence)
        if _taken(delivery):
            settled.add(delivery.sequence)


def _taken(delivery: Delivery) -> bool:
    return delivery.status is not None and 200 <= delivery.status < 300
