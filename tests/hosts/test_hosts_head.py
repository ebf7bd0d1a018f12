"""The head dies: its GCS, the whole machine, the machine with all that Ray knew. It takes minutes, so only where
PHONEFARM_TEST_HEAD is set."""

from __future__ import annotations

import os
import shutil
import time
from itertools import pairwise

import httpx
import pytest

from tests.e2e.farm import request, until
from tests.hosts.cluster import ALL, PHONES, Cluster
from tests.hosts.spaces import why_not

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not os.environ.get("PHONEFARM_TEST_HEAD"), reason="PHONEFARM_TEST_HEAD is not set"),
    pytest.mark.skipif(why_not() is not None, reason=f"several machines in one: {why_not()}"),
]


def work(here: Cluster) -> list[str]:
    """A session on every phone, under way."""
    sent = [here.submit({"routing": "direct", "phone_id": phone}, videos_per_keyword=12) for phone in ALL]
    for process_id in sent:
        here.wait_actions(process_id, 1)
    return sent


def asked_until_back(here: Cluster, seconds: float = 200.0) -> tuple[list[str], set[str]]:
    """Send work again and again until the farm takes it: (what was acknowledged, how the others were refused)."""
    acknowledged: list[str] = []
    refused: set[str] = set()

    def taken() -> bool:
        time.sleep(0.5)  # no need for hundreds
        try:
            answer = here.client.post("/capability-requests/enqueue", json=request({"routing": "queue"}), timeout=5)
        except httpx.TransportError as error:
            refused.add(type(error).__name__)
            return False
        if answer.status_code == 202:
            acknowledged.append(answer.json()["process_id"])
            return bool(refused)
        refused.add(str(answer.status_code))
        return False

    until(taken, "work is taken again", seconds)
    return acknowledged, refused


def all_done(here: Cluster, sent: list[str]) -> None:
    for process_id in sent:
        view = here.wait_process(process_id, "completed", "failed_terminal", seconds=240)
        assert view["status"] == "completed", view["error"]
    for phone in ALL:
        spans = sorted((line["mono_start"], line["mono"]) for line in here.journal(phone) if _drives(line["command"]))
        assert all(ended <= began for (_, ended), (began, _) in pairwise(spans)), f"two at once on {phone}"


def _drives(command: object) -> bool:
    return "input " in str(command) or "uiautomator" in str(command)


def get_through(here: Cluster, sent: list[str], name: str) -> None:
    began = time.monotonic()
    acknowledged, refused = asked_until_back(here)
    assert refused <= {"503", "504", "500", "ConnectError", "ReadError", "ReadTimeout", "ConnectTimeout",
                       "RemoteProtocolError"}, refused  # fmt: skip
    print(f"{name}: work taken again after {time.monotonic() - began:.1f} s; meanwhile {sorted(refused)}")
    all_done(here, [*sent, *acknowledged])


@pytest.mark.fault(8)
def test_a_gcs_that_is_killed_comes_back_with_all_that_it_knew(here: Cluster) -> None:
    before = {phone: here.starts_of(f"phone:{phone}", host) for host, phones in PHONES.items() for phone in phones}
    sent = work(here)
    for pid in here.head.pids("gcs/gcs_server"):
        here.head.kill(pid)
    get_through(here, sent, "gcs killed")
    after = {phone: here.starts_of(f"phone:{phone}", host) for host, phones in PHONES.items() for phone in phones}
    assert after == before, "the hosts' actors lived on"


@pytest.mark.fault(9)
def test_a_head_that_reboots_comes_back_by_itself(here: Cluster) -> None:
    before = {phone: here.starts_of(f"phone:{phone}", host) for host, phones in PHONES.items() for phone in phones}
    sent = work(here)
    here.head.power_off()
    here.boot("head")
    get_through(here, sent, "head rebooted")
    after = {phone: here.starts_of(f"phone:{phone}", host) for host, phones in PHONES.items() for phone in phones}
    assert after == before, "no second actor for a phone"


@pytest.mark.fault(10)
def test_a_head_whose_ray_has_forgotten_all_is_rebuilt_from_the_database(here: Cluster) -> None:
    sent = work(here)
    here.head.power_off()
    shutil.rmtree(here.head.disk / "gcs")
    here.boot("head")
    here.wait_ray("head")
    here.up()
    here.wait_phones(*ALL, seconds=200)
    all_done(here, sent)
