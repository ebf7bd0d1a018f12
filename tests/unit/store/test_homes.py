"""Hosts that are given up, and the word of actors that were replaced; on both databases."""

from __future__ import annotations

from functools import partial

from phonefarm.models.clock import new_id
from phonefarm.models.phone import HostReport, PhoneReport
from phonefarm.models.states import PhoneState
from phonefarm.store import homes, hosts, rescue, roster
from tests.farmtools import submission
from tests.unit.store.desk import TERMS, Desk, desk


def report(phone_id: str, host: str = "h1", state: PhoneState = PhoneState.AVAILABLE, by: str = "") -> PhoneReport:
    return PhoneReport(phone_id=phone_id, host=host, serial=f"{phone_id}:1", state=state, incarnation=by)


def say(here: Desk, *reports: PhoneReport) -> None:
    here.run(lambda tx: roster.report_phones(tx, homes.heard(tx, reports)))


def phone(here: Desk, phone_id: str) -> tuple[str, PhoneState, str | None]:
    (row,) = here.run(partial(roster.phone_rows, phone_ids=[phone_id]))
    return row.host, row.state, row.why


def test_phones_of_a_silent_host_are_offline_until_it_is_heard_of(db_url: str) -> None:
    with desk(db_url) as here:
        well = HostReport(name="h1", adb_port=1)
        assert here.run(partial(homes.report_host, report=well)) is True
        say(here, report("A"), report("B", state=PhoneState.OFFLINE), report("C", host="h2"))
        gone = here.run(partial(homes.give_up, host="h1", seconds=12.0))
        assert [row.phone_id for row in gone] == ["A"]
        assert phone(here, "A")[1] is PhoneState.OFFLINE
        assert "h1 is not heard of for more than 12 s" in str(phone(here, "A")[2])
        assert phone(here, "C")[1] is PhoneState.AVAILABLE
        (view,) = here.read(hosts.host_list)
        assert view["state"] == "trouble"
        assert view["why"].startswith("not heard of")
        assert here.run(partial(homes.give_up, host="h1", seconds=12.0)) == [], "said once"
        assert here.run(partial(homes.report_host, report=well)) is False, "its phones must be told of again"
        assert here.run(partial(homes.report_host, report=well)) is True
        say(here, report("A"))
        assert phone(here, "A")[1] is PhoneState.AVAILABLE


def test_what_a_replaced_actor_says_is_dropped(db_url: str) -> None:
    with desk(db_url) as here:
        say(here, report("A", by="old"))
        here.run(lambda tx: rescue.take_from_restarted(tx, "A", "old", [], new_id))
        say(here, report("A", by="old"))
        here.run(lambda tx: rescue.take_from_restarted(tx, "A", "new", [], new_id))
        say(here, report("A", host="h2", by="new"))
        say(here, report("A", host="h1", state=PhoneState.OFFLINE, by="old"))
        assert phone(here, "A")[:2] == ("h2", PhoneState.AVAILABLE)
        say(here, report("A", host="h2", state=PhoneState.OFFLINE))
        assert phone(here, "A")[1] is PhoneState.OFFLINE, "a host's word has no incarnation"


def granted_to(here: Desk, phone_id: str) -> str:
    """The incarnation that a job is granted to; the job fails at once."""
    (item_id,) = here.submit(submission())
    job = here.grant(item_id, phone_id)
    assert job is not None
    here.fail(job)
    return job.lease.incarnation


def test_a_job_names_the_actor_that_it_is_granted_to(db_url: str) -> None:
    """Also the first one of a phone that nobody had seen before, whichever of the two spoke first, it or its host."""
    with desk(db_url) as here:
        for phone_id, words in {"P": [report("P", by="first")], "Q": [report("Q"), report("Q", by="first")]}.items():
            here.run(
                partial(rescue.take_from_restarted, phone_id=phone_id, incarnation="first", running=[], new_id=new_id)
            )
            say(here, *words[:1])
            say(here, *words[1:])
            assert granted_to(here, phone_id) == "first"
            here.run(
                partial(rescue.take_from_restarted, phone_id=phone_id, incarnation="next", running=[], new_id=new_id)
            )
            assert granted_to(here, phone_id) == "next"
            say(here, report(phone_id, by="first"))
            say(here, report(phone_id))
            assert granted_to(here, phone_id) == "next", "neither an older actor nor a host changes it"


def test_a_phone_whose_lease_expired_gets_no_work_before_it_speaks(db_url: str) -> None:
    with desk(db_url) as here:
        here.start(submission(), "A")
        here.now += 11_000
        effects = here.run(lambda tx: homes.expire_leases(tx, new_id, TERMS))
        (row,) = effects.phones[-1:]
        assert (row.phone_id, row.state) == ("A", PhoneState.OFFLINE), "the router hears of it last"
        assert "not heard of within a lease" in str(phone(here, "A")[2])
        assert len(effects.waiting) == 1
        assert here.grant(effects.waiting[0].item_id, "A") is None
        say(here, report("A"))
        here.now += 60_000
        assert here.grant(effects.waiting[0].item_id, "A") is not None


def test_a_phone_that_spoke_since_its_last_report_goes_on(db_url: str) -> None:
    """Its reports were lost, it stopped by its own clock, and said that it is well before the lease ended."""
    with desk(db_url) as here:
        here.start(submission(), "A")
        here.now += 9_000
        say(here, report("A"))
        here.now += 2_000
        effects = here.run(lambda tx: homes.expire_leases(tx, new_id, TERMS))
        assert phone(here, "A")[1] is PhoneState.AVAILABLE
        here.now += 60_000
        assert here.grant(effects.waiting[0].item_id, "A") is not None
