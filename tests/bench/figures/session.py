"""(f) A long session through the farm, and its own shell lines in a bare loop on the same driver and the same phone.

A ``fyp_warmup`` that looks at one video after the other and skips each at once, so that next to nothing of the time is
waiting by intention: opening the app, a ``feed_video`` a video, a screenshot, closing the app. It is the longest
session that a request can ask for without watching: 203 actions with 200 videos. What the phone was told stands in its
journal; the bare loop sends exactly those lines, one after the other, and looks at no answer. Both times are the
phone's own, from the arrival of the first command to the end of the last. So the ratio holds all that the farm does
between two commands: reading the screen, deciding, judging, reporting.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from phonefarm.devices.driver import MAX_OUTPUT, Driver
from tests.bench.bodies import enqueue
from tests.bench.farms import Running, Wish, alone, farm
from tests.bench.figures.dispatch import PHONE, Journal
from tests.bench.lab import Lab
from tests.bench.values import Figure, Goal, Readings, Turn

MIB = 1024 * 1024
#: Less than the client waits for an answer.
WAIT_SECONDS = 20
PROMPT = {
    "prompt_id": "p", "name": "relevance", "version": "1", "system_prompt": "Judge.",
    "task_prompt": "Is {title} about {interests}?",
    "output_contract": {"type": "object", "properties": {"relevant": {"type": "boolean"}}, "required": ["relevant"]},
}  # fmt: skip
FARMS = {
    profile: Wish(name=f"session-{profile}", phones=1, profile=profile, settings={"check_seconds": 3600.0})
    for profile in ("instant", "typical")
}


def body(videos: int, callback: str) -> dict[str, Any]:
    inputs = {
        "max_videos": videos, "max_minutes": 60, "interests": [], "skip_seconds": {"min": 0, "max": 0},
        "watch_seconds": {"min": 1, "max": 1}, "prompts": {"fyp_judge": PROMPT},
    }  # fmt: skip
    return enqueue(f"f-{uuid.uuid4().hex}", callback=callback, capability="fyp_warmup", inputs=inputs)


class Phone:
    """The farm's only phone, through the farm and without it."""

    def __init__(self, found: Running, videos: int) -> None:
        self._found, self._videos = found, videos
        self._journal = Journal(found.farm.state_dir / "vphone" / f"{PHONE}.jsonl")
        file = found.file
        self._driver = Driver(port=file.ports["adb"], serial=f"127.0.0.1:{file.ports['sim']}")
        self.lines: list[dict[str, Any]] = []

    def close(self) -> None:
        self._journal.close()

    def session(self, _number: int) -> Readings:
        found = self._found
        found.farm.wait_phones(PHONE)
        self._journal.news()
        answer = found.farm.client.post("/capability-requests/enqueue", json=body(self._videos, found.callbacks.url))
        if answer.status_code != 202:
            raise ValueError(answer.text)
        view = self._ended(answer.json()["process_id"])
        self.lines = self._journal.news()
        videos = len(view["result"]["videos"])
        if videos != self._videos:
            raise ValueError(f"{videos} videos of {self._videos}")
        actions = view["partial_progress"]["actions_done"]
        return {**_times(self.lines), "actions": float(actions), "lines": float(len(self.lines))}

    def _ended(self, process_id: str) -> dict[str, Any]:
        """Waited for as a caller should: a request is answered when the status changes, or after some seconds."""
        ends = time.monotonic() + 1800
        while time.monotonic() < ends:
            answer = self._found.farm.client.get(f"/processes/{process_id}", params={"wait": WAIT_SECONDS})
            answer.raise_for_status()
            view: dict[str, Any] = answer.json()
            if view["status"] == "completed":
                return view
        raise ValueError(f"{process_id} did not complete")

    def bare(self, _number: int) -> Readings:
        self._journal.news()
        for line in self.lines:
            self._send(line["service"], line["command"])
        return _times(self._journal.news())

    def _send(self, service: str, command: str) -> None:
        if service == "exec":
            self._driver._bytes(command, 60.0, 32 * MIB, None, "bench")
        else:
            self._driver._text(command, 60.0, MAX_OUTPUT, None, "bench")


def _times(lines: Sequence[Mapping[str, Any]]) -> Readings:
    return {"seconds": max(line["mono"] for line in lines) - min(line["mono_start"] for line in lines)}


@contextmanager
def contestants(lab: Lab, profile: str) -> Iterator[Mapping[str, Turn]]:
    wish = FARMS[profile]
    alone(lab, [wish.name])
    found = farm(lab, wish)
    videos = lab.pick({"instant": 200, "typical": 60}[profile], 3)
    with closing(Phone(found, videos)) as phone:
        phone.session(0)
        yield {f"phonefarm, {profile}": phone.session, f"the same lines, {profile}": phone.bare}


def figure(profile: str, at_most: float, title: str) -> Figure:
    goal = Goal(
        letter="f", text=f"{title}, profile {profile}", ours=f"phonefarm, {profile}", reading="seconds",
        peers=(f"the same lines, {profile}",), at_most=at_most, unit="s",
    )  # fmt: skip
    return Figure(
        name="session",
        letters="f", title=f"a long session, profile {profile}", goals=(goal,),
        open=lambda lab: contestants(lab, profile),
    )  # fmt: skip


FIGURES = (
    figure("typical", 1.03, "session of 63 actions"),
    figure("instant", 1.3, "session of 203 actions"),
)
