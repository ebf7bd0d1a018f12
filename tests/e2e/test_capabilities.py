"""fyp_warmup and maintenance on real phones' wire: HTTP, manager, router, phone actors, adb, phones, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.bodies import ACCOUNT, fyp, maintenance, step
from tests.e2e.farm import Farm
from tests.receiver import Receiver

pytestmark = pytest.mark.timeout(300)


def enqueue(farm: Farm, body: dict[str, Any]) -> str:
    answer = farm.client.post("/capability-requests/enqueue", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["process_id"])


def upkeep(farm: Farm, body: dict[str, Any]) -> str:
    answer = farm.client.post("/maintenance/requests", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/processes/{answer.json()['process_id']}"
    return str(answer.json()["process_id"])


def test_a_feed_session_judges_every_video_and_watches_or_skips_it(here: Farm, hook: Receiver) -> None:
    body = {**fyp({"routing": "direct", "phone_id": "VP000001"}), "callback": {"url": hook.url, "metadata": {}}}
    process_id = enqueue(here, body)
    view = here.wait_process(process_id, "completed", "failed_terminal")
    assert view["status"] == "completed", view["error"]
    videos = view["result"]["videos"]
    assert len(videos) == 4
    assert len({(v["title"], v["author"]) for v in videos}) == 4
    for video in videos:
        assert video["verdict"]["judge"] == "lexical"
        assert video["verdict"]["prompt"]["prompt_id"] == "fyp_judge"
        assert video["watched_seconds"] == (1 if video["verdict"]["relevant"] else 0)
    relevant = sum(v["verdict"]["relevant"] for v in videos)
    assert view["result"]["relevant_share"] == pytest.approx(relevant / 4)
    (picture,) = view["result"]["artifacts"]
    file = here.client.get(f"/processes/{process_id}/artifacts/{picture['name']}")
    assert file.content.startswith(b"\x89PNG\r\n")
    assert hook.wait_for(process_id, "completed") == ["accepted", "executing", "completed"]


def test_upkeep_of_a_phone_step_by_step(here: Farm) -> None:
    body = maintenance(
        step("health_check"),
        step("screenshot"),
        step("collect_diagnostics", log_lines=50),
        step("update_settings", settings=[{"namespace": "system", "name": "screen_off_timeout", "value": "60000"}]),
        step("free_storage"),
        step("restart_app"),
        phone_id="VP000002",
    )
    process_id = upkeep(here, body)
    view = here.wait_process(process_id, "completed", "failed_terminal")
    assert view["status"] == "completed", view["error"]
    assert (view["process_type"], view["mode"], view["routing"]) == ("maintenance", "manual", "queue")
    steps = view["result"]["steps"]
    assert [s["index"] for s in steps] == list(range(6))
    assert [s["action"] for s in steps] == [s["action"] for s in body["inputs"]["steps"]]
    assert {s["status"] for s in steps} == {"done"}
    assert {s["phone_id"] for s in steps} == {"VP000002"}
    assert isinstance(steps[0]["output"]["battery"], dict | int | float)
    kept = {a["name"]: a for a in view["result"]["artifacts"]}
    assert {a["media_type"].split(";")[0] for a in kept.values()} == {"image/png", "text/plain"}
    for name, about in kept.items():
        file = here.client.get(f"/processes/{process_id}/artifacts/{name}")
        assert len(file.content) == about["bytes"]
    same = here.client.post("/maintenance/requests", json=body)
    assert (same.status_code, same.json()["duplicate"]) == (200, True)
    assert same.json()["process_id"] == process_id


def test_a_reboot_is_waited_for_and_the_phone_is_available_afterwards(here: Farm) -> None:
    process_id = upkeep(here, maintenance(step("reboot"), step("health_check"), phone_id="VP000001"))
    view = here.wait_process(process_id, "completed", "failed_terminal", seconds=200)
    assert view["status"] == "completed", view["error"]
    assert [s["status"] for s in view["result"]["steps"]] == ["done", "done"]
    reboots = [line for line in here.journal("VP000001") if "reboot" in json.dumps(line)]
    assert reboots
    here.wait_phones("VP000001")


def test_the_profile_of_an_account_is_edited_as_asked(here: Farm) -> None:
    assert here.client.put("/accounts/acct-soup", json=ACCOUNT).status_code == 200
    body = maintenance(
        step("edit_profile", display_name="Weekday soups", bio="Slow pots, quick plates"), account_id="acct-soup"
    )
    process_id = upkeep(here, body)
    view = here.wait_process(process_id, "completed", "failed_terminal")
    assert view["status"] == "completed", view["error"]
    assert view["items"][0]["phone_id"] == "VP000003"
    assert view["items"][0]["account_id"] == "acct-soup"


def test_a_failed_step_is_named_and_the_rest_is_skipped(here: Farm) -> None:
    body = maintenance(
        step("health_check"), step("install_app", file="missing.apk"), step("screenshot"), phone_id="VP000001"
    )
    process_id = upkeep(here, body)
    view = here.wait_process(process_id, "completed", "failed_terminal")
    assert (view["status"], view["outcome"]) == ("failed_terminal", "failed")
    assert [s["status"] for s in view["result"]["steps"]] == ["done", "failed", "skipped"]
    assert view["error"]["action"] == "install_app"
    assert view["error"]["retryable"] is False
    assert view["attempts"] == 1


@pytest.mark.fault(29)
def test_what_failed_can_be_replayed_once(here: Farm) -> None:
    body = maintenance(step("install_app", file="missing.apk"), phone_id="VP000001")
    source = upkeep(here, body)
    here.wait_process(source, "failed_terminal")
    order = {"request_id": f"again-{source}", "requested_by": {"system": "e2e"}}
    answer = here.client.post(f"/processes/{source}/replay", json=order)
    assert answer.status_code == 202, answer.text
    assert answer.json()["replay_of"] == source
    copy = answer.json()["process_id"]
    again = here.client.post(f"/processes/{source}/replay", json=order)
    assert (again.status_code, again.json()["process_id"]) == (200, copy)
    view = here.wait_process(copy, "failed_terminal")
    assert view["replay_of"] == source
    assert view["result"]["steps"][0]["status"] == "failed"
    done = enqueue(here, fyp({"routing": "queue"}, max_videos=1))
    here.wait_process(done, "completed")
    refused = here.client.post(f"/processes/{done}/replay", json=order | {"request_id": "r2"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_replayable")
