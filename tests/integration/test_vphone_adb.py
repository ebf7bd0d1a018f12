"""The virtual phone against real adb servers (the bundled one and Debian's 29.0.6), with the command line and with
adbutils, with and without bursts (delayed_ack).

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

from phonefarm.devices.adb_server import adb_binary
from phonefarm.devices.driver import Driver
from phonefarm.devices.handset import Handset
from phonefarm.errors import BadScreen, PhoneFarmError
from phonefarm.vphone.host import HostConfig, VPhoneHost
from phonefarm.vphone.phone import VPhone

pytestmark = pytest.mark.timeout(60)

PATIENCE = 20.0
"""Seconds that ``eventually`` waits."""


def eventually(what: str, check: Callable[[], bool], instead: Callable[[], object] = lambda: "nothing") -> None:
    """Poll until ``check`` holds; fails after ``PATIENCE`` seconds and says what there is ``instead``."""
    pause = threading.Event()
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, f"never happened: {what}; there is {instead()}"
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
    binary: str

    def adb(self, *args: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run the adb command line against this server."""
        command = [self.binary, "-P", str(self.port), *args]
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
        """Connect a phone and wait until it is a device. One that adb has let go of is dialled again, as a farm's host
        does: a connection that is about to end makes adb say that it is connected already."""

        def there() -> bool:
            if (state := self.state(phone)) == "":
                self.client().connect(address(phone), timeout=10)
            return state == "device"

        eventually("state device", there, lambda: self.client().list())
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


