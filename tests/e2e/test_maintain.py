"""A campaign as a Ray job on a running farm, and the same command again from a shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import PHONES
from tests.e2e.farm import Farm, phonefarm

pytestmark = pytest.mark.timeout(300)
SCRIPTS = Path(__file__).parents[2] / "scripts"
CAMPAIGN = (
    "--select",
    "group=sim,android>=9,id~VP00000*",
    "--step",
    "reboot",
    "--canary",
    "1",
    "--max-failures",
    "0",
    "--wave",
    "2",
)


def submit_job(farm: Farm, *words: str) -> subprocess.CompletedProcess[str]:
    """``ray job submit``, as a user who has the farm's Ray token."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(farm.state_dir / "ray_token")}
    return subprocess.run(
        [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--address", farm.file["dashboard"],
         "--working-dir", str(SCRIPTS), "--", "python", "bulk_maintenance.py", *words],
        capture_output=True, text=True, timeout=240, env={**os.environ, **token, "RAY_USAGE_STATS_ENABLED": "0"},
    )  # fmt: skip


def reboots(farm: Farm, phone_id: str) -> int:
    return sum('"reboot"' in json.dumps(line) for line in farm.journal(phone_id))


def test_a_campaign_runs_as_a_ray_job_and_a_second_run_does_nothing_twice(here: Farm) -> None:
    before = {phone_id: reboots(here, phone_id) for phone_id in PHONES}
    job = submit_job(here, *CAMPAIGN)
    assert job.returncode == 0, job.stdout + job.stderr
    assert "canary: VP000001" in job.stdout
    assert "wave 1: VP000002, VP000003" in job.stdout
    assert "3 done of 3 phones: every phone is done" in job.stdout
    once = {phone_id: reboots(here, phone_id) - before[phone_id] for phone_id in PHONES}
    assert once == dict.fromkeys(PHONES, max(once.values()))
    assert max(once.values()) > 0
    again = phonefarm("maintain", *CAMPAIGN, "--json", "--state-dir", str(here.state_dir))
    report = json.loads(again.stdout.splitlines()[-1])
    assert (again.returncode, report["outcome"], report["counts"]["done"]) == (0, "done", 3)
    processes = here.get("/processes?system=phonefarm-maintain")["items"]
    assert {one["process_id"] for one in processes} == {phone["process_id"] for phone in report["phones"]}
    assert {phone_id: reboots(here, phone_id) - before[phone_id] for phone_id in PHONES} == once
    here.wait_phones(*PHONES)


def test_a_job_that_cannot_work_ends_as_failed_and_says_why(here: Farm) -> None:
    job = submit_job(here, "--select", "adroid>=13", "--step", "reboot")
    assert job.returncode != 0
    assert "no field 'adroid'; did you mean 'android'?" in job.stdout
