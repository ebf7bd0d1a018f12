"""The real ``Device`` of a phone's actor: driver, executor, probe and judge put together."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from phonefarm.actors.session import Runner, Stop
from phonefarm.devices.driver import Driver
from phonefarm.devices.executor import Executor
from phonefarm.devices.probe import probe
from phonefarm.devices.profiles import load_profile
from phonefarm.errors import DeviceError
from phonefarm.judge.lexical import LexicalJudge
from phonefarm.models.action import Verdict
from phonefarm.models.phone import PhoneFacts
from phonefarm.models.session import Job
from phonefarm.models.video import VideoFacts


class AdbDevice:
    """A phone at ``serial`` on the adb server at ``port``. Raises DeviceError if another phone answers there."""

    def __init__(self, *, phone_id: str, serial: str, port: int) -> None:
        self._phone_id = phone_id
        self._serial = serial
        self._port = port
        self._driver = Driver(port=port, serial=serial)

    def probe(self) -> PhoneFacts:
        facts = probe(Driver(port=self._port, serial=self._serial))
        if facts.phone_id != self._phone_id:
            raise DeviceError(f"another phone answers at {self._serial}: {facts.phone_id}")
        return facts

    def runner(self, job: Job, stop: Stop) -> Runner:
        """An executor for one attempt, with the judge its prompts ask for."""
        prompt = next(iter(job.prompts.values()), None)
        judge = LexicalJudge()

        def ask(facts: VideoFacts) -> Verdict:
            return judge.judge(prompt, facts)

        return Executor(
            driver=self._driver,
            profile=load_profile(_app_of(job)),
            judge=ask,
            stop=stop,
            pause=stop.pause,
            rng=random.Random(f"{job.lease.item_id}:{job.lease.attempt}"),
            phone_id=self._phone_id,
            now=lambda: datetime.now(UTC),
        )

    def interrupt(self) -> None:
        """End the command in flight, from any thread."""
        self._driver.cancel()


def _app_of(job: Job) -> str:
    return next(str(action.params["app"]) for action in job.actions if "app" in action.params)
