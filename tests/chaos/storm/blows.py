"""Blows: one process of the farm is killed or frozen, and the time is taken until what it did works again.

A blow finds its process by what the farm itself says (its logs, its pidfiles, farm.json) and, for Ray's own processes,
among the family that carries the farm's cookie, by title. It strikes by process id. A blow that fells the whole Ray
head is followed by ``up``, as an operator or systemd would do it.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from phonefarm.cli import kin
from phonefarm.cli.statedir import StateDir
from tests.e2e.farm import Farm, until

_HEALED = ("available", "busy")
_PATIENCE = 240.0
_STARTS = 3


@dataclass(kw_only=True)
class Site:
    """What blows fall on. ``up``: the words of ``phonefarm up``; ``lease``: its lease in seconds."""

    farm: Farm
    phones: list[str]
    up: tuple[str, ...]
    lease: float
    chance: random.Random
    notes: list[str] = field(default_factory=list)

    # -- asking --

    def answers(self, path: str) -> bool:
        """Whether a route answers 200."""
        try:
            return self.farm.client.get(path, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def state_of(self, phone_id: str) -> str:
        try:
            answer = self.farm.client.get(f"/phones/{phone_id}", timeout=5)
        except httpx.HTTPError:
            return ""
        return str(answer.json()["state"]) if answer.status_code == 200 else ""

    def working(self) -> int:
        """How many phones work."""
        try:
            answer = self.farm.client.get("/phones", timeout=10)
        except httpx.HTTPError:
            return 0
        items = answer.json()["items"] if answer.status_code == 200 else []
        return sum(phone["state"] in _HEALED for phone in items)

    def pid_of(self, actor: str) -> int:
        """0 for an actor that has not written to its log yet."""
        try:
            return self.farm.pid_of(actor)
        except (OSError, IndexError):
            return 0

    def family(self) -> dict[int, str]:
        """The farm's processes by id, with their titles."""
        known = StateDir(self.farm.state_dir).read()
        found: dict[int, str] = {}
        for mark in kin.family([known.ray] if known.ray else [], known.cookie):
            try:
                found[mark.pid] = Path(f"/proc/{mark.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def titled(self, words: str) -> list[int]:
        return [pid for pid, title in self.family().items() if words in title]

    # -- doing --

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def up_again(self) -> None:
        """The head is dead: end what is left, start anew; as whoever supervises a farm, not only once."""
        for left in range(_STARTS - 1, -1, -1):
            self.farm.down()
            try:
                return self.farm.up(*self.up)
            except AssertionError as error:
                self.notes.append(f"a start of the farm failed: {str(error).strip().splitlines()[-1][:200]}")
                if not left:
                    raise


Blow = Callable[[Site], Callable[[], Any]]
"""Strikes; gives what is true once all works again."""


def actor(name: str, works: Callable[[Site], bool]) -> Blow:
    """kill -9 of an actor's process."""

    def strike(site: Site) -> Callable[[], Any]:
        before = until(lambda: site.pid_of(name), f"{name} runs")
        _kill_if_there(site, before)
        return lambda: site.pid_of(name) != before and works(site)

    return strike


def a_phone(site: Site) -> Callable[[], Any]:
    """kill -9 of the actor of a phone that works."""
    working = [p for p in site.phones if site.state_of(p) in _HEALED]
    if not working:
        return lambda: True
    phone = site.chance.choice(working)
    return actor(f"phone:{phone}", lambda s: s.state_of(phone) in _HEALED)(site)


def process(words: str, works: Callable[[Site], bool], *, count: int = 1) -> Blow:
    """kill -9 of one of Ray's own processes, told by its title; ``count``: how many of it there are."""

    def strike(site: Site) -> Callable[[], Any]:
        found = site.titled(words)
        if found:
            _kill_if_there(site, site.chance.choice(found))
        struck = set(found)
        return lambda: len(site.titled(words)) >= count and set(site.titled(words)) != struck and works(site)

    return strike


def adb_server(site: Site) -> Callable[[], Any]:
    pidfile = site.farm.state_dir / "adb" / "local" / "adb.pid"
    before = pidfile.read_text()
    had = site.working()
    _kill_if_there(site, int(before.split()[0]))
    return lambda: pidfile.exists() and pidfile.read_text() != before and site.working() >= had // 2


def head(words: str) -> Blow:
    """kill -9 of something that Ray's head does not survive; then ``up`` again."""

    def strike(site: Site) -> Callable[[], Any]:
        for pid in site.titled(words)[:1]:
            _kill_if_there(site, pid)
        supervisor = StateDir(site.farm.state_dir).read().supervisor
        until(lambda: supervisor is None or kin.wait_gone([supervisor], 0.2) == [], "the supervisor ends", 90)
        site.up_again()
        return lambda: site.answers("/readyz") and site.working() >= len(site.phones) // 2

    return strike


def supervisor(site: Site) -> Callable[[], Any]:
    """kill -9 of the supervisor; what it has left is ended by the next ``up``."""
    mark = StateDir(site.farm.state_dir).read().supervisor
    assert mark is not None
    _kill_if_there(site, mark.pid)
    site.up_again()
    return lambda: site.answers("/readyz") and site.working() >= len(site.phones) // 2


def frozen(name: str, seconds: Callable[[Site], float], works: Callable[[Site], bool]) -> Blow:
    """SIGSTOP of an actor's process for some time, then SIGCONT."""

    def strike(site: Site) -> Callable[[], Any]:
        pid = until(lambda: site.pid_of(name), f"{name} runs")
        try:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds(site))
        finally:
            _continue(pid)
        return lambda: works(site)

    return strike


