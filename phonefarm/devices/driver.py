"""One phone: run a command, move a file, end what runs.

Theory of operation
-------------------
Every command goes over ``shell,v2,raw``: stdout, stderr and exit code come apart, bytes are left alone, and a
stream that is cut is an error instead of a short success. The *whole* command is under one deadline, from the
connection to the last byte. One command at a time: a second caller waits for the first, and its wait counts.

Whatever goes wrong leaves as an error of our tree: DeviceLost, DeviceUnauthorized, DeviceTimeout, AdbServerDown,
OutputTruncated, CommandFailed, plain DeviceError for a broken protocol, or DeviceCancelled after ``cancel()``. A stream
that was cut may mean the phone or the server; the server is then tried once, to tell the two apart.

Cancelling without a race: whoever stops a session sets its stop signal first and calls ``cancel()`` second;
``guard`` is called after the command can be cancelled and before anything is sent. Either the guard sees the
signal, or ``cancel()`` finds the command.
"""

from __future__ import annotations

import contextlib
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from phonefarm import tracing
from phonefarm.core.metrics import ADB_SECONDS, NO_METER, Meter
from phonefarm.devices.shell import DeviceCancelled, Joiner, ShellFrames, ShellResult, join, quote
from phonefarm.devices.wire import (
    Client,
    Connection,
    Device,
    Flight,
    flying,
    mapped,
    server_lives,
)
from phonefarm.errors import (
    AdbServerDown,
    CommandFailed,
    DeviceLost,
    DeviceTimeout,
    OutputTruncated,
    PhoneFarmError,
)

__all__ = ["MAX_OUTPUT", "DeviceCancelled", "Driver", "Guard"]

MIB = 1024 * 1024
MAX_OUTPUT = 4 * MIB
_SYNC_CHUNK = 64 * 1024
_SAID = 300

#: Called once a command can be cancelled and before it is sent; may raise to stop it.
Guard = Callable[[], None]
T = TypeVar("T")


