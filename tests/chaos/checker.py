"""The rules of the farm, held against what was recorded of a run: ``check(records)`` gives every violation found.

Pure: values in, values out, and written without the farm's own tables of states, so that a mistake there is not
repeated here. The rules, by the names that violations carry:

- ``R1``: what was answered with 202 or 200 is in the database.
- ``R2``: a final state is reached once and never left, in the database and before the eyes of every client; when
  ``over``, everything is final.
- ``R3``: attempts count from one without a gap; what happens belongs to the attempt that runs; two attempts of an item
  never overlap, nor two items on a phone, nor on an account; nothing is done before its grant or after its end.
- ``R4``: what must not be done twice was started once, and not before that was written down; when it was broken off its
  item has ended and says so.
- ``R5``: the history, replayed, is the state; every milestone is in the outbox; numbers have no gap; every result is of
  something a phone did.
- ``R7``: attempts are bounded, and what died says why.
- ``R8``: after a cancel nothing is started, retried or called a failure.
- ``keys``: one process a key, one 202 a key, the same answer to all who ask with it.
- ``callbacks``: each event arrives at least once, in order, the same each time.
- ``accounts``: no more sessions a day than allowed, and counted right.

(``R6``, whose clock decides, cannot be read from records.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tests.chaos import checker_callbacks, checker_phones
from tests.chaos.records import CANCEL, SUBMIT, Key, Reading, Records, Request, Row, View, Violation

_FINAL_ITEM = {"DONE", "DEAD_LETTER", "CANCELLED"}
_FINAL_PROCESS = {"DONE", "PARTIAL", "DEAD_LETTER", "CANCELLED"}
_FINAL_STATUS = {"completed", "failed_terminal", "cancelled"}
_STATUS = {
    "QUEUED": "queued",
    "PLANNED": "queued",
    "EXECUTING": "executing",
    "RETRYABLE": "retrying",
    "DONE": "completed",
    "PARTIAL": "failed_terminal",
    "DEAD_LETTER": "failed_terminal",
    "CANCELLED": "cancelled",
}


def check(records: Records) -> list[Violation]:
    """Everything that is wrong; an empty list if nothing is."""
    view = View.of(records)
    rules = (_acknowledged, _keys, _final, _seen, _history, _phone_states, _bounded, _cancelled)
    found = [violation for rule in rules for violation in rule(view)]
    return [*found, *checker_phones.check(view), *checker_callbacks.check(view)]


def _key(row: Row) -> Key:
    return (row["process_type"], row["system"], row["request_id"])


# -- R1 ----------------------------------------------------------------------------------------------


def _acknowledged(view: View) -> Iterator[Violation]:
    for request in view.records.requests:
        if request.status not in (200, 202):
            continue
        row = view.processes.get(request.process_id or "")
        if row is None:
            yield Violation(rule="R1", subject=str(request.key), what=f"{request.kind}: {request.status}, but no row")
        elif request.kind == SUBMIT and _key(row) != request.key:
            yield Violation(rule="R1", subject=str(request.key), what=f"the row it was given has key {_key(row)}")
        elif request.kind == CANCEL:
            yield from _cancel_acknowledged(request, row)


def _cancel_acknowledged(request: Request, row: Row) -> Iterator[Violation]:
    if request.status == 202 and row["cancel_requested_at"] is None:
        yield Violation(rule="R1", subject=row["id"], what="its cancel was acknowledged and is not there")
    if request.status == 200 and row["finished_at"] is None:
        yield Violation(rule="R1", subject=row["id"], what="its cancel was answered as over, and it is not")


# -- keys --------------------------------------------------------------------------------------------


def _keys(view: View) -> Iterator[Violation]:
    asked: dict[Key, list[Request]] = {}
    for request in view.records.requests:
        if request.kind == SUBMIT:
            asked.setdefault(request.key, []).append(request)
    held: dict[Key, list[str]] = {}
    for row in view.processes.values():
        held.setdefault(_key(row), []).append(row["id"])
        if view.records.clients_complete and row["replay_of"] is None and _key(row) not in asked:
            yield Violation(rule="keys", subject=row["id"], what="nobody asked for it")
    for key, ids in held.items():
        if len(ids) > 1:
            yield Violation(rule="keys", subject=str(key), what=f"{len(ids)} processes: {ids}")
    for key, requests in asked.items():
        for what in _answers(requests, bool(held.get(key))):
            yield Violation(rule="keys", subject=str(key), what=what)


def _answers(requests: Sequence[Request], created: bool) -> Iterator[str]:
    stood = [r for r in requests if r.status in (200, 202)]
    if len({r.process_id for r in stood}) > 1:
        yield f"answered with different processes: {sorted({str(r.process_id) for r in stood})}"
    if sum(r.status == 202 for r in stood) > 1:
        yield "accepted as new more than once"
    if len({r.body for r in stood}) > 1:
        yield "two different bodies were both accepted"
    if created and all(r.status is not None and 400 <= r.status < 500 for r in requests):
        yield "every request was refused, and yet there is a process"
    for request in requests:
        others = [r for r in requests if r is not request and r.sent_at <= (request.answered_at or request.sent_at)]
        if request.status == 200 and not any(r.body == request.body for r in others):
            yield "a duplicate of nothing"
        if request.status == 409 and not any(r.body != request.body for r in others):
            yield "a conflict with nothing"


# -- R2 ----------------------------------------------------------------------------------------------


def _final(view: View) -> Iterator[Violation]:
    for process_id, row in view.processes.items():
        own = [e for e in view.events.get(process_id, ()) if e["item_id"] is None]
        yield from _one_end(row, own, _FINAL_PROCESS, view.records.over)
        yield from _nothing_after(process_id, view.events.get(process_id, ()))
    for item_id, row in view.items.items():
        yield from _one_end(row, view.history_of.get(item_id, ()), _FINAL_ITEM, view.records.over)


def _one_end(row: Row, history: Sequence[Row], finals: set[str], over: bool) -> Iterator[Violation]:
    ends = [e["to_state"] for e in history if e["to_state"] in finals]
    final = row["state"] in finals
    if ends != ([row["state"]] if final else []):
        yield Violation(rule="R2", subject=row["id"], what=f"it is {row['state']}, its history ends in {ends}")
    if final != (row["finished_at"] is not None):
        yield Violation(rule="R2", subject=row["id"], what=f"{row['state']} and finished_at {row['finished_at']}")
    if over and not final:
        yield Violation(rule="R2", subject=row["id"], what=f"all should be over, and it is {row['state']}")


def _nothing_after(process_id: str, history: Sequence[Row]) -> Iterator[Violation]:
    """But for what became of its callbacks."""
    over = False
    for event in history:
        if over and not event["kind"].startswith("callback."):
            yield Violation(rule="R2", subject=process_id, what=f"{event['kind']} after its end")
        over = over or (event["item_id"] is None and event["to_state"] in _FINAL_PROCESS)


def _seen(view: View) -> Iterator[Violation]:
    """What clients read: nothing follows a final status, and the database still says the same."""
    last: dict[str, Reading] = {}
    for reading in sorted(view.records.readings, key=lambda r: r.at):
        before = last.get(reading.process_id)
        if before is not None and before.status in _FINAL_STATUS and reading.status != before.status:
            what = f"read as {before.status}, later as {reading.status}"
            yield Violation(rule="R2", subject=reading.process_id, what=what)
        last[reading.process_id] = reading
    for process_id, reading in last.items():
        row = view.processes.get(process_id)
        status = _STATUS[row["state"]] if row is not None else "nothing"
        if reading.status in _FINAL_STATUS and reading.status != status:
            yield Violation(rule="R2", subject=process_id, what=f"read as {reading.status}, now {status}")


# -- R5 ----------------------------------------------------------------------------------------------


def _history(view: View) -> Iterator[Violation]:
    for process_id, row in view.processes.items():
        history = view.events.get(process_id, ())
        for what in (*_numbers(row, history), *_process_moves(row, history), *_derived(row, view)):
            yield Violation(rule="R5", subject=process_id, what=what)
    for item_id, row in view.items.items():
        for what in (*_item_moves(row, view.history_of.get(item_id, ())), *_actions(row, view)):
            yield Violation(rule="R5", subject=item_id, what=what)
    ids = [event["id"] for events in view.events.values() for event in events]
    if len(set(ids)) < len(ids):
        yield Violation(rule="R5", subject="events", what="two of them have one id")
    for stray in ({e["process_id"] for e in view.records.rows.events} | set(view.items_of)) - set(view.processes):
        yield Violation(rule="R5", subject=stray, what="history or items of a process that is not there")


def _numbers(row: Row, history: Sequence[Row]) -> Iterator[str]:
    numbers = [e["sequence"] for e in history]
    if numbers != list(range(1, row["event_seq"] + 1)):
        yield f"its history has the numbers {numbers}, and its row says {row['event_seq']}"
    if [e["kind"] for e in history].count("process.accepted") != 1 or history[0]["kind"] != "process.accepted":
        yield "its history does not begin by its being accepted, once"
    cancels = [e["kind"] for e in history].count("process.cancel_requested")
    if cancels != int(row["cancel_requested_at"] is not None):
        yield f"{cancels} requests to cancel in its history, cancel_requested_at {row['cancel_requested_at']}"


def _process_moves(row: Row, history: Sequence[Row]) -> Iterator[str]:
    state = None
    for event in history:
        if event["item_id"] is None and event["to_state"] is not None:
            if event["from_state"] != state:
                yield f"{event['kind']} from {event['from_state']}, and it was {state}"
            state = event["to_state"]
    if state != row["state"]:
        yield f"its history leads to {state}, its row says {row['state']}"


def _derived(row: Row, view: View) -> Iterator[str]:
    """The end of a process follows from the ends of its items."""
    states = {item["state"] for item in view.items_of.get(row["id"], ())}
    if not states:
        yield "it has no items"
        return
    over = states <= _FINAL_ITEM
    if over != (row["state"] in _FINAL_PROCESS):
        yield f"it is {row['state']}, its items are {sorted(states)}"
    if over and row["state"] in _FINAL_PROCESS and row["state"] != _end_of(states):
        yield f"it is {row['state']}, but its items ended as {sorted(states)}"


def _end_of(states: set[str]) -> str:
    if "CANCELLED" in states:
        return "CANCELLED"
    if "DEAD_LETTER" in states:
        return "PARTIAL" if "DONE" in states else "DEAD_LETTER"
    return "DONE"


_MOVES = {
    "item.claimed": ({"QUEUED", "RETRYABLE"}, {"CLAIMED"}),
    "item.started": ({"CLAIMED"}, {"EXECUTING"}),
    "item.finished": ({"EXECUTING"}, {"DONE"}),
    "item.interrupted": ({"CLAIMED", "EXECUTING"}, {"RETRYABLE"}),
    "item.failed": ({"CLAIMED", "EXECUTING"}, {"DEAD_LETTER"}),
    "item.cancelled": ({"QUEUED", "RETRYABLE", "CLAIMED", "EXECUTING"}, {"CANCELLED"}),
    "item.expired": ({"QUEUED"}, {"DEAD_LETTER"}),
}


def _item_moves(row: Row, history: Sequence[Row]) -> Iterator[str]:
    state = "QUEUED"
    for event in history:
        if event["to_state"] is None:
            continue
        sources, targets = _MOVES.get(event["kind"], (set(), set()))
        if state not in sources or event["to_state"] not in targets or event["from_state"] not in (None, state):
            yield f"{event['kind']} ({event['from_state']} to {event['to_state']}) while it was {state}"
        state = event["to_state"]
    if state != row["state"]:
        yield f"its history leads to {state}, its row says {row['state']}"


def _actions(row: Row, view: View) -> Iterator[str]:
    """What its history says was done is what its journal says."""
    told = [_data(e)["index"] for e in view.history_of.get(row["id"], ()) if e["kind"] in _DONE]
    written = [a["idx"] for a in view.actions_of.get(row["id"], ()) if a["status"] == "finished"]
    if sorted(told) != sorted(written) or len(set(told)) < len(told):
        yield f"actions done by its history: {sorted(told)}, by its journal: {sorted(written)}"
    if row["actions_done"] != len(written):
        yield f"actions_done {row['actions_done']}, and {len(written)} rows"
    if row["state"] == "DONE" and len(written) != row["actions_total"]:
        yield f"done with {len(written)} of {row['actions_total']} actions"


_DONE = ("action.finished", "action.skipped")


def _data(event: Row) -> dict[str, Any]:
    return dict(event["data"] or {})


def _phone_states(view: View) -> Iterator[Violation]:
    """A phone is busy while it has an item. One that is not heard of may be anything else."""
    running = {i["running_phone"] for i in view.items.values() if i["running_phone"] is not None}
    for phone in view.records.rows.phones:
        if phone["state"] == "busy" and phone["id"] not in running:
            yield Violation(rule="R5", subject=phone["id"], what="busy with nothing")
        if phone["state"] == "available" and phone["id"] in running:
            yield Violation(rule="R5", subject=phone["id"], what="available with an item")


# -- R7, R8 ------------------------------------------------------------------------------------------


def _bounded(view: View) -> Iterator[Violation]:
    for item_id, row in view.items.items():
        claims = sum(e["kind"] == "item.claimed" for e in view.history_of.get(item_id, ()))
        most = max(row["attempt"], claims, *(t.attempt or 0 for t in view.touches_of.get(item_id, ())), 0)
        if most > row["max_attempts"]:
            yield Violation(rule="R7", subject=item_id, what=f"{most} attempts of {row['max_attempts']}")
        if row["state"] == "DEAD_LETTER" and not (row["error"] or {}).get("code"):
            yield Violation(rule="R7", subject=item_id, what="it died and does not say why")
    for process_id, row in view.processes.items():
        if row["state"] in ("DEAD_LETTER", "PARTIAL") and not (row["error"] or {}).get("code"):
            yield Violation(rule="R7", subject=process_id, what="it failed and does not say why")


def _cancelled(view: View) -> Iterator[Violation]:
    for process_id in view.processes:
        asked = False
        for event in view.events.get(process_id, ()):
            if asked and event["kind"] in ("item.claimed", "item.interrupted", "item.failed", "item.expired"):
                what = f"{event['kind']} of {event['item_id']} after the request to cancel"
                yield Violation(rule="R8", subject=process_id, what=what)
            asked = asked or event["kind"] == "process.cancel_requested"
