"""A real farm for tests: ``phonefarm up --detach`` in a state directory of its own, spoken to over HTTP.

Nothing in it is replaced: Ray, the actors, the database, the adb server and the wire to the virtual phones are those of
a user's farm. Tests kill its processes by the ids in its logs and in farm.json.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

KEY = "pf_test_key_of_the_end_to_end_suite"
SECRET = "a secret of the end-to-end suite"


def phonefarm(*arguments: str, timeout: float = 180, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a phonefarm command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "phonefarm.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PHONEFARM_API_KEY": KEY, "PHONE_FARM_WEBHOOK_SECRET": SECRET, **environment},
    )


def until(
    condition: Callable[[], Any],
    what: str,
    seconds: float = 60.0,
    instead: Callable[[], Any] | None = None,
    *,
    every: float = 0.05,
) -> Any:
    """The first true value of ``condition``; it is asked again until then, with pauses of ``every`` seconds.
    ``instead``: what there is if it stays away, for whoever reads the failure."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            there = f"; there is {instead()}" if instead is not None else ""
            raise AssertionError(f"not within {seconds:.0f} s: {what}{there}")
        time.sleep(every)


class Farm:
    """A farm that runs. ``client`` sends with the farm's key."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.file: dict[str, Any] = {}
        self.client = httpx.Client(timeout=30)

    def up(self, *arguments: str) -> None:
        """Start it, or start it again. ``arguments`` are those of ``phonefarm up``."""
        done = phonefarm("up", "--detach", "--port", "0", "--state-dir", str(self.state_dir), *arguments, timeout=330)
        assert done.returncode == 0, done.stdout + done.stderr
        self.file = json.loads((self.state_dir / "farm.json").read_text())
        headers = {"Authorization": f"Bearer {KEY}"}
        self.client.close()
        self.client = httpx.Client(base_url=self.file["url"], headers=headers, timeout=30)

    def down(self) -> None:
        done = phonefarm("down", "--state-dir", str(self.state_dir))
        assert done.returncode == 0, done.stdout + done.stderr

    # -- reading --

    def get(self, path: str, seconds: float = 60.0) -> Any:
        """The body of a 200. A 503 is asked again: the farm says that it is away for a moment."""
        answer = until(
            lambda: None if (a := self.client.get(path)).status_code == 503 else a, f"{path} answers", seconds
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def phones(self) -> dict[str, dict[str, Any]]:
        return {phone["phone_id"]: phone for phone in self.get("/phones")["items"]}

    def wait_phones(self, *phone_ids: str, state: str = "available", seconds: float = 90.0) -> None:
        def ready() -> bool:
            phones = self.phones()
            return all(phones.get(phone_id, {}).get("state") == state for phone_id in phone_ids)

        until(ready, f"{phone_ids} {state}", seconds, self.told_of_phones, every=0.25)

    def told_of_phones(self) -> dict[str, str]:
        """The state of each phone, its host, and why."""
        return {name: f"{p['state']} on {p['host']}, {p['why']}" for name, p in self.phones().items()}

    def process(self, process_id: str) -> dict[str, Any]:
        view: dict[str, Any] = self.get(f"/processes/{process_id}")
        return view

    def wait_process(self, process_id: str, *statuses: str, seconds: float = 120.0) -> dict[str, Any]:
        """The process once it has one of ``statuses``."""

        def reached() -> dict[str, Any] | None:
            view = self.process(process_id)
            return view if view["status"] in statuses else None

        view: dict[str, Any] = until(
            reached,
            f"{process_id} {statuses}",
            seconds,
            lambda: {"process": self.process(process_id), "phones": self.told_of_phones()},
        )
        return view

    def wait_actions(self, process_id: str, count: int) -> dict[str, Any]:
        """The process once it executes and ``count`` actions are done."""

        def reached() -> dict[str, Any] | None:
            view = self.process(process_id)
            done = view["partial_progress"]["actions_done"] >= count
            return view if view["status"] == "executing" and done else None

        view: dict[str, Any] = until(reached, f"{count} actions of {process_id}")
        return view

    def journal(self, phone_id: str) -> list[dict[str, Any]]:
        """What the virtual phone itself wrote down."""
        path = self.state_dir / "vphone" / f"{phone_id}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    # -- doing --

    def submit(self, target: dict[str, Any], **changes: Any) -> str:
        """Send a keyword_warmup; gives its process id."""
        answer = self.client.post("/capability-requests/enqueue", json=request(target, **changes))
        assert answer.status_code == 202, answer.text
        process_id: str = answer.json()["process_id"]
        return process_id

    def pid_of(self, actor: str) -> int:
        """The process id that an actor last wrote to its log."""
        text = (self.state_dir / "logs" / f"{actor.replace(':', '-')}.log").read_text()
        return int(re.findall(r'"event": "actor.started".*"pid": (\d+)', text)[-1])

    def kill_actor(self, actor: str) -> None:
        """kill -9, and wait until Ray has started it again."""
        before = self.pid_of(actor)
        os.kill(before, signal.SIGKILL)
        until(lambda: self.pid_of(actor) != before, f"{actor} restarted")


def request(target: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A valid keyword_warmup body. ``changes`` go into its inputs, but callback, request_id and options to the top."""
    top: dict[str, Any] = {name: changes.pop(name) for name in ("callback", "request_id", "options") if name in changes}
    inputs = {"keywords": ["sourdough"], "videos_per_keyword": 2, "watch_seconds": {"min": 1, "max": 1}, **changes}
    return {
        "request_id": f"e2e-{time.time_ns()}",
        "capability": "keyword_warmup",
        "mode": "manual",
        "target": target,
        "inputs": inputs,
        "callback": {"url": "http://127.0.0.1:9/nobody", "metadata": {}},
        "requested_by": {"system": "e2e", "user": None, "metadata": {}},
        **top,
    }


@contextmanager
def farm(*arguments: str) -> Iterator[Farm]:
    """A farm in a directory of its own, ended and removed afterwards, leaving no process behind."""
    directory = Path(tempfile.mkdtemp(prefix="pf-e2e-"))
    made = Farm(directory / "state")
    try:
        made.up(*arguments)
        yield made
    finally:
        made.client.close()
        cookie = json.loads((made.state_dir / "farm.json").read_text()).get("cookie", "")
        made.down()
        left = with_cookie(cookie)
        shutil.rmtree(directory, ignore_errors=True)
        assert not left, f"processes left behind: {left}"


def with_cookie(cookie: str) -> list[str]:
    """Processes that carry a farm's cookie in their environment: all that it started."""
    found = []
    for entry in Path("/proc").iterdir():
        if cookie and entry.name.isdigit():
            try:
                if cookie.encode() in (entry / "environ").read_bytes():
                    found.append(f"{entry.name} {(entry / 'cmdline').read_bytes()[:80]!r}")
            except OSError:
                continue
    return found
