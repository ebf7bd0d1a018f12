"""The real ``AdbHost`` of a host's actor: its adb server and what that server sees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from phonefarm.devices.adb_server import AdbServer
from phonefarm.devices.driver import Driver
from phonefarm.devices.probe import identity
from phonefarm.devices.tracker import Tracker


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

    def connect(self, address: str) -> str:
        return self._server.connect(address)

    def track(self) -> Iterator[Mapping[str, str]]:
        self._tracker = Tracker(port=self.port)
        return self._tracker.snapshots()

    def end_tracking(self) -> None:
        if self._tracker is not None:
            self._tracker.close()

    def identify(self, serial: str) -> str:
        return identity(Driver(port=self.port, serial=serial))
