"""What of a farm listens, from /proc: the sockets of its processes, and what each port is for."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from phonefarm.cli.doctor.facts import Listening
from phonefarm.cli.raynode import ROWS
from phonefarm.devices.processes import words

PROC = Path("/proc")
_LISTENS = "0A"


def listening(pids: Iterable[int], uses: Mapping[int, str], proc: Path = PROC) -> tuple[Listening, ...]:
    """The listening sockets of ``pids``. ``uses``: what a port is for; any other is Ray's."""
    places = dict(_places(proc))
    found = {}
    for pid in pids:
        for inode in _sockets(proc, pid):
            if inode in places:
                address, port = places[inode]
                name = program(words(pid))
                found[inode] = Listening(address=address, port=port, program=name, use=uses.get(port) or _use(name))
    return tuple(sorted(found.values(), key=lambda one: (one.port, one.address)))


def uses_of(ports: Mapping[str, int]) -> dict[int, str]:
    """From farm.json's ports to what each is for, rows of ports included."""
    named = {port: name for name, port in ports.items()}
    for name, (size, _, _) in ROWS.items():
        first = ports.get(name, 0)
        named |= {port: name for port in range(first, first + size) if first}
    return named


def _use(name: str) -> str:
    """Of a port that Ray chose by itself: each replica of the ingress opens one, whatever it is told."""
    return "a replica's own port" if name.startswith("ray::ServeReplica") else "ray"


def read_address(text: str) -> str:
    """An address as /proc/net/tcp and tcp6 write it: words of four bytes, each backwards."""
    raw = bytes.fromhex(text)
    turned = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    address = ipaddress.ip_address(turned)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def program(line: list[str]) -> str:
    """A short name for a process: what it calls itself, or the script or module that an interpreter runs."""
    if not line:
        return "a process that has ended"
    first = Path(line[0].split(" ")[0]).name if not line[0].startswith("ray::") else line[0]
    if not first.startswith("python"):
        return first
    said = [word for word in line[1:] if not word.startswith("-")]
    return Path(said[0]).name if said else first


def _places(proc: Path) -> Iterator[tuple[str, tuple[str, int]]]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS:
                    address, _, port = fields[1].partition(":")
                    yield fields[9], (read_address(address), int(port, 16))


def _sockets(proc: Path, pid: int) -> Iterator[str]:
    with suppress(OSError):
        for fd in (proc / str(pid) / "fd").iterdir():
            with suppress(OSError):
                target = os.readlink(fd)
                if target.startswith("socket:["):
                    yield target[8:-1]
