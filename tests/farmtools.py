"""A farm in one process for tests: the real manager, router, phone actors and sender, wired without Ray.

Only the phones are fake (``FakeDevice``); time for back-offs is real but short. End-to-end tests do not use this.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from phonefarm.actors.phone import PhoneActor, PhoneConfig
from phonefarm.actors.ports import PhonePort
from phonefarm.actors.process_manager import ManagerConfig, ProcessManager
from phonefarm.actors.router import Router
from phonefarm.actors.session import Stop
from phonefarm.core.leases import LeaseTerms
from phonefarm.errors import ActorUnavailable, DeviceLost, PhoneFarmError, SessionStopped
from phonefarm.models.action import Action, ActionKind, ActionResult, Artifact
from phonefarm.models.clock import Clock, new_id, system_clock
from phonefarm.models.phone import Claim, PhoneFacts
from phonefarm.models.process import Options, Submission, Target
from phonefarm.models.session import Job
from phonefarm.models.states import Capability, Mode, Routing

AUTHORISED = {"authorized_by": "ops@example.com", "basis": "own account", "granted_at": "2026-11-01T00:00:00.000Z"}


def keyword_inputs(**changes: Any) -> dict[str, Any]:
    """Inputs of a keyword_warmup with every default filled in."""
    inputs: dict[str, Any] = {
        "keywords": ["sourdough"],
        "videos_per_keyword": 2,
        "watch_seconds": {"min": 1, "max": 2},
        "max_minutes": 15,
        "app": "feed",
        "judge": False,
        "prompts": {},
    }
    return {**inputs, **changes}


def maintenance(*steps: dict[str, Any], **changes: Any) -> Submission:
    """A valid maintenance submission: each step ``{"action": ..., "params": {...}}``."""
    inputs = {"steps": [{"params": {}, **step} for step in steps], "metadata": {}}
    return submission(capability=Capability.MAINTENANCE, inputs=inputs, **changes)


def submission(target: Target | None = None, **changes: Any) -> Submission:
    """A valid submission; ``request_id`` is new unless given."""
    values: dict[str, Any] = {
        "process_id": new_id(),
        "request_id": f"r-{new_id()}",
        "capability": Capability.KEYWORD_WARMUP,
        "mode": Mode.MANUAL,
        "target": target or Target(routing=Routing.QUEUE),
        "inputs": keyword_inputs(),
        "options": Options(),
        "callback": {"url": "https://example.com/hook", "metadata": {}},
        "requested_by": {"system": "tests", "user": None, "metadata": {}},
    }
    return Submission(**{**values, **changes})


class FakeDevice:
    """A phone that does what a test says. ``gate`` holds every action until it is set. ``looks``: how often its screen,
    ``picture``, was taken."""

    def __init__(self, phone_id: str, log: list[tuple[str, str, Action]]) -> None:
        self.phone_id = phone_id
        self.log = log
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()
        self.errors: list[PhoneFarmError] = []
        self.alive = True
        self.facts = PhoneFacts(phone_id=phone_id, model="Fake 1", android="14")
        self.picture = b"\x89PNG fake"
        self.looks = 0


class FakeHandle:
    """A phone as one actor has opened it; fulfils ``Device`` and ``Runner``."""

    def __init__(self, phone: FakeDevice) -> None:
        self._phone = phone
        self._interrupted = False
        self._in_flight = False
        self._stop: Stop | None = None
        self._job: Job | None = None

    def probe(self) -> PhoneFacts:
        if not self._phone.alive:
            raise DeviceLost("fake phone is gone")
        return self._phone.facts

    def runner(self, job: Job, stop: Stop) -> FakeHandle:
        self._job, self._stop = job, stop
        return self

    def screen(self) -> bytes:
        if not self._phone.alive:
            raise DeviceLost("fake phone is gone")
        self._phone.looks += 1
        return self._phone.picture

    def interrupt(self) -> None:
        """As the real one: the command in flight, if there is one, ends as if a stop had been asked for."""
        self._interrupted = self._in_flight
        self._phone.gate.set()

    def run(self, action: Action) -> ActionResult:
        assert self._stop is not None
        assert self._job is not None
        self._phone.log.append((self._phone.phone_id, self._job.lease.item_id, action))
        self._phone.started.set()
        self._in_flight = True
        self._phone.gate.wait(20)
        self._in_flight = False
        self._stop.check()
        if self._interrupted:
            self._interrupted = False
            raise SessionStopped("cancelled")
        if not self._phone.alive:
            raise DeviceLost("fake phone is gone")
        if self._phone.errors:
            raise self._phone.errors.pop(0)
        return self._result(action)

    def _result(self, action: Action) -> ActionResult:
        if action.kind is ActionKind.WATCH:
            video = {"phone_id": self._phone.phone_id, "title": f"about {action.params['keyword']}", "author": "a"}
            more = {"at": "2026-11-24T00:00:00.000Z", "tags": [], "watched_seconds": 1.0, "verdict": None}
            return ActionResult(output={**video, **more})
        if action.kind is ActionKind.SCREENSHOT:
            return ActionResult(artifacts=(self.snapshot(action.params["name"]),))
        return ActionResult()

    def snapshot(self, name: str) -> Artifact:
        return Artifact(name=f"{name}.png", media_type="image/png", data=self._phone.picture)

    def dump(self, name: str) -> Artifact:
        return Artifact(name=f"{name}.xml", media_type="text/plain", data=b"<hierarchy/>")

    def leave(self) -> None:
        self._phone.log.append((self._phone.phone_id, "leave", Action(index=-1, kind=ActionKind.CLOSE_APP)))


class QuietSender:
    """A callback sender that only counts its kicks."""

    def __init__(self) -> None:
        self.kicks = 0

    async def kick(self) -> None:
        self.kicks += 1


class NoHost:
    """A host that knows no phone; phones are attached by the test. ``asked``: the phones it was to mend."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def whereis(self, _phone_id: str) -> tuple[str, int] | None:
        return None

    async def contest(self, _phone_id: str, _by: str, _body: str) -> Claim:
        return Claim.FREE

    async def connect(self, _address: str) -> None:
        return None

    async def mend(self, phone_id: str, why: str) -> None:
        self.asked.append((phone_id, why))

    async def status(self) -> dict[str, Any]:
        return {}

    async def shutdown(self) -> None:
        return None


