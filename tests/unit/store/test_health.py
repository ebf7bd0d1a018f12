"""What is kept of phones' and hosts' health, in both databases."""

from __future__ import annotations

from functools import partial

from phonefarm.models.phone import Battery, HostReport, PhoneFacts, PhoneReport, Rung, RungReport
from phonefarm.models.process import Operation, OperationScope
from phonefarm.models.states import PhoneState
from phonefarm.store import hosts, roster, views
from tests.unit.store.desk import Desk, desk

HOUR = 3_600_000


def charge(here: Desk, level: int, *, charging: bool = True) -> float:
    facts = PhoneFacts(phone_id="A", battery=Battery(level=level, charging=charging), locked=True)
    report = PhoneReport(phone_id="A", host="h", serial="A", state=PhoneState.AVAILABLE, facts=facts)
    here.run(lambda tx: roster.report_phones(tx, [report]))
    (view,) = here.read(lambda c: views.phone_list(c, here.now, "A"))
    assert view["screen"] == {"on": None, "locked": True}
    hours = view["battery"]["full_hours"]
    assert isinstance(hours, float)
    return hours


def test_the_hours_a_battery_is_full_on_its_charger_are_counted_over_checks(db_url: str) -> None:
    with desk(db_url) as here:
        assert charge(here, 99) == 0.0
        assert charge(here, 100) == 0.0
        here.now += 5 * HOUR
        assert charge(here, 97) == 5.0
        here.phone("A", PhoneState.OFFLINE)
        here.now += HOUR
        assert charge(here, 100) == 6.0
        assert charge(here, 100, charging=False) == 0.0
        assert charge(here, 100) == 0.0


def test_a_phone_that_sets_itself_apart_is_held_by_nobody(db_url: str) -> None:
    with desk(db_url) as here:
        here.phone("A", PhoneState.QUARANTINED)
        assert here.view("A")["state"] == "quarantined"
        here.phone("A")
        assert here.view("A")["state"] == "available"


def test_what_operators_do_to_a_phone_that_set_itself_apart(db_url: str) -> None:
    with desk(db_url) as here:
        for operation, state, after in (
            (Operation.QUARANTINE, "quarantined", "quarantined"),
            (Operation.PAUSE, "paused", "paused"),
            (Operation.RETIRE, "retired", "retired"),
            (Operation.RELEASE, "checking", "available"),
            (Operation.RESUME, "quarantined", "available"),
        ):
            here.phone(state, PhoneState.QUARANTINED)
            here.operate(operation, state)
            assert here.view(state)["state"] == state
            here.phone(state)
            assert here.view(state)["state"] == after, operation
            if after != "available":
                lift = Operation.RESUME if after == "paused" else Operation.RELEASE
                here.operate(lift, state)
                here.phone(state)


def test_a_host_s_drain_holds_a_phone_that_set_itself_apart_too(db_url: str) -> None:
    with desk(db_url) as here:
        here.phone("A", PhoneState.QUARANTINED)
        here.operate(Operation.DRAIN, "h", OperationScope.HOST)
        here.phone("A")
        assert here.view("A")["state"] == "paused"


def test_rungs_are_counted_by_phone(db_url: str) -> None:
    with desk(db_url) as here:
        here.phone("A")
        here.phone("B")
        for rung, helped in ((Rung.RECONNECT, False), (Rung.RECONNECT, True), (Rung.REBOOT, True)):
            report = RungReport(phone_id="A", rung=rung, helped=helped)
            here.run(partial(hosts.count_rung, report=report))
        ladder = here.view("A")["ladder"]
        counts = {rung: (tried["tries"], tried["helped"]) for rung, tried in ladder.items()}
        assert counts == {"reconnect": (2, 1), "reboot": (1, 1)}
        assert here.view("B")["ladder"] == {}


def test_how_hosts_are_is_what_they_said_last(db_url: str) -> None:
    with desk(db_url) as here:
        for why, strangers in (("port taken", ("process 1",)), (None, ())):
            report = HostReport(name="h", adb_port=1, why=why, strangers=strangers)
            here.run(partial(hosts.report_host, report=report))
            (view,) = here.read(hosts.host_list)
            assert (view["state"], view["why"]) == ("trouble" if why else "ok", why)
            assert view["other_adb_servers"] == list(strangers)