def debian_adb() -> str:
    """Debian's adb, unpacked beside the environment of the tests. Skips, saying why, where it cannot be had."""
    root = Path(__file__).parents[2]
    command = ["sh", str(root / "scripts" / "debian_adb.sh"), str(root / ".venv" / "debian-adb")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(done.stderr.strip())
    return done.stdout.strip()


@pytest.fixture(scope="module", params=["bundled-plain", "bundled-burst", "debian-plain", "debian-burst"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One adb server and three phones, for all tests of a mode."""
    kind, _, mode = request.param.partition("-")
    binary = adb_binary() if kind == "bundled" else debian_adb()
    home = tmp_path_factory.mktemp("adb-home")
    port = _free_port()
    command = [binary, "-P", str(port), "nodaemon", "server"]
    quiet = subprocess.DEVNULL
    env = _env(home, mode == "burst")
    server = subprocess.Popen(command, env=env, stdin=quiet, stdout=quiet, stderr=quiet)
    config = HostConfig(phones=3, reboot_down_seconds=0.2, boot_seconds=0.1, journal_dir=home / "journal", seed=11)
    rack = Rack(config)
    try:
        rack.start()
        eventually("adb server up", lambda: _listens(port) and _answers(port))
        yield Lab(rack=rack, port=port, home=home, binary=binary)
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


class Echo(threading.Thread):
    """A service of this machine: answers one line in capitals."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.start()

    def run(self) -> None:
        with self._listener:
            conn, _ = self._listener.accept()
            with conn, conn.makefile("rwb") as line:
                line.write(line.readline().upper())


def test_the_phone_reaches_the_host_by_reverse(lab: Lab, phone: VPhone) -> None:
    """``adb reverse``: listed, used from the phone's shell, taken back."""
    echo = Echo()
    assert lab.on(phone, "reverse", "tcp:7001", f"tcp:{echo.port}").returncode == 0
    assert f"tcp:7001 tcp:{echo.port}".encode() in lab.on(phone, "reverse", "--list").stdout
    assert lab.on(phone, "shell", "echo hello | nc localhost 7001").stdout == b"HELLO\n"
    free = lab.on(phone, "reverse", "tcp:0", f"tcp:{echo.port}").stdout.strip()
    assert free.isdigit()
    assert lab.on(phone, "reverse", "--remove", "tcp:7001").returncode == 0
    assert lab.on(phone, "reverse", "--remove", "tcp:7001").returncode == 1
    assert lab.on(phone, "reverse", "--remove-all").returncode == 0
    assert b"tcp:" not in lab.on(phone, "reverse", "--list").stdout
    refused = lab.on(phone, "shell", "nc localhost 7001")
    assert (refused.returncode, refused.stderr) == (1, b"nc: connect: Connection refused\n")


def test_a_host_that_hangs_up_takes_its_reversed_sockets_along(lab: Lab, phone: VPhone) -> None:
    """What was reversed ends with the connection."""
    assert lab.on(phone, "reverse", "tcp:7002", "tcp:1").returncode == 0
    lab.adb("disconnect", address(phone))
    lab.connect(phone)
    assert b"tcp:7002" not in lab.on(phone, "reverse", "--list").stdout


@pytest.mark.parametrize("name", ["tcp:7003", "localabstract:talk"])
def test_the_host_reaches_the_phone_by_forward(lab: Lab, phone: VPhone, name: str) -> None:
    """``adb forward`` to what listens in the phone's shell; 1 MB back."""
    port = int(lab.on(phone, "forward", "tcp:0", name).stdout)
    listen = "nc -l -p 7003" if name.startswith("tcp") else "nc -U -l talk"
    command = [lab.binary, "-P", str(lab.port), "-s", address(phone), "shell", f"cat /sdcard/big | {listen} | wc -c"]
    lab.on(phone, "shell", "head -c 1000000 /dev/zero > /sdcard/big")
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=_env(lab.home)) as waiting:
        eventually("it listens", lambda: name in phone.android.sockets._waiting)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as conn:
            conn.sendall(b"x" * 300_000)
            got = 0
            while got < 1_000_000:
                got += len(conn.recv(65536))
        assert waiting.communicate(timeout=20)[0].strip() == b"300000"
    assert got == 1_000_000
    lab.on(phone, "forward", "--remove", f"tcp:{port}")


def test_nothing_listens(lab: Lab, phone: VPhone) -> None:
    """The connection ends at once, as on a phone where nobody listens."""
    port = int(lab.on(phone, "forward", "tcp:0", "tcp:7999").stdout)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as conn:
        assert conn.recv(1) == b""
    lab.on(phone, "forward", "--remove", f"tcp:{port}")


def test_bugreport_is_a_zip(lab: Lab, phone: VPhone, tmp_path: Path) -> None:
    """``adb bugreport FILE``: the zip that ``bugreportz`` made, pulled."""
    target = tmp_path / "report.zip"
    done = lab.on(phone, "bugreport", str(target))
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(target) as archive:
        main = archive.read("main_entry.txt").decode()
        assert b"DUMP OF SERVICE battery" in archive.read(main)


def test_logcat_formats_filters_and_following(lab: Lab, phone: VPhone) -> None:
    """Known formats and tags; a line that is written later arrives."""
    lab.rack.do(lambda: phone.android.note("W", "Soup", "is hot", 42))
    lab.rack.do(lambda: phone.android.note("I", "Bread", "is warm", 43))
    assert (
        lab.on(phone, "logcat", "-d", "-v", "brief", "Soup:W", "*:S").stdout.splitlines()[-1]
        == b"W/Soup(   42): is hot"
    )
    assert lab.on(phone, "logcat", "-d", "-v", "raw", "-s", "Bread").stdout.endswith(b"\nis warm\n")
    assert b"is warm" not in lab.on(phone, "logcat", "-d", "*:W").stdout
    command = [lab.binary, "-P", str(lab.port), "-s", address(phone), "logcat", "-v", "tag", "-s", "Later"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=_env(lab.home)) as following:
        assert following.stdout is not None
        assert following.stdout.readline().startswith(b"---")
        lab.rack.do(lambda: phone.android.note("E", "Later", "now", 44))
        assert following.stdout.readline().strip() == b"E/Later: now"
        following.terminate()


def _look(lab: Lab, phone: VPhone, seconds: float = 1.5) -> str:
    """What phonefarm's driver makes of the phone: ``ok``, or the name of its error."""
    try:
        return "ok" if Driver(port=lab.port, serial=address(phone)).sh(["echo", "x"], timeout=seconds).ok else "rc"
    except PhoneFarmError as error:
        return type(error).__name__


def _lock_out(phone: VPhone) -> None:
    phone.require_auth(True)
    phone.drop()


def _let_in(phone: VPhone) -> None:
    phone.accept_keys()
    phone.require_auth(False)


WIRE_FAULTS: dict[str, tuple[Callable[[VPhone], object], Callable[[VPhone], object], set[str], set[str]]] = {
    # fault: (on, off, adb's states while it lasts, errors of a command while it lasts)
    "hang": (lambda p: p.hang(True), lambda p: p.hang(False), {"device"}, {"DeviceTimeout"}),
    "offline": (lambda p: p.offline(True), lambda p: p.offline(False), {"offline", ""}, {"DeviceError", "DeviceLost"}),
    "kill": (lambda p: p.kill(), lambda p: p.revive(), {"offline", ""}, {"DeviceError", "DeviceLost"}),
    "drop": (lambda p: p.drop(), lambda p: None, {"device"}, {"ok"}),
    "reset": (lambda p: p.reset(), lambda p: None, {"device"}, {"ok"}),
    "require_auth": (
        _lock_out,
        _let_in,
        {"unauthorized"},
        {"DeviceUnauthorized"},
    ),
}


@pytest.mark.parametrize("fault", WIRE_FAULTS)
def test_the_fault_table_of_the_wire(lab: Lab, fault: str) -> None:
    """Each fault: adb's state, the driver's named error, and that all is well after it."""
    phone = lab.rack.host.phones["VP000001"]
    lab.connect(phone)
    on, off, states, errors = WIRE_FAULTS[fault]
    lab.rack.do(lambda: on(phone))
    try:
        eventually(f"{fault}: a state of {states}", lambda: lab.state(phone) in states)
        eventually(f"{fault}: an error of {errors}", lambda: _look(lab, phone) in errors)
    finally:
        lab.rack.do(lambda: off(phone))
    lab.adb("disconnect", address(phone))
    lab.connect(phone)
    eventually("it answers again", lambda: _look(lab, phone) == "ok")


SCREEN_FAULTS = {
    "no_idle": "could not get idle state",
    "null_root": "null root node",
}


@pytest.mark.parametrize("fault", SCREEN_FAULTS)
def test_the_fault_table_of_the_screen(lab: Lab, phone: VPhone, fault: str) -> None:
    """A dump that fails with exit code 0 is BadScreen, never an old screen; then the screen is read again."""
    hands = Handset(shell=Driver(port=lab.port, serial=address(phone)), stop=_Never(), pause=lambda seconds: None)
    hands.look()
    lab.rack.do(lambda: phone.android.faults.set(fault))
    with pytest.raises(BadScreen, match=SCREEN_FAULTS[fault]):
        hands.look()
    lab.rack.do(phone.android.faults.clear)
    assert hands.look().packages


class _Never:
    def check(self) -> None:
        return None
