"""The ``result`` objects, by capability."""

from __future__ import annotations

from typing import Any

from phonefarm.core.results import Done, Kept, result
from phonefarm.models.action import ActionKind
from phonefarm.models.states import Capability

STEPS: dict[str, Any] = {
    "steps": [{"action": a, "params": {}} for a in ("health_check", "install_app", "reboot", "screenshot")]
}
NAMES = ["health_check", "install_app", "reboot", "screenshot"]


def done(index: int, kind: ActionKind, output: dict[str, Any] | None = None, **more: Any) -> Done:
    return Done(item=0, index=index, kind=kind, phone_id="P1", params={}, output=output or {}, **more)


def video(title: str, verdict: dict[str, Any] | None) -> dict[str, Any]:
    seen = {"phone_id": "P1", "at": f"at {title}", "title": title, "author": "a", "tags": [], "watched_seconds": 2.0}
    return {**seen, "verdict": verdict, "number": 3}


def fyp(*verdicts: dict[str, Any] | None) -> dict[str, Any]:
    actions = [done(n, ActionKind.FEED_VIDEO, video(str(n), v)) for n, v in enumerate(verdicts)]
    return result(Capability.FYP_WARMUP, inputs={}, done=[done(9, ActionKind.CLOSE_APP), *actions], kept=[], over=True)


def test_fyp_shows_the_videos_and_the_relevant_share() -> None:
    failed = {"relevant": None, "error": "judge_failed"}
    found = fyp({"relevant": True}, None, {"relevant": False}, failed, {"relevant": True})
    assert [v["title"] for v in found["videos"]] == ["0", "1", "2", "3", "4"]
    assert set(found["videos"][0]) == {"phone_id", "at", "title", "author", "tags", "watched_seconds", "verdict"}
    assert found["relevant_share"] == 0.6667
    assert [(s["at"], s["relevant_share"]) for s in found["relevant_share_over_time"]] == [
        ("at 0", 1.0),
        ("at 2", 0.5),
        ("at 4", 0.6667),
    ]
    assert found["artifacts"] == []


def test_without_a_verdict_there_is_no_share() -> None:
    assert fyp(None)["relevant_share"] is None
    assert fyp()["videos"] == []
    assert result(Capability.FYP_WARMUP, inputs={}, done=[], kept=[], over=True) == {}


def test_maintenance_shows_each_step_and_how_it_ended() -> None:
    actions = [
        done(0, ActionKind.HEALTH_CHECK, {"battery": {"level": 80}}),
        done(1, ActionKind.INSTALL_APP, skipped="time_budget"),
        done(2, ActionKind.REBOOT, status="interrupted"),
    ]
    kept = [Kept(name="a.png", media_type="image/png", size=1, sha256="0", phone_id="P1", item_id="i")]
    found = result(Capability.MAINTENANCE, inputs=STEPS, done=actions, kept=kept, over=True)
    assert [(s["index"], s["action"], s["status"]) for s in found["steps"]] == [
        (0, "health_check", "done"),
        (1, "install_app", "skipped"),
        (2, "reboot", "interrupted"),
        (3, "screenshot", "skipped"),
    ]
    assert found["steps"][0]["output"] == {"battery": {"level": 80}}
    assert found["steps"][3] == {
        "index": 3,
        "action": "screenshot",
        "phone_id": "P1",
        "status": "skipped",
        "output": {},
    }
    assert [a["name"] for a in found["artifacts"]] == ["a.png"]


def test_while_maintenance_runs_only_what_has_ended_is_shown() -> None:
    actions = [done(0, ActionKind.HEALTH_CHECK), done(1, ActionKind.INSTALL_APP, status="started")]
    found = result(Capability.MAINTENANCE, inputs=STEPS, done=actions, kept=[], over=False)
    assert [s["index"] for s in found["steps"]] == [0]
    assert result(Capability.MAINTENANCE, inputs=STEPS, done=[], kept=[], over=False) == {}


def test_maintenance_that_never_ran_was_skipped_on_no_phone() -> None:
    found = result(Capability.MAINTENANCE, inputs=STEPS, done=[], kept=[], over=True)
    assert [(s["action"], s["phone_id"], s["status"]) for s in found["steps"]] == [(n, None, "skipped") for n in NAMES]


def test_a_failed_step_says_so() -> None:
    found = result(
        Capability.MAINTENANCE,
        inputs=STEPS,
        done=[done(0, ActionKind.HEALTH_CHECK, status="failed")],
        kept=[],
        over=True,
    )
    assert found["steps"][0]["status"] == "failed"
