"""Android's commands as other people's tools call them: installing, permissions, services, locks, processes.

Each was first seen to be asked for by a client that is not part of this project (adbkit, appium-adb, ppadb, adb-shell,
ya-webadb); what they parse is what is tested, without them.
"""

import io
import re
import shlex
import struct
import zipfile

import pytest

from phonefarm.vphone.phone import PhoneConfig, VPhone
from phonefarm.vphone.shell.outcome import run_command

pytestmark = pytest.mark.timeout(60)

FEED = "org.phonefarm.feed"
OPEN = f"am start -n {FEED}/.MainActivity >/dev/null"


def apk(package: str = "org.example.a", code: int = 3, **more: str) -> bytes:
    """A little APK with a manifest as text; ``more`` are attributes."""
    words = "".join(f' {name}="{value}"' for name, value in more.items())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("AndroidManifest.xml", f'<manifest package="{package}" android:versionCode="{code}"{words}/>')
    return packed.getvalue()


class Shell:
    """One phone and what it says."""

    def __init__(self) -> None:
        self.phone = VPhone(PhoneConfig(serialno="VP000001"))

    async def __call__(self, command: str, stdin: bytes = b"") -> str:
        """Output and errors of a command, and its exit code if that is not 0."""
        done = await run_command(self.phone, f"{{ {command}\n}} 2>&1", stdin)
        text = done.out.decode().strip()
        return f"{text} [{done.rc}]".strip() if done.rc else text

    async def install(self, data: bytes, *options: str) -> str:
        """``pm install`` from standard input."""
        return await self(f"pm install {' '.join(options)} -S {len(data)}", data)


async def test_versions_go_up_unless_told_otherwise() -> None:
    sh = Shell()
    assert await sh.install(apk(code=3)) == "Success"
    refused = await sh.install(apk(code=2), "-r")
    assert refused.startswith("Failure [INSTALL_FAILED_VERSION_DOWNGRADE: Downgrade detected: Update version code 2 ")
    assert await sh.install(apk(code=2), "-r", "-d") == "Success"
    assert "INSTALL_FAILED_ALREADY_EXISTS" in await sh.install(apk(code=9), "-R")
    assert "versionCode=2 " in await sh("dumpsys package org.example.a")


INSTALLATIONS = [
    (b"no apk", (), "Failure [INSTALL_PARSE_FAILED_NOT_APK: Failed to parse base.apk] [1]"),
    (apk(testOnly="true"), (), "Failure [INSTALL_FAILED_TEST_ONLY: "),
    (apk(testOnly="true"), ("-t",), "Success"),
    (apk(minSdkVersion="99"), (), "Failure [INSTALL_FAILED_OLDER_SDK: Requires newer sdk version #99 (current "),
    (apk(split="config.en"), (), "Failure [INSTALL_FAILED_INVALID_APK: "),
]


@pytest.mark.parametrize(("data", "options", "answer"), INSTALLATIONS)
async def test_what_an_installation_says(data: bytes, options: tuple[str, ...], answer: str) -> None:
    sh = Shell()
    assert (await sh.install(data, *options)).startswith(answer)
    assert await sh("pm list packages org.example") == ("package:org.example.a" if answer == "Success" else "")


async def test_install_from_a_file_and_away_again() -> None:
    """The APK lies where ``pm path`` says, as it was; uninstalling takes it away."""
    sh = Shell()
    sh.phone.fs.write("/data/local/tmp/a.apk", apk())
    assert await sh("pm install -r /data/local/tmp/a.apk") == "Success"
    path = (await sh("pm path org.example.a")).removeprefix("package:")
    assert sh.phone.fs.read(path) == apk()
    assert await sh("pm clear org.example.a; pm uninstall --user 0 org.example.a") == "Success\nSuccess"
    assert await sh(f"ls {path}") == f"ls: {path}: No such file or directory [1]"
    assert await sh("pm uninstall org.example.a") == "Failure [DELETE_FAILED_INTERNAL_ERROR] [1]"
    assert "Error: Unable to open file: /none" in await sh("pm install /none")


