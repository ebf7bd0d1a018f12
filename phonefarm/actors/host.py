"""A host's actor: its one adb server, and who comes and goes on it.

A thread follows the adb server's ``track-devices`` stream; every snapshot it gives is compared with the last.
A serial that becomes ``device`` is asked who it is (``ro.serialno``: the phone's identity wherever it is
plugged in), its actor is made if there is none, and told where the phone is. A serial that goes away detaches
its phone. Phones on the network (``host:port``) are connected by this actor and connected again after a loss,
since the adb server forgets them; so are those that somebody else connected here once.

Two phones that claim one ``ro.serialno`` are both set apart (who they really are is told by the boot id, which is the
same on every way to one phone, USB or network). A phone that is listed but does not answer is helped by the ``Ladder``.
How the host itself is, and which other adb servers run beside ours, is told to the manager when it changes.

It starts nothing it cannot name: the adb server has a pidfile, a phone's actor has the phone's name.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from phonefarm.actors.ladder import Ladder, LadderConfig
from phonefarm.actors.ports import ManagerPort, PhonePort
from phonefarm.devices.probe import Identity
from phonefarm.devices.tracker import DUPLICATE
from phonefarm.errors import DeviceError, PhoneFarmError
from phonefarm.models.phone import HostReport, PhoneReport, Rung, RungReport
from phonefarm.models.states import PhoneState

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LAST_PAUSE = 0.25, 10.0
_TWINS = "two phones have this serial and adb cannot tell them apart: take one off"


class AdbHost(Protocol):
    """The adb server of a host: ``actors.adb.ServedAdb``, or a fake. Blocking; called from threads."""

    port: int

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def connect(self, address: str, timeout: float = ...) -> str: ...
    def track(self) -> Iterator[Mapping[str, str]]: ...
    def end_tracking(self) -> None: ...
    def identify(self, serial: str, timeout: float = ...) -> Identity: ...
    def strangers(self) -> tuple[str, ...]: ...
    def reconnect(self, serial: str) -> None: ...
    def disconnect(self, address: str) -> None: ...
    def restart(self) -> None: ...
    def reboot(self, serial: str) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class HostConfig:
    """``connect``: addresses of phones on the network, ``host:port``. ``usb``: others hang on cables.
    ``offline_seconds``: how long a listed phone may be offline before it is helped."""

    name: str
    connect: tuple[str, ...] = ()
    usb: bool = False
    ladder: LadderConfig = field(default_factory=LadderConfig)
    offline_seconds: float = 5.0
    look_seconds: float = 60.0


class HostActor:
    """Fulfils ``HostPort``. ``ensure_phone`` makes (or finds) a phone's actor and gives its port."""

    def __init__(
        self,
        config: HostConfig,
        *,
        adb: AdbHost,
        manager: ManagerPort,
        ensure_phone: Callable[[str], Awaitable[PhonePort]],
    ) -> None:
        self._config = config
        self._adb = adb
        self._manager = manager
        self._ensure = ensure_phone
        self._serials: dict[str, str] = {}  # serial -> adb's word for its state
        self._phones: dict[str, str] = {}  # phone id -> serial where it is now
        self._owners: dict[str, str] = {}  # serial -> phone id last seen there
        self._bodies: dict[str, str] = {}  # serial -> which phone it really is
        self._clashes: dict[str, set[str]] = {}  # phone id -> serials of the different phones that claim it
        self._told: HostReport | None = None
        self._trouble: str | None = None
        self._addresses = dict.fromkeys(config.connect)
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()
        self._connecting: set[str] = set()
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="host")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended = threading.Event()
        self._ladder = Ladder(config.ladder, hands=adb, run=self._in_thread, alone=self._alone, count=self._count)

    # -- life --

    async def start(self) -> None:
        """Start the adb server and follow it until shut down."""
        self._background(self._follow())
        self._background(self._watch())

    async def shutdown(self) -> None:
        """Let go of the phones and end the adb server."""
        self._ended.set()
        self._adb.end_tracking()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._in_thread(self._adb.stop)
        self._threads.shutdown(wait=False)

    # -- answers --

    async def whereis(self, phone_id: str) -> tuple[str, int] | None:
        """(serial, adb port) of a phone that is here and usable, else None."""
        serial = self._phones.get(phone_id)
        return (serial, self._adb.port) if serial is not None and self._serials.get(serial) == "device" else None

    async def connect(self, address: str) -> None:
        """Add a phone on the network. Raises DeviceError if it cannot be reached now; it is tried again anyway."""
        self._addresses[address] = None
        await self._in_thread(lambda: self._adb.connect(address))

    async def mend(self, phone_id: str, why: str) -> None:
        """The phone is listed but does not answer: try what helps. Returns at once; what it does is counted."""
        serial = self._phones.get(phone_id)
        if serial is not None and self._ladder.may_climb(phone_id):
            log.warning("%s at %s does not answer: %s", phone_id, serial, why)
            self._background(self._mend(phone_id, serial))

    async def _mend(self, phone_id: str, serial: str) -> None:
        tried = await self._ladder.climb(phone_id, serial)
        try:
            phone = await self._ensure(phone_id)
            if tried is not None:
                await phone.distrust(f"does not answer; tried without success: {tried}; look at the phone")
            elif self._serials.get(serial) == "device" and phone_id not in self._clashes:
                self._ladder.forget(phone_id)
                self._phones[phone_id] = serial
                await phone.attach(serial, self._adb.port)
        except PhoneFarmError as error:
            log.warning("phone %s not told how its trouble ended: %s", phone_id, error.message)

    def _alone(self, phone_id: str) -> bool:
        """Whether no other phone of this host works, so that its adb server may be what is broken."""
        return not any(p != phone_id and self._serials.get(s) == "device" for p, s in self._phones.items())

    async def _count(self, phone_id: str, rung: Rung, helped: bool) -> None:
        try:
            await self._manager.rung_tried(RungReport(phone_id=phone_id, rung=rung, helped=helped))
        except PhoneFarmError as error:
            log.warning("%s for %s not counted: %s", rung.value, phone_id, error.message)

    async def status(self) -> dict[str, Any]:
        return {
            "host": self._config.name,
            "adb_port": self._adb.port,
            "serials": dict(self._serials),
            "phones": dict(self._phones),
            "connect": list(self._addresses),
        }

    # -- following the adb server --

    async def _follow(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._in_thread(self._adb.start)
                self._trouble = None
                await self._look()
                self._reconnect_missing()
                self._threads.submit(self._track)
                while (seen := await self._news.get()) is not None:
                    pause = _FIRST_PAUSE
                    await self._compare(seen)
                await self._compare({})
            except PhoneFarmError as error:
                log.error("adb server of %s: %s; next step: %s", self._config.name, error.message, error.next_step)
                self._trouble = f"{error.message}; {error.next_step}"
                await self._look()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._config.look_seconds)
            await self._look()

    async def _look(self) -> None:
        """How this host is; the manager is told when that has changed."""
        strangers = tuple(await self._in_thread(self._adb.strangers))
        why = self._trouble
        if why is None and self._config.usb and strangers:
            why = f"another adb server may hold phones on cables: {strangers[0]}; end it"
        report = HostReport(name=self._config.name, adb_port=self._adb.port, why=why, strangers=strangers)
        if report == self._told:
            return
        try:
            await self._manager.report_host(report)
            self._told = report
        except PhoneFarmError as error:
            log.info("how this host is was not told: %s", error.message)

    def _track(self) -> None:
        """In a thread: snapshots to the loop, None at the end."""
        try:
            for snapshot in self._adb.track():
                self._loop.call_soon_threadsafe(self._news.put_nowait, dict(snapshot))
        except PhoneFarmError as error:
            log.warning("tracking of %s ended: %s", self._config.name, error.message)
        finally:
            if not self._ended.is_set():
                self._loop.call_soon_threadsafe(self._news.put_nowait, None)

    async def _compare(self, seen: dict[str, str]) -> None:
        before, self._serials = self._serials, seen
        for serial in before.keys() - seen.keys():
            self._background(self._gone(serial, "not connected"))
        for serial, state in seen.items():
            if before.get(serial) != state:
                self._background(self._arrived(serial) if state == "device" else self._gone(serial, state))
        self._reconnect_missing()

    async def _arrived(self, serial: str) -> None:
        if ":" in serial:
            self._addresses[serial] = None
        pause = _FIRST_PAUSE
        while self._serials.get(serial) == "device":
            try:
                found: Identity = await self._in_thread(lambda: self._adb.identify(serial))
                self._owners[serial], self._bodies[serial] = found.phone_id, found.body
                await self._adopt(found.phone_id, serial)
                return
            except PhoneFarmError as error:
                log.warning("%s does not say who it is: %s", serial, error.message)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)

    async def _adopt(self, phone_id: str, serial: str) -> None:
        other = self._clash_at(phone_id, serial) or self._phones.get(phone_id)
        if other is not None and other != serial and self._serials.get(other) == "device":
            if await self._is_another(other, serial):
                await self._clash(phone_id, other, serial)
                return
            if ":" in serial and ":" not in other:  # the cable is the better way to the same phone
                return
        self._phones[phone_id] = serial
        phone = await self._ensure(phone_id)
        if self._serials.get(serial) == "device" and self._phones.get(phone_id) == serial:
            await phone.attach(serial, self._adb.port)

    # -- two phones with one identity --

    def _clash_at(self, phone_id: str, serial: str) -> str | None:
        return next((s for s in self._clashes.get(phone_id, ()) if s != serial), None)

    async def _is_another(self, other: str, serial: str) -> bool:
        """Whether two serials lead to two phones. What is known of ``other`` may be older than a reboot."""
        try:
            found: Identity = await self._in_thread(lambda: self._adb.identify(other))
        except PhoneFarmError:
            return False
        self._owners[other], self._bodies[other] = found.phone_id, found.body
        return found.phone_id == self._owners.get(serial) and found.body != self._bodies.get(serial)

    async def _clash(self, phone_id: str, *serials: str) -> None:
        self._clashes.setdefault(phone_id, set()).update(serials)
        self._phones.pop(phone_id, None)
        named = " and ".join(sorted(self._clashes[phone_id]))
        why = f"different phones say they are {phone_id}: {named}; take all but one off, or give them serial numbers"
        log.error("%s", why)
        phone = await self._ensure(phone_id)
        await phone.detach(why)
        await phone.distrust(why)

    async def _leaves(self, phone_id: str, serial: str) -> None:
        """A way to a phone is gone; another may be left, of the same phone or of the one it clashed with."""
        self._clashes.get(phone_id, set()).discard(serial)
        if len(self._clashes.get(phone_id, ())) == 1:
            self._clashes.pop(phone_id)
        for left, owner in list(self._owners.items()):
            if owner == phone_id and left != serial and self._serials.get(left) == "device":
                await self._adopt(phone_id, left)
                return

    async def _gone(self, serial: str, state: str) -> None:
        phone_id = self._owners.get(serial)
        if phone_id is None:
            await self._unknown(serial, state)
            return
        if self._phones.get(phone_id) == serial:
            del self._phones[phone_id]
            mendable = await self._detach(phone_id, serial, f"adb: {state}")
            if state == "offline" and mendable:
                self._background(self._offline(phone_id, serial))
            elif state == DUPLICATE:
                await (await self._ensure(phone_id)).distrust(_TWINS)
        await self._leaves(phone_id, serial)

    async def _detach(self, phone_id: str, serial: str, why: str) -> bool:
        try:
            return await (await self._ensure(phone_id)).detach(why)
        except PhoneFarmError as error:
            log.warning("phone %s not told that it is gone: %s", phone_id, error.message)
            await self._report(phone_id, serial, PhoneState.OFFLINE, why)
            return False

    async def _offline(self, phone_id: str, serial: str) -> None:
        """A phone that stays listed as offline is helped."""
        await asyncio.sleep(self._config.offline_seconds)
        if self._serials.get(serial) == "offline" and self._ladder.may_climb(phone_id):
            await self._mend(phone_id, serial)

    async def _unknown(self, serial: str, state: str) -> None:
        """A phone that never told its identity. On USB the serial is the identity, so it can at least be shown."""
        if state == "unauthorized" and ":" not in serial:
            await self._report(serial, serial, PhoneState.UNAUTHORIZED, "accept this computer's key on the phone")
        elif state == DUPLICATE:
            await self._report(serial, serial, PhoneState.QUARANTINED, _TWINS)
        else:
            log.info("%s is %s and has not said who it is", serial, state)

    async def _report(self, phone_id: str, serial: str, state: PhoneState, why: str) -> None:
        report = PhoneReport(phone_id=phone_id, host=self._config.name, serial=serial, state=state, why=why)
        try:
            await self._manager.report_phones([report])
        except PhoneFarmError as error:
            log.warning("state of %s not reported: %s", phone_id, error.message)

    # -- network phones --

    def _reconnect_missing(self) -> None:
        for address in self._addresses:
            if address not in self._connecting and self._serials.get(address) not in ("device", "unauthorized"):
                self._connecting.add(address)
                self._background(self._keep_connecting(address))

    async def _keep_connecting(self, address: str) -> None:
        pause = _FIRST_PAUSE
        known = None
        try:
            while self._serials.get(address) not in ("device", "unauthorized"):
                known = known or self._owners.get(address)
                try:
                    await self._in_thread(lambda: self._adb.connect(address))
                except DeviceError as error:
                    log.debug("%s cannot be reached: %s", address, error.message)
                await asyncio.sleep(pause)
                if pause < _LAST_PAUSE <= pause * 2:
                    await self._redialled(known, helped=False)
                pause = min(pause * 2, _LAST_PAUSE)
            await self._redialled(known, helped=True)
        finally:
            self._connecting.discard(address)

    async def _redialled(self, phone_id: str | None, *, helped: bool) -> None:
        """A known phone on the network was dialled again: counted once when it is back, once when it stays away."""
        if phone_id is not None and not self._ladder.climbs(phone_id):
            await self._count(phone_id, Rung.CONNECT, helped)

    # -- helpers --

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
