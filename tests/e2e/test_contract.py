"""The contract against a running farm: every sample sent, every answer held to it, then whatever may be sent at all."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.contract.fuzz import fuzz
from tests.contract.samples import document, faults, same_shape, samples
from tests.e2e.bodies import ACCOUNT, maintenance, step
from tests.e2e.farm import KEY, Farm
from tests.receiver import Receiver

pytestmark = pytest.mark.timeout(600)

ALL = list(samples())
EXAMPLES = 8
#: On the suite's own phones these would end the tests after this one.
SPARED = frozenset(
    f"POST /{place}/{{{name}}}/{operation}"
    for place, name, operations in (
        ("phones", "phone_id", ("pause", "drain", "quarantine", "retire")),
        ("hosts", "host", ("drain",)),
        ("groups", "group", ("drain",)),
    )
    for operation in operations
)


def body_of(name: str) -> dict[str, Any]:
    return next(sample.body for sample in ALL if sample.name == name)


def test_every_sample_request_is_taken_and_every_answer_has_the_shape_of_its_sample(here: Farm, hook: Receiver) -> None:
    client = here.client
    assert client.put("/accounts/acct-soup", json={**ACCOUNT, "phone_id": "VP000001"}).status_code == 200
    group = next(iter(here.phones().values()))["groups"][0]
    made: dict[str, str] = {}
    for sample in [
        s for s in ALL if s.status is None and s.operation.split("/")[1] in ("capability-requests", "maintenance")
    ]:
        body = json.loads(json.dumps(sample.body).replace("rack-1", group))
        callback = {**sample.body["callback"], "url": hook.url}
        body |= {"request_id": f"{sample.name}-{time.time_ns()}", "callback": callback}
        if "max_videos" in body["inputs"]:
            body["inputs"]["max_videos"] = 2
        path = sample.operation.split(" ")[1]
        answer = client.post(path, json=body)
        assert answer.status_code == 202, (sample.name, answer.text)
        assert same_shape(body_of("accepted.response.202.json"), answer.json()) == []
        again = client.post(path, json=body)
        assert again.status_code == 200
        assert same_shape(body_of("duplicate.response.200.json"), again.json()) == []
        made[sample.name] = answer.json()["process_id"]
        changed = {**body, "options": {"priority": 9}}
        reused = client.post(path, json=changed)
        assert reused.status_code == 409
        assert same_shape(body_of("key-reused.response.409.json"), reused.json()) == []
    for process_id in made.values():
        view = here.process(process_id)
        assert same_shape(body_of("process-executing.response.200.json"), view) == []
        assert faults("GET /processes/{process_id}", 200, view) == []
        cancelled = client.post(f"/processes/{process_id}/cancel", json=body_of("cancel.request.json"))
        assert cancelled.status_code in (200, 202), cancelled.text
        assert faults("POST /processes/{process_id}/cancel", cancelled.status_code, cancelled.json()) == []
    for process_id in made.values():
        here.wait_process(process_id, "completed", "cancelled", "failed_terminal")
    first = next(iter(made.values()))
    hook.wait_for(first, "accepted")
    assert same_shape(body_of_event(), hook.events(first)[0]) == []


def body_of_event() -> dict[str, Any]:
    from tests.contract.samples import FOLDER

    found: dict[str, Any] = json.loads((FOLDER / "callback-accepted.event.json").read_text())
    return found


@pytest.mark.parametrize("name", ["missing-prompt.response.422.json", "unattended-fyp.response.422.json"])
def test_a_sample_of_a_refusal_is_the_answer_word_by_word(here: Farm, name: str) -> None:
    body = body_of("enqueue-fyp.request.json")
    if name.startswith("missing"):
        body = {**body, "inputs": {**body["inputs"], "prompts": {}}}
    else:
        body = {**body, "mode": "unattended"}
    answer = here.client.post("/capability-requests/enqueue", json=body)
    assert answer.status_code == 422
    assert answer.json() == body_of(name)


def test_schemathesis_finds_no_server_error_and_no_undocumented_answer(here: Farm) -> None:
    answer = here.client.post("/maintenance/requests", json=maintenance(step("health_check"), phone_id="VP000001"))
    process_id = answer.json()["process_id"]
    here.wait_process(process_id, "completed")
    event_id = here.get("/callbacks?limit=1")["items"][0]["event_id"]
    known = {
        "process_id": [process_id],
        "phone_id": ["VP000001"],
        "account_id": ["acct-soup"],
        "host": ["local"],
        "event_id": [event_id],
    }
    found = fuzz(document(), here.file["url"], KEY, examples=EXAMPLES, known=known, spared=SPARED)
    print(found.summary)
    assert found.cases > 200
    for process in here.get("/processes?status=queued&limit=200")["items"]:
        order = {"reason": "fuzzed", "requested_by": {"system": "e2e"}}
        here.client.post(f"/processes/{process['process_id']}/cancel", json=order)
    here.wait_phones("VP000001", "VP000002", "VP000003")


def test_an_answer_carries_its_request_s_id_once(here: Farm) -> None:
    answer = here.client.get("/phones", headers={"X-Request-ID": "caller-7"})
    assert answer.headers.get_list("x-request-id") == ["caller-7"]
