"""The demo's parts: the receiver checks both signatures, the request is what the contract asks for, the summary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from phonefarm.callbacks.signing import callback_headers
from phonefarm.cli.demo import Row, request, save_screenshots, summarise
from phonefarm.cli.receiver import Received, Receiver, read_callback
from phonefarm.client import Farm
from tests.unit.cli.fakefarm import KEY, fake_farm

SECRET = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cw=="
NOW = 1_800_000_000
EVENT = {"event_id": "e1", "sequence": 3, "milestone": "completed", "process": {"process_id": "p1"}}


def signed(body: bytes, *, secret: str | None = SECRET, timestamp: int = NOW) -> dict[str, str]:
    return callback_headers(secret=secret, event_id="e1", body=body, timestamp=timestamp)


def verified(headers: dict[str, str], body: bytes) -> bool:
    return read_callback(secret=SECRET, headers=headers, body=body, now=NOW).verified


def test_a_callback_holds_only_with_both_signatures() -> None:
    body = json.dumps(EVENT).encode()
    headers = signed(body)
    assert read_callback(secret=SECRET, headers=headers, body=body, now=NOW) == Received(
        sequence=3, milestone="completed", process_id="p1", verified=True
    )
    assert not verified(signed(body, secret=None), body)
    assert not verified(signed(body, secret="another"), body)
    assert not verified(signed(body, timestamp=NOW - 1000), body)
    assert not verified(headers, body + b" ")
    for one in ("X-PhoneFarm-Signature", "webhook-signature"):
        assert not verified({name: value for name, value in headers.items() if name != one}, body)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"process": 1}', b"\xff"])
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_callback(secret=SECRET, headers=signed(body), body=body, now=NOW)


def test_the_receiver_keeps_what_comes_once() -> None:
    with Receiver(SECRET) as receiver:
        body = json.dumps(EVENT).encode()
        for _ in range(2):
            answer = httpx.post(receiver.url, content=body, headers=signed(body), trust_env=False)
            assert answer.status_code == 204
        assert httpx.post(receiver.url, content=b"[]", trust_env=False).status_code == 400
        assert receiver.wait_for("p1", frozenset({"completed"}), 5.0)
        assert not receiver.wait_for("p1", frozenset({"cancelled"}), 0.01)
        (one,) = receiver.received()
        assert one.milestone == "completed"
        assert not one.verified, "its timestamp lies far from now"


def test_the_request_has_the_seven_fields_of_the_contract() -> None:
    body = request("http://127.0.0.1:1/x", request_id="r")
    assert set(body) == {"request_id", "capability", "mode", "target", "inputs", "callback", "requested_by"}
    assert body["target"] == {"routing": "group", "phone_group": "sim"}


def test_the_summary_counts_videos_verdicts_and_seconds() -> None:
    videos = [
        {"watched_seconds": 1.5, "verdict": {"relevant": True}},
        {"watched_seconds": 1.0, "verdict": {"relevant": None, "error": "judge_failed"}},
        {"watched_seconds": None, "verdict": None},
    ]
    keywords = [
        {"keyword": "rye", "phone_id": "P2", "videos": []},
        {"keyword": "rye", "phone_id": "P1", "videos": videos},
    ]
    assert summarise({"result": {"keywords": keywords}}) == [
        Row(phone_id="P1", keyword="rye", videos=3, relevant=1, seconds=2.5),
        Row(phone_id="P2", keyword="rye", videos=0, relevant=0, seconds=0),
    ]
    assert summarise({"result": None}) == []


def test_screenshots_are_saved_inside_the_directory(tmp_path: Path) -> None:
    artifacts: list[dict[str, Any]] = [
        {"name": "P1-keyword-01.png", "media_type": "image/png"},
        {"name": "P1-log.txt", "media_type": "text/plain"},
    ]
    with fake_farm() as farm, Farm(farm.url, KEY) as client:
        farm.answers["GET /processes/p1/artifacts/P1-keyword-01.png"] = [(200, b"\x89PNG")]
        saved = save_screenshots(client, {"process_id": "p1", "result": {"artifacts": artifacts}}, tmp_path / "out")
    assert saved == [tmp_path / "out" / "P1-keyword-01.png"]
    assert saved[0].read_bytes() == b"\x89PNG"
