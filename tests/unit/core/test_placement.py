"""Placement: who runs next, and why the others wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.core.line import Line, claim_order, effective_priority, queue_order
from phonefarm.core.placement import Farm, at_rest, place, spare, why_waiting
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


DRAINING = replace(phone("D", PhoneState.BUSY), draining=True)
HELD = phone("Q", PhoneState.QUARANTINED)
GROUP: dict[str, Any] = {
    "accounts": {
        a.account_id: a for a in (account("x", group="g", phone_id="A"), account("y", group="g", phone_id="A"))
    }
}
SPENT, TAKEN = WaitingReason.ACCOUNT_DAILY_LIMIT, WaitingReason.ACCOUNT_BUSY


def pairs(*items: WaitingItem, on: Farm) -> dict[str, str]:
    return {a.item_id: a.phone_id for a in place(Line(items), on, NOW)}


def test_higher_priority_first_then_first_come() -> None:
    items = [item("late", created_at=2), item("early", created_at=1), item("urgent", priority=9, created_at=3)]
    assert [i.item_id for i in sorted(items, key=lambda i: claim_order(i, 3))] == ["urgent", "early", "late"]
    assert pairs(*items, on=farm(phone("A"), phone("B"))) == {"urgent": "A", "early": "B"}


def test_spare_phones_are_those_that_could_take_an_item_in_the_order_of_their_rest() -> None:
    phones = [phone("A"), phone("B"), phone("C"), DRAINING, HELD, phone("busy")]
    here = farm(*phones, busy_phones={"busy"}, rested={"A": 3, "B": 1})
    assert [p.phone_id for p in spare(here, 9)] == ["C", "B", "A"]
    assert [p.phone_id for p in spare(here, 2)] == ["C", "B"]


def test_what_is_placed_on_spare_phones_is_what_the_whole_farm_would_place() -> None:
    """But for what needs an account, of which they know nothing."""
    here = farm(phone("A"), phone("B", PhoneState.AVAILABLE, "g"), rested={"A": 2, "B": 1})
    items = [item("1", phone_group="g"), item("2", priority=9), item("3", phone_id="A")]
    assert [pairs(one, on=at_rest(spare(here, 9))) for one in items] == [pairs(one, on=here) for one in items]
    assert pairs(*items, on=at_rest(spare(here, 9))) == pairs(*items, on=here)
    assert pairs(item("x", account_id="x"), item("y", account_group="g"), on=at_rest(spare(here, 9))) == {}


def test_an_item_rises_while_it_waits_from_when_it_could_have_run() -> None:
    at = 1_000
    one = item("1", priority=3, created_at=at)
    assert [effective_priority(one, at + s * 1000) for s in (0, 299, 300, 899, 900, 10**6)] == [3, 3, 4, 5, 6, 9]
    later = item("2", priority=3, created_at=at, ready_at=at + 300_000)
    assert effective_priority(later, at + 300_000) == 3
    assert effective_priority(item("3", priority=0, created_at=at), at - 900_000) == 0, "a clock that went back"


def test_nothing_starves_under_a_steady_stream_of_the_most_urgent_work() -> None:
    """Two phones, each item takes a minute, three urgent items come every minute for a week: the queue only grows."""
    here = farm(phone("A"), phone("B"))
    waiting = {i.item_id: i for i in (item(f"low{n}", priority=n % 3, created_at=0) for n in range(6))}
    done: dict[str, int] = {}
    for minute in range(7 * 24 * 60):
        now = minute * 60_000
        for n in range(3):
            if len(waiting) < 500:  # placing is what is tried here, not memory
                waiting[f"{minute}-{n}"] = item(f"{minute}-{n}", priority=9, created_at=now)
        for assignment in place(Line(waiting.values()), here, now):
            done[assignment.item_id] = minute
            del waiting[assignment.item_id]
        if all(f"low{n}" in done for n in range(6)):
            break
    # nine levels of five minutes, then the urgent ones that had come before they reached the top
    assert max(done[f"low{n}"] for n in range(6)) <= 9 * 5 + 9 * 5
    assert done["low2"] < done["low1"] < done["low0"], "among equals the higher priority first"


def test_what_waits_for_its_time_stands_behind_what_may_run() -> None:
    items = [item("soon", ready_at=NOW + 5, priority=9), item("later", ready_at=NOW + 9, priority=9), item("now")]
    assert [i.item_id for i in sorted(items, key=lambda i: queue_order(i, NOW))] == ["now", "soon", "later"]


def test_no_more_than_the_limit_is_placed_and_the_first_come_first() -> None:
    items = [item("a", created_at=2), item("b", created_at=1), item("c", created_at=3)]
    here = farm(*(phone(x) for x in "ABC"))
    assert [a.item_id for a in place(Line(items), here, NOW, limit=2)] == ["b", "a"]


def test_a_draining_phone_gets_no_work() -> None:
    assert pairs(item("1"), item("2", phone_id="A"), on=farm(replace(phone("A"), draining=True))) == {}


def test_a_big_farm_is_placed_without_looking_at_every_pair() -> None:
    """100,000 items of groups, accounts and phones that are all taken: far fewer looks than pairs."""
    phones = [phone(f"p{n}", PhoneState.AVAILABLE, f"g{n % 7}") for n in range(2_000)]
    accounts = {f"a{n}": account(f"a{n}", group="all", phone_id=f"p{n}") for n in range(2_000)}
    looks = Counted(accounts)
    here = farm(*phones, accounts=looks, busy_phones={f"p{n}" for n in range(1, 2_000)})
    waiting = [item(f"i{n:06d}", account_group="all", created_at=n) for n in range(20_000)]
    waiting += [item(f"j{n:06d}", phone_group="g3", created_at=n) for n in range(20_000)]
    assert [a.item_id for a in place(Line(waiting), here, NOW)] == ["i000000"]
    assert looks.count < 10_000


class Counted(dict[str, AccountRow]):
    """Counts look-ups."""

    count = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.count += 1
        return super().get(key, default)


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


def test_a_retry_goes_on_with_its_session_on_an_account_that_has_had_its_sessions() -> None:
    here = {"accounts": {"x": account("x", group="g", phone_id="A")}, "spent_accounts": {"x"}}
    fresh, begun = item("1", account_id="x"), item("2", account_id="x", attempt=1)
    assert pairs(fresh, begun, on=farm(phone("A"), **here)) == {"2": "A"}
    assert pairs(begun, on=farm(phone("A"), **here, timed_out_accounts={"x"})) == {}
    assert pairs(item("3", account_group="g", attempt=1), on=farm(phone("A"), **here)) == {}
    assert why_waiting(begun, farm(phone("A"), **here), NOW)[0] is WaitingReason.PHONES_BUSY


def test_an_account_group_takes_a_free_account_on_its_own_phone() -> None:
    accounts = {a.account_id: a for a in (account("x", group="g", phone_id="A"), account("y", group="g", phone_id="B"))}
    here = farm(phone("A", PhoneState.OFFLINE), phone("B"), accounts=accounts)
    (given_,) = place(Line([item("1", account_group="g")]), here, NOW)
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
        (item("1", phone_id="A"), farm(phone("A", PhoneState.RETIRED)), WaitingReason.PHONE_QUARANTINED),
        (item("1", phone_id="A"), farm(phone("A", PhoneState.CHECKING)), WaitingReason.PHONE_UNFIT),
        (item("1", phone_id="D"), farm(DRAINING), WaitingReason.PHONE_DRAINING),
        (item("1"), farm(DRAINING), WaitingReason.PHONE_DRAINING),
        (item("1"), farm(DRAINING, phone("B", PhoneState.BUSY)), WaitingReason.PHONES_BUSY),
        (item("1"), farm(phone("A", PhoneState.PAUSED)), WaitingReason.PHONE_PAUSED),
        (item("1"), farm(HELD, phone("A", PhoneState.PAUSED)), WaitingReason.PHONE_QUARANTINED),
        (item("1"), farm(HELD, phone("A", PhoneState.OFFLINE)), WaitingReason.NO_PHONE_ONLINE),
        (item("1", account_group="g"), farm(phone("A"), spent_accounts={"x", "y"}, **GROUP), SPENT),
        (item("1", account_group="g"), farm(phone("A"), spent_accounts={"x"}, busy_accounts={"y"}, **GROUP), TAKEN),
        (item("1", account_group="g"), farm(phone("A"), spent_accounts={"x"}, **GROUP), WaitingReason.PHONES_BUSY),
        (item("1", account_group="h"), farm(phone("A"), **GROUP), TAKEN),
        (item("1", account_id="z"), farm(phone("A"), **GROUP), TAKEN),
        (item("1", phone_id="A"), farm(phone("A", PhoneState.BUSY)), WaitingReason.PHONES_BUSY),
        (item("1", account_id="x"), farm(phone("A"), busy_accounts={"x"}, **GROUP), WaitingReason.ACCOUNT_BUSY),
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
    given_ = place(Line(items), here, NOW)
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
