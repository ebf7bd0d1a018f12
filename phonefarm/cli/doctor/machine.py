"""Checks of one machine: its ports, Ray, clock, disks, limits, versions, files. From facts to findings, no more."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from phonefarm.cli.doctor.facts import GIB, Disk, Listening, Machine
from phonefarm.cli.doctor.findings import Finding, found

#: Bytes and part of the inodes that must be free; below the first of each pair a disk is low, below the second full.
LOW, FULL = (5 * GIB, 0.10), (1 * GIB, 0.02)
FEWEST_FILES = 16_384
#: What a farm's own processes want, and each phone's actor (docs/operate.md has the figures), in bytes and tasks.
BASE_MEMORY, PHONE_MEMORY = 1.5 * GIB, 0.1 * GIB
BASE_TASKS, PHONE_TASKS = 1500, 60
PYTHONS = ((3, 11), (3, 14))
#: What its keys and prompts lie in is closed; a directory may be entered by its owner alone.
_CLOSED = 0o077
#: Ports that Ray opens to everybody whatever it is told, or that other hosts of a farm must reach.
_KNOWN = frozenset(
    {"proxy_stats", "proxy_metrics", "dashboard_metrics", "metrics", "replica_http", "replica_grpc"}
    | {"a replica's own port"}
)


def ports(machine: Machine) -> Iterator[Finding]:
    """What of the farm can be reached from elsewhere."""
    for socket in machine.listening:
        if not ipaddress.ip_address(socket.address).is_loopback:
            values = {"address": _shown(socket.address), "port": socket.port, "use": socket.use}
            yield found(_port_code(machine, socket), host=machine.host, program=socket.program, **values)


def _port_code(machine: Machine, socket: Listening) -> str:
    if socket.use == "adb":
        return "port_adb_open"
    if socket.use == "http":
        return "port_http_open"
    if socket.use == "dashboard":
        return "port_dashboard_open"
    return "port_known_open" if socket.use in _KNOWN or machine.ray.network else "port_ray_open"


def _shown(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def ray(machine: Machine) -> Iterator[Finding]:
    """The token is asked for, and closed."""
    if machine.ray.modes and machine.ray.modes != {"token"}:
        yield found("ray_without_token", host=machine.host)
    token = machine.ray.token
    if token is not None and token.mode & _CLOSED:
        yield found("ray_token_open", host=machine.host, path=token.path, mode=f"{token.mode:04o}")


def clock(machine: Machine) -> Iterator[Finding]:
    """Kept by a time service; where that cannot be read, nothing is said."""
    if machine.synchronised is False:
        yield found("clock_not_kept", host=machine.host)


def disks(machine: Machine) -> Iterator[Finding]:
    """Room on everything the farm writes to."""
    for disk in machine.disks:
        share = disk.free_inodes / disk.total_inodes if disk.total_inodes else 1.0
        for code, (bytes_free, inodes_free) in (("disk_full", FULL), ("disk_low", LOW)):
            if disk.free < min(bytes_free, disk.total / 4) or share < inodes_free:
                yield found(code, host=machine.host, **_room(disk, share))
                break


def _room(disk: Disk, share: float) -> dict[str, object]:
    return {"path": disk.path, "use": disk.use, "free": disk.free / GIB, "inodes": share * 100}


def limits(machine: Machine) -> Iterator[Finding]:
    """Open files, tasks and memory against the number of phones."""
    if machine.files < FEWEST_FILES:
        yield found("files_few", host=machine.host, files=machine.files)
    wanted = BASE_TASKS + PHONE_TASKS * machine.phones
    if machine.tasks is not None and machine.tasks < wanted:
        values = {"tasks": machine.tasks, "phones": machine.phones, "wanted": wanted}
        yield found("tasks_few", host=machine.host, **values)
    memory = BASE_MEMORY + PHONE_MEMORY * machine.phones
    if machine.memory < memory:
        sizes = {"memory": machine.memory / GIB, "wanted": memory / GIB}
        yield found("memory_short", host=machine.host, phones=machine.phones, **sizes)


def versions(machine: Machine) -> Iterator[Finding]:
    """Each machine by itself; that hosts agree is a matter of the farm."""
    python = machine.versions.python
    if not PYTHONS[0] <= python[:2] < PYTHONS[1]:
        yield found("python_version", host=machine.host, version=".".join(map(str, python)))
    if not machine.versions.ray.startswith("2.60."):
        yield found("ray_version", host=machine.host, version=machine.versions.ray)


def files(machine: Machine) -> Iterator[Finding]:
    """The state directory is its owner's alone, all of it; secrets are not open to others, wherever they lie."""
    for kept in machine.state:
        if not kept.ours:
            yield found("state_foreign", host=machine.host, path=kept.path)
        if kept.mode & _CLOSED:
            wanted = "700" if kept.mode & 0o100 else "600"
            values = {"path": kept.path, "mode": f"{kept.mode:04o}", "wanted": wanted}
            yield found("state_open", host=machine.host, **values)
    for name in sorted(machine.environment):
        yield found("secret_in_environment", host=machine.host, name=name)
    for file in machine.open_files:
        if file.mode & _CLOSED:
            yield found("secret_file_open", host=machine.host, path=file.path, mode=f"{file.mode:04o}")
    for words in machine.passwords_shown:
        yield found("password_shown", host=machine.host, words=words)
