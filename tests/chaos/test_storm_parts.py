"""The storm's own parts: its orders are good ones, its witness finds what is planted, every rule is asked about."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.chaos.checker import check
from tests.chaos.records import Records, Row, Rows
from tests.chaos.storm.blows import Struck
from tests.chaos.storm.databases import Postgres
from tests.chaos.storm.orders import KEYWORD, Order, orders
from tests.chaos.storm.report import QUESTIONS, recoveries
from tests.chaos.storm.witness import Sighting, sightings, touches
from tests.contract.base import KEY
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import connect

pytestmark = pytest.mark.timeout(30)
PHONES = [f"VP{n:06d}" for n in range(1, 7)]


def some(seed: int = 1) -> list[Order]:
    return orders(seed=seed, count=300, seconds=60, phones=PHONES, accounts=["a"], hook="https://example.com/hook")


def test_a_seed_decides_all_orders() -> None:
    assert some(5) == some(5)
    assert [order.body for order in some(5)] != [order.body for order in some(6)]


def test_every_kind_of_order_and_of_client_is_there() -> None:
    made = some()
    assert len({order.kind for order in made}) == 8
    assert {order.copies for order in made} == {1, 3}
    assert any(order.hang_up for order in made)
    assert {order.strategy for order in made if order.cancel_after is not None} == {"soft", "hard", "soft_then_force"}
    assert any(order.other for order in made)


async def test_orders_are_accepted_by_the_program() -> None:
    """All but those whose target the fake farm does not know."""
    wanted = {order.kind: order for order in some() if "account" not in order.kind and "expires" not in order.kind}
    async with connect(FakeFarm(), key=KEY) as client:
        for order in wanted.values():
            answer = await client.post("/capability-requests/enqueue", json=dict(order.body))
            assert answer.status_code in (202, 404), (order.kind, answer.text)
            assert answer.status_code == 202 or answer.json()["code"] == "unknown_phone"


# -- the witness --------------------------------------------------------------------------------------------------


def rows(*turns: tuple[str, int, int | None], action: str | None = None) -> Rows:
    """One keyword process (number 7) of one item; turns: (phone, since, until) in ms, one attempt each."""
    events, sequence = [], 0
    for number, (phone, since, until) in enumerate(turns, 1):
        for kind, at in (("item.claimed", since), ("item.interrupted", until)):
            if at is not None:
                sequence += 1
                events.append(
                    {"process_id": "p", "item_id": "i", "sequence": sequence, "kind": kind, "at": at,
                     "phone_id": phone, "data": {"attempt": number}}
                )  # fmt: skip
    process = {"id": "p", "process_type": "keyword_warmup", "inputs": {"keywords": [KEYWORD.format(number=7)]}}
    actions = [{"item_id": "i", "attempt": 1, "idx": 1, "kind": action}] if action else []
    return Rows(processes=[process], items=[{"id": "i", "process_id": "p"}], events=events, actions=actions)


def seen(phone: str, at: float, query: str | None = KEYWORD.format(number=7)) -> Sighting:
    return Sighting(phone_id=phone, started=at, ended=at, query=query)


@pytest.mark.parametrize(
    ("phone", "at", "attempt"),
    [
        ("A", 1.5, 1),  # within the first attempt
        ("B", 4.5, 2),  # within the second
        ("A", 9.0, 1),  # too late: of the last attempt this phone had, which was over
        ("A", 0.5, 0),  # before anything was granted
        ("C", 4.5, 0),  # a phone that was never granted it
    ],
)
def test_what_a_phone_showed_is_of_the_attempt_that_had_it(phone: str, at: float, attempt: int) -> None:
    (touch,) = touches([seen(phone, at)], rows(("A", 1_000, 2_000), ("B", 4_000, 6_000)))
    assert (touch.item_id, touch.attempt) == ("i", attempt)


@pytest.mark.parametrize(
    ("woken", "at", "found"),
    [
        (True, 3.5, 0),  # another process has the phone, and wakes it
        (False, 3.5, 1),  # somebody goes on where another has begun
        (True, 1.5, 1),  # its own session wakes it
        (True, 9.0, 1),  # nobody has the phone
    ],
)
def test_what_another_finds_on_the_screen_it_wakes_is_nobody_s_work(woken: bool, at: float, found: int) -> None:
    history = rows(("A", 1_000, 2_000))
    other = [replace_ids(event) for event in rows(("A", 3_000, 4_000)).events]
    both = replace(history, events=[*history.events, *other])
    assert len(touches([replace(seen("A", at), woken=woken)], both)) == found


def replace_ids(event: Row) -> Row:
    return {**event, "process_id": "other", "item_id": "other-item"}


def test_what_a_waking_command_shows_is_told_from_what_others_show(tmp_path: Path) -> None:
    line = {"service": "shell", "rc": 0, "at": "2026-11-24T00:00:10.000Z"}
    commands = [
        {**line, "mono": 2.0, "mono_start": 1.0, "command": "input keyevent KEYCODE_WAKEUP ; wm dismiss-keyguard ; x"},
        {**line, "mono": 4.0, "mono_start": 3.0, "command": "input tap 1 2 ; x"},
    ]
    (tmp_path / "A.jsonl").write_text("".join(json.dumps(one) + "\n" for one in commands))
    shown = [{"mono": at, "query": "q", "rank": 0, "title": "t", "author": "a"} for at in (1.5, 3.5)]
    (tmp_path / "A.shown.jsonl").write_text("".join(json.dumps(one) + "\n" for one in shown))
    assert [sighting.woken for sighting in sightings(tmp_path, "A")] == [True, False]


@pytest.mark.parametrize(("until", "late"), [(1_500, True), (3_050, False)], ids=["begun after the end", "before"])
def test_what_a_command_shows_counts_from_when_the_phone_began_it(tmp_path: Path, until: int, late: bool) -> None:
    """From 3.0 to 3.3 the phone does what it was told, at 3.2 the video is there."""
    line = {"service": "shell", "rc": None, "at": "1970-01-01T00:00:03.300Z", "mono": 3.3, "mono_start": 3.0}
    (tmp_path / "A.jsonl").write_text(json.dumps({**line, "command": "input tap 1 2 ; x"}) + "\n")
    shown = {"mono": 3.2, "query": KEYWORD.format(number=7), "rank": 0, "title": "t", "author": "a"}
    (tmp_path / "A.shown.jsonl").write_text(json.dumps(shown) + "\n")
    (touch,) = touches(sightings(tmp_path, "A"), rows(("A", 1_000, until)))
    assert (touch.attempt, touch.started * 1000 > until) == (1, late)


def test_what_nobody_asked_for_by_a_keyword_is_left_out() -> None:
    assert touches([seen("A", 1.5, "of the feed")], rows(("A", 1_000, 2_000))) == []


def test_two_reboots_for_one_item_are_one_too_many() -> None:
    history = rows(("A", 1_000, 5_000), action="reboot")
    once = touches([seen("A", 1.5, None)], history)
    twice = touches([seen("A", 1.5, None), seen("A", 2.5, None)], history)
    assert [touch.index for touch in once] == [1]
    assert len({touch.once for touch in twice}) == 1
    found = [v for v in check(Records(rows=Rows(), touches=twice)) if v.rule == "R4"]
    assert "started 2 times" in str(found)


def test_journals_are_read_with_one_clock(tmp_path: Path) -> None:
    """The journal of commands says what the monotonic clock means; the one of the screen has that clock only."""
    line = {"service": "shell", "rc": None, "at": "2026-11-24T00:00:10.000Z", "mono": 110.0, "mono_start": 109.0}
    commands = [{**line, "command": "rm -f x; reboot"}, {**line, "command": "echo reboot"}]
    (tmp_path / "A.jsonl").write_text("".join(json.dumps(one) + "\n" for one in commands))
    shown = {"mono": 105.0, "query": "q", "rank": 0, "title": "t", "author": "a"}
    (tmp_path / "A.shown.jsonl").write_text(json.dumps(shown) + "\n")
    screen, reboot = sightings(tmp_path, "A")
    assert (screen.query, reboot.query) == ("q", None)
    assert (reboot.started - screen.started, reboot.ended - reboot.started) == (4.0, 1.0)


# -- the report ---------------------------------------------------------------------------------------------------


def test_every_rule_of_the_checker_is_asked_about() -> None:
    asked = {rule for rules in QUESTIONS.values() for rule in rules}
    assert asked == {"R1", "R2", "R3", "R4", "R5", "R7", "R8", "keys", "callbacks", "accounts"}


def test_recoveries_are_the_median_and_the_worst() -> None:
    struck = [Struck(name="router", at=0, seconds=s) for s in (1.0, 9.0, 2.0)]
    assert recoveries(struck) == [("router", 3, 2.0, 9.0)]


class Server:
    """A database's server: a process that sleeps. ``starts`` says of each start whether it works."""

    def __init__(self, *starts: bool) -> None:
        self._starts = list(starts)
        heard = partial(signal.signal, signal.SIGQUIT, signal.SIG_DFL)  # what runs in the background may ignore it
        self.process = subprocess.Popen(["sleep", "600"], preexec_fn=heard)

    def get_pid(self) -> int:
        return self.process.pid

    def ensure_postgres_running(self) -> None:
        if not self._starts.pop(0):
            raise subprocess.TimeoutExpired("pg_ctl", 10)


class Still(random.Random):
    """Draws the smallest number there is."""

    def uniform(self, a: float, b: float) -> float:
        return min(a, b)


def test_a_server_that_starts_slowly_is_started_again() -> None:
    server = Server(False, False, True)
    assert Postgres(server, "").trouble(Still()) == "database server crashed, away for 0.0 s"
    with pytest.raises(ProcessLookupError):
        os.kill(server.get_pid(), 0)


def test_a_server_that_has_ended_already_is_started_again() -> None:
    server = Server(True)
    gone = server.get_pid()
    server.process.kill()
    server.process.wait()
    assert not psutil.pid_exists(gone)
    assert "crashed" in Postgres(server, "").trouble(Still())


def test_a_server_that_never_starts_is_said() -> None:
    with pytest.raises(RuntimeError, match="did not start"):
        Postgres(Server(*[False] * 6), "").trouble(Still())
