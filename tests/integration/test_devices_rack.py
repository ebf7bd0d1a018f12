"""A rack for the tests of ``devices``: a real adb server and virtual phones in a process of their own.

The tests here are those of the server's owner, the tracker and the probe; ``rack_of`` serves the other
``test_devices_*`` modules. Nothing sleeps: what is waited for is a snapshot of the server, a line of the phones'
process, or an answer.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from phonefarm.devices import processes
from phonefarm.devices.adb_server import AdbServer, adb_binary, normalise
from phonefarm.devices.driver import Driver
from phonefarm.devices.probe import identity, probe
from phonefarm.devices.processes import Mark
from phonefarm.devices.tracker import Tracker
from phonefarm.errors import AdbServerDown, ConfigError, DeviceError, DeviceUnauthorized

pytestmark = pytest.mark.timeout(60)


def free_port() -> int:
    """A port that was free a moment ago, and is not 5037."""
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass(kw_only=True)
class Phone:
    """One virtual phone: its identity, its address as the server's serial, and its switches."""

    serialno: str
    address: str
    rack: Rack

    def do(self, action: str, **more: object) -> Any:
        """Throw a switch of the phone (``phonefarm.vphone.control``)."""
        return self.rack.control({"phone": self.serialno, "do": action, **more})

    def driver(self) -> Driver:
        return Driver(port=self.rack.server.port, serial=self.address)

    def journal(self) -> list[dict[str, Any]]:
        """What it was told, in order of ending."""
        return self._lines(f"{self.serialno}.jsonl")

    def shown(self) -> list[dict[str, Any]]:
        """Which videos or articles filled its screen, in order."""
        return self._lines(f"{self.serialno}.shown.jsonl")

    def _lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.rack.journal / name).read_text().splitlines()]


@dataclass(kw_only=True)
class Rack:
    """Phones behind one adb server. ``next`` gives a phone that no test had before."""

    server: AdbServer
    journal: Path
    control_port: int
    pid: int = 0
    phones: list[Phone] = field(default_factory=list)

    def next(self) -> Phone:
        return self.phones.pop()

    def control(self, body: dict[str, Any]) -> Any:
        with (
            socket.create_connection(("127.0.0.1", self.control_port), timeout=10) as sock,
            sock.makefile("rw") as line,
        ):
            line.write(json.dumps(body) + "\n")
            line.flush()
            answer = json.loads(line.readline())
        assert answer["ok"], answer
        return answer.get("result")

    def until(self, wanted: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """The first snapshot of the server that fits."""
        tracker = Tracker(port=self.server.port)
        for snapshot in tracker.snapshots():
            if wanted(snapshot):
                return snapshot
        raise AssertionError("the tracker ended")


@contextmanager
def rack_of(count: int, base: Path, *options: str) -> Iterator[Rack]:
    """``count`` phones, connected. Ends everything it started."""
    command = [sys.executable, "-m", "phonefarm.vphone", "--phones", str(count), "--port-base", "0"]
    command += ["--control-port", "0", "--journal-dir", str(base / "journal"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, ExitStack() as ends:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            # its port is looked for after the phones have theirs, some of which would be the one that was free before
            server = AdbServer(port=free_port(), state_dir=base / "adb")
            ends.callback(server.stop)
            server.start()
            rack = Rack(server=server, journal=base / "journal", control_port=ready["control_port"], pid=process.pid)
            for phone in ready["phones"]:
                address = f"127.0.0.1:{phone['port']}"
                rack.phones.append(Phone(serialno=phone["serialno"], address=address, rack=rack))
                if "--auth" not in options:
                    server.connect(address)
            yield rack
        finally:
            process.terminate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AdbServer]:
    owner = AdbServer(port=free_port(), state_dir=tmp_path / "adb")
    yield owner
    owner.stop()


def test_users_port_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="5037"):
        AdbServer(port=5037, state_dir=tmp_path)


def test_bundled_binary_wins_over_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "adb"
    other.write_text("#!/bin/sh\nexit 0\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ADBUTILS_ADB_PATH", raising=False)
    assert "binaries" in adb_binary()
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(other))
    assert adb_binary() == str(other)


@pytest.mark.parametrize(
    ("given", "serial"),
    [("localhost:21000", "127.0.0.1:21000"), (" LocalHost:5 ", "127.0.0.1:5"), ("10.0.0.7:5555", "10.0.0.7:5555")],
)
def test_addresses_are_normalised(given: str, serial: str) -> None:
    assert normalise(given) == serial


