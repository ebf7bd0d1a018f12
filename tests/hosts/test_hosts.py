"""A farm on three machines: what each can lose, and what the phones' own journals say about it.

Every machine is a set of namespaces with a Ray node of its own (``spaces``, ``cluster``); all of Ray, adb, the database
and the wire to the virtual phones are real. One clock for all of them, so times of journals can be compared.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.bodies import maintenance, step
from tests.e2e.farm import until
from tests.hosts.cluster import ALL, LEASE, LOSSES, PHONES, Cluster
from tests.hosts.spaces import why_not

WHY_NOT = why_not()
pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(WHY_NOT is not None, reason=f"several machines in one: {WHY_NOT}; see test_cluster_utils"),
]

#: Share of a lease after which a phone stops by itself (core.leases), and seconds a command under way may take.
SAFETY, COMMAND = 0.8, 2.0


def driven(here: Cluster, phone_id: str, since: float, host: str | None = None) -> list[float]:
    """When a session drove this phone, on ``host`` or on any, by the phone's journal."""
    lines = [*told(here, phone_id, "input ", since), *told(here, phone_id, "uiautomator", since)]
    return [_at(line) for line in lines if host in (None, line["host"])]


def told(here: Cluster, phone_id: str, words: str, since: float) -> list[dict[str, Any]]:
    """What the phone was told since then, by its own journal."""
    lines = [line for line in here.journal(phone_id) if words in f"{line['service']} {line['command']}"]
    return [line for line in lines if _at(line) >= since]


def _at(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["at"]).timestamp()


def usable(here: Cluster, *phone_ids: str, seconds: float = 90.0) -> None:
    """Wait until they are available, or already have work again."""
    states = ("available", "busy")

    def ready() -> bool:
        return all(here.phones()[p]["state"] in states for p in phone_ids)

    until(ready, f"{phone_ids} usable", seconds, here.told_of_phones)


def occupy(here: Cluster, phone_id: str, videos: int = 12) -> tuple[list[str], str]:
    """Queue work for all phones: (all processes, the one that ``phone_id`` runs)."""
    sent = [here.submit({"routing": "queue"}, videos_per_keyword=videos) for _ in ALL]

    def runs_it() -> str | None:
        views = [here.process(process_id) for process_id in sent]
        mine = [v for v in views if v["status"] == "executing" and v["items"][0]["phone_id"] == phone_id]
        return str(mine[0]["process_id"]) if mine else None

    process_id = until(runs_it, f"{phone_id} has work")
    here.wait_actions(process_id, 2)
    return sent, process_id


def completed(here: Cluster, process_id: str, seconds: float = 120.0) -> dict[str, Any]:
    view = here.wait_process(process_id, "completed", "failed_terminal", seconds=seconds)
    assert view["status"] == "completed", view["error"]
    return view


def test_work_runs_on_the_host_that_holds_the_phone_and_a_host_is_drained(here: Cluster) -> None:
    since = time.time()
    completed(here, here.submit({"routing": "direct", "phone_id": "VP000101"}))
    assert driven(here, "VP000101", since, "h1")
    assert not [phone for phone in ALL if phone != "VP000101" and driven(here, phone, since)]
    for phone_id, phone in here.phones().items():
        assert phone["host"] == next(host for host, phones in PHONES.items() if phone_id in phones)
        assert [m for m in here.machines if here.starts_of(f"phone:{phone_id}", m)] == [phone["host"]]
    hosts = {host["host"]: host for host in here.get("/hosts")["items"]}
    assert {name: host["state"] for name, host in hosts.items()} == {"h1": "ok", "h2": "ok"}
    for name, host in hosts.items():
        assert len(here.machines[name].pids(f"-P {host['adb_port']} nodaemon server")) == 1
    view = completed(here, here.submit({"routing": "group", "phone_ids": list(ALL)}))
    assert {item["phone_id"] for item in view["items"]} == set(ALL)
    _drain_h2(here)


def _drain_h2(here: Cluster) -> None:
    running = here.submit({"routing": "direct", "phone_id": "VP000201"}, videos_per_keyword=4)
    here.wait_actions(running, 1)
    assert here.client.post("/hosts/h2/drain", json={"reason": "power supply"}).status_code == 200
    waiting = here.submit({"routing": "direct", "phone_id": "VP000202"})
    assert here.process(waiting)["waiting"]["reason"] in ("phone_paused", "phone_draining")
    assert completed(here, running)["attempts"] == 1
    here.wait_phones(*PHONES["h2"], state="paused")
    assert here.process(waiting)["status"] == "queued"
    assert here.client.post("/hosts/h2/resume", json={"reason": "done"}).status_code == 200
    completed(here, waiting)


