"""The real ``Device`` of a phone's actor: driver, executor, probe and judge put together."""

from __future__ import annotations

import asyncio
import functools
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from phonefarm.actors.asking import ask
from phonefarm.actors.ports import JudgePort
from phonefarm.actors.session import Runner, Stop
from phonefarm.core.metrics import NO_METER, Meter
from phonefarm.devices.driver import Driver
from phonefarm.devices.executor import Executor
from phonefarm.devices.handset import Handset
from phonefarm.devices.ports import Judge
from phonefarm.devices.probe import probe
from phonefarm.devices.profiles import Profile, load_profile
from phonefarm.errors import DeviceError
from phonefarm.judge.lexical import LexicalJudge
from phonefarm.models.phone import PhoneFacts
from phonefarm.models.session import Job

#: How long an operator waits for a picture of the screen.
SCREEN_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """What a farm gives all its phones. ``app``: the default one; ``profiles``: the operator's own; ``judge``: the
    farm's, asked on ``loop``, None for the offline one in this process."""

    app: str = "feed"
    profiles: Path | None = None
    apk_dir: Path | None = None
    judge: JudgePort | None = None
    loop: asyncio.AbstractEventLoop | None = None
    meter: Meter = NO_METER


_LEXICAL = LexicalJudge()


class AdbDevice:
    """A phone at ``serial`` on the adb server at ``port``. Raises DeviceError if another phone answers there."""

    def __init__(self, *, phone_id: str, serial: str, port: int, means: Means | None = None) -> None:
        self._phone_id = phone_id
        self._serial = serial
        self._port = port
        self._means = means or Means()
        self._driver = self._new_driver()

    def probe(self) -> PhoneFacts:
        facts = probe(self._new_driver())
        if facts.phone_id != self._phone_id:
            raise DeviceError(f"another phone answers at {self._serial}: {facts.phone_id}")
        return facts

    def runner(self, job: Job, stop: Stop) -> Runner:
        """An executor for one attempt, with the judge its prompts ask for."""
        return Executor(
            driver=self._driver,
            profile=self._load(self._app_of(job)),
            load=self._load,
            judge=self._judge(job, stop),
            stop=stop,
            pause=stop.pause,
            rng=random.Random(f"{job.lease.item_id}:{job.lease.attempt}"),
            phone_id=self._phone_id,
            now=lambda: datetime.now(UTC),
            apk_dir=self._means.apk_dir,
        )

    def _load(self, app: str) -> Profile:
        return load_profile(app, self._means.profiles)

    def _app_of(self, job: Job) -> str:
        """The app of the first action that names one; upkeep may name none."""
        return next((str(a.params["app"]) for a in job.actions if a.params.get("app")), self._means.app)

    def _judge(self, job: Job, stop: Stop) -> Judge:
        prompt = next(iter(job.prompts.values()), None)
        judge, loop = self._means.judge, self._means.loop
        if judge is None or loop is None:
            return lambda facts, interests: _LEXICAL.judge(prompt, facts, interests=interests)
        asked = functools.partial(ask, judge, loop, stop, process_id=job.process_id, prompt=prompt)
        return lambda facts, interests: asked(facts=facts, interests=interests)

    def screen(self) -> bytes:
        """The screen as PNG, over a connection of its own. Raises DeviceError."""
        stop = Stop(lambda: None)
        hands = Handset(shell=self._new_driver(), stop=stop, pause=stop.pause, clock=time.monotonic)
        hands.begin(SCREEN_SECONDS, "the screen")
        return hands.capture()

    def _new_driver(self) -> Driver:
        return Driver(port=self._port, serial=self._serial, meter=self._means.meter)

    def interrupt(self) -> None:
        """End the command in flight, from any thread."""
        self._driver.cancel()
