"""Machines made of namespaces: each with a network card, a process table and a disk of its own.

A ``Wire`` is a switch (a bridge in a network namespace of its own); a ``Machine`` is plugged into it by a pair of
virtual cards. A machine's first process holds its namespaces: when that process is killed the kernel ends everything in
it at once and takes its card away, which is what a power loss is. The disk is a directory that survives, bound to the
same path in each machine. Nothing is added to the machine the tests run on, so nothing is left when the processes end.

A cut is the switch's side of a cable going down: packets vanish without a word, as with a broken switch. Whoever
speaks to a machine does so from inside the switch's namespace (``Wire.inside``), by a thread that has entered it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

NET = "10.77.0"
_GATEWAY = 254
_SWITCH = "02:50:46:00:00:fe"
_CLONE_NEWNET = 0x40000000
#: The first process of a machine: it waits for ever and buries what its children leave.
_INIT = "while :; do sleep 3600 & wait $!; done"


def why_not() -> str | None:
    """Why no machine can be made here, None if it can."""
    if os.geteuid() != 0:
        return "network namespaces need root, and these tests do not run as root"
    for program in ("unshare", "nsenter", "ip", "mount"):
        if shutil.which(program) is None:
            return f"network namespaces need the program {program}, which is not installed"
    words = ["unshare", "-n", "-m", "-p", "-f", "--mount-proc", "ip", "link", "add", "pf0", "type", "veth"]
    tried = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
    if tried.returncode != 0:
        return f"network namespaces are not permitted here: {tried.stderr.strip()}"
    return None


class Wire:
    """A switch, and the place outside of all machines from which they are spoken to."""

    def __init__(self) -> None:
        self._holder = _held(["unshare", "-n", "--kill-child", "-f", "bash", "-c", _INIT])
        self._thread = ThreadPoolExecutor(max_workers=1, initializer=self._enter)
        self.ip("link set lo up")
        # an address of its own: else it takes the lowest of its ports', and when the machine with that one goes, nobody
        # finds the switch for half a minute
        self.ip(f"link add name sw address {_SWITCH} type bridge")
        self.ip(f"addr add {NET}.{_GATEWAY}/24 dev sw")
        self.ip("link set sw up")

    def ip(self, words: str) -> None:
        """Run ``ip`` in the switch."""
        _run(["nsenter", "-t", str(self._holder[1]), "-n", "ip", *words.split()])

    def inside(self, work: Callable[[], T]) -> T:
        """Do ``work`` where the machines can be reached. One at a time."""
        return self._thread.submit(work).result()

    def cut(self, name: str) -> None:
        self.ip(f"link set sw-{name} down")

    def mend(self, name: str) -> None:
        self.ip(f"link set sw-{name} up")

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        _end(self._holder[0])

    def _enter(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/proc/{self._holder[1]}/ns/net") as net:
            if libc.setns(net.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")


class Machine:
    """One machine on a wire. ``disk`` is the directory that it sees at ``mount``."""

    def __init__(self, wire: Wire, name: str, number: int, *, disk: Path, mount: Path) -> None:
        self.name = name
        self.address = f"{NET}.{number}"
        self.disk = disk
        self._wire = wire
        self._mount = mount
        self._holder: tuple[subprocess.Popen[bytes], int] | None = None

    def power_on(self) -> None:
        """New namespaces, the old disk."""
        self.disk.mkdir(exist_ok=True)
        self._mount.mkdir(exist_ok=True)
        words = ["unshare", "-n", "-m", "-p", "-f", "--mount-proc", "--kill-child", "bash", "-c", _INIT]
        self._holder = _held(words)
        pid = self._holder[1]
        with suppress(subprocess.CalledProcessError):  # the kernel may not have taken the last one away yet
            self._wire.ip(f"link del sw-{self.name}")
        self._wire.ip(f"link add sw-{self.name} type veth peer name eth0 netns {pid}")
        self._wire.ip(f"link set sw-{self.name} master sw")
        self._wire.ip(f"link set sw-{self.name} up")
        for line in (
            "ip link set lo up",
            f"ip addr add {self.address}/24 dev eth0",
            "ip link set eth0 up",
            f"ip route add default via {NET}.{_GATEWAY}",  # without one, programs take the host's name for its address
            f"mount --bind {self.disk} {self._mount}",
            "mount -t tmpfs tmpfs /dev/shm",
        ):
            _run(self.words(line.split()))

    def power_off(self) -> None:
        """Everything in it is gone, at once."""
        if self._holder is not None:
            os.kill(self._holder[1], signal.SIGKILL)
            _end(self._holder[0])
            self._holder = None

    @property
    def running(self) -> bool:
        return self._holder is not None

    def words(self, command: Sequence[str]) -> list[str]:
        """The command line that runs ``command`` in this machine."""
        assert self._holder is not None, f"{self.name} has no power"
        return ["nsenter", "-t", str(self._holder[1]), "-n", "-m", "-p", *command]

    def start(self, command: Sequence[str], log: str, *, env: Mapping[str, str], again: bool = False) -> None:
        """Leave a program running; its output goes to ``log`` on the disk. ``again``: whenever it ends it is started
        once more, as by systemd."""
        words = list(command)
        if again:
            words = ["bash", "-c", 'while :; do "$@"; sleep 1; done', "again", *command]
        with (self.disk / log).open("ab") as output:
            subprocess.Popen(
                self.words(words), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(env),
                start_new_session=True,
            )  # fmt: skip

    def run(
        self, command: Sequence[str], *, env: Mapping[str, str], timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            self.words(command), capture_output=True, text=True, env=dict(env), timeout=timeout, check=False
        )

    def pids(self, words: str) -> list[int]:
        """Ids, as this machine counts them, of its processes whose command line contains ``words``."""
        script = "for p in /proc/[0-9]*; do printf '%s ' ${p#/proc/}; tr '\\0' ' ' < $p/cmdline; echo; done 2>/dev/null"
        listed = self.run(["bash", "-c", script], env=os.environ, timeout=30).stdout.splitlines()
        found = [line.partition(" ") for line in listed if words in line and "for p in /proc" not in line]
        return [int(pid) for pid, _, _ in found]

    def kill(self, pid: int, sign: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process by the id it has in this machine."""
        _run(self.words(["kill", f"-{sign.value}", str(pid)]))


@contextmanager
def wire() -> Iterator[Wire]:
    made = Wire()
    try:
        yield made
    finally:
        made.close()


def _held(words: Sequence[str]) -> tuple[subprocess.Popen[bytes], int]:
    """A process that holds namespaces: (whom we started, its child inside)."""
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)
    children = Path(f"/proc/{child.pid}/task/{child.pid}/children")
    deadline = time.monotonic() + 20
    while not (inside := children.read_text().split()):
        if child.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"{words[0]} did not start: exit code {child.poll()}")
        time.sleep(0.01)
    return child, int(inside[0])


def _end(child: subprocess.Popen[Any]) -> None:
    with suppress(ProcessLookupError):
        child.kill()
    child.wait(20)


def _run(words: Sequence[str]) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=30)
