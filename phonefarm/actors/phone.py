"""A phone's actor: one a physical phone, on the host that holds its cable.

It keeps no truth. After a restart it tells the manager that it runs nothing (whatever it ran was interrupted),
asks its host where the phone is, checks the phone, and waits for jobs. A job is run by a ``Session`` in a
thread; a ``Reporter`` sends what happens. The phone is given work only after a passed check, and a phone that
failed a session by its own fault is checked again before the failure is reported, so it cannot be given the
same work at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from phonefarm import logs, tracing
from phonefarm.actors.ports import HostPort, ManagerPort
from phonefarm.actors.reporter import Hooks, Reporter
from phonefarm.actors.session import Runner, Session, Stop
from phonefarm.actors.words import Words
from phonefarm.core.health import Trust, unfit
from phonefarm.core.metrics import NO_METER, Meter
from phonefarm.errors import DeviceError, DeviceLost, DeviceUnauthorized, PhoneFarmError
from phonefarm.models.action import ActionKind
from phonefarm.models.clock import new_id
from phonefarm.models.phone import PhoneFacts, PhoneReport
from phonefarm.models.session import CancelOrder, Entry, EntryKind, Job
from phonefarm.models.states import CancelStrategy, PhoneState
from phonefarm.settings import Limits, Patience

log = logs.logger(__name__)

#: What a phone must leave through a check.
_AWAY = (PhoneState.OFFLINE, PhoneState.UNAUTHORIZED)


class Device(Protocol):
    """A phone behind adb: ``actors.device.AdbDevice``, or a fake. Blocking; called from threads."""

    def probe(self) -> PhoneFacts: ...
    def runner(self, job: Job, stop: Stop) -> Runner: ...
    def interrupt(self) -> None: ...
    def screen(self) -> bytes: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class PhoneConfig:
    """``check_seconds``: how often an idle phone is checked again. ``limits``: what it needs before it gets work."""

    phone_id: str
    host: str
    groups: tuple[str, ...] = ()
    check_seconds: float = 30.0
    limits: Limits = field(default_factory=Limits)
    patience: Patience = field(default_factory=Patience)


@dataclass(slots=True)
class _Current:
    """The attempt that runs. ``over``: its last entry is on its way; ``gone``: the phone is free for another."""

    job: Job
    stop: Stop
    session: Session | None = None
    forced: asyncio.TimerHandle | None = None
    over: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class PhoneActor:
    """Fulfils ``PhonePort``. ``device`` opens the phone at (serial, adb port)."""

    def __init__(
        self,
        config: PhoneConfig,
        *,
        manager: ManagerPort,
        host: HostPort,
        device: Callable[[str, int], Device],
        make_id: Callable[[], str] = new_id,
        meter: Meter = NO_METER,
    ) -> None:
        self._config = config
        self._manager = manager
        self._host = host
        self._open = device
        self._meter = meter
        self._incarnation = make_id()
        self._serial = ""
        self._device: Device | None = None
        self._current: _Current | None = None
        self._said = PhoneState.OFFLINE
        self._words = Words(manager)
        self._trust = Trust(patience=config.patience)
        self._unfit = False
        self._recheck = False
        self._retired = False
        self._ended: deque[tuple[str, int]] = deque(maxlen=64)
        self._refused: deque[tuple[str, int]] = deque(maxlen=64)
        self._registered = asyncio.Event()
        self._checking = asyncio.Lock()
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="phone")
        self._eyes = ThreadPoolExecutor(max_workers=1, thread_name_prefix="screen")
        self._tasks: set[asyncio.Task[Any]] = set()

    # -- life --

    async def start(self) -> None:
        """Register with the manager, find the phone, then check it from time to time."""
        config = self._config
        await self._words.insist(
            lambda: self._manager.phone_started(config.phone_id, config.host, self._incarnation, self._running())
        )
        self._registered.set()
        if self._device is None:
            await self._find()
        self._background(self._check_loop())

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._current is not None:
            self._current.stop.hard("lease_lost")
        self._threads.shutdown(wait=False)
        self._eyes.shutdown(wait=False)

    async def _find(self) -> None:
        try:
            place = await self._host.whereis(self._config.phone_id)
        except PhoneFarmError as error:
            log.info("host.not_asked", host=self._config.host, phone=self._config.phone_id, error=error)
            return
        if place is not None and self._device is None:
            await self.attach(*place)

    # -- moving to another host --

    async def home(self) -> str:
        """The host this actor lives on."""
        return self._config.host

    async def retire(self, why: str) -> None:
        """The phone is at another host: break off what runs and say nothing more. Its next actor reports the attempt as
        interrupted."""
        log.info("phone.retired", phone=self._config.phone_id, why=why)
        self._retired = True
        self._device = None
        current = self._current
        if current is not None:
            current.stop.hard("lease_lost")
            await current.gone.wait()

    # -- coming and going --

    async def attach(self, serial: str, adb_port: int) -> None:
        """The phone is at ``serial`` on the host's adb server; check it, after its session if one runs."""
        if self._retired:
            return
        self._serial = serial
        self._device = self._open(serial, adb_port)
        if self._current is None:
            self._background(self._check(announce=True))
        else:
            self._recheck = True

    async def detach(self, why: str) -> bool:
        """The phone is gone. A running session finds out by itself and fails as lost, unless it is rebooting it: then
        nobody else shall do anything about it (False)."""
        self._device = None
        rebooting = self._current is not None and _reboots(self._current)
        if self._current is not None and not rebooting:
            self._current.stop.interrupt()
        if not rebooting:
            self._lost()
        await self._say(PhoneState.OFFLINE, why)
        return not rebooting

    async def distrust(self, why: str) -> None:
        """Set the phone apart until some checks in a row were clean, or an operator releases it."""
        self._trust.distrust(why)
        await self._say(PhoneState.QUARANTINED, self._trust.why)

    def _lost(self) -> None:
        """Count a loss, once each time the phone goes away."""
        if self._said not in _AWAY:
            self._trust.lost(asyncio.get_running_loop().time())

    async def check(self) -> None:
        """Check the phone now, or after the session that runs, and tell the manager; returns at once. An operator
        asks for this, so what spoke against the phone is forgotten."""
        self._trust.pardon()
        if self._current is not None:
            self._recheck = True
            return
        self._background(self._check_now())

    async def _check_now(self) -> None:
        if self._device is not None:
            await self._check(announce=True)
            return
        await self._find()
        if self._device is None:
            await self._say(PhoneState.OFFLINE, "not connected")

    async def screen(self) -> bytes:
        """The screen as PNG, also while a session runs. Raises DeviceError; DeviceLost when the phone is not here."""
        device = self._device
        if device is None:
            raise DeviceLost(f"{self._config.phone_id} is not connected")
        return await asyncio.get_running_loop().run_in_executor(self._eyes, device.screen)

    async def _check_loop(self) -> None:
        while True:
            await asyncio.sleep(self._config.check_seconds)
            if self._device is None:
                await self._find()
            elif self._current is None:
                await self._check(announce=False)

    async def _check(self, *, announce: bool) -> None:
        """Only a passed check leads to AVAILABLE."""
        async with self._checking:
            device = self._device
            if device is None:
                return
            if announce or self._said in _AWAY:
                await self._say(PhoneState.CHECKING, None)
            try:
                facts = await self._in_thread(device.probe)
            except DeviceUnauthorized as error:
                await self._say(PhoneState.UNAUTHORIZED, f"{error.message}; {error.next_step}")
            except DeviceError as error:
                await self._failed_check(f"check failed: {error.message}")
            else:
                if self._device is device and self._current is None:
                    await self._passed_check(facts)

    async def _failed_check(self, why: str) -> None:
        self._lost()
        if self._trust.why is not None:
            await self._say(PhoneState.QUARANTINED, f"{why}; {self._trust.why}")
        else:
            await self._say(PhoneState.OFFLINE, why)
        try:
            await self._host.mend(self._config.phone_id, why)
        except PhoneFarmError as error:
            log.info("host.cannot_help", host=self._config.host, phone=self._config.phone_id, error=error)

    async def _passed_check(self, facts: PhoneFacts) -> None:
        """The phone answers. Work only for one that is trusted and fit."""
        self._trust.clean()
        if (apart := self._trust.why) is not None:
            await self._say(PhoneState.QUARANTINED, apart, facts)
            return
        why = unfit(facts, self._config.limits)
        await self._say(PhoneState.AVAILABLE if why is None else PhoneState.CHECKING, why, facts)

    async def _say(self, state: PhoneState, why: str | None, facts: PhoneFacts | None = None) -> None:
        if self._retired:
            return
        self._said = state
        report = PhoneReport(
            phone_id=self._config.phone_id,
            host=self._config.host,
            serial=self._serial,
            state=state,
            why=why,
            groups=self._config.groups,
            facts=facts,
            incarnation=self._incarnation,
        )
        await self._words.say(report)

    # -- work --

    async def run(self, job: Job) -> bool:
        """Take a job. True: it runs, or has run. False: not here and now, nor ever in this attempt."""
        await self._registered.wait()
        key = (job.lease.item_id, job.lease.attempt)
        if key in self._running() or key in self._ended:
            return True
        if self._current is not None and self._current.over:
            await self._current.gone.wait()
        device = self._device
        if device is None or self._current is not None or key in self._refused:
            self._refused.append(key)
            return False
        if job.lease.incarnation != self._incarnation:  # it may have been taken from the one before
            job = replace(job, lease=replace(job.lease, asked=None))
        stop = Stop(device.interrupt)
        self._current = _Current(job=job, stop=stop)
        self._background(self._work(self._current, device))
        return True

    def _running(self) -> list[tuple[str, int]]:
        return [(self._current.job.lease.item_id, self._current.job.lease.attempt)] if self._current else []

    async def _work(self, current: _Current, device: Device) -> None:
        job = current.job
        with logs.bound(**job.ids), tracing.span("item.attempt", parent=job.trace, host=self._config.host, **job.ids):
            log.info("attempt.started", actions=len(job.actions))
            await self._attempt(current, device)

    async def _attempt(self, current: _Current, device: Device) -> None:
        job, stop = current.job, current.stop
        hooks = Hooks(
            lost=lambda: stop.hard("lease_lost"),
            cancel=lambda order: self._obey(current, order),
            held=stop.lasts_until,
        )
        reporter = Reporter(job, self._manager, hooks, meter=self._meter)
        loop = asyncio.get_running_loop()
        sending = loop.create_task(reporter.run())
        try:
            if job.cancel is not None:
                self._obey(current, job.cancel)
            reporter.add(Entry(kind=EntryKind.STARTED))
            if reporter.held or await reporter.flush():
                last = await self._in_thread(lambda: self._session(current, device, reporter, loop).run())
                await self._finish(current, last, reporter)
        finally:
            current.over = True
            reporter.close()
            await sending
            self._forget(current)
        if (self._unfit or self._recheck) and self._current is None:
            announce, self._recheck = self._recheck, False
            await self._check(announce=announce)

    @staticmethod
    def _session(current: _Current, device: Device, reporter: Reporter, loop: asyncio.AbstractEventLoop) -> Session:
        """In a thread: the session, which waits for its reporter before what must not be done twice."""

        def commit() -> bool:
            try:
                return asyncio.run_coroutine_threadsafe(reporter.flush(), loop).result()
            except CancelledError:  # the actor ends
                return False

        runner = device.runner(current.job, current.stop)
        current.session = Session(current.job, runner, current.stop, reporter.put, commit=commit)
        return current.session

    async def _finish(self, current: _Current, last: Entry | None, reporter: Reporter) -> None:
        """The last word. A phone at fault leaves the pool first, so that it is not given the same work at once."""
        self._unfit = last is None or last.error is not None
        log.info("attempt.ended", how=last.kind.value if last else "lease_lost", error=_code(last))
        if last is None:
            return
        if last.error is not None and self._device is not None:
            await self._say(PhoneState.CHECKING, f"after {last.error.code}")
        current.over = True
        reporter.add(last)

    def _forget(self, current: _Current) -> None:
        if current.forced is not None:
            current.forced.cancel()
        self._ended.append((current.job.lease.item_id, current.job.lease.attempt))
        self._current = None
        current.gone.set()

    async def cancel(self, item_id: str, attempt: int, order: CancelOrder) -> None:
        """Obey a cancel for the attempt that runs here; any other is not ours."""
        if self._current is not None and (item_id, attempt) in self._running():
            self._obey(self._current, order)

    def _obey(self, current: _Current, order: CancelOrder) -> None:
        if order.strategy is CancelStrategy.HARD:
            current.stop.hard("cancelled")
            return
        current.stop.soft()
        if order.strategy is CancelStrategy.SOFT_THEN_FORCE and current.forced is None:
            loop = asyncio.get_running_loop()
            current.forced = loop.call_later(order.force_after, current.stop.hard, "cancelled")

    # -- helpers --

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, work)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _code(last: Entry | None) -> str | None:
    return last.error.code if last is not None and last.error is not None else None


def _reboots(current: _Current) -> bool:
    """Whether the phone is away because its session reboots it."""
    doing = current.session.doing if current.session is not None else None
    return doing is not None and doing.kind is ActionKind.REBOOT
