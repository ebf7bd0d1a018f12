"""The adb command line's larger services against a virtual phone: APKs and splits, folders both ways, terminals."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path

import pytest

from phonefarm.vphone.phone import VPhone
from tests.integration.test_vphone_adb import Lab, _env, address, eventually, lab, phone

__all__ = ["lab", "phone"]
pytestmark = pytest.mark.timeout(60)


def apk(folder: Path, name: str, manifest: str) -> str:
    """An APK with a manifest as text; its path."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("AndroidManifest.xml", manifest)
    (folder / name).write_bytes(packed.getvalue())
    return str(folder / name)


def test_versions_and_splits_by_adb(lab: Lab, phone: VPhone, tmp_path: Path) -> None:
    """``adb install`` refuses a downgrade and takes it with ``-d``; ``install-multiple`` makes one app of two APKs."""
    two = apk(tmp_path, "2.apk", '<manifest package="org.example.v" android:versionCode="2"/>')
    one = apk(tmp_path, "1.apk", '<manifest package="org.example.v" android:versionCode="1"/>')
    split = apk(tmp_path, "s.apk", '<manifest package="org.example.v" split="config.en" android:versionCode="3"/>')
    three = apk(tmp_path, "3.apk", '<manifest package="org.example.v" android:versionCode="3"/>')
    assert lab.on(phone, "install", two).returncode == 0
    refused = lab.on(phone, "install", "-r", one)
    assert refused.returncode != 0
    assert b"INSTALL_FAILED_VERSION_DOWNGRADE" in refused.stderr + refused.stdout
    assert lab.on(phone, "install", "-r", "-d", one).returncode == 0
    many = lab.on(phone, "install-multiple", "-r", three, split)
    assert many.returncode == 0, many
    paths = lab.on(phone, "shell", "pm path org.example.v").stdout.decode().split()
    assert [path.rpartition("/")[2] for path in paths] == ["base.apk", "split_config.en.apk"]
    assert lab.on(phone, "pull", paths[0].removeprefix("package:"), str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_bytes() == Path(three).read_bytes()
    assert lab.on(phone, "uninstall", "org.example.v").returncode == 0


def test_a_folder_there_and_back(lab: Lab, phone: VPhone, tmp_path: Path) -> None:
    """Many files, an empty one and odd names, with their times; ``--sync`` sends what changed only."""
    source = tmp_path / "tree"
    (source / "deep" / "er").mkdir(parents=True)
    for number in range(50):
        (source / f"file {number} \u00fc").write_bytes(b"x" * number * 100)
    (source / "deep" / "er" / "empty").write_bytes(b"")
    lab.on(phone, "shell", "rm -rf /sdcard/tree")
    pushed = lab.on(phone, "push", str(source), "/sdcard/tree")
    assert pushed.returncode == 0, pushed
    assert lab.on(phone, "shell", "find /sdcard/tree -type f | wc -l").stdout == b"51\n"
    (source / "file 1 \u00fc").write_bytes(b"changed")
    again = lab.on(phone, "push", "--sync", f"{source}/.", "/sdcard/tree")
    assert again.returncode == 0, again
    assert lab.on(phone, "shell", "cat '/sdcard/tree/file 1 \u00fc'").stdout == b"changed"
    assert lab.on(phone, "pull", "-a", "/sdcard/tree", str(tmp_path / "back")).returncode == 0
    for path in (one for one in source.rglob("*") if one.is_file()):
        back = tmp_path / "back" / path.relative_to(source)
        assert back.read_bytes() == path.read_bytes()
        assert int(back.stat().st_mtime) == int(path.stat().st_mtime)


def test_nothing_to_debug(lab: Lab, phone: VPhone) -> None:
    """``adb jdwp`` lists nothing and ends."""
    done = lab.on(phone, "jdwp")
    assert (done.returncode, done.stdout) == (0, b"")


def test_control_c_reaches_a_terminal(lab: Lab, phone: VPhone) -> None:
    """``adb shell -tt`` with a command: ^C ends it with 130, and the journal shows that it began."""
    command = [lab.binary, "-P", str(lab.port), "-s", address(phone), "shell", "-tt", "echo on; sleep 600"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=_env(lab.home)) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stdout.readline() == b"on\r\n"
        running.stdin.write(b"\x03")
        running.stdin.flush()
        assert running.wait(20) == 130


def test_a_slow_link_and_a_command_without_end(lab: Lab, phone: VPhone) -> None:
    """Both faults through a real server, and both taken back."""
    lab.rack.do(lambda: phone.android.faults.set("slow_link", 30))
    try:
        assert lab.on(phone, "shell", "for i in 1 2 3; do echo $i; done").stdout == b"1\n2\n3\n"
        data = b"y" * 300_000
        assert lab.on(phone, "exec-out", "head -c 300000 /dev/zero | tr '\\0' y").stdout == data
        lab.rack.do(lambda: phone.android.faults.set("endless", "getprop"))
        command = [lab.binary, "-P", str(lab.port), "-s", address(phone), "shell", "getprop ro.serialno"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=_env(lab.home)) as waiting:
            assert lab.on(phone, "shell", "echo beside").stdout == b"beside\n"
            assert waiting.poll() is None
            lab.rack.do(phone.android.faults.clear)
            assert waiting.communicate(timeout=20)[0] == b"VP000001\n"
    finally:
        lab.rack.do(phone.android.faults.clear)
    eventually("it answers", lambda: lab.on(phone, "shell", "echo x").stdout == b"x\n")