def a_phone_frozen(site: Site) -> Callable[[], Any]:
    """SIGSTOP of the actor of a busy phone for longer than its lease."""
    busy = [p for p in site.phones if site.state_of(p) == "busy"] or site.phones
    phone = site.chance.choice(busy)
    return frozen(f"phone:{phone}", lambda s: s.lease * 1.5, lambda s: s.state_of(phone) in _HEALED)(site)


def the_host_cut(site: Site) -> Callable[[], Any]:
    """The host's actor and its adb server stand still at once, as if its cable to the world were cut."""
    pids = [int((site.farm.state_dir / "adb" / "local" / "adb.pid").read_text().split()[0]), site.pid_of("host:local")]
    had = site.working()
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(site.chance.uniform(1.0, site.lease))
    except ProcessLookupError:
        pass
    finally:
        for pid in pids:
            _continue(pid)
    return lambda: site.working() >= had // 2


def _kill_if_there(site: Site, pid: int) -> None:
    try:
        site.kill(pid)
    except ProcessLookupError:
        site.notes.append(f"process {pid} had gone before it was killed")


def _continue(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return


def _ready(site: Site) -> bool:
    return site.answers("/readyz")


def _reads(site: Site) -> bool:
    return site.answers("/processes?limit=1")


#: Name -> (weight, blow). Those that fell the head come by the clock, not by weight.
BLOWS: Mapping[str, tuple[int, Blow]] = {
    "phone actor": (10, a_phone),
    "process manager": (5, actor("process_manager", _reads)),
    "router": (5, actor("router", _ready)),
    "callback sender": (4, actor("callback_sender", lambda _: True)),
    "host actor": (4, actor("host:local", _ready)),
    "adb server": (4, adb_server),
    "ingress replica": (4, process("ray::ServeReplica", _reads, count=2)),
    "HAProxy manager": (2, process("ray::HAProxyManager", _reads)),
    "HAProxy": (2, process("bin/haproxy", _reads)),
    "Serve controller": (2, process("ray::ServeController", _reads)),
    "phone actor frozen": (4, a_phone_frozen),
    "process manager frozen": (2, frozen("process_manager", lambda s: s.chance.uniform(1, 12), _reads)),
    "router frozen": (2, frozen("router", lambda s: s.chance.uniform(1, 12), _ready)),
    "callback sender frozen": (1, frozen("callback_sender", lambda s: s.chance.uniform(1, 8), _ready)),
    "host cut": (2, the_host_cut),
}

FELLING: Mapping[str, Blow] = {
    "raylet": head("raylet/raylet"),
    "GCS": head("gcs/gcs_server"),
    "supervisor": supervisor,
    "Ray's agent": head("ray::DashboardAgent"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Struck:
    """A blow that fell: when (wall clock), and the seconds from the strike until all worked again."""

    name: str
    at: float
    seconds: float


def fall(site: Site, name: str) -> Struck:
    """Let one blow fall and wait until the farm has got over it. Raises AssertionError if it does not."""
    blow = FELLING[name] if name in FELLING else BLOWS[name][1]
    at, began = time.time(), time.monotonic()
    healed = blow(site)
    until(healed, f"the farm got over: {name}", _PATIENCE)
    return Struck(name=name, at=at, seconds=time.monotonic() - began)
