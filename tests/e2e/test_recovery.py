"""Real kills in the middle of sessions: nothing is lost, no item is on two phones, no keyword is missing."""

from __future__ import annotations

import os
import signal
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.conftest import PHONES
from tests.e2e.farm import Farm
from tests.receiver import Receiver

pytestmark = pytest.mark.timeout(300)

KEYWORDS = ["sourdough", "meal prep", "rye bread"]


def check_complete(view: dict[str, Any]) -> None:
    """Every keyword once, with all its videos."""
    entries = view["result"]["keywords"]
    assert [e["keyword"] for e in entries] == KEYWORDS
    assert [len(e["videos"]) for e in entries] == [3, 3, 3]
    assert all(e["screenshot"] for e in entries)


def sessions(farm: Farm, since: str) -> list[tuple[float, float, str]]:
    """(first, last, phone): when each phone was driven since ``since``, by the phones' own journals."""
    began = datetime.fromisoformat(since).timestamp()
    found = []
    for phone in PHONES:
        times = [
            datetime.fromisoformat(line["at"]).timestamp()
            for line in farm.journal(phone)
            if "input " in str(line["command"]) or "uiautomator" in str(line["command"])
        ]
        mine = [t for t in times if t >= began]
        if mine:
            found.append((min(mine), max(mine), phone))
    return sorted(found)


def start(farm: Farm, hook: Receiver) -> str:
    return farm.submit(
        {"routing": "queue"},
        keywords=KEYWORDS,
        videos_per_keyword=3,
        callback={"url": hook.url, "metadata": {}},
    )


def test_kill_9_of_the_phone_actor_and_then_the_manager_during_a_session(here: Farm, hook: Receiver) -> None:
    process_id = start(here, hook)
    view = here.wait_actions(process_id, 4)
    here.kill_actor(f"phone:{view['items'][0]['phone_id']}")
    here.wait_actions(process_id, 8)
    here.kill_actor("process_manager")
    view = here.wait_process(process_id, "completed", "failed_terminal")
    assert view["status"] == "completed", view["error"]
    check_complete(view)
    assert view["attempts"] == 2, "the manager's death costs no attempt"
    runs = sessions(here, view["timestamps"]["created_at"])
    assert all(ended < began for (_, ended, _), (began, _, _) in pairwise(runs)), f"two phones at once: {runs}"
    milestones = hook.wait_for(process_id, "completed")
    assert milestones == ["accepted", "executing", "retrying", "executing", "completed"]
    assert [e["sequence"] for e in hook.events(process_id)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("actor", ["router", "host:local", "callback_sender"])
def test_kill_9_of_any_other_actor_costs_nothing(here: Farm, hook: Receiver, actor: str) -> None:
    process_id = start(here, hook)
    here.wait_actions(process_id, 3)
    here.kill_actor(actor)
    view = here.wait_process(process_id, "completed", "failed_terminal")
    assert view["status"] == "completed", view["error"]
    check_complete(view)
    assert view["attempts"] == 1
    assert hook.wait_for(process_id, "completed")[-1] == "completed"
    again = here.submit({"routing": "direct", "phone_id": "VP000001"})
    assert here.wait_process(again, "completed", "failed_terminal")["status"] == "completed"


@pytest.mark.fault(22)
def test_a_killed_adb_server_is_started_again_and_the_phones_come_back(here: Farm) -> None:
    pidfile = here.state_dir / "adb" / "local" / "adb.pid"
    pid = int(pidfile.read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    process_id = here.submit({"routing": "group", "phone_ids": list(PHONES)})
    view = here.wait_process(process_id, "completed", "failed_terminal")
    assert view["status"] == "completed", view["error"]
    assert int(pidfile.read_text().split()[0]) != pid
