"""Gathers the facts of one machine. Thin: what a fact means is decided elsewhere.

On the machine of the command it is called directly; on the hosts of a farm on a Ray cluster by a Ray task
(``doctor.hosts``), in which case the farm's processes there are told by their programs: raylet, gcs_server, Ray's
workers, and the adb server of the state directory.
"""

from __future__ import annotations

import grp
import os
import platform
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from phonefarm.cli import kin
from phonefarm.cli.doctor import kernel
from phonefarm.cli.doctor.facts import Adb, Disk, File, Machine, Ray, Udev, UsbDevice, Versions
from phonefarm.cli.doctor.phones import is_phone
from phonefarm.cli.doctor.sockets import listening, uses_of
from phonefarm.cli.doctor.usbtree import rule_files, usb_devices
from phonefarm.cli.raynode import ADDRESS
from phonefarm.cli.statedir import READY, FarmFile, StateDir, runs
from phonefarm.devices.adb_server import AdbServer
from phonefarm.devices.processes import words
from phonefarm.devices.strangers import other_servers

CONFIG = Path("/etc/phonefarm")
_PROC = Path("/proc")
_SECRETS = frozenset({"RAY_AUTH_TOKEN", "PGPASSWORD"})
_RAY_PROGRAMS = ("gcs_server", "raylet")
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]+@")
#: Files of the state directory that are for their owner alone, beside the directory itself.
_PRIVATE = ("api_key", "ray_token", "webhook_secret", "webhook_secret_second", "farm.json", "last_backup.json")


def machine(
    state: StateDir, farm: FarmFile, *, host: str = "", phones: int = 0, usb: bool = True, config: Path = CONFIG
) -> Machine:
    """The facts of this machine. ``farm``: what farm.json says on the head; ``host``: the name under which the farm
    knows this machine, empty for the one of the command; ``phones``: that the farm knows here; ``usb``: whether any are
    to hang on cables."""
    pids = _farm_s_pids(state, farm)
    told = _environments(pid for pid in pids if Path(next(iter(words(pid)), "")).name in _RAY_PROGRAMS)
    devices = usb_devices()
    main = farm.supervisor.pid if runs(farm.supervisor) and farm.supervisor is not None else os.getpid()
    return Machine(
        host=host,
        udev=Udev(root=os.geteuid() == 0, groups=frozenset(_groups()), rules=rule_files()),
        usb=devices,
        adb=_adb(state, farm, here=not host),
        listening=listening(pids, uses_of(farm.ports)),
        ray=_ray(state, farm, told),
        disks=tuple(_disks(state)),
        versions=versions(),
        synchronised=kernel.synchronised(),
        now=time.time(),
        files=kernel.most_files(),
        tasks=kernel.most_tasks(main),
        memory=kernel.memory(main),
        phones=max(phones, _plugged(devices)),
        state=tuple(_state(state)),
        environment=_SECRETS & {*os.environ, *(name for one in told for name in one)},
        open_files=tuple(_files(config)),
        passwords_shown=tuple(_shown(pids)),
        usb_wanted=usb and farm.sim is None,
    )


def versions() -> Versions:
    """Of what runs here."""
    python = tuple(int(part) for part in platform.python_version_tuple()[:2])
    return Versions(phonefarm=version("phonefarm"), ray=version("ray"), python=python)


def file_at(path: Path, owner: int | None = None) -> File | None:
    """A file as it lies there, None if it does not. ``owner``: whose it should be."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return File(path=str(path), mode=stat.st_mode & 0o7777, ours=owner is None or stat.st_uid == owner)


def _plugged(devices: Iterable[UsbDevice]) -> int:
    return sum(is_phone(device) for device in devices)


def _groups() -> Iterator[str]:
    for number in {os.getegid(), *os.getgroups()}:
        with suppress(KeyError):
            yield grp.getgrgid(number).gr_name


def _farm_s_pids(state: StateDir, farm: FarmFile) -> list[int]:
    """By cookie and descent where we started Ray; else by program, and by our adb servers' pidfiles."""
    adb = [server.pid for _, server in _servers(state, farm) if server.pid is not None]
    if farm.cookie and not farm.address:
        roots = [mark for mark in (farm.supervisor, farm.ray, farm.sim) if mark is not None and runs(mark)]
        return sorted({*adb, *(mark.pid for mark in kin.family(roots, farm.cookie))} - {os.getpid()})
    return sorted({*adb, *(pid for pid in _pids() if farm.address and _is_ray(words(pid)))})


