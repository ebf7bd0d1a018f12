"""A host's actor: its one adb server, and who comes and goes on it.

A thread follows the adb server's ``track-devices`` stream; every snapshot it gives is compared with the last.
A serial that becomes ``device`` is asked who it is (``ro.serialno``: the phone's identity wherever it is
plugged in), its actor is made if there is none, and told where the phone is. A serial that goes away detaches
its phone. Phones on the network (``host:port``) are dialled by the ``Dialler``, also those that somebody else connected
here once.

Two phones that claim one ``ro.serialno`` are both set apart (who they really are is told by the boot id, which is the
same on every way to one phone, USB or network). A phone that is listed but does not answer is helped by the ``Ladder``.
A phone that moves from host to host is the matter of ``moving``; what another host asks is answered here (``contest``).
How the host itself is, and which other adb servers run beside ours, is told to the manager by its ``Pulse``.

It starts nothing it cannot name: the adb server has a pidfile, a phone's actor has the phone's name.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from phonefarm import logs
from phonefarm.actors.adb import AdbHost
from phonefarm.actors.dialling import FIRST_PAUSE, LAST_PAUSE, Dialler, Line
from phonefarm.actors.ladder import Ladder
from phonefarm.actors.moving import Homes, PhoneElsewhere, later
from phonefarm.actors.ports import ManagerPort
from phonefarm.actors.pulse import HostConfig, Pulse
from phonefarm.devices.probe import Identity
from phonefarm.devices.tracker import DUPLICATE
from phonefarm.errors import PhoneFarmError
from phonefarm.models.phone import Claim, PhoneReport, Rung, RungReport
from phonefarm.models.states import PhoneState

__all__ = ["HostActor", "HostConfig"]

log = logs.logger(__name__)

#: How often another host is asked to let go of a phone, and how long it remembers that it was.
_CONTEST_SECONDS, _CONTESTED_SECONDS = 2.0, 10.0
_TWINS = "two phones have this serial and adb cannot tell them apart: take one off"


class HostActor:
    """Fulfils ``HostPort``. ``homes`` finds the phones' actors, makes them, and takes them over from other hosts."""

    def __init__(
        self,
        config: HostConfig,
        *,
        adb: AdbHost,
        manager: ManagerPort,
        homes: Homes,
    ) -> None:
        self._config = config
        self._adb = adb
        self._manager = manager
        self._homes = homes
        self._serials: dict[str, str] = {}  # serial -> adb's word for its state
        self._phones: dict[str, str] = {}  # phone id -> serial where it is now
        self._owners: dict[str, str] = {}  # serial -> phone id last seen there
        self._bodies: dict[str, str] = {}  # serial -> which phone it really is
        self._clashes: dict[str, set[str]] = {}  # phone id -> serials of the different phones that claim it
        self._contested: dict[str, dict[str, float]] = {}  # phone id -> claims of other hosts, and when they end
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="host")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended = threading.Event()
        self._pulse = Pulse(
            config, port=adb.port, manager=manager, strangers=self._strangers, given_up=self._given_up
        )  # fmt: skip
        self._ladder = Ladder(config.ladder, hands=adb, run=self._in_thread, alone=self._alone, count=self._count)
        line = Line(
            connect=self._connect,
            state=lambda address: self._serials.get(address),
            owner=lambda address: self._owners.get(address),
            redialled=self._redialled,
        )
        self._dialler = Dialler(config.connect, line)

    # -- life --

    async def start(self) -> None:
        """Start the adb server and follow it until shut down."""
        self._background(self._follow())
        self._background(self._pulse.run())

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
        self._dialler.add(address)
        await self._connect(address)

    async def _connect(self, address: str) -> None:
        await self._in_thread(lambda: self._adb.connect(address))

    async def mend(self, phone_id: str, why: str) -> None:
        """The phone is listed but does not answer: try what helps. Returns at once; what it does is counted."""
        serial = self._phones.get(phone_id)
        if serial is not None and self._ladder.may_climb(phone_id):
            log.warning("phone.silent", phone=phone_id, serial=serial, cause=why, next_step="none: its host helps")
            self._background(self._mend(phone_id, serial))

    async def _mend(self, phone_id: str, serial: str) -> None:
        tried = await self._ladder.climb(phone_id, serial)
        try:
            phone = await self._homes.mine(phone_id)
            if phone is None:
                return
            if tried is not None:
                await phone.distrust(f"does not answer; tried without success: {tried}; look at the phone")
            elif self._serials.get(serial) == "device" and phone_id not in self._clashes:
                self._ladder.forget(phone_id)
                self._phones[phone_id] = serial
                await phone.attach(serial, self._adb.port)
        except PhoneFarmError as error:
            log.warning("phone.not_told_of_help", phone=phone_id, error=error)

    def _alone(self, phone_id: str) -> bool:
        """Whether no other phone of this host works, so that its adb server may be what is broken."""
        return not any(p != phone_id and self._serials.get(s) == "device" for p, s in self._phones.items())

    async def _count(self, phone_id: str, rung: Rung, helped: bool) -> None:
        try:
            await self._manager.rung_tried(RungReport(phone_id=phone_id, rung=rung, helped=helped))
        except PhoneFarmError as error:
            log.warning("rung.not_counted", phone=phone_id, rung=rung.value, error=error)

    async def status(self) -> dict[str, Any]:
        return {
            "host": self._config.name,
            "adb_port": self._adb.port,
            "serials": dict(self._serials),
            "phones": dict(self._phones),
            "connect": self._dialler.addresses,
        }

    # -- following the adb server --

    async def _follow(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                await self._in_thread(self._adb.start)
                self._pulse.trouble = None
                await self._pulse.look()
                self._reconnect_missing()
                self._threads.submit(self._track)
                while (seen := await self._news.get()) is not None:
                    pause = FIRST_PAUSE
                    await self._compare(seen)
                await self._compare({})
            except PhoneFarmError as error:
                log.error("adb_server.in_trouble", host=self._config.name, error=error)
                self._pulse.trouble = f"{error.message}; {error.next_step}"
                await self._pulse.look()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)

    def _given_up(self) -> None:
        """The manager had given this host up: its phones are told where they are once more."""
        for serial in self._phones.values():
            self._background(self._arrived(serial))

    async def _strangers(self) -> tuple[str, ...]:
        return tuple(await self._in_thread(self._adb.strangers))

    def _track(self) -> None:
        """In a thread: snapshots to the loop, None at the end."""
        try:
            for snapshot in self._adb.track():
                self._loop.call_soon_threadsafe(self._news.put_nowait, dict(snapshot))
        except PhoneFarmError as error:
            log.warning("adb_server.not_tracked", host=self._config.name, error=error)
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
            self._dialler.add(serial)
        pause = FIRST_PAUSE
        while self._serials.get(serial) == "device":
            try:
                found: Identity = await self._in_thread(lambda: self._adb.identify(serial))
                self._owners[serial], self._bodies[serial] = found.phone_id, found.body
                await self._adopt(found.phone_id, serial)
                return
            except PhoneElsewhere as error:
                log.info("phone.elsewhere", phone=found.phone_id, serial=serial, error=error)
                await asyncio.sleep(_CONTEST_SECONDS)
                continue
            except PhoneFarmError as error:
                log.warning("phone.unidentified", serial=serial, error=error)
            except Exception:  # it stays plugged in, so nothing else would make us look at it again
                log.exception("phone.not_adopted", serial=serial, next_step=logs.REPORT_IT)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)

    async def _adopt(self, phone_id: str, serial: str) -> None:
        other = self._clash_at(phone_id, serial) or self._phones.get(phone_id)
        if other is not None and other != serial and self._serials.get(other) == "device":
            if await self._is_another(other, serial):
                await self._clash(phone_id, other, serial)
                return
            if ":" in serial and ":" not in other:  # the cable is the better way to the same phone
                return
        if claims := self._contested.get(phone_id):
            await self._clash(phone_id, serial, *claims)
            return
        self._phones[phone_id] = serial
        try:
            phone = await self._homes.here(phone_id, serial, self._bodies.get(serial, ""))
        except PhoneElsewhere:
            if self._phones.get(phone_id) == serial:
                del self._phones[phone_id]
            raise
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
        log.error("phone.twins", phone=phone_id, cause=why, next_step="take all but one off")
        phone = await self._homes.here(phone_id, serials[0], self._bodies.get(serials[0], ""))
        await phone.detach(why)
        await phone.distrust(why)

    # -- phones that another host sees too --

    async def contest(self, phone_id: str, by: str, body: str) -> Claim:
        """Another host sees this phone. If it is not here, or does not answer here, it may go; one that answers yet is
        looked at again, for then there are two."""
        serial = self._phones.get(phone_id) or self._clash_at(phone_id, by)
        if serial is None or self._serials.get(serial) != "device" or not await self._still_at(phone_id, serial):
            self._phones.pop(phone_id, None)
            if serial is not None:
                self._background(later(_CONTESTED_SECONDS, lambda: self._arrived(serial)))
            return Claim.FREE
        if self._bodies.get(serial) == body:
            return Claim.SAME
        claims = self._contested.setdefault(phone_id, {})
        known = by in claims
        claims[by] = self._loop.time() + _CONTESTED_SECONDS
        if not known:
            self._background(self._contest(phone_id, serial, by))
        return Claim.TWIN

    async def _still_at(self, phone_id: str, serial: str) -> bool:
        try:
            found: Identity = await self._in_thread(lambda: self._adb.identify(serial, 5.0))
        except PhoneFarmError:
            return False
        self._bodies[serial] = found.body
        return found.phone_id == phone_id

    async def _contest(self, phone_id: str, serial: str, by: str) -> None:
        """Both phones are set apart until the other host says no more that it sees one, or this one is gone. The
        phone's actor may be away at first, as it is while it moves: it is told again until it heard."""
        claims, apart = self._contested[phone_id], False
        while self._serials.get(serial) == "device" and (left := claims[by] - self._loop.time()) > 0:
            apart = apart or await self._set_apart(phone_id, serial, by)
            await asyncio.sleep(left if apart else FIRST_PAUSE)
        claims.pop(by)
        await self._leaves(phone_id, by)

    async def _set_apart(self, phone_id: str, *serials: str) -> bool:
        try:
            await self._clash(phone_id, *serials)
        except PhoneFarmError as error:
            log.warning("phone.not_told_of_twin", phone=phone_id, error=error)
            return False
        return True

    async def _leaves(self, phone_id: str, serial: str) -> None:
        """A way to a phone is gone; another may be left, of the same phone or of the one it clashed with."""
        self._clashes.get(phone_id, set()).discard(serial)
        if len(self._clashes.get(phone_id, ())) == 1:
            self._clashes.pop(phone_id)
        for left, owner in list(self._owners.items()):
            if owner == phone_id and left != serial and self._serials.get(left) == "device":
                self._background(self._arrived(left))
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
            elif state == DUPLICATE and (phone := await self._homes.mine(phone_id)) is not None:
                await phone.distrust(_TWINS)
        await self._leaves(phone_id, serial)

    async def _detach(self, phone_id: str, serial: str, why: str) -> bool:
        try:
            phone = await self._homes.mine(phone_id)
            return phone is not None and await phone.detach(why)
        except PhoneFarmError as error:
            log.warning("phone.not_told_it_is_gone", phone=phone_id, error=error)
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
            log.info("phone.not_ready", serial=serial, state=state)

    async def _report(self, phone_id: str, serial: str, state: PhoneState, why: str) -> None:
        report = PhoneReport(phone_id=phone_id, host=self._config.name, serial=serial, state=state, why=why)
        try:
            await self._manager.report_phones([report])
        except PhoneFarmError as error:
            log.warning("phone.not_reported", phone=phone_id, error=error)

    # -- network phones --

    def _reconnect_missing(self) -> None:
        for address in self._dialler.missing():
            self._background(self._dialler.dial(address))

    async def _redialled(self, phone_id: str, helped: bool) -> None:
        if not self._ladder.climbs(phone_id):
            await self._count(phone_id, Rung.CONNECT, helped)

    # -- helpers --

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("host.task_failed", task=str(task.get_coro()), error=error, exc_info=error)
