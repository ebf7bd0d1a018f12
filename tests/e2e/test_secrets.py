"""A running farm keeps its secrets: planted ones are looked for in every file it writes and in what it answers.

And what HTTP itself can do to a farm before its own code sees a request.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
import stat
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.canaries import files_with, logs_with, numbers_with
from tests.e2e.farm import KEY, SECRET, Farm, request, until
from tests.receiver import Receiver

pytestmark = pytest.mark.timeout(300)

ENQUEUE = "/capability-requests/enqueue"


def canary(name: str) -> str:
    return f"canary-{name}-{secrets.token_hex(8)}"


def prompt(text: str) -> dict[str, Any]:
    contract = {"type": "object", "properties": {"relevant": {"type": "boolean"}}, "required": ["relevant"]}
    return {
        "prompt_id": "j",
        "name": "j",
        "version": "1",
        "system_prompt": text,
        "task_prompt": "{title}?",
        "output_contract": contract,
    }


def test_planted_secrets_stand_in_no_log_and_in_no_answer(here: Farm, hook: Receiver) -> None:
    planted = {name: canary(name) for name in ("prompt", "typed", "query", "nobody", "userinfo", "wrong-key")}
    inputs = {"keywords": [planted["typed"]], "judge": True, "prompts": {"keyword_judge": prompt(planted["prompt"])}}
    heard = here.submit(
        {"routing": "queue"}, **inputs, callback={"url": f"{hook.url}?token={planted['query']}", "metadata": {}}
    )
    nobody = here.submit(
        {"routing": "queue"}, callback={"url": f"http://127.0.0.1:9/{planted['nobody']}", "metadata": {}}
    )
    refused = [
        here.client.post(ENQUEUE, json=body)
        for body in (
            request({"routing": "queue"}, callback={"url": f"http://u:{planted['userinfo']}@example.com/"}),
            request({"routing": "queue"}, callback={"url": f"http://10.0.0.1/{planted['query']}"}),
            request({"routing": "queue"}, **inputs, videos_per_keyword="many"),
            request({"routing": "queue"}, judge=True, prompts={"keyword_judge": {"system_prompt": planted["prompt"]}}),
        )
    ]
    refused.append(here.client.post(ENQUEUE, content=json.dumps({"a": planted["prompt"]})[:-1]))
    refused.append(here.client.get("/processes", headers={"Authorization": f"Bearer {planted['wrong-key']}"}))
    assert {answer.status_code for answer in refused} == {422, 415, 401}
    assert not [name for name, secret in planted.items() for answer in refused if secret in answer.text]
    here.wait_process(heard, "completed", "failed_terminal")
    here.wait_process(nobody, "completed", "failed_terminal")
    hook.wait_for(heard, "completed")
    assert logs_with(here, planted) == []
    assert numbers_with(here, planted | {"api key": KEY, "webhook secret": SECRET}) == []
    assert files_with(here, {"api key": KEY, "webhook secret": SECRET, "wrong key": planted["wrong-key"]}) == []


def test_the_look_for_secrets_finds_what_is_there(here: Farm) -> None:
    """Otherwise the test above would prove nothing: the manager's log and Ray's own are among what is read."""
    assert any("/logs/process_manager.log" in found for found in logs_with(here, {"word": "actor.started"}))
    assert any("/session_" in found for found in logs_with(here, {"word": "ProcessManager"}))
    wheres = ("/metrics", "Ray's exporter")
    until(lambda: numbers_with(here, {"w": "phonefarm_phones"}) == [f"w in {where}" for where in wheres], "numbers")
    process_id = here.submit({"routing": "queue"}, keywords=[(typed := canary("stored"))])
    assert any("/farm.db" in found for found in files_with(here, {"typed": typed}))
    here.wait_process(process_id, "completed", "failed_terminal")


def test_made_keys_are_kept_hashed_and_two_live_keys_hand_over(here: Farm) -> None:
    """Rotation: the new key works before the old one ends; neither is anywhere in clear."""
    made = {}
    for name in ("old", "new"):
        scopes = {"name": f"rotation-{name}-{time.time_ns()}", "scopes": ["read"]}
        made[name] = here.client.post("/keys", json=scopes).json()
    status = {
        name: here.client.get("/processes", headers={"Authorization": f"Bearer {key['secret']}"}).status_code
        for name, key in made.items()
    }
    assert status == {"old": 200, "new": 200}
    assert files_with(here, {name: key["secret"] for name, key in made.items()}) == []
    digests = {name: hashlib.sha256(key["secret"].encode()).hexdigest() for name, key in made.items()}
    assert len(files_with(here, digests)) >= 2
    for key in made.values():
        assert here.client.delete(f"/keys/{key['name']}").status_code == 200


def test_what_is_private_is_closed_to_others(here: Farm) -> None:
    """Ray opens its own directory to everybody, so the one around it must be closed."""
    assert stat.S_IMODE(here.state_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(here.file["temp_dir"]).stat().st_mode) == 0o700
    assert stat.S_IMODE((here.state_dir / "ray_token").stat().st_mode) == 0o600
    (key,) = (here.state_dir / "adb").rglob("adbkey")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


# -- HTTP below the app --------------------------------------------------------------------------------------------


def spoken(farm: Farm, data: bytes) -> bytes:
    """What the farm answers to bytes of a connection; empty if it only hangs up."""
    where = urlsplit(farm.file["url"])
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=30) as connection:
        try:
            connection.sendall(data)
            return connection.recv(65_536)
        except OSError:
            return b""


def head(*lines: str, target: str = "/processes", method: str = "GET", key: bytes = KEY.encode()) -> bytes:
    first = f"{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ".encode() + key
    return b"\r\n".join((first, *(line.encode() for line in lines), b"", b""))


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (head(f"X-Long: {'a' * 100_000}"), b"400"),
        (head(*(f"X-{number}: a" for number in range(1_000))), b"400"),
        (head(target=f"/processes?x={'a' * 100_000}"), b"400"),
        (head(key=b"\xff\xfe\x00"), b"400"),
        (head(key="schlüssel".encode()), b"401"),
        (head(target="/processes/../../../etc/passwd"), b"404"),
        (head(target="/processes/%2e%2e/%2e%2e/farm.db"), b"404"),
        (head("Content-Length: 5", "Transfer-Encoding: chunked", method="POST", target=ENQUEUE) + b"0\r\n\r\n", b"415"),
        (head("Content-Length: 200000000", "Content-Type: application/json", method="POST", target=ENQUEUE), b"413"),
    ],
    ids=["long header", "many headers", "long url", "nul in key", "key beyond ascii", "dots", "dots escaped",
         "two lengths", "200 MB said"],
)  # fmt: skip
def test_odd_requests_are_refused_and_the_farm_goes_on(here: Farm, sent: bytes, status: bytes) -> None:
    answer = spoken(here, sent)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
    assert here.client.get("/processes?limit=1").status_code == 200


@pytest.mark.fault(38)
def test_a_body_without_end_is_cut_off(here: Farm) -> None:
    where = urlsplit(here.file["url"])
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=30) as connection:
        start = ("Content-Type: application/json", "Transfer-Encoding: chunked")
        connection.sendall(head(*start, method="POST", target=ENQUEUE))
        sent = 0
        try:
            while sent < 200_000_000:
                connection.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
        assert sent < 100_000_000, "somebody read on"
    assert here.client.get("/processes?limit=1").status_code == 200


@pytest.mark.fault(4)
def test_headers_that_ray_serve_obeys_harm_only_their_sender(here: Farm) -> None:
    """A caller may make Serve give its own request up. What was committed is found by sending it again."""
    for name, value in (
        ("x-request-timeout-seconds", "0.001"),
        ("x-request-timeout-seconds", "nonsense"),
        ("x-request-disconnect-disabled", "1"),
        ("x-session-id", "../.."),
    ):
        later = {"not_before": "2040-01-01T00:00:00Z"}
        body = request({"routing": "queue"}, request_id=f"serve-{name}-{value}-{time.time_ns()}", options=later)
        odd = here.client.post(ENQUEUE, json=body, headers={name: value})
        assert odd.status_code in (202, 408), odd.text
        again = here.client.post(ENQUEUE, json=body)
        assert again.status_code in (200, 202), again.text
        if odd.status_code == 202:
            assert again.json()["process_id"] == odd.json()["process_id"]
        mine = [p for p in here.get("/processes?limit=200")["items"] if p["request_id"] == body["request_id"]]
        assert len(mine) == 1
        order = {"reason": "shown", "requested_by": {"system": "e2e"}}
        assert here.client.post(f"/processes/{mine[0]['process_id']}/cancel", json=order).status_code == 202


def test_what_is_answered_without_a_key(here: Farm) -> None:
    """Two routes of ours by contract, two of Ray Serve's by itself, which say no more than that something is here."""
    bare = {"Authorization": ""}
    for path in ("/docs", "/openapi.json", "/metrics", "/processes", "/phones", "/", "/nowhere"):
        assert here.client.get(path, headers=bare).status_code == 401, path
    assert here.client.get("/-/routes", headers=bare).json() == {"/": "phonefarm"}
    assert here.client.get("/-/healthz", headers=bare).text == "success"


def test_artifacts_are_named_by_ids_alone(here: Farm) -> None:
    process_id = here.submit({"routing": "direct", "phone_id": "VP000001"}, keywords=["../../etc/passwd"])
    view = here.wait_process(process_id, "completed", "failed_terminal")
    names = [artifact["name"] for artifact in view["result"]["artifacts"]]
    assert names
    assert all(set(name) <= set("VP0123456789-keyword.png") for name in names), names
    for name in ("..%2f..%2ffarm.db", "%2e%2e%2ffarm.db", "..%5c..%5cfarm.db", "%00.png", "/etc/passwd", ".hidden"):
        assert here.client.get(f"/processes/{process_id}/artifacts/{name}").status_code == 404, name