def test_starts_stops_and_leaves_nothing(server: AdbServer) -> None:
    server.start()
    pid = server.pid
    assert pid is not None
    assert server.alive()
    assert server.devices() == []
    server.start()
    assert server.pid == pid
    server.stop()
    assert processes.started(pid) is None
    assert not server.alive()
    assert not server.pidfile.exists()


def test_runs_in_a_world_of_its_own(server: AdbServer) -> None:
    server.start()
    env = dict(
        pair.split("=", 1) for pair in Path(f"/proc/{server.pid}/environ").read_text().split("\0") if "=" in pair
    )
    assert env["HOME"] == str(server.state_dir / "home")
    assert (env["ADB_EMU"], env["ADB_MDNS"], env["ADB_LIBUSB"], env["ADB_REJECT_KILL_SERVER"]) == ("0", "0", "0", "1")
    assert (server.state_dir / "home").stat().st_mode & 0o777 == 0o700


@pytest.mark.fault(22)
def test_stray_kill_server_is_refused(server: AdbServer) -> None:
    server.start()
    pid = server.pid
    subprocess.run([adb_binary(), "-P", str(server.port), "kill-server"], check=False, capture_output=True, timeout=20)
    assert server.alive()
    assert server.pid == pid


@pytest.mark.fault(22)
def test_killed_server_is_seen_and_restarted(server: AdbServer) -> None:
    server.start()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    server.restart()
    assert server.alive()
    assert server.pid != pid


@pytest.mark.fault(22, 23)
def test_frozen_server_is_seen_and_replaced(server: AdbServer) -> None:
    server.start()
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert not server.alive(timeout=0.3)
    server.restart()
    assert server.alive()
    assert processes.started(pid) is None


