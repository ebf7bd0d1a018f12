"""deploy/systemd: systemd itself takes the units, and what they start is there with every option they give."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from phonefarm.cli.statedir import StateDir
from tests.commandlines import refused

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
DAEMONS = [unit for unit in UNITS if unit.stem != "phonefarm-backup"]
PREFIX = "/opt/phonefarm/.venv/bin/"
#: What every unit has: nothing of the system can be written, no new rights, secrets unreadable for others.
HARDENED = {
    "NoNewPrivileges": "true",
    "ProtectSystem": "strict",
    "ProtectHome": "true",
    "PrivateTmp": "true",
    "User": "phonefarm",
    "UMask": "0077",
    "StateDirectoryMode": "0700",
}


def read(unit: Path) -> dict[str, list[str]]:
    """Settings of all sections by name; one may be given several times."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text("utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def start_line(unit: Path) -> list[str]:
    (line,) = read(unit)["ExecStart"]
    return shlex.split(line)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_what_a_unit_starts_takes_every_word_it_is_given(unit: Path) -> None:
    program, *words = start_line(unit)
    assert program.startswith(PREFIX)
    filled = [word.replace("${HEAD_ADDRESS}", "192.0.2.10").replace("${HOST_ADDRESS}", "192.0.2.11") for word in words]
    if program == PREFIX + "phonefarm":
        assert refused(filled) is None
    else:
        from ray.scripts.scripts import cli as ray_commands

        assert program == PREFIX + "ray"
        assert refused(filled, ray_commands) is None


def test_a_word_that_is_not_there_is_refused() -> None:
    assert refused(["up", "--no-such-option"])
    assert refused(["no-such-command"])
    assert refused(["keys", "make", "ci"])
    assert refused(["up", "--port", "many"])
    assert refused(["keys", "create", "ci", "--scope", "read"]) is None


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_hardened_and_writes_only_where_it_may(unit: Path) -> None:
    settings = read(unit)
    assert {name: settings.get(name, [""])[0] for name in HARDENED} == HARDENED
    assert settings["ReadWritePaths"][0].split()[0] == "/var/lib/phonefarm"
    for secret in ("RAY_AUTH_TOKEN=", "PHONEFARM_API_KEY=", "WEBHOOK_SECRET="):
        assert secret not in unit.read_text().replace("# ", ""), "a unit is readable for everybody"
    words = " ".join(start_line(unit)) + " ".join(settings.get("Environment", []))
    for path in re.findall(r"(?<![\w.])/(?:var|etc|home|tmp)/[^\s=:]+", words):
        assert path.startswith(("/var/lib/phonefarm", "/etc/phonefarm", "/var/backups/phonefarm")), path


@pytest.mark.parametrize("unit", DAEMONS, ids=lambda unit: unit.name)
def test_a_daemon_is_started_again_for_ever_and_limited(unit: Path) -> None:
    settings = read(unit)
    assert settings["Restart"] == ["always"]
    assert settings["StartLimitIntervalSec"] == ["0"]
    assert int(settings["RestartSec"][0]) >= 1
    assert settings["KillMode"] == ["mixed"], "the supervisor ends its own in order"
    assert {"LimitNOFILE", "TasksMax", "MemoryMax", "TimeoutStopSec"} <= set(settings)
    assert "WatchdogSec" not in settings, "nothing of ours answers systemd's watchdog"


def test_the_units_of_several_machines_fit_together() -> None:
    head, host, adb, farm = (start_line(ROOT / f"deploy/systemd/phonefarm-{n}.service") for n in _NAMES)
    assert "--labels=pf.role=head,pf.host=%H" in head
    assert "--labels=pf.host=%H" in host
    assert adb[adb.index("--port") + 1] == farm[farm.index("--adb-port") + 1]
    assert adb[adb.index("--state-dir") + 1] == farm[farm.index("--state-dir") + 1]
    assert {"--head", "--block"} <= set(head)
    assert "--block" in host
    for unit in ("head", "host", "farm"):
        environment = " ".join(read(ROOT / f"deploy/systemd/phonefarm-{unit}.service")["Environment"])
        assert "RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=/var/lib/phonefarm/ray_token" in environment
    assert "RAY_gcs_storage=rocksdb" in (ROOT / "deploy/systemd/phonefarm-head.service").read_text()


_NAMES = ("head", "host", "adb", "farm")


def test_the_backup_that_the_timer_makes_is_where_the_unit_may_write() -> None:
    unit = ROOT / "deploy/systemd/phonefarm-backup.service"
    (file,) = [word for word in start_line(unit) if word.endswith(".backup")]
    assert str(Path(file).parent) in read(unit)["ReadWritePaths"][0].split()
    timer = configparser.ConfigParser()
    timer.read(ROOT / "deploy/systemd/phonefarm-backup.timer")
    assert timer["Timer"]["OnCalendar"] == "hourly"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """With this machine's programs in place of those in /opt; a word that systemd does not know is told."""
    files = []
    for unit in sorted((ROOT / "deploy/systemd").iterdir()):
        files.append(tmp_path / unit.name)
        files[-1].write_text(unit.read_text().replace(PREFIX, f"{Path(sys.executable).parent}/"))
    assert _verified(files) == ""
    files[0].write_text(files[0].read_text() + "\n[Service]\nRestartWhenever=yes\n")
    assert "RestartWhenever" in _verified(files)


def _verified(files: list[Path]) -> str:
    words = ["systemd-analyze", "verify", "--man=no", *map(str, files)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=50, check=False)
    return (done.stdout + done.stderr).strip()


def test_the_state_directory_of_a_unit_is_closed_by_us_too(tmp_path: Path) -> None:
    """systemd makes /var/lib/phonefarm 0700; the state below it is closed by the farm itself."""
    state = StateDir(tmp_path / "state")
    state.open()
    assert state.path.stat().st_mode & 0o777 == 0o700
