"""The one adb server of a host: started, watched, ended and found again by its owner.

Theory of operation
-------------------
The bundled binary runs as ``adb -P PORT nodaemon server``, bound to loopback, with a HOME of its own (its keys), a
TMPDIR of its own (its log file has a fixed name) and no variable of the caller's environment: ``ADB_LIBUSB=0``
unless phones hang on USB (a start takes 0.01 s instead of 3), ``ADB_EMU=0`` and ``ADB_MDNS=0`` so that it adds no
phone by itself, and ``ADB_REJECT_KILL_SERVER=1`` so that a stray ``adb kill-server`` cannot take the farm down.

The server outlives an owner that is killed. A pidfile names it: the child writes its own id before it becomes adb, so
there is no moment in which a server runs unnamed; the owner then adds the time of its start. The next owner takes the
server over if it answers, else ends it. What holds the port without being ours is never touched: ``start`` refuses.
A file lock lets one owner at a time start or stop.

Port 5037 is refused: it belongs to whoever works on this machine with their own adb.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import adbutils  # type: ignore[import-untyped]

from phonefarm.devices import processes
from phonefarm.devices.processes import Mark
from phonefarm.devices.strangers import holder
from phonefarm.devices.wire import port_taken, query
from phonefarm.errors import AdbServerDown, ConfigError, DeviceError, DeviceUnauthorized

USERS_PORT = 5037
_CONNECTED = ("connected to", "already connected to")
#: Writes its own id, then becomes what follows: "$1" the pidfile, the rest the command.
_NAMED_START = 'echo $$ > "$1.new" && mv "$1.new" "$1" && shift && exec "$@"'


def adb_binary() -> str:
    """The adb to run: the operator's choice (ADBUTILS_ADB_PATH), else the bundled one, else the one on PATH.

    adbutils by itself prefers PATH, where distributions keep versions that lose phones; so the variable is set for it.
    Raises ConfigError if there is none at all.
    """
    bundled = Path(adbutils.__file__).parent / "binaries" / "adb"
    if bundled.is_file():
        os.environ.setdefault("ADBUTILS_ADB_PATH", str(bundled))
    try:
        return str(adbutils.adb_path())
    except adbutils.AdbError as error:
        raise ConfigError(f"no adb program: {error}") from error


def normalise(address: str) -> str:
    """``localhost:N`` and ``127.0.0.1:N`` are two phones to adb; here they are one."""
    host, colon, port = address.strip().rpartition(":")
    return f"127.0.0.1:{port}" if colon and host.lower() == "localhost" else address.strip()


class AdbServer:
    """Owner of the adb server on ``port``, with its keys, pidfile and log under ``state_dir``.

    ``usb``: phones hang on cables. ``extra_env``: further variables for the server, such as ADB_VENDOR_KEYS.
    Blocking and thread safe.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        *,
        port: int,
        state_dir: Path,
        usb: bool = False,
        binary: str | None = None,
        extra_env: Mapping[str, str] | None = None,
    ) -> None:
        if port == USERS_PORT:
            raise ConfigError(f"adb port {USERS_PORT} belongs to the user's own adb; choose another")
        self.port = port
        self.state_dir = state_dir
        self._usb = usb
        self._binary = binary
        self._extra_env = dict(extra_env or {})
        self._mutex = threading.RLock()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pidfile(self) -> Path:
        return self.state_dir / "adb.pid"

    @property
    def log(self) -> Path:
        return self.state_dir / "adb.log"

    @property
    def pid(self) -> int | None:
        """The server's process id, None if it does not run."""
        mark = self._ours()
        return mark.pid if mark else None

    def start(self, timeout: float = 15.0) -> None:
        """A server runs and answers when this returns; one that already does is taken over. Raises AdbServerDown."""
        with self._alone():
            if self._ours() and self._answers(2.0):
                self._write_mark()
                return
            self._end()
            self._begin(timeout)

    def stop(self) -> None:
        """End the server, by its id; returns when it is gone. A stranger is left alone."""
        with self._alone():
            self._end()

    def restart(self, timeout: float = 15.0) -> None:
        """A new server. It knows no TCP phone: connect them all again. Raises AdbServerDown."""
        with self._alone():
            self._end()
            self._begin(timeout)

    def alive(self, timeout: float = 2.0) -> bool:
        """Whether our server runs and answers."""
        return self._ours() is not None and self._answers(timeout)

    def connect(self, address: str, timeout: float = 12.0) -> str:
        """``adb connect``; gives the serial. Its state may still be offline: look at ``devices``.

        Raises DeviceUnauthorized, DeviceError with adb's words, DeviceTimeout, AdbServerDown.
        """
        serial = normalise(address)
        answer = query(self.host, self.port, f"host:connect:{serial}", timeout=timeout).strip()
        if answer.startswith(_CONNECTED):
            return serial
        kind = DeviceUnauthorized if "authenticate" in answer else DeviceError
        raise kind(answer or f"{serial}: adb connect gave no answer")

    def disconnect(self, address: str, timeout: float = 5.0) -> None:
        """``adb disconnect``; a phone that is not there is no error."""
        with contextlib.suppress(DeviceError):
            query(self.host, self.port, f"host:disconnect:{normalise(address)}", timeout=timeout)

    def reconnect(self, serial: str, timeout: float = 5.0) -> None:
        """Drop the transport of a phone and take it again. A phone on the network is forgotten: connect it after.

        Raises DeviceError, DeviceTimeout, AdbServerDown.
        """
        query(self.host, self.port, f"host-serial:{serial}:reconnect", timeout=timeout)

    def devices(self, timeout: float = 5.0) -> list[tuple[str, str]]:
        """Every phone the server knows: (serial, adb's state)."""
        answer = query(self.host, self.port, "host:devices", timeout=timeout)
        return [(serial, state) for serial, tab, state in (line.partition("\t") for line in answer.splitlines()) if tab]

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _tail(self) -> list[str]:
        return ["-P", str(self.port), "nodaemon", "server"]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "HOME": str(self._private("home")),
            "TMPDIR": str(self._private("tmp")),
            "ADB_LIBUSB": "1" if self._usb else "0",
            "ADB_EMU": "0",
            "ADB_MDNS": "0",
            "ADB_REJECT_KILL_SERVER": "1",
            **self._extra_env,
        }

    def _private(self, name: str) -> Path:
        """A directory for us alone: keys lie below it."""
        path = self.state_dir.absolute() / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        return path

    def _begin(self, timeout: float) -> None:
        if port_taken(self.host, self.port):
            who = holder(self.port) or "a program of another user"
            raise AdbServerDown(f"port {self.port} is held by {who}, which is not ours: end it, or choose another port")
        self._spawn()
        self._wait(timeout)

    def _spawn(self) -> None:
        binary = self._binary or adb_binary()
        command = ["/bin/sh", "-c", _NAMED_START, "sh", str(self.pidfile.absolute()), binary, *self._tail]
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )

    def _wait(self, timeout: float) -> None:
        until = time.monotonic() + timeout
        while not (self._ours() and self._answers(1.0)):
            if time.monotonic() > until or (self._child and self._child.poll() is not None):
                self._end()
                raise AdbServerDown(f"the adb server did not come up within {timeout:g} s; see {self.log.name}")
            time.sleep(0.01)
        self._write_mark()

    def _answers(self, timeout: float) -> bool:
        try:
            return bool(query(self.host, self.port, "host:version", timeout=timeout))
        except DeviceError:
            return False

    def _read_mark(self) -> Mark | None:
        try:
            pid, _, started = self.pidfile.read_text().strip().partition(" ")
            return Mark(pid=int(pid), started=started)
        except (OSError, ValueError):
            return None

    def _write_mark(self) -> None:
        mark = self._read_mark()
        if mark is None or mark.started:
            return
        new = self.pidfile.with_suffix(".mark")
        new.write_text(f"{mark.pid} {processes.started(mark.pid) or ''}\n")
        new.replace(self.pidfile)

    def _ours(self) -> Mark | None:
        mark = self._read_mark()
        return mark if mark and processes.is_ours(mark, self._tail) else None

    def _end(self) -> None:
        mark = self._read_mark()
        if mark is not None:
            processes.end(mark, self._tail, grace=3.0)
        self.pidfile.unlink(missing_ok=True)
        if self._child is not None:
            self._child.wait(5.0)
            self._child = None

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One owner at a time, in this process and among processes."""
        self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._mutex, (self.state_dir / "adb.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
