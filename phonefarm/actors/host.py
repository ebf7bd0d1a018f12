"""A host's actor: its one adb server, and who comes and goes on it.

A thread follows the adb server's ``track-devices`` stream; every snapshot it gives is compared with the last.
A serial that becomes ``device`` is asked who it is (``ro.serialno``: the phone's identity wherever it is
plugged in), its actor is made if there is none, and told where the phone is. A serial that goes away detaches
its phone. Phones on the network (``host:port``) are connected by this actor and connected again after a loss,
since the adb server forgets them; so are those that somebody else connected here once.

It starts nothing it cannot name: the adb server has a pidfile, a phone's actor has the phone's name.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from phonefarm.actors.ports import ManagerPort, PhonePort
from phonefarm.errors import DeviceError, PhoneFarmError
from phonefarm.models.phone import PhoneReport
from phonefarm.models.states import PhoneState

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LAST_PAUSE = 0.25, 10.0


class AdbHost(Protocol):
    """The adb server of a host: ``actors.adb.ServedAdb``, or a fake. Blocking; called from threads."""

    port: int

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def connect(self, address: str) -> str: ...
    def track(self) -> Iterator[Mapping[str, str]]: ...
    def end_tracking(self) -> None: ...
    def identify(self, serial: str) -> str: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class HostConfig:
    """``connect``: addresses of phones on the network, ``host:port``."""

    name: str
    connect: tuple[str, ...] = ()


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
        self._addresses = dict.fromkeys(config.connect)
        self._loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()
        self._connecting: set[str] = set()
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="host")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended = threading.Event()

    # -- life --

    async def start(self) -> None:
        """Start the adb server and follow it until shut down."""
        self._background(self._follow())

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
                self._reconnect_missing()
                self._threads.submit(self._track)
                while (seen := await self._news.get()) is not None:
                    pause = _FIRST_PAUSE
                    await self._compare(seen)
                await self._compare({})
            except PhoneFarmError as error:
                log.error("adb server of %s: %s; next step: %s", self._config.name, error.message, error.next_step)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)

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
                phone_id = await self._in_thread(lambda: self._adb.identify(serial))
                await self._adopt(phone_id, serial)
                return
            except PhoneFarmError as error:
                log.warning("%s does not say who it is: %s", serial, error.message)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)

    async def _adopt(self, phone_id: str, serial: str) -> None:
        self._phones[phone_id] = serial
        self._owners[serial] = phone_id
        phone = await self._ensure(phone_id)
        if self._serials.get(serial) == "device":
            await phone.attach(serial, self._adb.port)

    async def _gone(self, serial: str, state: str) -> None:
        phone_id = self._owners.get(serial)
        if phone_id is None:
            await self._unknown(serial, state)
            return
        if self._phones.get(phone_id) != serial:
            return
        del self._phones[phone_id]
        why = f"adb: {state}"
        try:
            await (await self._ensure(phone_id)).detach(why)
        except PhoneFarmError as error:
            log.warning("phone %s not told that it is gone: %s", phone_id, error.message)
            await self._report(phone_id, serial, PhoneState.OFFLINE, why)

    async def _unknown(self, serial: str, state: str) -> None:
        """A phone that never told its identity. On USB the serial is the identity, so it can at least be shown."""
        if state == "unauthorized" and ":" not in serial:
            await self._report(serial, serial, PhoneState.UNAUTHORIZED, "accept this computer's key on the phone")
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
        try:
            while self._serials.get(address) not in ("device", "unauthorized"):
                try:
                    await self._in_thread(lambda: self._adb.connect(address))
                except DeviceError as error:
                    log.debug("%s cannot be reached: %s", address, error.message)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_PAUSE)
        finally:
            self._connecting.discard(address)

    # -- helpers --

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
