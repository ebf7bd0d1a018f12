"""What a host's actor needs of its adb server, and the real one of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from phonefarm.devices.adb_server import AdbServer
from phonefarm.devices.driver import Driver
from phonefarm.devices.probe import PROBE_SECONDS, Identity, identity
from phonefarm.devices.strangers import other_servers
from phonefarm.devices.tracker import Tracker

#: A phone that does not greet keeps adb 10 s.
CONNECT_SECONDS = 12.0
#: How long a phone may take to begin its reboot.
REBOOT_SECONDS = 10.0


class AdbHost(Protocol):
    """The adb server of a host: ``ServedAdb``, or a fake. Blocking; called from threads."""

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


class ServedAdb:
    """The adb server of a host and its view of the phones."""

    def __init__(self, *, port: int, state_dir: Path, usb: bool) -> None:
        self.port = port
        self._server = AdbServer(port=port, state_dir=state_dir, usb=usb)
        self._tracker: Tracker | None = None

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def connect(self, address: str, timeout: float = CONNECT_SECONDS) -> str:
        return self._server.connect(address, timeout)

    def track(self) -> Iterator[Mapping[str, str]]:
        self._tracker = Tracker(port=self.port)
        return self._tracker.snapshots()

    def end_tracking(self) -> None:
        if self._tracker is not None:
            self._tracker.close()

    def identify(self, serial: str, timeout: float = PROBE_SECONDS) -> Identity:
        return identity(Driver(port=self.port, serial=serial), timeout=timeout)

    def strangers(self) -> tuple[str, ...]:
        return other_servers(self._server.pid)

    # -- for phones that do not answer --

    def reconnect(self, serial: str) -> None:
        self._server.reconnect(serial)

    def disconnect(self, address: str) -> None:
        self._server.disconnect(address)

    def restart(self) -> None:
        self._server.restart()

    def reboot(self, serial: str) -> None:
        Driver(port=self.port, serial=serial).reboot(timeout=REBOOT_SECONDS)