class LocalFarm:
    """Manager, router and phones in one event loop.

    ``log`` lists every action as (phone, item, action); phones in ``cut`` cannot reach the manager.
    """

    def __init__(self, db_url: str, directory: Path, *, terms: LeaseTerms, clock: Clock | None) -> None:
        self._config = ManagerConfig(
            db_url=db_url, artifact_dir=directory / "artifacts", terms=terms, rescue_seconds=0.1,
            hosts=frozenset({"local", "spare"}), groups=frozenset({"empty"}), host_seconds=600.0,
        )  # fmt: skip
        self._clock = clock
        self.sender = QuietSender()
        self.log: list[tuple[str, str, Action]] = []
        self.devices: dict[str, FakeDevice] = {}
        self.phones: dict[str, PhoneActor] = {}
        self.cut: set[str] = set()
        self.stale = 0
        self.host = NoHost()
        self.manager = self._new_manager()
        self.router = self._new_router()

    def _new_manager(self) -> ProcessManager:
        return ProcessManager(
            self._config, router=_Lazy(lambda: self.router), sender=self.sender, on_stale=self._gone_stale,
            clock=self._clock,
        )  # fmt: skip

    def _new_router(self) -> Router:
        return Router(
            manager=_Lazy(lambda: self.manager),
            phone=self._phone,
            groups=frozenset({"empty"}),
            clock=self._clock or system_clock,
            rest_seconds=0.05 if self._clock else 30.0,
        )

    def _manager_of(self, phone_id: str) -> ProcessManager:
        if phone_id in self.cut:
            raise ActorUnavailable("the link is cut")
        return self.manager

    def _gone_stale(self) -> None:
        self.stale += 1

    def _phone(self, phone_id: str) -> PhonePort:
        if phone_id not in self.phones:
            raise ActorUnavailable(f"no actor for {phone_id}")
        return self.phones[phone_id]

    async def start(self) -> None:
        await self.manager.start()
        await self.router.start()
        await self.router._loaded.wait()

    async def add_phone(self, phone_id: str, *groups: str, host: str = "local", **config_changes: Any) -> FakeDevice:
        """A phone that is checked and available when this returns."""
        device = self.devices.setdefault(phone_id, FakeDevice(phone_id, self.log))
        config = PhoneConfig(phone_id=phone_id, host=host, groups=groups, **config_changes)
        actor = PhoneActor(
            config,
            manager=_Lazy(lambda: self._manager_of(phone_id)),
            host=self.host,
            device=lambda _serial, _port: FakeHandle(device),
        )
        self.phones[phone_id] = actor
        await actor.start()
        await actor.attach(phone_id, 1)
        await self.until(lambda: self._state_is(phone_id, "available", "busy"))
        return device

    async def _state_is(self, phone_id: str, *states: str) -> bool:
        phones = await self.manager.list_phones()
        return any(p["phone_id"] == phone_id and p["state"] in states for p in phones)

    async def until(self, condition: Callable[[], Any], seconds: float = 30.0) -> None:
        """Wait until ``condition`` (may be async) holds."""
        async with asyncio.timeout(seconds):
            while True:
                value = condition()
                if (await value) if asyncio.iscoroutine(value) else value:
                    return
                await asyncio.sleep(0.01)

    async def status_of(self, process_id: str, *statuses: str) -> dict[str, Any]:
        """The process once it has one of ``statuses``."""
        view: dict[str, Any] = {}

        async def reached() -> bool:
            view.update(await self.manager.get_process(process_id))
            return view["status"] in statuses

        try:
            await self.until(reached)
        except TimeoutError:
            raise AssertionError(f"still {view.get('status')}: {view}") from None
        return view

    async def restart_manager(self) -> None:
        """End the manager as if killed, and start another on the same database."""
        old = self.manager
        self.manager = self._new_manager()
        await old.stop()
        await self.manager.start()

    def next_run(self) -> None:
        """The managers made from now on belong to a new start of the farm."""
        self._config = replace(self._config, run_id=self._config.run_id + 1)

    async def restart_router(self) -> None:
        await self.router.stop()
        self.router = self._new_router()
        await self.router.start()
        await self.until(self.router._loaded.is_set)

    async def stop(self) -> None:
        for device in self.devices.values():
            device.gate.set()
        for phone in self.phones.values():
            await phone.stop()
        await self.router.stop()
        await self.manager.stop()


class _Lazy:
    """A port to whoever holds the role now; a stopped one is unavailable, as a dead actor would be."""

    def __init__(self, current: Callable[[], Any]) -> None:
        self._current = current

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            owner = self._current()
            try:
                return await getattr(owner, name)(*args, **options)
            except asyncio.CancelledError:
                if owner is not self._current():
                    raise ActorUnavailable("stopped in mid-call") from None
                raise

        return call


@asynccontextmanager
async def local_farm(
    db_url: str, directory: Path, *, terms: LeaseTerms | None = None, clock: Clock | None = None
) -> AsyncIterator[LocalFarm]:
    """A running ``LocalFarm``, stopped at the end."""
    farm = LocalFarm(db_url, directory, terms=terms or LeaseTerms(seconds=10.0, delivery_seconds=10.0), clock=clock)
    await farm.start()
    try:
        yield farm
    finally:
        await farm.stop()


def counts(log: list[tuple[str, str, Action]]) -> Mapping[ActionKind, int]:
    """How many actions of each kind were run."""
    found: dict[ActionKind, int] = {}
    for _, item, action in log:
        if item != "leave":
            found[action.kind] = found.get(action.kind, 0) + 1
    return found
