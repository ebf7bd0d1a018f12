"""What a supervisor that was killed has left is ended by farm.json alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from phonefarm.cli import run
from phonefarm.cli.kin import COOKIE_ENV
from phonefarm.cli.raynode import RAY_DIR
from phonefarm.cli.sim import SimProcess
from phonefarm.cli.statedir import READY, STOPPED, FarmFile, StateDir, mark_of, runs
from phonefarm.devices.processes import Mark
from phonefarm.errors import ConfigError
from phonefarm.settings import child_environment

#: A head that ignores SIGTERM's children: it starts one of its own, in another process group.
HEAD = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], process_group=0)\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)\n"
)


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    made = StateDir(tmp_path / "farm")
    made.open()
    return made


def test_down_ends_what_a_dead_supervisor_has_left_and_keeps_the_ports(
    state: StateDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    temp_dir = tmp_path / "pf-test"
    logs = temp_dir / RAY_DIR / "session_latest" / "logs"
    logs.mkdir(parents=True)
    (logs / "raylet.err").write_text("last words")
    environment = child_environment({COOKIE_ENV: "cookie-of-down"})
    command = [sys.executable, "-c", HEAD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, start_new_session=True) as head:
        assert head.stdout is not None
        child = mark_of(int(head.stdout.readline()))
        farm = FarmFile(
            state=READY,
            supervisor=Mark(pid=head.pid, started="another time"),
            ray=mark_of(head.pid),
            cookie="cookie-of-down",
            temp_dir=str(temp_dir),
            ports={"adb": 22_222},
        )
        state.write(farm)
        assert run(["down", "--state-dir", str(state.path)]) == 0
        assert not runs(farm.ray)
        assert not runs(child)
    assert not temp_dir.exists()
    assert (state.logs / "ray" / "raylet.err").read_text() == "last words"
    assert state.read() == FarmFile(state=STOPPED, ports={"adb": 22_222})
    assert "has ended" in capsys.readouterr().out


def test_only_a_directory_that_up_made_is_removed(state: StateDir, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    state.write(FarmFile(state=READY, cookie="none-has-this", temp_dir=str(precious)))
    assert run(["down", "--state-dir", str(state.path)]) == 0
    assert precious.exists()


def test_virtual_phones_start_and_are_ended(state: StateDir) -> None:
    sim = SimProcess(state, phones=2, port_base=0, profile="instant")
    child = sim.start({COOKIE_ENV: "cookie-of-sim"})
    try:
        assert sim.wait(child) == ["VP000001", "VP000002"]
        state.write(FarmFile(state=READY, cookie="cookie-of-sim", sim=mark_of(child.pid)))
        assert run(["down", "--state-dir", str(state.path)]) == 0
        assert child.wait(5) == 0
    finally:
        child.kill()
        child.wait(5)


def test_virtual_phones_that_cannot_start_say_why(state: StateDir) -> None:
    sim = SimProcess(state, phones=1, port_base=1, profile="no-such-profile")
    child = sim.start({})
    with pytest.raises(ConfigError, match="no-such-profile"):
        sim.wait(child)
    child.wait(5)
