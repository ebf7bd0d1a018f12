"""Placement: who runs next, and why the others wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.core.placement import Farm, claim_order, place, why_waiting
from phonefarm.models.phone import AccountRow, PhoneRow
from phonefarm.models.queue import WaitingItem
from phonefarm.models.states import PhoneState, WaitingReason

NOW = 1_000_000


def phone(phone_id: str, state: PhoneState = PhoneState.AVAILABLE, *groups: str) -> PhoneRow:
    return PhoneRow(phone_id=phone_id, host="h", serial=phone_id, state=state, groups=groups)


def item(item_id: str, **changes: object) -> WaitingItem:
    values: dict[str, object] = {"item_id": item_id, "process_id": "p", "priority": 5, "created_at": 1}
    return WaitingItem(**{**values, **changes})  # type: ignore[arg-type]


def farm(*phones: PhoneRow, **more: object) -> Farm:
    return Farm(phones={p.phone_id: p for p in phones}, **more)  # type: ignore[arg-type]


def account(account_id: str, **changes: object) -> AccountRow:
    values: dict[str, object] = {"account_id": account_id, "active": True, "authorization": {"authorized_by": "a"}}
    return AccountRow(**{**values, **changes})  # type: ignore[arg-type]


def pairs(*items: WaitingItem, on: Farm) -> dict[str, str]:
    return {a.item_id: a.phone_id for a in place(items, on, NOW)}


def test_higher_priority_first_then_first_come() -> None:
    items = [item("late", created_at=2), item("early", created_at=1), item("urgent", priority=9, created_at=3)]
    assert [i.item_id for i in sorted(items, key=claim_order)] == ["urgent", "early", "late"]
    assert pairs(*items, on=farm(phone("A"), phone("B"))) == {"urgent": "A", "early": "B"}


def test_a_pinned_item_takes_its_phone_and_no_other() -> None:
    assert pairs(item("1", phone_id="B"), on=farm(phone("A"), phone("B"))) == {"1": "B"}
    assert pairs(item("1", phone_id="B"), on=farm(phone("A"))) == {}


def test_a_group_narrows() -> None:
    here = farm(phone("A", PhoneState.AVAILABLE, "x"), phone("B", PhoneState.AVAILABLE, "y"))
    assert pairs(item("1", phone_group="y"), on=here) == {"1": "B"}
    assert pairs(item("1", phone_group="y", phone_id="A"), on=here) == {}


def test_only_available_phones_without_an_item_are_given_work() -> None:
    states = [phone(s.value, s) for s in PhoneState]
    assert pairs(*[item(str(n)) for n in range(20)], on=farm(*states)) == {"0": "available"}
    assert pairs(item("1"), on=farm(phone("A"), busy_phones={"A"})) == {}


def test_the_phone_that_rested_longest_is_taken() -> None:
    assert pairs(item("1"), on=farm(phone("A"), phone("B"), rested={"A": 5, "B": 2})) == {"1": "B"}


def test_a_retried_item_avoids_its_last_phone_if_there_is_another() -> None:
    assert pairs(item("1", last_phone="A"), on=farm(phone("A"), phone("B"))) == {"1": "B"}
    assert pairs(item("1", last_phone="A"), on=farm(phone("A"))) == {"1": "A"}


def test_an_account_is_used_once_at_a_time_and_not_beyond_its_day() -> None:
    here = {"accounts": {"x": account("x")}}
    items = [item("1", account_id="x"), item("2", account_id="x")]
    assert pairs(*items, on=farm(phone("A"), phone("B"), **here)) == {"1": "A"}
    assert pairs(*items, on=farm(phone("A"), busy_accounts={"x"}, **here)) == {}
    assert pairs(*items, on=farm(phone("A"), spent_accounts={"x"}, **here)) == {}
    assert pairs(items[0], on=farm(phone("A"), accounts={"x": account("x", active=False)})) == {}


def test_an_account_group_takes_a_free_account_on_its_own_phone() -> None:
    accounts = {a.account_id: a for a in (account("x", group="g", phone_id="A"), account("y", group="g", phone_id="B"))}
    here = farm(phone("A", PhoneState.OFFLINE), phone("B"), accounts=accounts)
    (given_,) = place([item("1", account_group="g")], here, NOW)
    assert (given_.phone_id, given_.account_id) == ("B", "y")


def test_items_wait_for_their_time() -> None:
    assert pairs(item("1", ready_at=NOW + 1), on=farm(phone("A"))) == {}
    assert pairs(item("1", ready_at=NOW), on=farm(phone("A"))) == {"1": "A"}


@pytest.mark.parametrize(
    ("waiting", "here", "expected"),
    [
        (item("1"), farm(), WaitingReason.NO_PHONE_ONLINE),
        (item("1"), farm(phone("A", PhoneState.OFFLINE)), WaitingReason.NO_PHONE_ONLINE),
        (item("1"), farm(phone("A"), busy_phones={"A"}), WaitingReason.PHONES_BUSY),
        (item("1", phone_id="A"), farm(phone("A", PhoneState.OFFLINE)), WaitingReason.PHONE_OFFLINE),
        (item("1", phone_id="A"), farm(phone("A", PhoneState.PAUSED)), WaitingReason.PHONE_PAUSED),
        (item("1", phone_id="A"), farm(phone("A", PhoneState.QUARANTINED)), WaitingReason.PHONE_QUARANTINED),
        (item("1", phone_id="A"), farm(phone("A", PhoneState.BUSY)), WaitingReason.PHONES_BUSY),
        (item("1", account_id="x"), farm(phone("A"), busy_accounts={"x"}), WaitingReason.ACCOUNT_BUSY),
        (item("1", account_id="x"), farm(phone("A"), spent_accounts={"x"}), WaitingReason.ACCOUNT_DAILY_LIMIT),
        (item("1", ready_at=NOW + 5), farm(phone("A")), WaitingReason.NOT_BEFORE),
        (item("1", ready_at=NOW + 5, attempt=1), farm(phone("A")), WaitingReason.RETRY_BACKOFF),
    ],
)
def test_why_an_item_waits(waiting: WaitingItem, here: Farm, expected: WaitingReason) -> None:
    assert why_waiting(waiting, here, NOW)[0] is expected


PHONES = st.lists(
    st.builds(
        phone, st.sampled_from("ABCDEF"), st.sampled_from(PhoneState), st.sampled_from(["x", "y"])
    ),
    max_size=6,
)  # fmt: skip
ITEMS = st.lists(
    st.builds(
        item,
        st.uuids().map(str),
        priority=st.integers(0, 9),
        created_at=st.integers(0, 5),
        phone_id=st.sampled_from([None, "A", "B"]),
        phone_group=st.sampled_from([None, "x", "y"]),
        ready_at=st.integers(NOW - 1, NOW + 1),
    ),
    max_size=12,
)


@given(PHONES, ITEMS, st.sets(st.sampled_from("ABCDEF")))
def test_no_phone_is_given_twice_and_none_is_left_idle_for_nothing(
    phones: list[PhoneRow], items: list[WaitingItem], busy: set[str]
) -> None:
    here = farm(*phones, busy_phones=busy)
    given_ = place(items, here, NOW)
    by_item = {i.item_id: i for i in items}
    taken = [a.phone_id for a in given_]
    assert len(taken) == len(set(taken))
    for assignment in given_:
        chosen, wish = here.phones[assignment.phone_id], by_item[assignment.item_id]
        assert chosen.state is PhoneState.AVAILABLE
        assert chosen.phone_id not in busy
        assert wish.phone_id in (None, chosen.phone_id)
        assert wish.phone_group is None or wish.phone_group in chosen.groups
        assert wish.ready_at <= NOW
    idle = {p for p, row in here.phones.items() if row.state is PhoneState.AVAILABLE and p not in {*taken, *busy}}
    left = [i for i in items if i.item_id not in {a.item_id for a in given_} and i.ready_at <= NOW]
    for wish in left:
        for phone_id in idle:
            fits = wish.phone_id in (None, phone_id) and wish.phone_group in (None, *here.phones[phone_id].groups)
            assert not fits, (wish, phone_id)
