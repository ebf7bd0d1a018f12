"""The virtual phone against the real adb server, with the command line and with adbutils, and with and without bursts.

Every test module run has servers of its own on free ports, each with its own HOME; they are stopped by their process.
"""

import asyncio
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import adbutils  # type: ignore[import-untyped]
import pytest

from phonefarm.vphone.host import HostConfig, VPhoneHost
from phonefarm.vphone.phone import VPhone

pytestmark = pytest.mark.timeout(60)

PATIENCE = 20.0
"""Seconds that ``eventually`` waits."""


def eventually(what: str, check: Callable[[], bool]) -> None:
    """Poll until ``check`` holds; fails after ``PATIENCE`` seconds."""
    pause = threading.Event()
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, f"never happened: {what}"
        pause.wait(0.02)


class Rack:
    """A host of virtual phones in a thread with its own event loop."""

    def __init__(self, config: HostConfig) -> None:
        self.host = VPhoneHost(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self) -> None:
        """Start the thread and the phones."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.host.start(), self._loop).result(10)

    def stop(self) -> None:
        """Stop the phones and the thread."""
        asyncio.run_coroutine_threadsafe(self.host.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def do(self, action: Callable[[], object]) -> None:
        """Run ``action`` in the phones' loop and wait for it."""

        async def run() -> None:
            action()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)


