"""adbutils, made fit for a farm: one connection, one total deadline, one way to end it.

Theory of operation
-------------------
adbutils 2.12 sleeps 10 ms in every ``close()``, starts a server of its own when none answers, and bounds each ``recv``
instead of the command (design notes on adb, section 7). The three subclasses here keep its API and change that:

* ``Connection`` never starts a server, sets TCP_NODELAY and TCP_QUICKACK, sends all, and lets every wait end at the
  deadline of the ``Flight`` that is current in this context;
* ``Client`` makes such connections;
* ``Device`` asks for its transport at once (``host:tport:serial:X``), without asking for the server's version first.

A ``Flight`` is one command under way. It is carried by a context variable, so that whatever adbutils calls is under the
same deadline; another thread ends it by ``cancel()``, which shuts the socket down under the blocked ``recv``.

Private names of adbutils used: ``_AdbConnection__conn``, ``_read_fully``, ``_safe_connect``. The version is pinned for
them, and a test looks for them.

``mapped`` is the only place where errors of adbutils and of sockets become ours.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from adbutils import AdbClient, AdbConnection, AdbDevice  # type: ignore[import-untyped]
from adbutils.errors import AdbConnectionError, AdbError, AdbTimeout  # type: ignore[import-untyped]

from phonefarm.devices.shell import DeviceCancelled
from phonefarm.errors import (
    AdbServerDown,
    DeviceError,
    DeviceLost,
    DeviceTimeout,
    DeviceUnauthorized,
    PhoneFarmError,
)

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_CHUNK = 64 * 1024
_MAX_REQUEST = 0xFFFF

#: Parts of adb's messages, lower case -> what they mean. First match wins.
MESSAGES: tuple[tuple[str, type[DeviceError]], ...] = (
    ("unauthorized", DeviceUnauthorized),
    ("still authorizing", DeviceUnauthorized),
    ("failed to authenticate", DeviceUnauthorized),
    ("insufficient permissions", DeviceUnauthorized),
    ("not found", DeviceLost),
    ("offline", DeviceLost),
    ("closed", DeviceLost),
    ("still connecting", DeviceLost),
    ("no devices", DeviceLost),
    ("disconnected", DeviceLost),
)


class Flight:
    """One command under way: when it must be over, and the handle by which another thread ends it.

    ``timeout`` in seconds for all of it, None for no end. Thread safe.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._ends = None if timeout is None else time.monotonic() + timeout
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self.cancelled = False

    def left(self) -> float | None:
        """Seconds until the deadline, None for no end. Raises DeviceTimeout once it has passed."""
        if self._ends is None:
            return None
        left = self._ends - time.monotonic()
        if left <= 0:
            raise DeviceTimeout(f"no answer within {self._timeout:g} s")
        return left

    def hold(self, sock: socket.socket) -> None:
        """Take note of the socket to shut down. Raises DeviceCancelled if the flight was cancelled before."""
        with self._lock:
            if self.cancelled:
                raise DeviceCancelled()
            self._sock = sock

    def drop(self) -> None:
        """Forget the socket, before it is closed."""
        with self._lock:
            self._sock = None

    def cancel(self) -> None:
        """End it now, from any thread."""
        with self._lock:
            self.cancelled = True
            if self._sock is not None:
                with contextlib.suppress(OSError):
                    self._sock.shutdown(socket.SHUT_RDWR)


_FLIGHT: ContextVar[Flight] = ContextVar("phonefarm_flight")


@contextlib.contextmanager
def flying(flight: Flight) -> Iterator[Flight]:
    """Everything that adbutils does inside is under ``flight``."""
    token = _FLIGHT.set(flight)
    try:
        yield flight
    finally:
        _FLIGHT.reset(token)


