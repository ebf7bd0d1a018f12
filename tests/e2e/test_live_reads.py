"""Long polling, ETags, event streams, screens, operations, keys and limits against a running farm."""

from __future__ import annotations

import io
import json
import re
import threading
import time
from typing import Any

import httpx
import pytest
from PIL import Image

from phonefarm.client import AsyncFarm
from phonefarm.client import Farm as Client
from phonefarm.core.metrics import METRICS, Kind
from tests.e2e.bodies import ACCOUNT, maintenance, step
from tests.e2e.canaries import exported
from tests.e2e.farm import KEY, Farm, request, until

pytestmark = pytest.mark.timeout(300)


def test_a_long_poll_returns_when_the_status_changes(here: Farm) -> None:
    process_id = here.submit({"routing": "direct", "phone_id": "VP000001"})
    seen: list[str] = []
    etag = ""
    while not seen or seen[-1] not in ("completed", "failed_terminal"):
        headers = {"If-None-Match": etag} if etag else {}
        answer = here.client.get(f"/processes/{process_id}?wait=20", headers=headers)
        if answer.status_code == 304:
            continue
        assert answer.status_code == 200
        etag = answer.headers["etag"]
        seen.append(answer.json()["status"])
    assert seen[-1] == "completed"
    assert len(seen) <= 10
    until(
        lambda: (
            here.client.get(
                f"/processes/{process_id}",
                headers={"If-None-Match": here.client.get(f"/processes/{process_id}").headers["etag"]},
            ).status_code
            == 304
        ),
        "an unchanged process is 304",
    )


def lines_of(answer: httpx.Response, until_event: str) -> list[dict[str, str]]:
    """The events of a stream up to one of the kind given, or its end."""
    found: list[dict[str, str]] = [{}]
    for line in answer.iter_lines():
        if not line:
            if found[-1].get("event") == until_event:
                return found
            found.append({})
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[-1][name] = value
    return [event for event in found if event]


def test_the_event_stream_can_be_left_and_taken_up_again(here: Farm) -> None:
    process_id = here.submit({"routing": "direct", "phone_id": "VP000001"}, watch_seconds={"min": 1, "max": 1})
    headers = {"Accept": "text/event-stream"}
    with here.client.stream("GET", f"/processes/{process_id}/events", headers=headers, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        first = lines_of(answer, "item.started")
    last = first[-1]["id"]
    here.wait_process(process_id, "completed")
    headers["Last-Event-ID"] = last
    with here.client.stream("GET", f"/processes/{process_id}/events", headers=headers, timeout=60) as answer:
        rest = lines_of(answer, "process.completed")
    sequences = [json.loads(event["data"])["sequence"] for event in [*first, *rest]]
    assert sequences == list(range(1, len(sequences) + 1))
    assert rest[-1]["event"] == "process.completed"


def test_the_screen_of_a_phone_in_three_formats(here: Farm) -> None:
    whole = here.client.get("/phones/VP000001/screen")
    assert (whole.status_code, whole.headers["content-type"]) == (200, "image/png")
    assert whole.headers["cache-control"] == "no-store"
    small = here.client.get("/phones/VP000001/screen?width=120", headers={"Accept": "image/webp"})
    assert small.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(small.content)).width == 120
    jpeg = here.client.get("/phones/VP000001/screen?width=120", headers={"Accept": "image/jpeg"})
    assert Image.open(io.BytesIO(jpeg.content)).format == "JPEG"
    assert here.client.get("/phones/VP999999/screen").status_code == 404
    assert here.client.get("/phones/VP000001/screen", headers={"Accept": "text/plain"}).status_code == 406


def operate(farm: Farm, path: str, status: int = 200) -> Any:
    answer = farm.client.post(path, json={"reason": "a test"})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_paused_phone_gets_no_work_and_says_so(here: Farm) -> None:
    assert operate(here, "/phones/VP000003/pause")["state"] == "paused"
    process_id = here.submit({"routing": "direct", "phone_id": "VP000003"})
    waiting = here.process(process_id)["waiting"]
    assert (waiting["reason"], waiting["position"]) == ("phone_paused", 1)
    assert [i["process_id"] for i in here.get("/queue")["items"]] == [process_id]
    assert here.get("/queue")["items"][0]["reason"] == "phone_paused"
    operate(here, "/phones/VP000003/resume")
    assert here.wait_process(process_id, "completed")["outcome"] == "succeeded"


