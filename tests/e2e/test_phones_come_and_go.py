"""Phones that arrive while the farm runs, and phones that are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from adbutils import adb_path  # type: ignore[import-untyped]

from tests.e2e.farm import Farm, until

pytestmark = pytest.mark.timeout(300)


@contextmanager
def extra_phone(farm: Farm, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str], str]]:
    """One more virtual phone, connected to the farm's adb server by hand: (phone id, its process, its address)."""
    command = [sys.executable, "-m", "phonefarm.cli", "sim", "--phones", "1", "--port-base", "0", "--json"]
    command += ["--profile", "instant", "--journal-dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        (phone,) = json.loads(process.stdout.readline())["phones"]
        address = f"127.0.0.1:{phone['port']}"
        adb(farm, "connect", address)
        yield phone["serialno"], process, address
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def adb(farm: Farm, *arguments: str) -> str:
    port = str(farm.file["ports"]["adb"])
    done = subprocess.run(
        [adb_path(), "-P", port, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "ANDROID_ADB_SERVER_PORT": port},
    )
    return done.stdout


def test_a_phone_that_arrives_is_listed_and_one_that_dies_is_offline(here: Farm, tmp_path: Path) -> None:
    with extra_phone(here, tmp_path) as (phone_id, process, address):
        here.wait_phones(phone_id)
        phone = here.phones()[phone_id]
        assert phone["serial"] == address
        assert phone["model"]
        assert phone["battery"]["level"] is not None
        process.send_signal(signal.SIGKILL)
        here.wait_phones(phone_id, state="offline")
        assert here.phones()[phone_id]["why"]


def test_direct_work_of_a_dead_phone_waits_and_says_why(here: Farm, tmp_path: Path) -> None:
    with extra_phone(here, tmp_path) as (phone_id, process, _):
        here.wait_phones(phone_id)
        process.send_signal(signal.SIGKILL)
        here.wait_phones(phone_id, state="offline")
    process_id = here.submit({"routing": "direct", "phone_id": phone_id})
    view = here.process(process_id)
    assert view["status"] == "queued"
    assert view["waiting"]["reason"] == "phone_offline"
    order = {"reason": "over", "requested_by": {"system": "e2e"}}
    assert here.client.post(f"/processes/{process_id}/cancel", json=order).status_code == 202
    here.wait_process(process_id, "cancelled")


@pytest.mark.fault(19)
def test_queue_work_of_a_phone_that_dies_is_finished_elsewhere(here: Farm, tmp_path: Path) -> None:
    with extra_phone(here, tmp_path) as (phone_id, process, _):
        here.wait_phones(phone_id)
        sent = [here.submit({"routing": "queue"}, videos_per_keyword=5) for _ in range(4)]

        def on_it() -> str | None:
            views = [here.process(s) for s in sent]
            mine = [v for v in views if v["items"][0]["phone_id"] == phone_id and v["status"] == "executing"]
            return mine[0]["process_id"] if mine else None

        process_id = until(on_it, "the new phone has work")
        here.wait_actions(process_id, 2)
        process.send_signal(signal.SIGKILL)
        view = here.wait_process(process_id, "completed", "failed_terminal")
        assert view["status"] == "completed", view["error"]
        assert view["attempts"] == 2
        assert view["items"][0]["phone_id"] != phone_id
        assert [len(k["videos"]) for k in view["result"]["keywords"]] == [5]
        for other in sent:
            assert here.wait_process(other, "completed", "failed_terminal")["status"] == "completed"


@pytest.mark.fault(23, 28)
def test_a_phone_that_stops_answering_is_given_up_and_its_work_is_retried(here: Farm, tmp_path: Path) -> None:
    """A frozen phone keeps its connection, so only a deadline can tell."""
    with extra_phone(here, tmp_path) as (phone_id, process, _):
        here.wait_phones(phone_id)
        process_id = here.submit({"routing": "queue", "phone_id": phone_id}, options={"max_attempts": 2})
        here.wait_actions(process_id, 1)
        process.send_signal(signal.SIGSTOP)
        view = here.wait_process(process_id, "retrying", "failed_terminal", seconds=150)
        assert view["error"]["code"] in {"device_timeout", "device_lost"}
        process.send_signal(signal.SIGCONT)
        here.wait_phones(phone_id)
        view = here.wait_process(process_id, "completed", "failed_terminal")
        assert view["status"] == "completed", view["error"]
