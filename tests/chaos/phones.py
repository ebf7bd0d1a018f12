"""Phones that keep a journal of their own: it outlives the farm's process, as a real phone would.

What a phone does wrong is in what it is asked: a keyword that names a fault, or an app that does. ``flaky`` fails the
first time it comes to any phone (a mark in the phones' directory remembers), ``doomed`` fails always, ``slow`` watches
until it is stopped, and ``broken.apk`` is installed without an answer.
"""

from __future__ import annotations

import time
from pathlib import Path

from phonefarm.actors.session import Stop
from phonefarm.errors import DeviceTimeout, SessionStopped, UnexpectedScreen
from phonefarm.models.action import Action, ActionKind, ActionResult, Artifact
from phonefarm.models.phone import PhoneFacts
from phonefarm.models.session import Job
from tests.chaos.checker_phones import NOT_REPEATABLE
from tests.chaos.reading import Lines

#: How long an action takes, in seconds.
ACTION_SECONDS = 0.004
#: How long a phone watches that is to be stopped.
SLOW_SECONDS = 60.0


class JournalledPhone:
    """A phone as its actor opens it; fulfils ``Device`` and ``Runner``. ``directory`` is shared by all phones."""

    def __init__(self, phone_id: str, directory: Path) -> None:
        self._phone_id = phone_id
        self._directory = directory
        self._lines = Lines(journal(directory, phone_id))
        self._stop: Stop | None = None
        self._job: Job | None = None
        self._interrupted = False

    def probe(self) -> PhoneFacts:
        return PhoneFacts(phone_id=self._phone_id, model="Fake 1", android="14")

    def runner(self, job: Job, stop: Stop) -> JournalledPhone:
        self._job, self._stop, self._interrupted = job, stop, False
        return self

    def interrupt(self) -> None:
        self._interrupted = True

    def screen(self) -> bytes:
        return b"\x89PNG screen"

    def run(self, action: Action) -> ActionResult:
        job, stop = self._job, self._stop
        assert job is not None
        assert stop is not None
        stop.check()
        line = self._lines.begin(
            phone_id=self._phone_id,
            kind=action.kind.value,
            item_id=job.lease.item_id,
            attempt=job.lease.attempt,
            index=action.index,
            account_id=job.account_id,
            once=f"{job.lease.item_id}/{action.index}" if action.kind.value in NOT_REPEATABLE else None,
        )
        try:
            self._take_time(action, stop)
            return self._result(action)
        finally:
            self._lines.end(line)

    def _take_time(self, action: Action, stop: Stop) -> None:
        slow = action.params.get("keyword") == "slow" and action.kind is ActionKind.WATCH
        stop.pause(SLOW_SECONDS if slow else ACTION_SECONDS)
        if self._interrupted:
            raise SessionStopped("interrupted")

    def _result(self, action: Action) -> ActionResult:
        self._fault(action)
        if action.kind is ActionKind.WATCH:
            found = {"title": f"about {action.params['keyword']}", "author": "a", "phone_id": self._phone_id}
            more = {"at": "2026-11-24T00:00:00.000Z", "tags": [], "watched_seconds": 1.0, "verdict": None}
            return ActionResult(output={**found, **more})
        if action.kind is ActionKind.SCREENSHOT:
            return ActionResult(artifacts=(self.snapshot(action.params["name"]),))
        return ActionResult()

    def _fault(self, action: Action) -> None:
        if action.params.get("file") == "broken.apk":
            raise DeviceTimeout("no answer while it installed")
        keyword = action.params.get("keyword") if action.kind is ActionKind.OPEN_RESULT else None
        if keyword == "doomed" or (keyword == "flaky" and self._first_time()):
            raise UnexpectedScreen("not the screen that was wanted")

    def _first_time(self) -> bool:
        mark = self._directory / "flaky.mark"
        first = not mark.exists()
        mark.touch()
        return first

    def snapshot(self, name: str) -> Artifact:
        return Artifact(name=f"{name}.png", media_type="image/png", data=b"\x89PNG fake")

    def dump(self, name: str) -> Artifact:
        return Artifact(name=f"{name}.xml", media_type="text/plain", data=b"<hierarchy/>")

    def leave(self) -> None:
        time.sleep(ACTION_SECONDS)


def journal(directory: Path, phone_id: str) -> Path:
    """Where a phone writes what it does."""
    return directory / f"{phone_id}.jsonl"
