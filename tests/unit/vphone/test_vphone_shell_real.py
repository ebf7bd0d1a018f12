"""The phone's shell against the ``sh`` of this machine: the same scripts, the same output, the same exit code.

``shell_scripts.txt`` holds the scripts, with a line of ``%`` between two. Each runs in both shells in an empty folder
with a few files in it. Only what POSIX settles is asked; messages and pids differ by design and are not looked at.
"""

import asyncio
import subprocess
from pathlib import Path

import pytest

from phonefarm.vphone.phone import PhoneConfig, VPhone
from phonefarm.vphone.shell.outcome import run_command

pytestmark = pytest.mark.timeout(60)

SCRIPTS = Path(__file__).with_name("shell_scripts.txt").read_text("utf-8").split("%\n")
FILES = {"a.txt": "one\ntwo\nthree\n", "b.txt": "red 1\ngreen 2\nblue 3\n", "c.log": "x=1;y=2\n", ".hidden": "h\n"}
FOLDER = "/data/local/tmp/same"
STDIN = b"first line\n  second   line  \nthird\\line\nlast"


def _really(script: str, folder: Path) -> tuple[bytes, int]:
    for name, text in FILES.items():
        (folder / name).write_text(text)
    env = {"PATH": "/usr/bin:/bin", "HOME": "/", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(["sh", "-c", script], cwd=folder, env=env, input=STDIN, capture_output=True, timeout=20)
    return done.stdout, done.returncode


def _on_a_phone(script: str) -> tuple[bytes, int]:
    phone = VPhone(PhoneConfig(serialno="VP000001"))
    phone.fs.make_dirs(FOLDER)
    for name, text in FILES.items():
        phone.fs.write(f"{FOLDER}/{name}", text.encode())
    done = asyncio.run(run_command(phone, f"cd {FOLDER}; {script}", STDIN))
    return done.out, done.rc


@pytest.mark.parametrize("place", range(len(SCRIPTS)))
def test_the_same_as_a_real_shell(place: int, tmp_path: Path) -> None:
    script = SCRIPTS[place]
    assert _on_a_phone(script) == _really(script, tmp_path), script


def test_there_are_enough_scripts() -> None:
    assert len(SCRIPTS) >= 80
