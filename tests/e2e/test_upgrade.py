"""The walk of an upgrade, as docs/operate.md has it, on a farm that is started by its unit's own line.

Drained while work runs and other work waits, looked at, backed up, given a second webhook secret, started again: what
ran is done in one attempt, what waited runs, the phones that the drain paused come back, and the one that somebody
paused stays so. In the end its raylet is lost.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from phonefarm.cli.statedir import READY, StateDir, write_private
from phonefarm.cli.statedir import runs as lives
from tests.e2e.farm import KEY, SECRET, Farm, phonefarm, until, with_cookie
from tests.receiver import Receiver, assert_signed
from tests.unit.test_units import PREFIX, ROOT, start_line

pytestmark = pytest.mark.timeout(300)
NEW = "the next secret of the end-to-end suite"
WORKS, PAUSED = "VP000001", "VP000002"
#: What a farm on any machine may have; whatever else is found is a fault of the farm, or of the doctor.
OF_THE_MACHINE = {
    *("adb_other_server", "clock_not_kept", "disk_low", "disk_full", "files_few", "tasks_few", "memory_short"),
    *("sqlite_wal_reset", "port_known_open"),
}


@contextmanager
def started_by_its_unit(directory: Path) -> Iterator[Farm]:
    """The line of phonefarm.service with other places and two virtual phones; ended as systemd ends it."""
    farm = Farm(directory / "state")
    (directory / "farm.yaml").write_text("replicas: 1\n")
    words = start_line(ROOT / "deploy/systemd/phonefarm.service")
    instead = {
        "/var/lib/phonefarm/state": str(farm.state_dir),
        "/etc/phonefarm/farm.yaml": str(directory / "farm.yaml"),
        "8000": "0",
    }
    words = [str(Path(sys.executable).parent / words[0].removeprefix(PREFIX)), *(instead.get(w, w) for w in words[1:])]
    environment = {**os.environ, "PHONEFARM_API_KEY": KEY, "PHONE_FARM_WEBHOOK_SECRET": SECRET}
    with (directory / "log").open("wb") as log, subprocess.Popen(
        [*words, "--sim", "2", "--profile", "instant"], stdout=log, stderr=log, env=environment
    ) as unit:  # fmt: skip
        try:
            until(lambda: unit.poll() is not None or StateDir(farm.state_dir).read().state == READY, "it is up", 200)
            assert unit.poll() is None, (directory / "log").read_text()
            connect(farm)
            yield farm
            assert unit.wait(60) == 0, "its supervisor was ended by down, in order"
        finally:
            if unit.poll() is None:
                unit.send_signal(signal.SIGTERM)


def connect(farm: Farm) -> None:
    farm.file = json.loads((farm.state_dir / "farm.json").read_text())
    farm.client.base_url = farm.file["url"]
    farm.client.headers["Authorization"] = f"Bearer {KEY}"


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """Where the farm is; what runs of it at the end is ended. The tests of it stand in their order."""
    made = Path(tempfile.mkdtemp(prefix="pf-e2e-"))
    try:
        yield made
    finally:
        Farm(made / "state").down()
        shutil.rmtree(made, ignore_errors=True)


def test_an_upgrade_loses_nothing(directory: Path, hook: Receiver) -> None:
    with started_by_its_unit(directory) as farm:
        runs, waits = drained_while_it_works(farm, hook)
    backup(farm, directory / "before.backup")
    write_private(farm.state_dir / "webhook_secret_second", NEW + "\n")
    comes_back(farm, hook, runs, waits)


def test_a_farm_whose_ray_lost_a_part_ends_by_itself_and_says_so(directory: Path) -> None:
    """The raylet ends well, as it does when its agent has died; Ray's own head process does not notice that."""
    state = StateDir(directory / "state")
    told = state.read()
    assert told.state == READY, "the upgraded farm runs"
    supervisor = told.supervisor
    assert supervisor is not None
    (raylet,) = [pid for pid, name in parts(told.cookie) if name == "raylet"]
    os.kill(raylet, signal.SIGTERM)
    until(lambda: not lives(supervisor), "the supervisor has ended")
    assert f"Ray's raylet, process {raylet}" in (state.logs / "up.log").read_text()
    assert with_cookie(told.cookie) == []


def parts(cookie: str) -> list[tuple[int, str]]:
    """The farm's processes with the names of their programs."""
    found = []
    for line in with_cookie(cookie):
        pid = int(line.split()[0])
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        found.append((pid, Path(words[0].decode()).name))
    return found


def drained_while_it_works(farm: Farm, hook: Receiver) -> tuple[str, str]:
    farm.wait_phones(WORKS, PAUSED)
    operate(farm, "pause", PAUSED)
    healthy(farm)
    callback = {"url": hook.url, "metadata": {}}
    runs = farm.submit({"routing": "direct", "phone_id": WORKS}, videos_per_keyword=12)
    waits = farm.submit({"routing": "direct", "phone_id": PAUSED}, callback=callback)
    farm.wait_actions(runs, 2)
    done = phonefarm("down", "--drain", "--drain-seconds", "120", "--state-dir", str(farm.state_dir))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"phones still work: {WORKS}" in done.stdout, done.stdout
    assert "not drained" not in done.stdout
    assert with_cookie(farm.file["cookie"]) == []
    assert json.loads((farm.state_dir / "drained.json").read_text()) == [WORKS]
    return runs, waits


def healthy(farm: Farm) -> None:
    """The doctor on a farm that runs: whatever it finds is of this machine."""
    done = phonefarm("doctor", "--json", "--state-dir", str(farm.state_dir))
    told = json.loads(done.stdout)
    assert done.returncode == told["exit_code"]
    assert told["farm"] == "ready"
    strange = [one for one in told["findings"] if one["code"] not in OF_THE_MACHINE]
    assert not strange, strange


def backup(farm: Farm, file: Path) -> None:
    for words in (("backup", str(file)), ("backup", str(file), "--verify")):
        done = phonefarm(*words, "--state-dir", str(farm.state_dir))
        assert done.returncode == 0, done.stdout + done.stderr


def comes_back(farm: Farm, hook: Receiver, runs: str, waits: str) -> None:
    farm.up("--sim", "2", "--profile", "instant")
    farm.wait_phones(WORKS)
    assert not (farm.state_dir / "drained.json").exists()
    assert farm.phones()[PAUSED]["state"] == "paused", "somebody else paused it"
    view = farm.process(runs)
    assert (view["status"], view["attempts"]) == ("completed", 1), view
    assert farm.process(waits)["status"] == "queued"
    operate(farm, "resume", PAUSED)
    assert farm.wait_process(waits, "completed", "failed_terminal")["status"] == "completed"
    hook.wait_for(waits, "completed")
    before, *_, after = [(h, b) for h, b in hook.deliveries if json.loads(b)["process"]["process_id"] == waits]
    assert len(before[0]["webhook-signature"].split(" ")) == 1
    assert len(after[0]["webhook-signature"].split(" ")) == 2
    for delivered in (before, after):
        assert_signed(*delivered, SECRET)
    Webhook(NEW.encode()).verify(after[1], after[0])


def operate(farm: Farm, operation: str, phone_id: str) -> None:
    words = ("phone", operation, phone_id, "--reason", "a test", "--state-dir", str(farm.state_dir))
    done = phonefarm(*words)
    assert done.returncode == 0, done.stdout + done.stderr
