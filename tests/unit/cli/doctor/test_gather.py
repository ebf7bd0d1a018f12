"""The gatherers on folders that look like /sys, /etc and /proc, on real sockets, and on a state directory."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from phonefarm.cli.doctor import gather, kernel
from phonefarm.cli.doctor.facts import File
from phonefarm.cli.doctor.phones import is_phone
from phonefarm.cli.doctor.sockets import listening, program, read_address, uses_of
from phonefarm.cli.doctor.usbtree import read_rules, rule_files, usb_devices
from phonefarm.cli.statedir import STOPPED, FarmFile, StateDir, mark_of, write_private

pytestmark = pytest.mark.timeout(60)

#: Lines of Debian's rules for phones (android-sdk-platform-tools-common 28.0.2), of libmtp's, of newer systemd's.
DEBIAN = """# These rules refer: https://developer.android.com/studio/run/device.html
SUBSYSTEM!="usb", GOTO="android_usb_rules_end"
SUBSYSTEM=="usb", ATTR{idVendor}=="19d2", ATTR{idProduct}=="1351", ENV{adb_user}="yes"
SUBSYSTEM=="usb", ATTR{idVendor}=="2b4c", ENV{adb_user}="yes"
# SUBSYSTEM=="usb", ATTR{idVendor}=="dead", ENV{adb_user}="yes"
ENV{adb_user}=="yes", MODE="0660", GROUP="plugdev", TAG+="uaccess"
"""
MTP = 'ATTR{idVendor}=="04e8", ATTR{idProduct}=="6860", SYMLINK+="libmtp-%k", MODE="660", GROUP="audio"\n'
SYSTEMD = 'SUBSYSTEM=="usb", ENV{ID_USB_INTERFACES}=="*:ff4201:*", TAG+="uaccess"\n'
OTHER = 'SUBSYSTEM=="usb", ATTR{idVendor}=="0403", MODE="0660", GROUP="dialout"\n'


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def plug(sys: Path, name: str, **files: str) -> None:
    for file, text in files.items():
        write(sys / "bus/usb/devices" / name / file.replace("__", "/"), text)


@pytest.fixture
def sys(tmp_path: Path) -> Path:
    """A root hub on a PCI controller, a hub without power of its own, a phone on it, a mouse."""
    root = tmp_path / "sys"
    (root / "devices/pci0000:00/0000:00:14.0/usb1").mkdir(parents=True)
    (root / "bus/usb/devices").mkdir(parents=True)
    (root / "bus/usb/devices/usb1").symlink_to(root / "devices/pci0000:00/0000:00:14.0/usb1")
    plug(root, "1-2", idVendor="05e3", bDeviceClass="09", bmAttributes="a0", bMaxPower="100mA", speed="480")
    plug(root, "1-2:1.0", bInterfaceClass="09", bNumEndpoints="01")
    plug(
        root,
        "1-2.4",
        idVendor="18D1",
        idProduct="4ee7",
        serial="R58M12ABCDE",
        manufacturer="A maker",
        product="A phone",
        speed="5000",
        bmAttributes="80",
        bMaxPower="896mA",
        bDeviceClass="00",
        power__control="auto",
    )
    plug(root, "1-2.4:1.0", bInterfaceClass="06", bInterfaceSubClass="01", bInterfaceProtocol="01", bNumEndpoints="03")
    plug(root, "1-2.4:1.1", bInterfaceClass="ff", bInterfaceSubClass="42", bInterfaceProtocol="01", bNumEndpoints="02")
    plug(root, "1-3", idVendor="046d", speed="1.5", bmAttributes="a0", bMaxPower="98mA", bDeviceClass="00")
    return root


def test_the_usb_tree_is_read(sys: Path) -> None:
    hub, phone, mouse = usb_devices(sys)
    assert (hub.name, hub.hub, hub.self_powered, hub.power_ma, hub.endpoints) == ("1-2", True, False, 100, 2)
    assert (phone.vendor, phone.usb_id, phone.serial, phone.label) == (
        "18d1", "18d1:4ee7", "R58M12ABCDE", "A maker A phone",
    )  # fmt: skip
    assert (phone.adb, phone.speed, phone.power_ma, phone.endpoints) == (True, 5000.0, 896, 6)
    assert phone.autosuspend
    assert phone.parent == "1-2"
    assert {one.controller for one in (hub, phone, mouse)} == {"0000:00:14.0"}
    assert (mouse.speed, mouse.parent, mouse.autosuspend, mouse.hubs_above) == (1.5, "usb1", False, 0)
    assert [is_phone(one) for one in (hub, phone, mouse)] == [False, True, False]
    assert usb_devices(sys / "nowhere") == ()


def test_rules_of_phones_are_told_from_others(tmp_path: Path) -> None:
    etc, lib = tmp_path / "etc", tmp_path / "lib"
    write(lib / "51-android.rules", DEBIAN)
    write(lib / "69-libmtp.rules", MTP)
    write(lib / "60-serial.rules", OTHER)
    write(lib / "README", DEBIAN)
    (rules,) = rule_files((etc, lib))
    assert (rules.path, rules.group, rules.uaccess, rules.any_adb) == (
        str(lib / "51-android.rules"), "plugdev", True, False,
    )  # fmt: skip
    assert rules.ids == {"19d2:1351", "2b4c"}
    write(etc / "51-android.rules", "# nothing")
    assert rule_files((etc, lib)) == (), "a file in /etc hides its namesake"


def test_newer_rules_match_adb_s_interface() -> None:
    rules = read_rules("70-uaccess.rules", SYSTEMD)
    assert rules is not None
    assert (rules.any_adb, rules.uaccess, rules.group) == (True, True, None)
    assert read_rules("51-android.rules", DEBIAN.replace("ENV{adb_user}==", "#")) is None, "it gives phones to nobody"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", "0.0.0.0"),
        ("0A02000A", "10.0.2.10"),
        ("00000000000000000000000000000000", "::"),
        ("00000000000000000000000001000000", "::1"),
        ("0000000000000000FFFF00000100007F", "127.0.0.1"),
        ("B80D0120000000000000000001000000", "2001:db8::1"),
    ],
)
def test_addresses_of_proc_net(text: str, address: str) -> None:
    assert read_address(text) == address


def test_listening_sockets_of_a_process_are_found_with_their_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        port, second = one.getsockname()[1], other.getsockname()[1]
        found = {socket.port: socket for socket in listening([os.getpid()], {port: "http"})}
        assert (found[port].address, found[port].use) == ("127.0.0.1", "http")
        assert found[second].use == "ray"
    assert port not in {socket.port for socket in listening([os.getpid()], {})}
    assert listening([2**22 + 1], {}) == ()


def test_ports_of_farm_json_and_their_rows() -> None:
    uses = uses_of({"http": 8000, "replica_http": 21_000, "dashboard": 21_100})
    assert (uses[8000], uses[21_000], uses[21_031], uses[21_100]) == (
        "http", "replica_http", "replica_http", "dashboard",
    )  # fmt: skip
    assert 21_032 not in uses


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["/x/gcs_server", "--log"], "gcs_server"),
        (["ray::ServeReplica:phonefarm:http"], "ray::ServeReplica:phonefarm:http"),
        (["/usr/bin/python3.11", "-u", "/x/ray/dashboard/agent.py", "--a"], "agent.py"),
        (["python", "-m", "phonefarm.cli", "up"], "phonefarm.cli"),
        ([], "a process that has ended"),
    ],
)
def test_names_of_programs(words: list[str], name: str) -> None:
    assert program(words) == name


def test_limits_of_control_groups(tmp_path: Path) -> None:
    write(tmp_path / "proc/7/cgroup", "0::/farm.slice/phonefarm.service")
    write(tmp_path / "proc/meminfo", "MemTotal:       16384000 kB\nMemFree: 1 kB")
    write(tmp_path / "sys/fs/cgroup/farm.slice/pids.max", "4096")
    write(tmp_path / "sys/fs/cgroup/farm.slice/phonefarm.service/pids.max", "max")
    write(tmp_path / "sys/fs/cgroup/farm.slice/phonefarm.service/memory.max", "2147483648")
    assert kernel.most_tasks(7, tmp_path) == 4096
    assert kernel.memory(7, tmp_path) == 2 * 1024**3
    assert kernel.most_tasks(8, tmp_path) is None
    assert kernel.memory(8, tmp_path) == 16_384_000 * 1024


def test_the_disk_of_a_place_that_is_not_there_yet(tmp_path: Path) -> None:
    disk = kernel.disk(tmp_path / "not" / "yet", "something")
    stat = os.statvfs(tmp_path)
    assert disk is not None
    assert (disk.total, disk.total_inodes) == (stat.f_blocks * stat.f_frsize, stat.f_files)
    assert disk.kind != "unknown"
    proc = kernel.disk(Path("/proc/self"), "x")
    assert proc is not None
    assert proc.kind == "proc"


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    made = StateDir(tmp_path / "farm")
    made.open()
    return made


def test_this_machine_is_looked_at(state: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "etc/farm.env", "PHONEFARM_API_KEY=x")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a token")
    write_private(state.api_key_file, "x")
    state.farm_json.write_text("{}")
    state.farm_json.chmod(0o644)
    key = state.path / "adb/local/home/.android/adbkey"
    write(key, "a key")
    key.chmod(0o640)
    seen = gather.machine(state, state.read(), phones=3, config=tmp_path / "etc")
    assert seen.phones >= 3
    assert {Path(file.path).name: file.mode for file in seen.state} == {
        "farm": 0o700,
        "api_key": 0o600,
        "farm.json": 0o644,
    }
    assert all(file.ours for file in seen.state)
    assert [file for file in seen.adb.keys] == [File(path=str(key), mode=0o640)]
    assert seen.environment == {"RAY_AUTH_TOKEN"}
    assert (tmp_path / "etc/farm.env").stat().st_mode & 0o077 == seen.open_files[0].mode & 0o077
    assert seen.listening == (), "nothing of a farm runs, so no other farm's ports are looked at"
    assert seen.versions.ray.startswith("2.60.")
    assert seen.memory > 0
    assert {disk.use for disk in seen.disks} >= {"the farm's state", "Ray's files"}


def test_a_password_in_a_command_line_is_found_and_not_repeated(state: StateDir) -> None:
    """A process that carries the farm's cookie, with a URL among its words."""
    import subprocess
    import sys

    words = [sys.executable, "-c", "input()", "--db", "postgresql+psycopg://farm:s3cret@db/farm"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        farm = FarmFile(state=STOPPED, cookie="c" * 32, supervisor=mark_of(child.pid))
        seen = gather.machine(state, farm)
        child.communicate(b"\n")
    (shown,) = seen.passwords_shown
    assert "farm:***@db" in shown
    assert "s3cret" not in shown


def test_a_foreign_owner_is_seen(state: StateDir) -> None:
    if os.geteuid() != 0:
        owner = os.geteuid() + 1
        assert gather.file_at(state.path, owner) == File(path=str(state.path), mode=0o700, ours=False)
        return
    (state.path / "logs").chmod(0o700)
    os.chown(state.path / "logs", 12345, -1)
    seen = gather.machine(state, state.read())
    assert [Path(file.path).name for file in seen.state if not file.ours] == ["logs"]
    assert stat.S_IMODE(state.path.stat().st_mode) == 0o700
