"""The adb server in a unit of its own, started by the unit's line, beside a host's actor that owns it too."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from phonefarm.cli.ports import free_block
from phonefarm.devices.adb_server import AdbServer
from tests.unit.test_units import PREFIX, ROOT, start_line

pytestmark = pytest.mark.timeout(120)


class Unit:
    """The unit's program. ``server`` is how a host's actor sees its adb server."""

    def __init__(self, directory: Path) -> None:
        self.server = AdbServer(
            port=free_block(1, rng=random.Random(), taken=set()), state_dir=directory / "adb/rack-1"
        )
        words = start_line(ROOT / "deploy/systemd/phonefarm-adb.service")
        instead = {"%H": "rack-1", "21037": str(self.server.port), "/var/lib/phonefarm/state": str(directory)}
        program = str(Path(sys.executable).parent / words[0].removeprefix(PREFIX))
        self.words = [program, *(instead.get(word, word) for word in words[1:] if word != "--usb")]
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.child = subprocess.Popen(self.words, stdout=subprocess.DEVNULL)
        until(self.server.alive)

    def stop(self) -> int:
        assert self.child is not None
        self.child.terminate()
        return self.child.wait(20)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 40
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    made = Unit(tmp_path)
    try:
        yield made
    finally:
        if made.child is not None and made.child.poll() is None:
            made.child.kill()
            made.child.wait(10)
        made.server.stop()


def servers(unit: Unit) -> list[int]:
    """Every adb server on the unit's port."""
    words = [b"-P", str(unit.server.port).encode(), b"nodaemon", b"server"]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            found += [int(entry.name)] if line[1:5] == words else []
    return found


def test_the_unit_s_server_is_taken_over_and_started_again_and_ends_with_it(unit: Unit) -> None:
    unit.start()
    pid = unit.server.pid
    assert pid is not None
    unit.server.start()
    assert unit.server.pid == pid, "an actor that starts takes over what runs"
    os.kill(pid, signal.SIGKILL)
    until(lambda: unit.server.pid not in (None, pid) and unit.server.alive())
    assert servers(unit) == [unit.server.pid]
    assert unit.stop() == 0
    assert servers(unit) == []


def test_a_unit_that_starts_beside_an_actor_s_server_leaves_it_alone(unit: Unit) -> None:
    unit.server.start()
    pid = unit.server.pid
    unit.start()
    assert unit.server.pid == pid
    assert servers(unit) == [pid]