class Driver:
    """The phone ``serial`` behind the adb server at ``host:port``. Blocking; use it from worker threads.

    ``timeout`` is always the total for the call, in seconds; ``max_output`` bytes of stdout and stderr together;
    ``meter`` hears of every command.
    """

    def __init__(self, *, port: int, serial: str, host: str = "127.0.0.1", meter: Meter = NO_METER) -> None:
        self.host = host
        self.port = port
        self.serial = serial
        self._device = Device(Client(host, port), serial=serial)
        self._meter = meter
        self._turn = threading.Lock()
        self._note = threading.Lock()
        self._flight: Flight | None = None

    def __repr__(self) -> str:
        return f"Driver(port={self.port}, serial={self.serial!r}, host={self.host!r})"

    def sh(
        self, argv: Sequence[str], *, timeout: float, max_output: int = MAX_OUTPUT, guard: Guard | None = None
    ) -> ShellResult:
        """Run one command. Its exit code is a value, not an error. TypeError for raw shell text."""
        return self._text(quote(argv), timeout, max_output, guard, argv[0])

    def sh_all(
        self,
        lines: Sequence[Sequence[str]],
        *,
        timeout: float,
        joiner: Joiner = "&&",
        max_output: int = MAX_OUTPUT,
        guard: Guard | None = None,
    ) -> ShellResult:
        """Run several commands in one round trip; the exit code is that of the last one run."""
        return self._text(join(lines, joiner), timeout, max_output, guard, _words(lines))

    def exec_out(
        self, argv: Sequence[str], *, timeout: float, max_output: int = 32 * MIB, guard: Guard | None = None
    ) -> bytes:
        """The bytes a command writes to stdout. Raises CommandFailed if it ends with another code than 0."""
        return self._bytes(quote(argv), timeout, max_output, guard, argv[0])

    def exec_out_all(
        self,
        lines: Sequence[Sequence[str]],
        *,
        timeout: float,
        joiner: Joiner = "&&",
        max_output: int = 32 * MIB,
        guard: Guard | None = None,
    ) -> bytes:
        """As ``exec_out``, for several commands in one round trip."""
        return self._bytes(join(lines, joiner), timeout, max_output, guard, _words(lines))

    def push(self, data: bytes, path: str, *, timeout: float, mode: int = 0o644, guard: Guard | None = None) -> None:
        """Write ``data`` to ``path`` on the phone. Raises CommandFailed with the phone's reason."""
        self._fly("sync", timeout, guard, lambda: self._send_file(data, path, mode))

    def pull(self, path: str, *, timeout: float, max_output: int = 32 * MIB, guard: Guard | None = None) -> bytes:
        """Read ``path`` from the phone. Raises CommandFailed with the phone's reason, OutputTruncated above the cap."""
        return self._fly("sync", timeout, guard, lambda: self._receive_file(path, max_output))

    def reboot(self, *, timeout: float) -> None:
        """Tell the phone to reboot; returns when it hangs up. Raises DeviceError when it cannot be told."""
        self._fly("reboot", timeout, None, self._reboot)

    def cancel(self) -> None:
        """End the command in flight, from any thread; it raises DeviceCancelled there. Nothing in flight: no effect."""
        with self._note:
            if self._flight is not None:
                self._flight.cancel()

    # -- shell -----------------------------------------------------------------------------------

    def _text(self, line: str, timeout: float, cap: int, guard: Guard | None, words: str) -> ShellResult:
        rc, frames = self._fly("shell", timeout, guard, lambda: self._shell(line, cap), words)
        out = frames.stdout.decode("utf-8", errors="replace")
        return ShellResult(rc=rc, stdout=out, stderr=frames.stderr.decode("utf-8", errors="replace"))

    def _bytes(self, line: str, timeout: float, cap: int, guard: Guard | None, words: str) -> bytes:
        rc, frames = self._fly("shell", timeout, guard, lambda: self._shell(line, cap), words)
        if rc != 0:
            said = bytes(frames.stderr or frames.stdout)[:_SAID].decode("utf-8", errors="replace").strip()
            raise CommandFailed(f"{self.serial}: exit code {rc}: {said}")
        return bytes(frames.stdout)

    def _shell(self, line: str, cap: int) -> tuple[int, ShellFrames]:
        frames = ShellFrames(cap)
        with self._device.open_service(f"shell,v2,raw:{line}") as conn:
            while chunk := conn.recv():
                rc = frames.feed(chunk)
                if rc is not None:
                    return rc, frames
        raise EOFError("the stream ended before the exit code")

    def _reboot(self) -> None:
        with self._device.open_service("reboot:") as conn, contextlib.suppress(EOFError, OSError):
            conn.recv()

    # -- files (AOSP SYNC.TXT, version 1) -----------------------------------------------------------

    def _send_file(self, data: bytes, path: str, mode: int) -> None:
        with self._device.open_service("sync:") as conn:
            conn.send_all(_packet(b"SEND", f"{path},{mode}".encode()))
            for at in range(0, len(data), _SYNC_CHUNK):
                conn.send_all(_packet(b"DATA", data[at : at + _SYNC_CHUNK]))
            conn.send_all(struct.pack("<4sI", b"DONE", int(time.time())))
            _expect(conn, b"OKAY", path)

    def _receive_file(self, path: str, cap: int) -> bytes:
        data = bytearray()
        with self._device.open_service("sync:") as conn:
            conn.send_all(_packet(b"RECV", path.encode()))
            while (size := _expect(conn, b"DATA", path)) is not None:
                if len(data) + size > cap:
                    raise OutputTruncated(f"{path} is larger than {cap} bytes")
                data += conn.read_exact(size)
        return bytes(data)

    # -- one command at a time ----------------------------------------------------------------------

    def _fly(self, service: str, timeout: float, guard: Guard | None, work: Callable[[], T], words: str = "") -> T:
        flight = Flight(timeout)
        with self._turn_of(timeout), self._timed(service, words), self._noted(flight), flying(flight):
            try:
                if guard is not None:
                    guard()
                return work()
            except Exception as error:
                raise self._ours(error, flight) from error

    @contextlib.contextmanager
    def _timed(self, service: str, words: str) -> Iterator[None]:
        """``words``: the names of the programs, never what they were given."""
        began, code = time.monotonic(), "none"
        try:
            with tracing.span(f"adb.{service}", command=words or None):
                yield
        except PhoneFarmError as error:
            code = error.code
            raise
        finally:
            self._meter.observe(ADB_SECONDS, time.monotonic() - began, service, code)

    @contextlib.contextmanager
    def _turn_of(self, timeout: float) -> Iterator[None]:
        if not self._turn.acquire(timeout=timeout):
            raise DeviceTimeout(f"{self.serial}: another command took all of {timeout:g} s")
        try:
            yield
        finally:
            self._turn.release()

    @contextlib.contextmanager
    def _noted(self, flight: Flight) -> Iterator[None]:
        with self._note:
            self._flight = flight
        try:
            yield
        finally:
            with self._note:
                self._flight = None

    def _ours(self, error: Exception, flight: Flight) -> PhoneFarmError:
        if isinstance(error, PhoneFarmError) and not isinstance(error, DeviceTimeout):
            return error
        if flight.cancelled:
            return DeviceCancelled(f"{self.serial}: ended on request")
        return mapped(error, what=self.serial, cut=self._cut)

    def _cut(self) -> PhoneFarmError:
        if server_lives(self.host, self.port):
            return DeviceLost(f"{self.serial}: the connection was cut in the middle of a command")
        return AdbServerDown(f"no adb server answers on port {self.port}")


def _words(lines: Sequence[Sequence[str]]) -> str:
    return " ".join(line[0] for line in lines)


def _packet(kind: bytes, data: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(data)) + data


def _expect(conn: Connection, wanted: bytes, path: str) -> int | None:
    """The size that comes with ``wanted``, None at DONE. FAIL raises CommandFailed with its reason."""
    kind, size = struct.unpack("<4sI", conn.read_exact(8))
    if kind == b"FAIL":
        reason: bytes = conn.read_exact(min(size, _SYNC_CHUNK))
        raise CommandFailed(f"{path}: {reason.decode('utf-8', errors='replace')}")
    if kind == b"DONE" and wanted == b"DATA":
        return None
    if kind != wanted:
        raise ValueError(f"{kind!r} instead of {wanted!r}")
    return int(size)
