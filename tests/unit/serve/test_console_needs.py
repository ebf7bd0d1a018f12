"""What needs a person: each kind once, its bounds, the order, and that one cause makes one line."""

from __future__ import annotations

from typing import Any

import pytest

from phonefarm.core.health import GIB
from phonefarm.models.attention import Attention, DeadLetter, FailingReceiver
from phonefarm.models.clock import rfc3339
from phonefarm.serve.console.needs import Bounds, Facts, Need, NeedKind, Severity, looked_at, needs
from phonefarm.serve.examples_more import HOST, PHONE
from phonefarm.settings import HealthSettings, Limits

pytestmark = pytest.mark.timeout(30)

NOW = 1_800_000_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
K = NeedKind


def phone(phone_id: str = "P", state: str = "available", why: str | None = None, **changes: Any) -> dict[str, Any]:
    well = {
        **PHONE,
        "battery": {"level": 80, "temperature": 30.0, "charging": True, "full_hours": 0.0},
        "ladder": {},
        "last_seen": rfc3339(NOW - HOUR),
    }
    return {**well, "phone_id": phone_id, "state": state, "why": why, **changes}


def battery(**changes: Any) -> dict[str, Any]:
    return {"battery": {"level": 80, "temperature": 30.0, "charging": True, "full_hours": 0.0, **changes}}


def host(name: str = "local", why: str | None = None) -> dict[str, Any]:
    return {**HOST, "host": name, "why": why, "last_seen": rfc3339(NOW - HOUR)}


def letter(number: int) -> DeadLetter:
    return DeadLetter(
        process_id=f"id-{number}", request_id=f"r-{number}", process_type="keyword_warmup",
        finished_at=NOW - number * MINUTE, code="app_missing",
    )  # fmt: skip


def receiver(*, dead: bool = False, age: int = HOUR, **changes: Any) -> FailingReceiver:
    values: dict[str, Any] = {"url": "https://u:p@a.example/h?token=1", "count": 2, "http_status": 500, **changes}
    return FailingReceiver(dead=dead, since=NOW - age, **values)


def attention(**changes: Any) -> Attention:
    return Attention(now=NOW, **changes)


def of(**facts: Any) -> list[Need]:
    return needs(Facts(**facts), NOW)


def kinds(**facts: Any) -> list[NeedKind]:
    return [need.kind for need in of(**facts)]


LADDER = {"reconnect": {"tries": 2, "helped": 1, "last_at": rfc3339(NOW - 10 * MINUTE)}}

#: Every kind, by facts that make it and nothing else.
EACH: dict[NeedKind, dict[str, Any]] = {
    K.DATABASE: {"parts": {"storage": "the disk of the database is full", "manager": None}},
    K.FARM_AWAY: {"parts": {"router": "router has died", "storage": None}},
    K.PHONE_HOT: {"phones": [phone(**battery(temperature=42.5))]},
    K.DISK_FULL: {"attention": attention(disk_free=GIB - 1, disk_total=100 * GIB)},
    K.HOST_GONE: {"hosts": [host(why="not heard of for more than 30 s: look at its power")]},
    K.QUEUE_OLD: {"attention": attention(ready_items=3, oldest_ready=NOW - 16 * MINUTE)},
    K.HOST_TROUBLE: {"hosts": [host(why="another adb server: end it")]},
    K.PHONE_FLAPPING: {"phones": [phone(state="quarantined", why="lost 5 times within 10 minutes: look at cable")]},
    K.PHONE_QUARANTINED: {"phones": [phone(state="quarantined", why="quarantine by ops: swollen")]},
    K.PHONE_UNAUTHORIZED: {"phones": [phone(state="unauthorized")]},
    K.PHONE_OFFLINE: {"phones": [phone(state="offline", why="unplugged")]},
    K.CALLBACKS_FAILING: {"attention": attention(receivers=(receiver(),))},
    K.CALLBACKS_DEAD: {"attention": attention(receivers=(receiver(dead=True),))},
    K.DEAD_LETTER: {"attention": attention(dead_letter_count=1, dead_letters=(letter(1),))},
    K.DISK_LOW: {"attention": attention(disk_free=4 * GIB, disk_total=100 * GIB)},
    K.PHONE_UNFIT: {"phones": [phone(state="checking", why="the lock screen cannot be opened")]},
    K.PHONE_BATTERY: {"phones": [phone(**battery(level=19, charging=False))]},
    K.PHONE_STORAGE: {"phones": [phone(storage={"free": GIB - 1, "total": 64 * GIB})]},
    K.PHONE_UNSTEADY: {"phones": [phone(ladder=LADDER)]},
    K.BATTERY_FULL: {"phones": [phone(**battery(level=100, full_hours=14 * 24.0))]},
}


