"""What is kept of a phone's past, in both databases, and how much of it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from phonefarm.errors import NotFound
from phonefarm.models.clock import new_id
from phonefarm.models.phone import Battery, PhoneFacts, PhoneReport
from phonefarm.models.process import Operation
from phonefarm.models.states import PhoneState
from phonefarm.store import diary, homes, roster, tables
from tests.farmtools import submission
from tests.unit.store.desk import TERMS, Desk, desk

pytestmark = pytest.mark.timeout(60)


def history(here: Desk, phone_id: str = "A", system: str | None = None) -> dict[str, Any]:
    return dict(here.read(lambda c: diary.history(c, phone_id, system)))


def log(here: Desk) -> list[tuple[str, str | None, str | None]]:
    """(state, why, wanted state), oldest first."""
    entries = reversed(history(here)["log"])
    return [(e["state"], e["why"], e["wanted"] and e["wanted"]["state"]) for e in entries]


def check(here: Desk, level: int, storage: int | None = None) -> None:
    facts = PhoneFacts(
        phone_id="A", battery=Battery(level=level, temperature=30.5, charging=True), storage_free=storage
    )
    report = PhoneReport(phone_id="A", host="h", serial="A", state=PhoneState.AVAILABLE, facts=facts)
    here.run(lambda tx: roster.report_phones(tx, [report]))


def test_one_sample_a_slot_the_last_one_counts_and_a_week_is_kept(db_url: str) -> None:
    with desk(db_url) as here:
        check(here, 50)
        here.now += 1_000
        check(here, 51, storage=2**40)
        assert [(s["level"], s["storage_free"], s["charging"]) for s in history(here)["samples"]] == [(51, 2**40, True)]
        here.now += diary.SLOT_MS
        check(here, 52)
        here.phone("A", PhoneState.OFFLINE)
        assert [s["level"] for s in history(here)["samples"]] == [51, 52]
        here.now += (diary.KEPT_SLOTS - 1) * diary.SLOT_MS
        check(here, 53)
        assert [s["level"] for s in history(here)["samples"]] == [52, 53]
        assert history(here, "B")["samples"] == []


def test_the_log_has_every_change_once_and_who_wanted_it(db_url: str) -> None:
    with desk(db_url) as here:
        here.phone("A")
        here.phone("A", PhoneState.OFFLINE)
        here.phone("A")
        here.operate(Operation.PAUSE)
        here.operate(Operation.PAUSE)
        here.phone("A", PhoneState.OFFLINE)
        here.operate(Operation.RESUME)
        assert log(here) == [
            ("available", None, None),
            ("offline", None, None),
            ("available", None, None),
            ("paused", "paused: r (by ops)", None),
            ("offline", "resumed: r (by ops)", None),
        ]


def test_taking_an_item_is_no_entry_but_a_wish_for_afterwards_is(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission())
        assert here.view("A")["state"] == "busy"
        here.operate(Operation.DRAIN)
        here.fail(job)
        assert log(here) == [
            ("available", None, None),
            ("available", None, "paused"),
            ("paused", "drained: r (by ops)", None),
        ]


def test_a_silent_host_and_a_new_start_are_in_the_log(db_url: str) -> None:
    with desk(db_url) as here:
        here.run(lambda tx: homes.give_up(tx, "h", 30))
        here.phone("A")
        here.run(lambda tx: roster.begin_run(tx, 2))
        assert [state for state, _, _ in log(here)] == ["available", "offline", "available", "offline"]
        assert "host h is not heard of" in (log(here)[1][1] or "")
        assert "not seen since the farm was started" in (log(here)[3][1] or "")


def test_a_lease_that_nobody_renewed_is_in_the_log(db_url: str) -> None:
    with desk(db_url) as here:
        here.start(submission())
        here.now += 60_000
        here.run(lambda tx: homes.expire_leases(tx, new_id, TERMS))
        assert [state for state, _, _ in log(here)] == ["available", "offline"]


def test_the_log_is_bounded(db_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diary, "KEPT_ENTRIES", 3)
    with desk(db_url) as here:
        for _ in range(4):
            here.phone("A", PhoneState.OFFLINE)
            here.phone("A")
        assert [state for state, _, _ in log(here)] == ["available", "offline", "available"]
        count = sa.select(sa.func.count()).select_from(tables.phone_log).where(tables.phone_log.c.phone_id == "B")
        assert here.read(lambda c: c.execute(count).scalar_one()) == 1


def test_what_a_phone_did_stays_with_it_when_another_goes_on(db_url: str) -> None:
    with desk(db_url) as here:
        job = here.start(submission())
        here.begin(job)
        here.finish(job)
        here.begin(job, 1)
        here.fail(job, 1)
        here.now += 600_000
        again = here.grant(job.lease.item_id, "B")
        assert again is not None
        here.finish(again, 0)
        (mine,) = history(here)["sessions"]
        assert (mine["process_id"], mine["attempt"], mine["process_type"]) == (job.process_id, 1, "keyword_warmup")
        assert [action["index"] for action in mine["actions"]] == sorted(
            (action["index"] for action in mine["actions"]), reverse=True
        )
        (other,) = history(here, "B")["sessions"]
        assert other["attempt"] == 2
        assert history(here, system="tests")["sessions"] == [mine]
        assert history(here, system="nobody")["sessions"] == []
        with pytest.raises(NotFound):
            history(here, "C")