def test_a_drained_phone_ends_its_work_and_is_paused(here: Farm) -> None:
    process_id = here.submit(
        {"routing": "direct", "phone_id": "VP000002"}, videos_per_keyword=4, watch_seconds={"min": 1, "max": 1}
    )
    here.wait_actions(process_id, 2)
    assert operate(here, "/phones/VP000002/drain")["draining"] is True
    later = here.submit({"routing": "direct", "phone_id": "VP000002"})
    assert here.wait_process(process_id, "completed")["attempts"] == 1
    here.wait_phones("VP000002", state="paused")
    assert here.process(later)["waiting"]["reason"] == "phone_paused"
    operate(here, "/phones/VP000002/resume")
    here.wait_process(later, "completed")


def test_a_quarantined_phone_loses_its_work_to_another(here: Farm) -> None:
    operate(here, "/phones/VP000002/pause")
    operate(here, "/phones/VP000003/pause")
    process_id = here.submit({"routing": "queue"}, videos_per_keyword=5, watch_seconds={"min": 2, "max": 2})
    here.wait_actions(process_id, 2)
    operate(here, "/phones/VP000001/quarantine")
    here.wait_phones("VP000001", state="quarantined")
    operate(here, "/phones/VP000002/resume")
    operate(here, "/phones/VP000003/resume")
    view = here.wait_process(process_id, "completed")
    assert view["attempts"] == 2
    assert view["items"][0]["phone_id"] != "VP000001"
    operate(here, "/phones/VP000001/release")
    here.wait_phones("VP000001")


def test_a_retired_phone_still_answers_duplicates_and_refuses_new_work(here: Farm) -> None:
    body = request({"routing": "direct", "phone_id": "VP000001"})
    first = here.client.post("/capability-requests/enqueue", json=body)
    here.wait_process(first.json()["process_id"], "completed")
    upkeep = maintenance(step("health_check"), phone_id="VP000001")
    second = here.client.post("/maintenance/requests", json=upkeep)
    here.wait_process(second.json()["process_id"], "completed")
    operate(here, "/phones/VP000001/retire")
    for path, sent, known in (
        ("/capability-requests/enqueue", body, first),
        ("/maintenance/requests", upkeep, second),
    ):
        again = here.client.post(path, json=sent)
        assert (again.status_code, again.json()["process_id"]) == (200, known.json()["process_id"])
    new = here.client.post("/capability-requests/enqueue", json=request({"routing": "direct", "phone_id": "VP000001"}))
    assert (new.status_code, new.json()["code"]) == (409, "phone_retired")
    operate(here, "/phones/VP000001/release")
    here.wait_phones("VP000001")


def test_a_host_and_a_group_are_drained_and_resumed(here: Farm) -> None:
    assert {p["state"] for p in operate(here, "/hosts/local/drain")["items"]} == {"paused"}
    operate(here, "/hosts/local/resume")
    here.wait_phones("VP000001", "VP000002", "VP000003")
    operate(here, "/groups/nobody/drain", 404)
    operate(here, "/hosts/nobody/drain", 404)