async def test_a_session_with_splits() -> None:
    """create, write, commit: base and split are there, and ``pm path`` names both; what was given up leaves nothing."""
    sh = Shell()
    base, split = apk(), apk(split="config.en")
    created = await sh(f"cmd package install-create -r -S {len(base) + len(split)}")
    (number,) = re.findall(r"^Success: created install session \[(\d+)\]$", created)
    for name, data in (("0_base", base), ("1_split", split)):
        said = await sh(f"cmd package install-write -S {len(data)} {number} {name} -", data)
        assert said == f"Success: streamed {len(data)} bytes"
    assert await sh(f"pm install-commit {number}") == "Success"
    paths = (await sh("pm path org.example.a")).split("\n")
    assert [path.rsplit("/", 1)[1] for path in paths] == ["base.apk", "split_config.en.apk"]
    assert "no access to session" in await sh(f"pm install-commit {number}")
    (other,) = re.findall(r"\[(\d+)\]", await sh("pm install-create"))
    assert other != number
    assert await sh(f"pm install-write -S {len(base)} {other} base -", apk("org.example.b")) != ""
    assert await sh(f"pm install-abandon {other}; pm path org.example.b; echo $?") == "Success\n1"
    (third,) = re.findall(r"\[(\d+)\]", await sh("pm install-create"))
    assert "Missing existing base package" in await sh(f"pm install-commit {third}")


async def test_permissions() -> None:
    """Granted and taken back, seen in ``dumpsys package``; what was not asked for, or needs no grant, is refused."""
    sh = Shell()
    camera = "android.permission.CAMERA"
    assert f"{camera}: granted=false" in await sh(f"dumpsys package {FEED}")
    assert await sh(f"pm grant {FEED} {camera}") == ""
    assert f"{camera}: granted=true" in await sh(f"pm dump {FEED}")
    assert await sh(f"pm revoke {FEED} {camera}; dumpsys package {FEED} | grep -c 'CAMERA: granted=true'") == "0 [1]"
    assert "has not requested permission x" in await sh(f"pm grant {FEED} x")
    assert "not a changeable permission type" in await sh(f"pm grant {FEED} android.permission.INTERNET")
    assert "Unknown package: no.such" in await sh(f"pm grant no.such {camera}")


async def test_disabled_apps_do_not_open() -> None:
    sh = Shell()
    assert await sh(f"pm disable-user --user 0 {FEED}") == f"Package {FEED} new state: disabled-user"
    assert await sh("pm list packages -d") == f"package:{FEED}"
    await sh(f"monkey -p {FEED} -c android.intent.category.LAUNCHER 1")
    assert await sh(f"pidof {FEED}") == "[1]"
    assert await sh(f"pm enable {FEED}; pm list packages -d") == f"Package {FEED} new state: enabled"


