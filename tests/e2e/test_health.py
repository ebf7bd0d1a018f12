"""Phones that are unfit or hang, hosts, other apps and their profiles, on a whole farm."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.farm import Farm, phonefarm, until
from tests.e2e.test_phones_come_and_go import adb

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True, kw_only=True)
class Extra:
    """A phone of its own process, with its switches."""

    phone_id: str
    address: str
    control_port: int
    process: subprocess.Popen[str]

    def do(self, action: str, **more: object) -> None:
        with (
            socket.create_connection(("127.0.0.1", self.control_port), timeout=10) as sock,
            sock.makefile("rw") as line,
        ):
            line.write(json.dumps({"phone": self.phone_id, "do": action, **more}) + "\n")
            line.flush()
            answer = json.loads(line.readline())
        assert answer["ok"], answer


@contextmanager
def extra(journal: Path) -> Iterator[Extra]:
    """A phone that no farm knows yet."""
    command = [sys.executable, "-m", "phonefarm.cli", "sim", "--phones", "1", "--port-base", "0", "--json"]
    command += ["--profile", "instant", "--control-port", "0", "--journal-dir", str(journal)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            event = json.loads(process.stdout.readline())
            (phone,) = event["phones"]
            yield Extra(
                phone_id=phone["serialno"],
                address=f"127.0.0.1:{phone['port']}",
                control_port=event["control_port"],
                process=process,
            )
        finally:
            process.kill()


@pytest.mark.fault(27)
def test_an_empty_battery_is_named_and_its_work_waits_until_it_is_charged(here: Farm, tmp_path: Path) -> None:
    with extra(tmp_path) as phone:
        phone.do("set_battery", level=7, plugged=True)
        adb(here, "connect", phone.address)
        until(lambda: (here.phones().get(phone.phone_id) or {}).get("why"), "it says why")
        shown = here.phones()[phone.phone_id]
        assert shown["state"] == "checking"
        assert shown["why"] == "battery at 7 %, needs 10 % while it charges"
        assert shown["screen"] == {"on": True, "locked": False}
        process_id = here.submit({"routing": "direct", "phone_id": phone.phone_id})
        assert here.process(process_id)["waiting"]["reason"] == "phone_unfit"
        phone.do("set_battery", level=60)
        assert here.wait_process(process_id, "completed", "failed_terminal")["status"] == "completed"


@pytest.mark.fault(28)
def test_a_phone_that_hangs_is_helped_and_that_is_counted(here: Farm, tmp_path: Path) -> None:
    with extra(tmp_path) as phone:
        adb(here, "connect", phone.address)
        here.wait_phones(phone.phone_id)
        phone.do("hang")
        until(lambda: "reconnect" in here.phones()[phone.phone_id]["ladder"], "the first rung", 120)
        phone.do("unhang")
        here.wait_phones(phone.phone_id)
        helped = sum(rung["helped"] for rung in here.phones()[phone.phone_id]["ladder"].values())
        assert helped >= 1


def test_hosts_say_how_they_are(here: Farm) -> None:
    (host,) = here.get("/hosts")["items"]
    assert (host["host"], host["state"], host["why"]) == ("local", "ok", None)
    assert host["adb_port"] == here.file["ports"]["adb"]


def test_another_app_by_its_name(here: Farm) -> None:
    process_id = here.submit({"routing": "queue"}, app="reader", keywords=["bread"])
    view = here.wait_process(process_id, "completed", "failed_terminal")
    assert view["status"] == "completed", view["error"]
    assert len(view["result"]["keywords"][0]["videos"]) == 2


def test_a_profile_is_checked_on_a_phone_of_the_farm_which_then_works_on(here: Farm) -> None:
    where = ("--phone", "VP000002", "--state-dir", str(here.state_dir))
    done = phonefarm("profile", "check", "reader", "--keyword", "bread", *where)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the profile holds" in done.stdout
    drafted = phonefarm("profile", "record", *where)
    assert drafted.returncode == 0, drafted.stdout + drafted.stderr
    assert "screens:" in drafted.stdout
    here.wait_phones("VP000002")


def test_a_phone_that_is_away_cannot_be_checked(here: Farm, tmp_path: Path) -> None:
    with extra(tmp_path) as phone:
        adb(here, "connect", phone.address)
        here.wait_phones(phone.phone_id)
        phone.process.send_signal(signal.SIGKILL)
        here.wait_phones(phone.phone_id, state="offline")
        done = phonefarm("profile", "check", "feed", "--phone", phone.phone_id, "--state-dir", str(here.state_dir))
        assert done.returncode == 1
        assert f"{phone.phone_id} is offline" in done.stderr
