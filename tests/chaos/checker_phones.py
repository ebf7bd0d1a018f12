"""Rules of attempts, phones and accounts (R3, R4): the history of grants against what the phones themselves wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from tests.chaos.records import Row, Touch, View, Violation

#: Said again on purpose: a checker must not learn the rules from what it checks.
NOT_REPEATABLE = {"install_app", "reboot", "edit_profile"}
_ENDS = {"item.finished", "item.interrupted", "item.failed", "item.cancelled"}
_DAY_MS = 86_400_000
#: One database rounds its clock to milliseconds, the other cuts it off.
_ROUNDING_MS = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """An attempt by the history: granted at ``since``, over at ``until`` (ms), None while it runs."""

    item_id: str
    number: int
    phone_id: str
    account_id: str | None
    since: int
    until: int | None = None


def check(view: View) -> Iterator[Violation]:
    attempts = {item_id: list(_attempts(view.history_of.get(item_id, ()))) for item_id in view.items}
    every = [attempt for found in attempts.values() for attempt in found]
    for item_id, row in view.items.items():
        touches = view.touches_of.get(item_id, ())
        for what in (*_counted(row, view.history_of.get(item_id, ())), *_fenced(attempts[item_id], touches, view)):
            yield Violation(rule="R3", subject=item_id, what=what)
        for what in _once(row, view.actions_of.get(item_id, ()), touches):
            yield Violation(rule="R4", subject=item_id, what=what)
        for what in _done_by_phones(view.actions_of.get(item_id, ()), touches, view):
            yield Violation(rule="R5", subject=item_id, what=what)
    yield from _alone(every, lambda a: a.phone_id)
    yield from _alone(every, lambda a: a.account_id)
    yield from _phones(view)
    yield from _accounts(view, every)


def _attempts(history: Sequence[Row]) -> Iterator[Attempt]:
    running: Attempt | None = None
    for event in history:
        if event["kind"] == "item.claimed":
            if running is not None:
                yield running
            data = _data(event)
            running = Attempt(
                item_id=event["item_id"], number=data["attempt"], phone_id=event["phone_id"],
                account_id=data.get("account_id"), since=event["at"],
            )  # fmt: skip
        elif event["kind"] in _ENDS and running is not None:
            yield replace(running, until=event["at"])
            running = None
    if running is not None:
        yield running


def _data(event: Row) -> dict[str, Any]:
    return dict(event["data"] or {})


# -- R3 ----------------------------------------------------------------------------------------------


def _counted(row: Row, history: Sequence[Row]) -> Iterator[str]:
    """Attempts rise by one; whatever happens is of the attempt, and the phone, that was granted last."""
    number, phone, runs = 0, None, False
    for event in history:
        attempt = _data(event).get("attempt")
        if event["kind"] == "item.claimed":
            if attempt != number + 1 or runs:
                yield f"attempt {attempt} was granted after attempt {number}{', which had not ended' if runs else ''}"
            number, phone, runs = int(attempt or 0), event["phone_id"], True
            continue
        if attempt is not None and attempt != number:
            yield f"{event['kind']} of attempt {attempt} while attempt {number} was the last one granted"
        if runs and event["phone_id"] not in (None, phone):
            yield f"{event['kind']} by {event['phone_id']}, and attempt {number} was {phone}'s"
        if event["kind"].startswith("action.") and not runs:
            yield f"{event['kind']} while no attempt ran"
        runs = runs and event["kind"] not in _ENDS
    if number != row["attempt"]:
        yield f"its history grants {number} attempts, its row says {row['attempt']}"


def _fenced(attempts: Sequence[Attempt], touches: Sequence[Touch], view: View) -> Iterator[str]:
    granted = {a.number: a for a in attempts}
    for touch in touches:
        attempt = granted.get(touch.attempt or 0)
        if attempt is None or attempt.phone_id != touch.phone_id:
            yield f"{touch.phone_id} did {touch.kind} in attempt {touch.attempt}, which it was not granted"
            continue
        if touch.account_id is not None and touch.account_id != attempt.account_id:
            yield f"{touch.phone_id} did {touch.kind} as {touch.account_id}, granted was {attempt.account_id}"
        if view.records.same_clock:
            yield from _in_time(attempt, touch)
    yield from _in_turn(touches)


def _in_time(attempt: Attempt, touch: Touch) -> Iterator[str]:
    began = touch.started * 1000
    if began < attempt.since - _ROUNDING_MS:
        yield f"{touch.kind} began {attempt.since - began:.0f} ms before attempt {attempt.number} was granted"
    if attempt.until is not None and began > attempt.until + _ROUNDING_MS:
        yield f"{touch.kind} began {began - attempt.until:.0f} ms after attempt {attempt.number} was over"


def _in_turn(touches: Sequence[Touch]) -> Iterator[str]:
    """Each attempt only after the one before it has let go of its phone."""
    for before, after in pairwise(touches):
        if (before.attempt or 0) > (after.attempt or 0):
            yield f"attempt {before.attempt} had begun, and attempt {after.attempt} still did {after.kind}"
        if before.attempt != after.attempt and before.ended is not None and before.ended > after.started:
            yield f"attempts {before.attempt} and {after.attempt} overlap: {before.kind} and {after.kind}"


def _alone(attempts: Sequence[Attempt], of: Callable[[Attempt], str | None]) -> Iterator[Violation]:
    """One item at a time on a phone, on an account."""
    held: dict[str, list[Attempt]] = {}
    for attempt in sorted(attempts, key=lambda a: (a.since, a.until is None, a.until or 0)):
        if (name := of(attempt)) is not None:
            held.setdefault(name, []).append(attempt)
    for name, turns in held.items():
        for before, after in pairwise(turns):
            if before.until is None or before.until > after.since:
                what = f"items {before.item_id} and {after.item_id} had it at once"
                yield Violation(rule="R3", subject=name, what=what)


def _phones(view: View) -> Iterator[Violation]:
    """A phone does one thing at a time, and what must not be started twice is not, whoever asked."""
    once: Counter[str] = Counter()
    last: dict[str, Touch] = {}
    for touch in sorted(view.records.touches, key=lambda t: t.started):
        before = last.get(touch.phone_id)
        if before is not None and before.ended is not None and before.ended > touch.started:
            what = f"{before.kind} of {before.item_id} and {touch.kind} of {touch.item_id} overlap"
            yield Violation(rule="R3", subject=touch.phone_id, what=what)
        last[touch.phone_id] = touch
        if touch.once is not None:
            once[touch.once] += 1
        if touch.item_id is not None and touch.item_id not in view.items:
            yield Violation(rule="R3", subject=touch.phone_id, what=f"worked for {touch.item_id}, which is not there")
    for name, times in once.items():
        if times > 1:
            yield Violation(rule="R4", subject=name, what=f"started {times} times on the phones")


# -- R4 ----------------------------------------------------------------------------------------------


def _once(row: Row, actions: Sequence[Row], touches: Sequence[Touch]) -> Iterator[str]:
    written = [a for a in actions if a["kind"] in NOT_REPEATABLE and a["skipped"] is None]
    rows = Counter(a["idx"] for a in written)
    yield from (f"action {index} has {n} rows and must not be done twice" for index, n in rows.items() if n > 1)
    done = {t.index: t for t in touches if t.once is not None}
    for touch in done.values():
        if touch.index not in rows:
            yield f"{touch.kind} touched the phone before it was written down"
    for action in written:
        yield from _ending(row, action)
        if action["status"] == "finished" and touches and not _ended(done.get(action["idx"])):
            yield f"{action['kind']} counts as finished, and the phone never finished it"


def _ending(row: Row, action: Row) -> Iterator[str]:
    """What became of an item that had started what must not be done twice."""
    status, state = action["status"], row["state"]
    if status == "started" and (row["finished_at"] is not None or action["attempt"] != row["attempt"]):
        yield f"{action['kind']} was left as started, and the item is {state}"
    if status in ("failed", "interrupted") and state not in ("DEAD_LETTER", "CANCELLED"):
        yield f"{action['kind']} is {status}, and the item is {state}"
    if status == "interrupted" and state == "DEAD_LETTER" and (row["error"] or {}).get("code") != "interrupted":
        yield f"{action['kind']} is interrupted, and the item says {row['error']}"


def _ended(touch: Touch | None) -> bool:
    return touch is not None and touch.ended is not None


def _done_by_phones(actions: Sequence[Row], touches: Sequence[Touch], view: View) -> Iterator[str]:
    """Every result is of something that a phone did, where the phones can tell for whom they worked."""
    if not view.records.touches_complete or not any(t.item_id is not None for t in view.records.touches):
        return
    done = {(t.attempt, t.index, t.kind) for t in touches if t.ended is not None}
    for action in actions:
        key = (action["attempt"], action["idx"], action["kind"])
        if action["status"] == "finished" and action["skipped"] is None and key not in done:
            yield f"{action['kind']} ({action['idx']}) of attempt {action['attempt']}: no phone did it"


# -- accounts ----------------------------------------------------------------------------------------


def _accounts(view: View, attempts: Sequence[Attempt]) -> Iterator[Violation]:
    """Each session counts once, on the day it began; a retry goes on with it, unless a group may choose another."""
    sessions: Counter[tuple[str, int]] = Counter()
    for attempt in attempts:
        chosen = view.items[attempt.item_id]["account_id"] is None
        if attempt.account_id is not None and (attempt.number == 1 or chosen):
            sessions[(attempt.account_id, attempt.since // _DAY_MS)] += 1
    limits = {a["id"]: (a["daily_limits"] or {}).get("sessions") for a in view.records.rows.accounts}
    for (account, day), count in sessions.items():
        limit = limits.get(account)
        if limit is not None and count > limit:
            yield Violation(rule="accounts", subject=account, what=f"{count} sessions of {limit} on day {day}")
    for usage in view.records.rows.account_usage:
        began = sessions.get((usage["account_id"], usage["day"]), 0)
        if usage["sessions"] != began:
            what = f"{usage['sessions']} sessions counted, {began} began"
            yield Violation(rule="accounts", subject=usage["account_id"], what=what)