def test_two_owners_at_once_make_one_server(server: AdbServer) -> None:
    owners = [server, *(AdbServer(port=server.port, state_dir=server.state_dir) for _ in range(3))]
    threads = [threading.Thread(target=owner.start) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {owner.pid for owner in owners} == {server.pid}
    assert all(owner.alive() for owner in owners)


def test_owner_that_was_killed_is_followed_by_one_that_takes_over(tmp_path: Path) -> None:
    """A first owner dies by SIGKILL right after its start; the second adopts the server and ends it."""
    port, state = free_port(), tmp_path / "adb"
    code = (
        "import os, sys; from pathlib import Path; from phonefarm.devices.adb_server import AdbServer\n"
        "AdbServer(port=int(sys.argv[1]), state_dir=Path(sys.argv[2])).start(); os.kill(os.getpid(), 9)"
    )
    first = subprocess.run([sys.executable, "-c", code, str(port), str(state)], check=False, timeout=50)
    assert first.returncode == -signal.SIGKILL
    second = AdbServer(port=port, state_dir=state)
    pid = second.pid
    assert pid is not None
    second.start()
    assert second.pid == pid
    second.stop()
    assert processes.started(pid) is None


def test_named_but_unmarked_server_is_adopted(server: AdbServer) -> None:
    """The owner died between the child's start and its own note of the start time."""
    server.start()
    pid = server.pid
    server.pidfile.write_text(f"{pid}\n")
    again = AdbServer(port=server.port, state_dir=server.state_dir)
    again.start()
    assert again.pid == pid
    assert " " in again.pidfile.read_text().strip()


def test_stranger_behind_an_old_pidfile_is_not_hit(server: AdbServer) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        server.state_dir.mkdir(parents=True)
        server.pidfile.write_text(f"{stranger.pid} {processes.started(stranger.pid)}\n")
        server.start()
        assert server.pid != stranger.pid
        assert stranger.poll() is None
        stranger.communicate(b"\n")


def test_reused_pid_is_not_ours(server: AdbServer) -> None:
    server.start()
    assert server.pid is not None
    tail = ["-P", str(server.port), "nodaemon", "server"]
    assert processes.is_ours(Mark(pid=server.pid), tail)
    assert not processes.is_ours(Mark(pid=server.pid, started="another boot:1"), tail)
    assert not processes.is_ours(Mark(pid=server.pid), ["-P", "1", "nodaemon", "server"])


@pytest.mark.fault(22)
def test_port_held_by_a_stranger_is_refused(tmp_path: Path) -> None:
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        owner = AdbServer(port=sock.getsockname()[1], state_dir=tmp_path / "adb")
        with pytest.raises(AdbServerDown, match="not ours"):
            owner.start()
        assert not owner.pidfile.exists()


@pytest.mark.fault(18)
def test_binary_that_ends_at_once_is_told(tmp_path: Path) -> None:
    owner = AdbServer(port=free_port(), state_dir=tmp_path / "adb", binary="/bin/false")
    with pytest.raises(AdbServerDown):
        owner.start()
    assert owner.pid is None


def test_nothing_to_connect_to(server: AdbServer) -> None:
    server.start()
    with pytest.raises(DeviceError):
        server.connect(f"127.0.0.1:{free_port()}")
    server.disconnect("127.0.0.1:1")


def test_questions_to_a_server_that_is_not_there(server: AdbServer) -> None:
    with pytest.raises(AdbServerDown):
        server.devices()
    with pytest.raises(AdbServerDown):
        list(Tracker(port=server.port).snapshots())


def test_connect_track_and_probe(tmp_path: Path) -> None:
    with rack_of(1, tmp_path) as rack:
        phone = rack.phones[0]
        assert rack.server.devices() == [(phone.address, "device")]
        assert rack.server.connect(phone.address.replace("127.0.0.1", "localhost")) == phone.address
        driver = phone.driver()
        facts = probe(driver)
        assert (facts.phone_id, facts.model) == (phone.serialno, "Pixel 8")
        assert facts.battery.level is not None
        assert facts.storage_total is not None
        assert identity(driver).phone_id == phone.serialno
        phone.do("offline")
        rack.until(lambda snapshot: snapshot.get(phone.address) == "offline")
        phone.do("online")
        rack.until(lambda snapshot: snapshot.get(phone.address) == "device")
        rack.server.disconnect(phone.address)
        assert rack.server.devices() == []


def test_three_hundred_phones_in_one_small_process(tmp_path: Path) -> None:
    with rack_of(300, tmp_path) as rack:
        assert [state for _, state in rack.server.devices()] == ["device"] * 300
        assert rack.phones[299].driver().sh(["echo", "x"], timeout=10).stdout == "x\n"
        status = Path(f"/proc/{rack.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        assert int(line.split()[1]) < 80 * 1024, line


def test_phone_that_boots_is_not_ready(tmp_path: Path) -> None:
    with rack_of(1, tmp_path, "--boot-seconds", "600", "--reboot-down-seconds", "0.05") as rack:
        phone = rack.phones[0]
        phone.do("reboot")
        rack.until(lambda snapshot: snapshot.get(phone.address) != "device")
        rack.until(lambda snapshot: snapshot.get(phone.address) == "device")
        with pytest.raises(DeviceError, match="booting") as caught:
            probe(phone.driver())
        assert caught.value.retryable
        assert identity(phone.driver()).phone_id == phone.serialno


@pytest.mark.fault(21)
def test_unauthorized_phone_is_told_apart(tmp_path: Path) -> None:
    with rack_of(1, tmp_path, "--auth") as rack:
        phone = rack.phones[0]
        with pytest.raises(DeviceUnauthorized):
            rack.server.connect(phone.address)
        with pytest.raises(DeviceUnauthorized):
            phone.driver().sh(["true"], timeout=10)
        while phone.do("accept_keys") == 0:
            pass  # the server says "unauthorized" before its key has reached the phone
        rack.until(lambda snapshot: snapshot.get(phone.address) == "device")
        assert phone.driver().sh(["echo", "ok"], timeout=10).stdout == "ok\n"


def test_tracker_ends_when_closed(server: AdbServer) -> None:
    server.start()
    tracker, seen, ended = Tracker(port=server.port), threading.Event(), threading.Event()

    def follow() -> None:
        for _ in tracker.snapshots():
            seen.set()
        ended.set()

    thread = threading.Thread(target=follow)
    thread.start()
    assert seen.wait(20)
    tracker.close()
    assert ended.wait(20)
    thread.join(20)
    assert list(tracker.snapshots()) == []


def test_tracker_tells_that_the_server_has_gone(server: AdbServer) -> None:
    server.start()
    snapshots = Tracker(port=server.port).snapshots()
    assert next(snapshots) == {}
    server.stop()
    with pytest.raises(AdbServerDown):
        next(snapshots)
