"""What the pages of the work show, made of what the API says: processes, their timelines and results, the queue."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from phonefarm.models.action import ActionKind
from phonefarm.models.states import PublicStatus, WaitingReason
from phonefarm.serve.console import phrases, process_view, queue_view
from phonefarm.serve.examples import PROCESS
from phonefarm.serve.examples_more import QUEUED

pytestmark = pytest.mark.timeout(30)

HOSTILE = "<script>alert(1)</script>"
ITEM = PROCESS["items"][0]["queue_item_id"]
ERROR = {
    "code": "app_missing",
    "message": "no such app",
    "retryable": False,
    "queue_item_id": ITEM,
    "phone_id": "VP000001",
    "attempt": 2,
    "action": "open_app",
    "at": "2026-11-23T09:30:00.112Z",
}


def process(status: str = "executing", **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(PROCESS), "status": status, **changes}


def event(kind: str, /, **data: Any) -> dict[str, Any]:
    at = "2026-11-23T09:30:00.112Z"
    who = {"queue_item_id": ITEM, "phone_id": "VP000001"} if kind.startswith(("item", "action")) else {}
    base = {"event_id": "e", "sequence": 1, "at": at, "kind": kind, "queue_item_id": None, "phone_id": None}
    return {**base, **who, "from": None, "to": None, "data": data or None}


def action(index: int, kind: str, /, **changes: Any) -> dict[str, Any]:
    known = {"queue_item_id": ITEM, "attempt": 1, "index": index, "kind": kind, "status": "finished"}
    return {**known, "params": {}, "output": {}, "skipped": None, "seconds": 0.0, **changes}


# -- words -----------------------------------------------------------------------------------------


def test_every_status_reason_and_action_has_words() -> None:
    assert set(phrases.STATUS) == {status.value for status in PublicStatus}
    assert set(phrases.WAITING) == {reason.value for reason in WaitingReason}
    assert set(phrases.ACTION) == {kind.value for kind in ActionKind}


@pytest.mark.parametrize(
    ("kind", "params", "output", "said"),
    [
        ("open_app", {"app": "feed"}, {}, "Open the app: feed"),
        ("search", {"app": "feed", "keyword": "soup"}, {}, "Search: “soup”"),
        ("open_result", {"keyword": "soup", "rank": 0}, {}, "Open a result: number 1 for “soup”"),
        (
            "watch",
            {"rank": 0},
            {"title": "Pots", "author": "ann", "watched_seconds": 4.2, "verdict": None},
            "Watch: “Pots” by ann, 4 s",
        ),
        (
            "feed_video",
            {"number": 2},
            {"title": "Cars", "author": None, "watched_seconds": 1, "verdict": {"relevant": False}},
            "Video of the feed: number 3, “Cars”, 1 s, not relevant",
        ),
        ("feed_video", {"number": 2}, {}, "Video of the feed: number 3"),
        ("watch", {}, {"title": "x", "verdict": {"relevant": None, "error": "judge_failed"}}, "Watch: “x”, not judged"),
        ("watch", {}, {"title": "x", "verdict": {"relevant": True}}, "Watch: “x”, relevant"),
        ("install_app", {"file": "a.apk"}, {}, "Install an app: a.apk"),
        ("reboot", {}, {}, "Reboot"),
        ("never_heard_of", {}, {}, "never heard of"),
    ],
)
def test_actions_in_words(kind: str, params: Mapping[str, Any], output: Mapping[str, Any], said: str) -> None:
    assert phrases.action_text(kind, params, output) == said


# -- why -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", WaitingReason)
def test_a_process_that_waits_says_why_and_what_ends_it(reason: WaitingReason) -> None:
    waiting = {"reason": reason.value, "position": 3, "phones_considered": 1, "next_attempt_at": None}
    first, place = process_view.why(process("queued", waiting=waiting))
    why, step = phrases.WAITING[reason.value]
    assert first == f"It waits because {why}: {step}."
    assert place == "Place 3 in the queue; 1 phone looked at."


def test_a_process_that_runs_says_where() -> None:
    assert process_view.why(process()) == ["Runs on VP000001, VP000002; 0 of 2 items done."]
    many = process(items=[{**PROCESS["items"][0], "phone_id": f"P{n}"} for n in range(9)])
    assert process_view.why(many)[0] == "Runs on P0, P1, P2 and 6 more phones; 0 of 2 items done."


def test_a_failed_process_says_the_cause_and_what_to_do() -> None:
    standing, cause, step = process_view.why(process("failed_terminal", outcome="failed", error=ERROR))
    assert standing == "It failed for good; 0 of 2 items done."
    assert cause == "The cause on VP000001 in “Open the app” (attempt 2): no such app"
    assert step == "What to do (app_missing): install the app of the profile on this phone."
    retried = process_view.why(process("retrying", error=ERROR))
    assert retried[0].startswith("The last attempt failed on VP000001")
    assert process_view.why(process("failed_terminal", outcome="expired"))[0].startswith("It was not started in time")
    assert process_view.why(process("completed", error=ERROR)) == ["Everything was done: 7 of 36 actions."]


def test_a_cancelled_process_says_who_wanted_it_and_why() -> None:
    asked = event("process.cancel_requested", reason="wrong words", strategy="soft", requested_by={"user": "ann"})
    times = {**PROCESS["timestamps"], "cancel_requested_at": "2026-11-23T09:30:01.000Z"}
    assert process_view.why(process(timestamps=times), [asked]) == ["Is being cancelled because wrong words."]
    assert process_view.why(process("cancelled", timestamps=times), [asked]) == ["Cancelled because wrong words."]
    (line,) = process_view.timeline(process(), [asked], [])
    assert (line.text, line.detail) == ("Cancel asked for by ann", "wrong words (soft)")


# -- the timeline ----------------------------------------------------------------------------------


def test_the_timeline_is_newest_first_and_says_what_each_action_was_about() -> None:
    events = [event("action.finished", index=0, kind="open_app", attempt=1), event("item.finished", attempt=1)]
    done = [action(0, "open_app", params={"app": "feed"}, seconds=1.25)]
    last, first = process_view.timeline(process(), events, done)
    assert (last.text, last.tone, last.phone_id, last.attempt) == ("The phone is done with it", "ok", "VP000001", 1)
    assert (first.text, first.detail) == ("Open the app: feed", "1.2 s")


def test_an_action_of_another_attempt_is_another_one() -> None:
    events = [event("action.finished", index=0, kind="open_app", attempt=2)]
    (line,) = process_view.timeline(process(), events, [action(0, "open_app", params={"app": "feed"})])
    assert line.text == "Open the app"


@pytest.mark.parametrize("kind", ["skipped", "failed", "interrupted"])
def test_actions_that_were_not_done_say_so(kind: str) -> None:
    events = [event(f"action.{kind}", index=0, kind="reboot", attempt=1, reason="time_is_up")]
    (line,) = process_view.timeline(process(), events, [])
    assert (line.text, line.detail) == ("Reboot", f"{kind}: time is up")
    assert line.tone == ("off" if kind == "skipped" else "bad")


def test_pictures_stand_where_they_were_taken() -> None:
    kept = [
        {"name": "A-keyword-01.png", "media_type": "image/png", "queue_item_id": ITEM},
        {"name": "A-failure-2.png", "media_type": "image/png", "queue_item_id": ITEM},
        {"name": "B-failure-2.png", "media_type": "image/png", "queue_item_id": "other"},
        {"name": "A-failure-2.xml", "media_type": "text/plain", "queue_item_id": ITEM},
    ]
    view = process(result={"artifacts": kept})
    events = [event("action.finished", index=6, kind="screenshot", attempt=1), event("item.failed", attempt=2)]
    done = [action(6, "screenshot", output={"artifact": "A-keyword-01.png"})]
    failed, shot = process_view.timeline(view, events, done)
    assert shot.pictures == ("A-keyword-01.png",)
    assert failed.pictures == ("A-failure-2.png",)
    gone = [action(6, "screenshot", output={"artifact": "../../etc/passwd"})]
    assert process_view.timeline(view, events[:1], gone)[0].pictures == ()


def test_callbacks_and_events_nobody_knows_are_in_the_timeline_too() -> None:
    events = [
        event("callback.delivered", http_status=204),
        event("callback.died", error="receiver_gone"),
        event("callback.redelivered", was="dead"),
        event("process.dreamt"),
        event("moon.rose"),
    ]
    said = [(line.text, line.detail) for line in process_view.timeline(process(), events, [])]
    assert said == [
        ("moon.rose", ""),
        ("process dreamt", ""),
        ("Callback to be sent again", "was dead"),
        ("Callback given up", "receiver_gone"),
        ("Callback delivered", "HTTP 204"),
    ]


# -- results ---------------------------------------------------------------------------------------

VIDEO = {"phone_id": "P", "title": HOSTILE, "author": None, "watched_seconds": 3.4, "verdict": None}


def test_results_of_each_capability_as_tables() -> None:
    words, feed, steps = (
        {"keywords": [{"keyword": "soup", "phone_id": "P", "videos": [VIDEO], "screenshot": "a.png"}]},
        {"videos": [{**VIDEO, "verdict": {"relevant": True, "reason": "bread"}}], "relevant_share": 0.5},
        {"steps": [{"index": 0, "action": "reboot", "phone_id": "P", "status": "done", "output": {"up": True}}]},
    )
    (keyword,) = process_view.tables(words)
    assert (keyword.title, keyword.picture) == ("“soup” on P", "a.png")
    assert keyword.head == ("Title", "Watched"), "no column without a value, nor the phone that the title names"
    assert keyword.rows == ((HOSTILE, "3 s"),)
    (videos,) = process_view.tables(feed)
    assert videos.title == "Feed: 50% of what was judged is relevant"
    assert videos.head == ("Title", "Watched", "Verdict", "Phone")
    assert videos.rows == ((HOSTILE, "3 s", "relevant: bread", "P"),)
    (upkeep,) = process_view.tables(steps)
    assert upkeep.rows == (("1. Reboot", "done", "up: yes", "P"),)
    assert process_view.tables({}) == []


def test_values_in_one_line() -> None:
    found = {"battery": {"level": 80, "charging": None}, "apps": ["a", "b"], "ok": False, "free_bytes": 1}
    assert process_view.flat(found) == "battery: level: 80; charging: unknown; apps: a, b; ok: no; free bytes: 1"


# -- the queue -------------------------------------------------------------------------------------


def waiting(position: int, **changes: Any) -> dict[str, Any]:
    base = {**QUEUED, "phone_id": None, "reason": "phones_busy", "position": position}
    return {**base, "created_at": f"2026-11-23T09:3{position}:00.000Z", **changes}


def test_the_queue_by_what_is_waited_for_the_oldest_first() -> None:
    lanes = queue_view.lanes(
        [
            waiting(5, phone_id="P", reason="phone_paused", attempt=2),
            waiting(2, phone_group="rack-1"),
            waiting(3, account_group="cooks", reason="account_busy"),
            waiting(4, phone_id="P"),
            waiting(1),
        ]
    )
    assert [(lane.kind, lane.name) for lane in lanes] == [
        ("any", ""),
        ("group", "rack-1"),
        ("accounts", "cooks"),
        ("phone", "P"),
    ]
    pinned = lanes[-1]
    assert pinned.oldest == "2026-11-23T09:34:00.000Z"
    assert pinned.reasons == (("its phone is paused", 1), ("the phone is busy", 1))
    assert [(row.position, row.attempt) for row in pinned.rows] == [(5, 2), (4, 0)]


def test_a_reason_nobody_knows_is_still_told() -> None:
    (lane,) = queue_view.lanes([waiting(1, reason="full_moon")])
    assert lane.rows[0].why == "full moon"
    assert queue_view.lanes([]) == []