def _is_ray(line: list[str]) -> bool:
    first = line[0] if line else ""
    return Path(first).name in _RAY_PROGRAMS or first.startswith("ray::") or any("/ray/" in word for word in line[1:3])


def _pids() -> Iterator[int]:
    with suppress(OSError):
        yield from (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _environments(pids: Iterable[int]) -> list[dict[str, str]]:
    found = []
    for pid in pids:
        with suppress(OSError):
            raw = (_PROC / str(pid) / "environ").read_bytes().decode(errors="replace").split("\0")
            found.append({name: value for name, _, value in (line.partition("=") for line in raw) if name})
    return found


def _servers(state: StateDir, farm: FarmFile) -> Iterator[tuple[str, AdbServer]]:
    with suppress(OSError):
        for folder in sorted((state.path / "adb").iterdir()):
            if folder.is_dir():
                yield folder.name, AdbServer(port=farm.ports.get("adb") or 1, state_dir=folder)


def _adb(state: StateDir, farm: FarmFile, *, here: bool) -> Adb:
    servers = list(_servers(state, farm))
    keys = (file_at(server.state_dir / "home/.android/adbkey") for _, server in servers)
    runs_here = farm.state == READY and runs(farm.supervisor) and not farm.address and here
    own = {server.pid for _, server in servers}
    return Adb(
        keys=tuple(key for key in keys if key is not None),
        others=other_servers(next(iter(own - {None}), None)),
        dead=tuple(name for name, server in servers if server.pid is None and runs_here and name in farm.hosts),
    )


def _ray(state: StateDir, farm: FarmFile, told: list[dict[str, str]]) -> Ray:
    paths = [Path(one["RAY_AUTH_TOKEN_PATH"]) for one in told if one.get("RAY_AUTH_TOKEN_PATH")]
    places = [*paths, state.ray_token_file, Path.home() / ".ray/auth_token"]
    return Ray(
        modes=frozenset(one.get("RAY_AUTH_MODE", "") for one in told),
        token=next((file for file in map(file_at, places) if file is not None), None),
        network=bool(farm.address) and not farm.address.startswith(ADDRESS),
    )


def _disks(state: StateDir) -> Iterator[Disk]:
    places = ((state.path, "the farm's state"), (Path(tempfile.gettempdir()), "Ray's files"))
    for path, use in (*places, (Path("/dev/shm"), "Ray's object store")):
        if (disk := kernel.disk(path, use)) is not None:
            yield disk


def _state(state: StateDir) -> Iterator[File]:
    """Who owns the directory owns all of it; and that is who runs this, unless it is root."""
    folder = file_at(state.path, None if os.geteuid() == 0 else os.geteuid())
    if folder is None:
        return
    yield folder
    owner = state.path.stat().st_uid
    for path in (state.path / name for name in (*_PRIVATE, "adb", "logs", "artifacts", "farm.db")):
        kept = file_at(path, owner)
        if kept is not None and (path.name in _PRIVATE or not kept.ours):
            yield kept


def _files(config: Path) -> Iterator[File]:
    """Files that are meant to hold secrets: the environment of the units, PostgreSQL's passwords."""
    with suppress(OSError):
        yield from (file for path in sorted(config.glob("*.env")) if (file := file_at(path)) is not None)
    if (passwords := file_at(Path.home() / ".pgpass")) is not None:
        yield passwords


def _shown(pids: Iterable[int]) -> Iterator[str]:
    for pid in pids:
        line = " ".join(words(pid))
        if _PASSWORD.search(line):
            hidden = _PASSWORD.sub(r"\1***@", line)
            yield f"process {pid}: {hidden[:200]}"