def test_every_kind_of_need_has_a_case() -> None:
    assert set(EACH) == set(NeedKind)


@pytest.mark.parametrize("kind", EACH, ids=lambda kind: kind.name.lower())
def test_each_kind_once_with_what_to_do(kind: NeedKind) -> None:
    (need,) = of(**EACH[kind])
    assert need.kind is kind
    assert need.subject
    assert need.what
    assert need.step
    assert need.step[0] == need.step[0].upper()
    assert not need.step.endswith(".")


@pytest.mark.parametrize(
    ("why", "what", "step"),
    [
        ("another adb server: adb, process 4711; end it", "another adb server: adb, process 4711", "End it"),
        ("not heard of for 30 s: look at it", "not heard of for 30 s", "Look at it"),
        ("it is odd", "it is odd", "Read the host's log in its state directory"),
    ],
)  # fmt: skip
def test_what_a_host_says_is_split_into_what_is_wrong_and_what_to_do(why: str, what: str, step: str) -> None:
    (need,) = of(hosts=[host(why=why)])
    assert (need.what, need.step) == (what, step)


def test_worst_first_and_within_a_kind_the_oldest() -> None:
    phones = [each for facts in EACH.values() for each in facts.get("phones", ())]
    named = [{**each, "phone_id": f"P{number}"} for number, each in enumerate(phones)]
    seen = attention(
        disk_free=GIB - 1, disk_total=100 * GIB, ready_items=1, oldest_ready=NOW - DAY,
        receivers=(receiver(dead=True), receiver()), dead_letter_count=2, dead_letters=(letter(1), letter(2)),
    )  # fmt: skip
    hosts = [host("a", "another adb server: end it"), host("b", "not heard of for 30 s: look")]
    parts = {"router": "away", "storage": "full"}
    found = of(phones=named, hosts=hosts, attention=seen, parts=parts)
    order = list(NeedKind)
    assert [need.kind for need in found] == sorted((need.kind for need in found), key=order.index)
    assert {need.kind for need in found} == set(NeedKind) - {K.DISK_LOW}
    assert [need.subject for need in found if need.kind is K.DEAD_LETTER] == ["r-2", "r-1"]
    severities = [need.kind.severity for need in found]
    assert severities == sorted(severities, key=list(Severity).index)


@pytest.mark.parametrize(
    "facts",
    [
        {"phones": [phone()], "hosts": [host()], "attention": attention(), "parts": {"storage": None}},
        {"phones": [phone(state="offline", last_seen=rfc3339(NOW - 2 * MINUTE))]},
        {"phones": [phone(state="paused"), phone(state="retired"), phone(state="checking"), phone(state="busy")]},
        {"phones": [phone(**battery(temperature=42, level=10, charging=True))]},
        {"phones": [phone(**battery(level=20, charging=False))]},
        {"phones": [phone(**battery(level=None, temperature=None, charging=None), storage={"free": None})]},
        {"phones": [phone(storage={"free": GIB, "total": 64 * GIB})]},
        {"phones": [phone(ladder={"reconnect": {**LADDER["reconnect"], "last_at": rfc3339(NOW - 61 * MINUTE)}})]},
        {"phones": [phone(**battery(level=100, full_hours=335.9))]},
        {"attention": attention(ready_items=3, oldest_ready=NOW - 15 * MINUTE)},
        {"attention": attention(receivers=(receiver(age=10 * MINUTE),))},
        {"attention": attention(disk_free=6 * GIB, disk_total=100 * GIB)},
        {"attention": attention(disk_free=2 * GIB, disk_total=20 * GIB)},
    ],
)
def test_what_is_within_its_bounds_or_mends_itself_needs_nobody(facts: dict[str, Any]) -> None:
    assert of(**facts) == []


