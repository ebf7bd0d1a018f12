"""The ingress dies between commit and answer: the caller who asks again gets the process that was made."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.farm import Farm, request, until

pytestmark = pytest.mark.timeout(300)

ENQUEUE = "/capability-requests/enqueue"


@contextmanager
def storage_held(farm: Farm) -> Iterator[None]:
    """No commit succeeds meanwhile: another connection has begun to write."""
    connection = sqlite3.connect(farm.state_dir / "farm.db", isolation_level=None, timeout=30)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


def replicas(farm: Farm) -> list[int]:
    """Process ids of this farm's ingress replicas."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                mine = farm.file["cookie"].encode() in (entry / "environ").read_bytes()
                if mine and (entry / "cmdline").read_bytes().startswith(b"ray::ServeReplica"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


class Post(threading.Thread):
    """A caller of its own. ``answer``: None if there was none."""

    def __init__(self, farm: Farm, body: dict[str, Any]) -> None:
        super().__init__()
        self._farm = farm
        self._body = body
        self.answer: httpx.Response | None = None

    def run(self) -> None:
        try:
            headers = self._farm.client.headers
            with httpx.Client(base_url=self._farm.file["url"], headers=headers, timeout=60) as client:
                self.answer = client.post(ENQUEUE, json=self._body)
        except httpx.HTTPError:
            return


def answered(farm: Farm, body: dict[str, Any]) -> httpx.Response | None:
    try:
        answer = farm.client.post(ENQUEUE, json=body)
    except httpx.HTTPError:
        return None
    return answer if answer.status_code in (200, 202) else None


@pytest.mark.fault(5)
def test_a_caller_whose_ingress_died_before_the_answer_finds_its_process(here: Farm) -> None:
    """Whether the request had got to the manager cannot be seen from here, so it is tried until it had."""
    for patience in (0.5, 1.0, 2.0, 4.0):
        body = request({"routing": "queue"})
        caller = Post(here, body)
        with storage_held(here):
            caller.start()
            caller.join(patience)
            assert caller.is_alive(), f"answered without a commit: {caller.answer}"
            for pid in replicas(here):
                os.kill(pid, signal.SIGKILL)
        caller.join(70)
        unanswered = caller.answer is None or caller.answer.status_code >= 500
        again = until(lambda body=body: answered(here, body), "the ingress is back", 90)  # type: ignore[misc]
        mine = [p for p in here.get("/processes?limit=200")["items"] if p["request_id"] == body["request_id"]]
        assert [p["process_id"] for p in mine] == [again.json()["process_id"]]
        here.wait_process(mine[0]["process_id"], "completed", "failed_terminal")
        if unanswered and again.status_code == 200:
            assert again.json()["duplicate"] is True
            return
    raise AssertionError("no request was committed by a farm whose ingress was dead")