ANSWERS = {
    "cmd -w wifi set-wifi-enabled disabled; settings get global wifi_on": "0",
    "cmd wifi status | head -n 1": "Wifi is enabled",
    "cmd phone data disable; settings get global mobile_data": "0",
    "cmd connectivity airplane-mode enable; cmd connectivity airplane-mode": "enabled",
    "cmd bluetooth_manager disable; settings get global bluetooth_on": "0",
    "cmd location set-location-enabled false; cmd location is-location-enabled": "false",
    "cmd nothing": "cmd: Can't find service: nothing [20]",
    "svc nfc disable; settings get global nfc_on": "0",
    "dumpsys deviceidle whitelist +a.b; dumpsys deviceidle whitelist | cut -d, -f1,2": "Added: a.b\nuser,a.b",
    "service check package; service check none": "Service package: found\nService none: not found",
    "stop": "Must be root [1]",
    "am start -W -a android.intent.action.VIEW -d http://example.org/ | grep -c reader/.BrowserActivity": "1",
    "am start -a android.settings.WIFI_SETTINGS >/dev/null; dumpsys window | grep -c 'Focus.*d.settings'": "2",
    "am startservice -n a/.B": "Starting service: Intent { cmp=a/.B }\nError: Not found; no service started. [255]",
    "am instrument -w a/.B": "android.util.AndroidException: INSTRUMENTATION_FAILED: a/.B [1]",
    f"cmd package resolve-activity --brief {FEED} | tail -n 1": f"{FEED}/.MainActivity",
    f"{OPEN}; dumpsys activity processes | grep -c ':{FEED}/'": "1",
    f"{OPEN}; kill $(pidof {FEED}); pidof {FEED}": "[1]",
    f"{OPEN}; p=$(pidof {FEED}); tr -d '\\0' < /proc/$p/cmdline; ls /proc/$p/task | wc -l": f"{FEED}1",
    f"{OPEN}; p=$(pidof {FEED}); am force-stop {FEED}; ls -d /proc/$p 2>/dev/null; echo $?": "1",
    "kill 1": "kill: 1: Operation not permitted [1]",
    "ps -A -o PID,NAME | grep adbd": "980 adbd",
    "ps | grep -c system_server": "0 [1]",
    "head -n 1 /proc/stat | wc -w; ls /sys/devices/system/cpu | grep -c cpu": "11\n8",
    "dumpsys input | grep -c 'SurfaceOrientation: 0'": "1",
    f"dumpsys meminfo {FEED}": f"No process found for: {FEED}",
    "echo x > /data/app/x": "/system/bin/sh: can't create /data/app/x: Permission denied [1]",
}  # fmt: skip


@pytest.mark.parametrize("command", ANSWERS)
async def test_services_answer(command: str) -> None:
    assert await Shell()(command) == ANSWERS[command]


async def test_the_screen_locks_when_it_has_a_lock() -> None:
    """Without one, dark and bright again is open; with a swipe lock it is locked; a PIN must be typed."""
    sh = Shell()

    async def locked() -> bool:
        return "mDreamingLockscreen=true" in await sh("dumpsys window")

    await sh("input keyevent 26")
    assert "screenState=SCREEN_STATE_OFF" in await sh("dumpsys window")
    await sh("input keyevent WAKEUP")
    assert not await locked()
    await sh("locksettings set-disabled false; input keyevent 26; input keyevent 26")
    assert await locked()
    await sh("wm dismiss-keyguard")
    assert not await locked()
    assert await sh("locksettings set-pin 1234") == "Pin set to '1234'"
    await sh("input keyevent 26; input keyevent 26; wm dismiss-keyguard; input swipe 540 2000 540 500")
    assert await locked()
    await sh("input text 1111; input keyevent ENTER")
    assert await locked()
    await sh("input text 1234; input keyevent ENTER")
    assert not await locked()
    assert await sh("locksettings clear --old 1") == "Old password '1' didn't match"
    assert await sh("locksettings verify --old 1234") == "Lock credential verified successfully"
    assert await sh("locksettings clear --old 1234; locksettings get-disabled") == "Lock credential cleared\nfalse"


async def test_the_log_as_records() -> None:
    """``logcat -B``: length, size of the head, pid, time, and level, tag and text."""
    sh = Shell()
    sh.phone.android.log.clear()
    sh.phone.android.note("W", "Soup", "is h\u00f6t", 42)
    data = (await run_command(sh.phone, "logcat -B -d '*:I'")).out
    length, head, pid, _, seconds, _, _, _ = struct.unpack("<HHiIIIII", data[:28])
    assert (head, pid, len(data)) == (28, 42, 28 + length)
    assert abs(seconds - sh.phone.android.wall()) < 60
    assert data[28:] == b"\x05Soup\0" + "is h\u00f6t".encode() + b"\0"


async def test_words_of_an_abb_call_arrive_as_they_are() -> None:
    """A value with blanks and quotes through ``settings``."""
    sh = Shell()
    value = 'it\'s a "b" $HOME'
    await sh(f"settings put global k {shlex.quote(value)}")
    assert await sh("settings get global k") == value