@pytest.mark.fault(15)
def test_answers_that_get_lost_repeat_no_step(here: Cluster) -> None:
    phone, words = "VP000201", ["sourdough", "rye bread"]
    since = time.time()
    process_id = here.submit({"routing": "direct", "phone_id": phone}, keywords=words)
    body = maintenance(step("reboot"), phone_id=phone)
    answer = here.client.post("/maintenance/requests", json=body)
    assert answer.status_code == 202, answer.text
    upkeep = answer.json()["process_id"]
    for sent in (process_id, upkeep):
        assert completed(here, sent)["attempts"] == 1
        events = here.get(f"/processes/{sent}/events")["items"]
        done = Counter(event["data"]["index"] for event in events if event["kind"] == "action.finished")
        assert done
        assert set(done.values()) == {1}
    assert len(told(here, phone, "input text", since)) == len(words), "each keyword is typed once"
    assert len(told(here, phone, "reboot", since)) == 1
    assert "does not answer: ActorUnavailableError" in here.log_of(f"phone:{phone}", "h2"), "no answer was lost"


@pytest.mark.fault(16)
def test_a_frozen_actor_touches_nothing_when_it_wakes_up_after_its_lease(here: Cluster) -> None:
    sent, process_id = occupy(here, "VP000101", videos=20)
    (pid,) = here.starts_of("phone:VP000101", "h1")[-1:]
    here.machines["h1"].kill(pid, signal.SIGSTOP)
    try:
        view = completed(here, process_id)
    finally:
        woken = time.time()
        here.machines["h1"].kill(pid, signal.SIGCONT)
    assert view["attempts"] == 2
    assert view["items"][0]["phone_id"] != "VP000101"
    until(lambda: "session.lease_lost" in here.log_of("phone:VP000101", "h1"), "it sees that its lease is over")
    assert not driven(here, "VP000101", woken), "no touch of the lost attempt"
    for other in sent:
        completed(here, other)
    assert here.process(process_id)["attempts"] == 2
    assert here.starts_of("phone:VP000101", "h1")[-1] == pid, "it was frozen, not replaced"


@pytest.mark.fault(17)
def test_an_actor_that_ends_again_and_again_is_set_apart_with_the_reason(here: Cluster) -> None:
    phone, host = "VP000202", here.machines["h2"]
    spoken = f'"phone": "{phone}", "host": "h2", "state": "checking"'  # said once by each actor that starts
    try:
        for _ in range(LOSSES - 1):
            times = here.log_of("process_manager").count(spoken)
            host.kill(here.starts_of(f"phone:{phone}", "h2")[-1])
            until(lambda times=times: here.log_of("process_manager").count(spoken) > times, "the next one speaks")  # type: ignore[misc]
        here.wait_phones(phone)
        host.kill(here.starts_of(f"phone:{phone}", "h2")[-1])
        here.wait_phones(phone, state="quarantined")
        assert f"its actor ended {LOSSES} times" in here.phones()[phone]["why"]
        waiting = here.submit({"routing": "direct", "phone_id": phone})
        assert here.process(waiting)["waiting"]["reason"] == "phone_quarantined"
        completed(here, here.submit({"routing": "direct", "phone_id": "VP000201"}))
        assert {h["state"] for h in here.get("/hosts")["items"]} == {"ok"}
    finally:
        here.client.post(f"/phones/{phone}/release", json={"reason": "looked at"})
    completed(here, waiting)


@pytest.mark.fault(13)
def test_a_short_cut_is_seen_by_nobody(here: Cluster) -> None:
    process_id = here.submit({"routing": "direct", "phone_id": "VP000101"}, videos_per_keyword=8)
    here.wait_actions(process_id, 2)
    starts = here.starts_of("phone:VP000101", "h1")
    here.wire.cut("h1")
    ends_at = time.monotonic() + LEASE / 3
    while time.monotonic() < ends_at:
        assert here.phones()["VP000101"]["state"] == "busy"
        time.sleep(0.2)
    here.wire.mend("h1")
    assert completed(here, process_id)["attempts"] == 1
    assert here.starts_of("phone:VP000101", "h1") == starts


