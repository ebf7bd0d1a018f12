"""How foreign errors become ours, and what of adbutils' inside is relied on."""

from __future__ import annotations

import inspect
import struct
from typing import Any

import adbutils  # type: ignore[import-untyped]
import pytest
from adbutils.errors import AdbConnectionError, AdbError, AdbTimeout  # type: ignore[import-untyped]

from phonefarm.devices.shell import DeviceCancelled
from phonefarm.devices.wire import Connection, Flight, flying, mapped
from phonefarm.errors import (
    AdbServerDown,
    DeviceError,
    DeviceLost,
    DeviceTimeout,
    DeviceUnauthorized,
    OutputTruncated,
    PhoneFarmError,
)

pytestmark = pytest.mark.timeout(60)

CUT = DeviceLost("cut")

TABLE: list[tuple[BaseException, type[PhoneFarmError]]] = [
    (AdbError("device 'X' not found"), DeviceLost),
    (AdbError("device offline"), DeviceLost),
    (AdbError("closed"), DeviceLost),
    (AdbError("connection closed"), DeviceLost),
    (AdbError("Unknown data: b''"), DeviceLost),
    (AdbError("device still connecting"), DeviceLost),
    (AdbError("device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set"), DeviceUnauthorized),
    (AdbError("device still authorizing"), DeviceUnauthorized),
    (AdbError("something new"), DeviceError),
    (AdbTimeout("adb read timeout"), DeviceTimeout),
    (TimeoutError("timed out"), DeviceTimeout),
    (AdbConnectionError("connect to adb server failed"), AdbServerDown),
    (ConnectionRefusedError(111, "refused"), AdbServerDown),
    (ConnectionResetError(104, "reset"), DeviceLost),
    (BrokenPipeError(32, "pipe"), DeviceLost),
    (EOFError("Expected 5 bytes, got 0"), DeviceLost),
    (OSError(9, "bad file"), DeviceLost),
    (struct.error("unpack requires"), DeviceError),
    (ValueError("invalid literal for int()"), DeviceError),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), DeviceError),
    (RuntimeError("whatever"), DeviceError),
    (OutputTruncated("much"), OutputTruncated),
]


@pytest.mark.parametrize(("foreign", "ours"), TABLE, ids=lambda value: repr(value)[:40])
def test_foreign_errors(foreign: BaseException, ours: type[PhoneFarmError]) -> None:
    assert type(mapped(foreign, what="X", cut=lambda: CUT)) is ours


def test_every_error_of_adbutils_is_mapped() -> None:
    members: list[tuple[str, Any]] = inspect.getmembers(adbutils.errors, inspect.isclass)
    kinds = [kind for _, kind in members if issubclass(kind, AdbError)]
    assert len(kinds) >= 5
    for kind in kinds:
        assert isinstance(mapped(kind("x"), what="X", cut=lambda: CUT), DeviceError)


def test_private_names_of_adbutils_are_still_there() -> None:
    source = inspect.getsource(adbutils.AdbConnection)
    for name in ("self.__conn = self._safe_connect()", "def _read_fully", "def _safe_connect", "def check_okay"):
        assert name in source
    assert "host:tport:serial:" in inspect.getsource(adbutils.AdbDevice.open_transport)


def test_no_connection_without_a_flight() -> None:
    with pytest.raises(LookupError):
        Connection("127.0.0.1", 1)


def test_flight_that_is_over() -> None:
    with pytest.raises(DeviceTimeout):
        Flight(0).left()
    assert Flight(None).left() is None
    with flying(Flight(-1)), pytest.raises(DeviceTimeout):
        Connection("127.0.0.1", 1)


def test_cancelled_flight_takes_no_socket() -> None:
    import socket

    flight = Flight(5)
    flight.cancel()
    with socket.socket() as sock, pytest.raises(DeviceCancelled):
        flight.hold(sock)