def test_an_account_at_its_daily_limit_waits_and_says_until_when(here: Farm) -> None:
    limited = {**ACCOUNT, "daily_limits": {"sessions": 1, "minutes": None}}
    assert here.client.put("/accounts/acct-once", json=limited).status_code == 200
    here.wait_process(here.submit({"routing": "direct", "account_id": "acct-once"}), "completed")
    process_id = here.submit({"routing": "direct", "account_id": "acct-once"})
    waiting = here.process(process_id)["waiting"]
    assert waiting["reason"] == "account_daily_limit"
    tomorrow = time.strftime("%Y-%m-%dT00:00:00.000Z", time.gmtime((time.time() // 86_400 + 1) * 86_400))
    assert waiting["next_attempt_at"] == tomorrow
    patched = here.client.patch("/accounts/acct-once", json={"daily_limits": {"sessions": 2}})
    assert patched.json()["daily_limits"] == {"sessions": 2, "minutes": None}
    here.wait_process(process_id, "completed")


def test_keys_have_scopes_and_end_when_revoked(here: Farm) -> None:
    name = f"ci-{time.time_ns()}"
    made = here.client.post("/keys", json={"name": name, "scopes": ["submit", "read"], "system": "ci"})
    assert made.status_code == 201, made.text
    ours = {"Authorization": f"Bearer {made.json()['secret']}"}
    body = request({"routing": "queue"})
    refused = here.client.post("/capability-requests/enqueue", json=body, headers=ours)
    assert (refused.status_code, refused.json()["code"]) == (403, "wrong_system")
    body["requested_by"] = {"system": "ci"}
    accepted = here.client.post("/capability-requests/enqueue", json=body, headers=ours)
    assert accepted.status_code == 202
    process_id = accepted.json()["process_id"]
    assert here.client.get(f"/processes/{process_id}", headers=ours).status_code == 200
    others = here.submit({"routing": "queue"})
    assert here.client.get(f"/processes/{others}", headers=ours).status_code == 404
    cancel = here.client.post(f"/processes/{process_id}/cancel", json={}, headers=ours)
    assert (cancel.status_code, cancel.json()["code"]) == (403, "missing_scope")
    here.wait_process(process_id, "completed")
    here.wait_process(others, "completed")
    assert made.json()["secret"] not in here.client.get("/keys").text
    assert here.client.delete(f"/keys/{name}").status_code == 200
    until(lambda: here.client.get("/phones", headers=ours).status_code == 401, "the revoked key ends")


def test_a_callback_is_sent_again_when_asked(here: Farm) -> None:
    process_id = here.submit({"routing": "queue"})
    here.wait_process(process_id, "completed")
    found = [c for c in here.get("/callbacks?state=pending&limit=200")["items"] if c["process_id"] == process_id]
    first = min(found, key=lambda c: c["sequence"])
    answer = here.client.post(f"/callbacks/{first['event_id']}/redeliver")
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "pending"
    assert here.client.post("/callbacks/0193580c-7a11-7b02-8e0c-5d1f2a7c9e01/redeliver").status_code == 404


def test_the_list_of_processes_is_filtered_and_paged(here: Farm) -> None:
    marked = f"pages-{time.time_ns()}"
    ids = []
    for _ in range(5):
        body = request({"routing": "direct", "phone_id": "VP000002"}) | {"requested_by": {"system": marked}}
        ids.append(here.client.post("/capability-requests/enqueue", json=body).json()["process_id"])
    found, cursor = [], ""
    while True:
        page = here.get(f"/processes?system={marked}&phone_id=VP000002&limit=2{cursor}")
        found += [p["process_id"] for p in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert found == ids[::-1]
    for process_id in ids:
        here.wait_process(process_id, "completed")
    assert len(here.get(f"/processes?system={marked}&status=completed")["items"]) == 5
    assert here.get(f"/processes?system={marked}&process_type=maintenance")["items"] == []


def test_metrics_are_there_for_prometheus(here: Farm) -> None:
    text = here.client.get("/metrics").text
    assert "phonefarm_queue_items" in text
    assert 'phonefarm_phones{state="available"}' in text
    assert 'phonefarm_phone_battery_ratio{phone="VP000001"}' in text


TOLD_BY_RAY = {
    *("phonefarm_processes", "phonefarm_phones", "phonefarm_queue_oldest_seconds", "phonefarm_callbacks"),
    *("phonefarm_commits_total", "phonefarm_claim_wait_seconds", "phonefarm_action_seconds", "phonefarm_host_up"),
    *("phonefarm_phone_battery_ratio", "phonefarm_phone_temperature_celsius", "phonefarm_requests_total"),
    *("phonefarm_http_requests_total", "phonefarm_http_request_seconds", "phonefarm_adb_command_seconds"),
}


def test_ray_s_exporter_tells_the_farm_s_numbers_and_what_only_its_parts_know(here: Farm) -> None:
    here.wait_process(here.submit({"routing": "queue"}), "completed")
    metrics = (m for m in METRICS if m.name in TOLD_BY_RAY)
    names = [f"ray_{m.name}{'_bucket' if m.kind is Kind.HISTOGRAM else ''}{{" for m in metrics]
    assert len(names) == len(TOLD_BY_RAY)
    until(lambda: all(name in exported(here) for name in names), f"{names} are told")
    known = {f"ray_{m.name}" for m in METRICS}
    told = re.findall(r"^# TYPE (ray_phonefarm_\w+) ", exported(here), re.MULTILINE)
    assert {name if name in known else f"{name}_total" for name in told} <= known
    labels = set(re.findall(r'(\w+)="', " ".join(re.findall(r"^ray_phonefarm_\w+\{.*", exported(here), re.MULTILINE))))
    assert not labels & {"process", "item", "process_id"}


def test_the_client_does_a_whole_job(here: Farm) -> None:
    with Client(here.file["url"], KEY) as farm:
        accepted = farm.submit(request({"routing": "queue"}))
        seen: list[str] = []
        reader = threading.Thread(target=lambda: seen.extend(e.kind for e in farm.events(accepted.process_id)))
        reader.start()
        done = farm.wait(accepted.process_id, timeout=120)
        assert done.status == "completed"
        farm.cancel(accepted.process_id, reason="too late", requested_by={"system": "e2e"})
        reader.join(90)
        assert seen[0] == "process.accepted"
        assert "process.completed" in seen


async def test_the_async_client_does_a_whole_job(here: Farm) -> None:
    async with AsyncFarm(here.file["url"], KEY) as farm:
        accepted = await farm.submit(request({"routing": "queue"}))
        done = await farm.wait(accepted.process_id, timeout=120)
        assert done.status == "completed"