@dataclass(frozen=True, kw_only=True)
class Lab:
    """An adb server, phones, and both ways to talk to them."""

    rack: Rack
    port: int
    home: Path

    def adb(self, *args: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run the adb command line against this server."""
        command = [adbutils.adb_path(), "-P", str(self.port), *args]
        given = subprocess.DEVNULL if stdin is None else None
        return subprocess.run(
            command, capture_output=True, timeout=40, check=False, env=_env(self.home), stdin=given, input=stdin
        )

    def on(self, phone: VPhone, *args: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """The same for one phone."""
        return self.adb("-s", address(phone), *args, stdin=stdin)

    def client(self) -> adbutils.AdbClient:
        """An adbutils client of this server."""
        return adbutils.AdbClient(host="127.0.0.1", port=self.port, socket_timeout=20)

    def connect(self, phone: VPhone) -> adbutils.AdbDevice:
        """Connect a phone and wait until it is a device."""
        self.client().connect(address(phone), timeout=10)
        eventually("state device", lambda: self.state(phone) == "device")
        return self.client().device(serial=address(phone))

    def state(self, phone: VPhone) -> str:
        """What the server thinks of a phone; empty when it does not know it."""
        states = {str(item.serial): str(item.state) for item in self.client().list()}
        return states.get(address(phone), "")


def address(phone: VPhone) -> str:
    """Host and port, as adb names it."""
    return f"127.0.0.1:{phone.port}"


def _env(home: Path, burst: bool = False) -> dict[str, str]:
    """A clean environment for adb: nothing of the person's own adb."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ADB", "ANDROID"))}
    own = {"HOME": str(home), "TMPDIR": str(home), "ADB_LIBUSB": "0", "ADB_EMU": "0", "ADB_MDNS": "0"}
    return kept | own | ({"ADB_BURST_MODE": "1"} if burst else {})


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        adbutils.AdbClient(host="127.0.0.1", port=port, socket_timeout=2).server_version()
    except adbutils.AdbError:
        return False
    return True


@pytest.fixture(scope="module", params=["plain", "burst"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One adb server and three phones, for all tests of a mode."""
    home = tmp_path_factory.mktemp("adb-home")
    port = _free_port()
    command = [adbutils.adb_path(), "-P", str(port), "nodaemon", "server"]
    quiet = subprocess.DEVNULL
    env = _env(home, request.param == "burst")
    server = subprocess.Popen(command, env=env, stdin=quiet, stdout=quiet, stderr=quiet)
    config = HostConfig(phones=3, reboot_down_seconds=0.2, boot_seconds=0.1, journal_dir=home / "journal", seed=11)
    rack = Rack(config)
    try:
        rack.start()
        eventually("adb server up", lambda: _listens(port) and _answers(port))
        yield Lab(rack=rack, port=port, home=home)
    finally:
        rack.stop()
        server.terminate()
        server.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def phone(lab: Lab) -> VPhone:
    """The first phone, connected."""
    found = lab.rack.host.phones["VP000001"]
    lab.connect(found)
    return found


def test_connect_and_identity(lab: Lab, phone: VPhone) -> None:
    """State ``device``, and the identity is the phone's own, not its address."""
    listing = lab.adb("devices", "-l").stdout.decode()
    assert f"{address(phone)}" in listing
    assert "product:shiba model:Pixel_8 device:shiba" in listing
    assert lab.on(phone, "shell", "getprop", "ro.serialno").stdout == b"VP000001\n"


def test_exit_code_and_channels_apart(lab: Lab, phone: VPhone) -> None:
    """Output, errors and exit code, by the command line and by adbutils."""
    done = lab.on(phone, "shell", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    result = lab.connect(phone).shell2("echo out; echo err >&2; exit 7", v2=True)
    assert (result.returncode, result.stdout, result.stderr) == (7, "out\n", "err\n")
    missing = lab.on(phone, "shell", "nope")
    assert (missing.returncode, missing.stderr) == (127, b"/system/bin/sh: nope: inaccessible or not found\n")


def test_streams_of_input(lab: Lab, phone: VPhone) -> None:
    """Standard input of shell, exec-in, and an interactive terminal."""
    data = bytes(range(256)) * 2000
    assert lab.on(phone, "shell", "md5sum", stdin=data).stdout == f"{hashlib.md5(data).hexdigest()}  -\n".encode()
    lab.on(phone, "exec-in", "cat > /sdcard/in.bin", stdin=data)
    eventually("file written", lambda: lab.on(phone, "exec-out", "cat /sdcard/in.bin").stdout == data)
    assert lab.on(phone, "shell", stdin=b"echo a\nexit 5\n").returncode == 5
    terminal = lab.on(phone, "shell", "-tt", stdin=b"echo $((6*7))\nexit 4\n")
    assert terminal.returncode == 4
    assert b"42\r\n" in terminal.stdout


@pytest.mark.parametrize("text", ["'; reboot #", "$(reboot)", "a\nb", "\U0001f600", "%s", '"$HOME" `id`'])
def test_quoted_text_arrives_exactly(lab: Lab, phone: VPhone, text: str) -> None:
    """adbutils quotes a list of words; the phone gives each back as it was."""
    device = lab.connect(phone)
    assert device.shell(["printf", "%s", text], rstrip=False) == text


def test_push_and_pull(lab: Lab, phone: VPhone, tmp_path: Path) -> None:
    """5 MB there and back by the command line (v2) and by adbutils (v1), into a folder that did not exist."""
    data = os.urandom(5_000_000)
    (tmp_path / "big").write_bytes(data)
    pushed = lab.on(phone, "push", str(tmp_path / "big"), "/sdcard/new/folder/big")
    assert pushed.returncode == 0, pushed
    digest = lab.on(phone, "shell", "md5sum -b /sdcard/new/folder/big").stdout.decode().strip()
    assert digest == hashlib.md5(data).hexdigest()
    assert lab.on(phone, "pull", "/sdcard/new/folder/big", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_bytes() == data
    device = lab.connect(phone)
    device.sync.push(data, "/sdcard/v1")
    assert device.sync.read_bytes("/sdcard/v1") == data
    refused = lab.on(phone, "push", str(tmp_path / "big"), "/system/big")
    assert refused.returncode != 0
    assert b"Permission denied" in refused.stderr + refused.stdout


def test_listing_files(lab: Lab, phone: VPhone) -> None:
    """``ls`` over sync, by both clients; and stat of what is not there."""
    device = lab.connect(phone)
    device.sync.push(b"12345", "/sdcard/Download/five")
    names = {info.path: info.size for info in device.sync.list("/sdcard/Download")}
    assert names["five"] == 5
    assert b"five" in lab.on(phone, "ls", "/sdcard/Download").stdout
    assert device.sync.stat("/sdcard/none").size == 0
    assert not device.sync.exists("/sdcard/none")


def test_screenshots(lab: Lab, phone: VPhone) -> None:
    """``exec-out screencap -p`` is a PNG; the frame buffer has the same size."""
    png = lab.on(phone, "exec-out", "screencap", "-p").stdout
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    device = lab.connect(phone)
    assert device.screenshot(error_ok=False).size == (1080, 2400)
    assert device.framebuffer().size == (1080, 2400)
    assert device.window_size() == (1080, 2400)


def test_driving_the_app(lab: Lab, phone: VPhone) -> None:
    """adbutils' own helpers work on the feed app."""
    device = lab.connect(phone)
    device.app_stop("org.phonefarm.feed")
    device.app_start("org.phonefarm.feed")
    assert device.app_current().package == "org.phonefarm.feed"
    device.click(990, 170)
    device.send_keys("street food")
    device.keyevent("ENTER")
    dump = device.dump_hierarchy()
    assert dump.count("org.phonefarm.feed:id/result_row") == 8
    assert 'text="street food"' in dump
    info = device.app_info("org.phonefarm.feed")
    assert info is not None
    assert info.version_name == "1.4.2"


def test_many_threads_do_not_cross(lab: Lab) -> None:
    """32 threads, 30 different echoes each, over three phones."""
    devices = [lab.connect(phone) for phone in lab.rack.host.phones.values()]

    def echoes(thread: int) -> list[str]:
        device = devices[thread % len(devices)]
        wanted = [f"thread {thread} line {number}" for number in range(30)]
        return [text for text in wanted if device.shell(["echo", text]) != text]

    with ThreadPoolExecutor(32) as pool:
        assert [wrong for found in pool.map(echoes, range(32)) for wrong in found] == []


def test_a_closed_command_is_killed(lab: Lab, phone: VPhone) -> None:
    """The host hangs up on ``yes``: the journal shows it without an exit code."""
    journal = lab.home / "journal" / "VP000001.jsonl"
    stream = lab.connect(phone).shell("yes endless", stream=True)
    assert stream.read(4) == b"endl"
    stream.close()
    eventually("killed", lambda: '"command": "yes endless", "rc": null' in journal.read_text())


def test_drop_and_return(lab: Lab, phone: VPhone) -> None:
    """A dropped connection comes back by itself."""
    lab.rack.do(phone.drop)
    eventually("back", lambda: lab.state(phone) == "device" and _echoes(lab, phone))


def test_reboot_returns(lab: Lab) -> None:
    """Gone, then back, then booted; apps are closed and files stay."""
    phone = lab.rack.host.phones["VP000002"]
    device = lab.connect(phone)
    device.shell("echo kept > /sdcard/kept; am start -n org.phonefarm.feed/.MainActivity")
    lab.on(phone, "reboot")
    eventually("gone", lambda: lab.state(phone) != "device")
    eventually("back", lambda: lab.state(phone) == "device" and _echoes(lab, phone))
    eventually("booted", lambda: device.shell("getprop sys.boot_completed") == "1")
    assert device.shell("cat /sdcard/kept") == "kept"
    assert device.shell("pidof org.phonefarm.feed") == ""


def _echoes(lab: Lab, phone: VPhone) -> bool:
    done = lab.on(phone, "shell", "echo ok")
    return done.stdout == b"ok\n"


def test_authorisation(lab: Lab) -> None:
    """Unauthorized until a person accepts the key; then the real signature is verified at the next connection."""
    phone = lab.rack.host.phones["VP000003"]
    lab.adb("disconnect", address(phone))
    lab.rack.do(lambda: phone.require_auth(True))
    lab.adb("connect", address(phone))
    eventually("unauthorized", lambda: lab.state(phone) == "unauthorized")
    eventually("key shown", lambda: bool(phone.gate.pending))
    lab.rack.do(phone.accept_keys)
    eventually("accepted", lambda: lab.state(phone) == "device")
    lab.rack.do(phone.drop)
    eventually("signed in", lambda: lab.state(phone) == "device" and _echoes(lab, phone))
    lab.rack.do(lambda: phone.require_auth(False))


def test_install(lab: Lab, phone: VPhone, tmp_path: Path) -> None:
    """``adb install`` of a little APK, and of something that is none."""
    with zipfile.ZipFile(tmp_path / "a.apk", "w") as archive:
        archive.writestr("AndroidManifest.xml", '<manifest package="org.example.tiny" android:versionCode="3"/>')
    done = lab.on(phone, "install", str(tmp_path / "a.apk"))
    assert b"Success" in done.stdout, done
    assert b"package:/data/app/" in lab.on(phone, "shell", "pm path org.example.tiny").stdout
    (tmp_path / "b.apk").write_bytes(b"not an apk")
    assert lab.on(phone, "install", str(tmp_path / "b.apk")).returncode != 0
    assert b"Success" in lab.on(phone, "uninstall", "org.example.tiny").stdout


def test_a_process_of_phones_starts_and_ends_cleanly(tmp_path: Path) -> None:
    """``python -m phonefarm.vphone``: a ready line, a ready file, control, and an end on SIGTERM."""
    command = [sys.executable, "-m", "phonefarm.vphone", "--phones", "2", "--port-base", "0", "--control-port", "0"]
    ready = tmp_path / "ready"
    process = subprocess.Popen([*command, "--ready-file", str(ready)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith(b'{"event":"ready","phones":[{"serialno":"VP000001","port":')
    assert ready.read_bytes() == line
    port = int(line.rsplit(b":", 1)[1].rstrip(b"}\n"))
    with socket.create_connection(("127.0.0.1", port), timeout=5) as control:
        control.sendall(b'{"phone":"VP000002","do":"set_battery","level":12}\n{"phone":"x","do":"drop"}\n')
        answers = control.makefile("rb")
        assert answers.readline() == b'{"ok": true}\n'
        assert b'"ok": false' in answers.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