def test_the_phones_of_a_host_that_is_gone_are_told_of_in_its_line() -> None:
    lost = [phone(f"P{n}", "offline", "host b is not heard of", host="b") for n in range(3)]
    held = phone("Q", "quarantined", "quarantine by ops: smoke", host="b")
    gone = host("b", "not heard of for more than 30 s: look at its power, its network and its Ray node")
    first, second = of(phones=[*lost, held, phone("R", host="local")], hosts=[host(), gone])
    assert (first.kind, first.subject) == (K.HOST_GONE, "b")
    assert first.what == "not heard of for more than 30 s. Its 4 phones cannot be used."
    assert first.step == "Look at its power, its network and its Ray node"
    assert second.subject == "Q"


def test_limits_are_those_of_the_farm_and_of_the_phone_s_groups() -> None:
    health = HealthSettings(limits=Limits(temperature=50), groups={"rack-1": {"battery": 90}})
    facts = {"phones": [phone(**battery(temperature=46, level=80, charging=False))], "health": health}
    assert kinds(**facts) == [K.PHONE_BATTERY]


def test_what_is_known_of_a_phone_that_is_away_is_old_and_not_told() -> None:
    hot = {**battery(temperature=60, level=1, charging=False, full_hours=9_999.0), "ladder": LADDER}
    assert kinds(phones=[phone(state="offline", **hot)]) == [K.PHONE_OFFLINE]
    assert kinds(phones=[phone(state="retired", **hot)]) == []


def test_an_unfit_phone_is_told_of_by_the_reason_that_has_a_line_of_its_own() -> None:
    hot = phone(state="checking", why="battery at 46 degrees Celsius", **battery(temperature=46))
    assert kinds(phones=[hot]) == [K.PHONE_HOT]


def test_phones_that_are_always_full_share_a_line() -> None:
    (need,) = of(phones=[phone(f"P{n}", **battery(level=100, full_hours=400.0 + n)) for n in range(7)])
    assert need.subject == "P0, P1, P2, P3, P4 and 2 more"
    assert need.what == "7 phones at 100 % on the charger for up to 17 days"
    assert need.since == NOW - 406 * HOUR


def test_many_dead_letters_are_a_few_lines() -> None:
    letters = tuple(letter(number) for number in range(20))
    found = of(attention=attention(dead_letter_count=31, dead_letters=letters))
    assert len(found) == Bounds().letters + 1
    assert found[-1].what == "26 more processes failed within the last week"
    assert found[-1].href == "/console/processes?status=failed_terminal"
    assert "install the app" in found[0].step.lower()


def test_a_receiver_is_named_without_what_may_be_secret_in_its_url() -> None:
    (need,) = of(attention=attention(receivers=(receiver(),)))
    assert (need.subject, need.what) == ("https://a.example/h", "2 callbacks not delivered: answers 500")
    (silent,) = of(attention=attention(receivers=(receiver(http_status=None, error="connect"),)))
    assert silent.what == "2 callbacks not delivered: connect"


def test_links_lead_to_phones_with_any_name() -> None:
    (need,) = of(phones=[phone("a/b ?<c>", "unauthorized")])
    assert need.href == "/console/phones/a%2Fb%20%3F%3Cc%3E"


def test_what_was_looked_at_is_said_as_far_as_it_was_read() -> None:
    assert looked_at(Facts()) == []
    facts = Facts(
        phones=[phone()], hosts=[host(), host("b")], attention=attention(disk_free=7 * GIB, disk_total=9 * GIB),
        parts={"manager": None, "router": "away"},
    )  # fmt: skip
    said = looked_at(facts)
    assert said[0].startswith("1 phone:")
    assert said[1].startswith("2 hosts:")
    assert "the disk of the farm's state: 7.0 GiB free" in said
    assert said[-1] == "manager"


def test_since_when_is_told_from_the_history_of_the_phone() -> None:
    states = {"P": NOW - DAY}
    for state in ("quarantined", "unauthorized", "offline"):
        (need,) = of(phones=[phone(state=state)], attention=attention(states=states))
        assert need.since == NOW - DAY
    assert kinds(phones=[phone(state="offline")], attention=attention(states={"P": NOW - MINUTE})) == []