class Connection(AdbConnection):  # type: ignore[misc]
    """One connection to the adb server. Must be made inside ``flying``."""

    _AdbConnection__conn: socket.socket | None

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._flight = _FLIGHT.get()
        super().__init__(host, port)

    def _safe_connect(self) -> socket.socket:
        sock = socket.socket()
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(self._flight.left())
            sock.connect(self._address)
            self._flight.hold(sock)
        except TimeoutError:
            sock.close()
            raise
        except OSError as error:
            sock.close()
            raise AdbConnectionError(f"connect to adb server failed: {error}") from error
        except BaseException:
            sock.close()
            raise
        return sock

    def close(self) -> None:
        """Close at once; a second close does nothing."""
        sock = self._AdbConnection__conn
        if sock is not None:
            self._flight.drop()
            self._AdbConnection__conn = None
            sock.close()

    def send_all(self, data: bytes) -> None:
        """All of ``data``, within the deadline."""
        self.conn.settimeout(self._flight.left())
        self.conn.sendall(data)

    def send(self, data: bytes) -> int:
        self.send_all(data)
        return len(data)

    def send_command(self, cmd: str) -> None:
        """A smart-socket request. Raises ValueError above 65,535 bytes, which adb cannot express."""
        data = cmd.encode()
        if len(data) > _MAX_REQUEST:
            raise ValueError(f"a request of {len(data)} bytes is above adb's limit")
        self.send_all(f"{len(data):04x}".encode() + data)

    def recv(self, n: int = _CHUNK) -> bytes:
        """What has come, at most ``n`` bytes; empty at the end of the stream."""
        sock: socket.socket = self.conn
        sock.settimeout(self._flight.left())
        if _QUICKACK is not None:
            sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        return sock.recv(n)

    def _read_fully(self, n: int) -> bytes:
        data = bytearray()
        while len(data) < n and (chunk := self.recv(min(_CHUNK, n - len(data)))):
            data += chunk
        return bytes(data)

    def read_block(self) -> str:
        """A reply with its length before it. Raises EOFError when it is cut, unlike ``read_string_block``."""
        size = int(self.read_exact(4), 16)
        data: bytes = self.read_exact(size)
        return data.decode("utf-8", errors="replace")


class Client(AdbClient):  # type: ignore[misc]
    """The adb server at ``host:port``; its address is given, never read from the environment."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host=host, port=port)

    def make_connection(self, timeout: float | None = None) -> Connection:
        """``timeout`` is ignored: the flight's deadline counts."""
        return Connection(self.host, self.port)


class Device(AdbDevice):  # type: ignore[misc]
    """One phone by its serial."""

    _client: Client

    def open_transport(self, command: str | None = None, timeout: float | None = None) -> Connection:
        """A connection that talks to the phone, or the answer of one ``host-serial`` command."""
        conn = self._client.make_connection()
        try:
            prefix = f"host-serial:{self._serial}:{command}" if command else f"host:tport:serial:{self._serial}"
            conn.send_command(prefix)
            conn.check_okay()
            if not command:
                conn.read_exact(8)  # the transport id
        except BaseException:
            conn.close()
            raise
        return conn

    def open_service(self, service: str) -> Connection:
        """A stream to ``service`` of the phone, accepted by it."""
        conn = self.open_transport()
        try:
            conn.send_command(service)
            conn.check_okay()
        except BaseException:
            conn.close()
            raise
        return conn


def port_taken(host: str, port: int) -> bool:
    """Whether anything takes connections there."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


def server_lives(host: str, port: int) -> bool:
    """Whether the adb server there still speaks; asked only after a stream was cut.

    A server that is being killed loses its streams before its port, so a connection alone proves nothing: it must
    answer. One that is merely slow to answer counts as alive.
    """
    try:
        with socket.create_connection((host, port), timeout=1.0) as conn:
            conn.sendall(b"000chost:version")
            return conn.recv(4) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def query(host: str, port: int, service: str, *, timeout: float) -> str:
    """Ask the server itself, for instance ``host:version``. Raises AdbServerDown, DeviceTimeout, DeviceError."""
    try:
        with flying(Flight(timeout)), Client(host, port).make_connection() as conn:
            conn.send_command(service)
            conn.check_okay()
            return str(conn.read_block())
    except Exception as error:
        raise mapped(error, what="adb server", cut=lambda: AdbServerDown("the adb server hung up")) from error


def mapped(error: BaseException, *, what: str, cut: Callable[[], PhoneFarmError]) -> PhoneFarmError:
    """Our error for one of adbutils, of a socket or of reading the protocol; ``cut`` makes the one for a cut stream."""
    text = f"{what}: {error}"
    match error:
        case PhoneFarmError():
            return error
        case AdbTimeout() | TimeoutError():
            return DeviceTimeout(text)
        case AdbConnectionError() | ConnectionRefusedError():
            return AdbServerDown(text)
        case AdbError() if str(error) in ("connection closed", "Unknown data: b''"):
            return cut()
        case AdbError():
            return _by_message(error, what)
        case EOFError() | OSError():
            return cut()
        case struct.error() | ValueError():
            return DeviceError(f"{what}: the answer breaks the protocol ({error})")
        case _:
            return DeviceError(f"{what}: {type(error).__name__}: {error}")


def _by_message(error: Any, what: str) -> DeviceError:
    text = str(error).lower()
    kind = next((kind for part, kind in MESSAGES if part in text), DeviceError)
    return kind(f"{what}: {error}")