@pytest.mark.fault(14)
def test_a_long_cut_stops_the_phone_before_its_work_is_given_away(here: Cluster) -> None:
    managers = here.starts_of("process_manager")
    since = time.time()
    sent, process_id = occupy(here, "VP000101", videos=20)
    here.wire.cut("h1")
    cut = time.time()
    try:
        here.wait_phones(*PHONES["h1"], state="offline", seconds=60)
        assert "not heard of" in here.phones()["VP000101"]["why"]
        until(lambda: "not heard of" in (_host(here, "h1")["why"] or ""), "the host is given up too")
        view = completed(here, process_id)
    finally:
        here.wire.mend("h1")
    assert view["attempts"] == 2
    assert view["items"][0]["phone_id"] in PHONES["h2"]
    last = max(driven(here, "VP000101", since, "h1"))
    assert cut < last < cut + SAFETY * LEASE + COMMAND, "it works on while it may, and no longer"
    assert [len(k["videos"]) for k in view["result"]["keywords"]] == [20]
    # Ray has given the node up, so it ends some seconds after the cut and its supervisor starts it again
    until(lambda: "h1" in here.nodes(), "h1 is a living node", 120)
    usable(here, *ALL, seconds=120)
    for other in sent:
        completed(here, other)
    assert here.process(process_id)["attempts"] == 2, "a late word changes nothing"
    assert here.starts_of("process_manager") == managers, "the manager is never started elsewhere"
    assert not here.starts_of("process_manager", "h1") + here.starts_of("process_manager", "h2")


@pytest.mark.fault(11, 12)
def test_a_host_that_loses_power_gives_its_work_away_and_comes_back_by_itself(here: Cluster) -> None:
    before = until(here.nodes, "Ray's nodes")
    patient = {"max_attempts": 5}  # a machine under load may take longer to start an actor than a delivery may take
    direct = here.submit({"routing": "direct", "phone_id": "VP000102"}, videos_per_keyword=8, options=patient)
    here.wait_actions(direct, 2)
    sent, moving = occupy(here, "VP000101")
    here.machines["h1"].power_off()
    off = time.time()
    try:
        here.wait_phones(*PHONES["h1"], state="offline", seconds=60)
        offline = time.time()
        assert completed(here, moving)["items"][0]["phone_id"] in PHONES["h2"]
        reason = "phone_offline"  # after its back-off
        until(lambda: (here.process(direct).get("waiting") or {}).get("reason") == reason, "it waits and says why")
    finally:
        on = time.time()
        here.boot("h1")
    usable(here, *PHONES["h1"], seconds=200)
    print(f"host off to phones offline {offline - off:.1f} s; host on to phones usable {time.time() - on:.1f} s")
    assert completed(here, direct)["attempts"] >= 2
    for other in sent:
        completed(here, other)
    assert driven(here, "VP000102", off, "h1"), "it went on where it was pinned"
    assert not driven(here, "VP000102", 0.0, "h2")
    after = until(here.nodes, "Ray's nodes")
    assert after["h1"] != before["h1"]
    assert after["h2"] == before["h2"]


@pytest.mark.fault(20)
def test_a_phone_that_is_plugged_into_another_host_is_adopted_there(here: Cluster) -> None:
    _moved_to_h2(here, "VP000102")


def _host(here: Cluster, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(h for h in here.get("/hosts")["items"] if h["host"] == name)
    return found


def _moved_to_h2(here: Cluster, phone: str) -> None:
    process_id = here.submit({"routing": "direct", "phone_id": phone}, videos_per_keyword=20)
    here.wait_actions(process_id, 2)
    since = time.time()
    here.unplug(phone, "h1")
    here.plug(phone, "h2")
    here.dial(phone, "h2")
    view = completed(here, process_id)
    assert view["attempts"] >= 2
    assert here.phones()[phone]["host"] == "h2"
    assert driven(here, phone, since, "h2")
    there = driven(here, phone, since, "h2")
    assert all(t < min(there) for t in driven(here, phone, since, "h1")), "one host after the other"


def _on_h1(here: Cluster, phone: str) -> None:
    """Wherever another test has left it."""
    if here.phones()[phone]["host"] == "h2":
        here.unplug(phone, "h2")
        here.plug(phone, "h1")
        here.dial(phone, "h1")
        until(lambda: here.phones()[phone]["host"] == "h1", "it is back on h1", 120)
        usable(here, phone)


def test_a_twin_on_another_host_sets_both_apart(here: Cluster) -> None:
    """Another phone with the same serial number on the host it came from: both are set apart, until one is gone."""
    phone = "VP000102"
    _on_h1(here, phone)
    _moved_to_h2(here, phone)
    here.plug(phone, "h1", seed=2)
    here.dial(phone, "h1")
    here.wait_phones(phone, state="quarantined")
    why = here.phones()[phone]["why"]
    assert "different phones say they are" in why
    assert "h1: " in why
    waiting = here.submit({"routing": "direct", "phone_id": phone})
    assert here.process(waiting)["waiting"]["reason"] == "phone_quarantined"
    since = time.time()
    here.unplug(phone, "h2")  # the one that moved goes; its twin is the phone from now on
    completed(here, waiting)
    assert here.phones()[phone]["host"] == "h1"
    assert driven(here, phone, since, "h1")
    assert not driven(here, phone, since, "h2")
