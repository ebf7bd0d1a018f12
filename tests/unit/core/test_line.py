"""The line of what waits gives what a plain list would, whatever was done to it and however the clock went."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phonefarm.core import placement
from phonefarm.core.line import Line, claim_order
from phonefarm.models.phone import AccountRow, PhoneRow
from phonefarm.models.queue import Assignment, WaitingItem
from phonefarm.models.states import PhoneState

pytestmark = pytest.mark.timeout(60)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 5), st.integers(0, 20)),
        st.tuples(st.just("remove"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("look"), st.just(0), st.integers(0, 5)),
    ),
    max_size=40,
)


def item(number: int, ready_at: int) -> WaitingItem:
    return WaitingItem(item_id=str(number), process_id="p", priority=5, created_at=0, ready_at=ready_at)


@given(STEPS)
def test_it_is_what_a_plain_list_would_be(steps: list[tuple[str, int, int]]) -> None:
    line, plain, now = Line(), dict[str, WaitingItem](), 0
    for step, number, value in steps:
        if step == "put":
            plain[str(number)] = item(number, value)
            line.put(plain[str(number)])
        elif step == "remove":
            plain.pop(str(number), None)
            line.remove(str(number))
        else:
            now += value
            assert {i.item_id: i for i in line.ready(now)} == {k: i for k, i in plain.items() if i.ready_at <= now}
            assert line.next_time(now) == min((i.ready_at for i in plain.values() if i.ready_at > now), default=None)
        assert dict(line) == plain


def test_a_line_of_many_is_made_at_once() -> None:
    line = Line(item(n, n) for n in range(10))
    assert [i.item_id for i in line.ready(4)] == ["0", "1", "2", "3", "4"]
    assert line.next_time(4) == 5


MOVES = st.lists(
    st.tuples(
        st.integers(0, 7),  # which item
        st.one_of(
            st.none(),  # it leaves
            st.fixed_dictionaries(
                {
                    "priority": st.sampled_from([0, 5, 9]),
                    "created_at": st.integers(0, 3).map(lambda n: n * 200_000),
                    "ready_at": st.sampled_from([0, 150_000, 500_000, 2_000_000]),
                    "phone_id": st.sampled_from([None, None, "A", "B"]),
                    "phone_group": st.sampled_from([None, "g"]),
                    "account_id": st.sampled_from([None, "x"]),
                    "attempt": st.integers(0, 1),
                    "last_phone": st.sampled_from([None, "A"]),
                }
            ),
        ),
        st.integers(-300_000, 400_000),  # so much later, or the clock is set back
    ),
    max_size=30,
)
PHONES = {
    name: PhoneRow(phone_id=name, host="h", serial=name, state=PhoneState.AVAILABLE, groups=groups)
    for name, groups in (("A", ("g",)), ("B", ()), ("C", ("g",)))
}
ACCOUNTS = {"x": AccountRow(account_id="x", active=True, authorization={"authorized_by": "a"})}


@given(MOVES)
@settings(max_examples=300)
def test_a_line_with_a_past_is_placed_like_all_that_waits_sorted_anew(moves: list[Any]) -> None:
    """Whatever came, left, came back or aged: the assignments are those of one greedy pass over everything in order."""
    line, plain, now = Line(), dict[str, WaitingItem](), 0
    here = placement.Farm(phones=PHONES, accounts=ACCOUNTS)
    for number, values, later in moves:
        now += later
        if values is None:
            line.remove(str(number))
            plain.pop(str(number), None)
        else:
            one = WaitingItem(item_id=str(number), process_id="p", **values)
            line.put(one)
            plain[one.item_id] = one
        assert placement.place(line, here, now) == greedy(plain.values(), here, now)


def greedy(waiting: Iterable[WaitingItem], here: placement.Farm, now: int) -> list[Assignment]:
    free, accounts, found = placement._FreePhones(here), placement._FreeAccounts(here), []
    for one in sorted((i for i in waiting if i.ready_at <= now), key=lambda i: claim_order(i, now)):
        if (place := placement._by_phone(one, free, accounts)) is not None:
            free.take(place[0])
            accounts.take(place[1])
            found.append(Assignment(item_id=one.item_id, phone_id=place[0], account_id=place[1]))
    return found


def test_what_left_and_came_back_as_it_was_runs_once() -> None:
    """Its run then has the very same item twice."""
    one, other = item(1, 0), item(2, 0)
    line = Line([one, other])
    for _ in range(3):
        line.ready(1)
        line.remove(one.item_id)
        line.put(one)
        line.ready(1)
        line.put(replace(one))  # the same by its words, another object
        line.ready(1)
        line.put(one)
    made = placement.place(line, placement.Farm(phones=PHONES), 5)
    assert [a.item_id for a in made] == ["1", "2"]


def test_what_left_is_not_kept_however_long_the_front_is_stuck() -> None:
    """A phone that is away for weeks: what is asked of it, today or tomorrow, and cancelled, leaves nothing behind."""
    line = Line([WaitingItem(item_id="stuck", process_id="p", priority=5, created_at=0, phone_id="A")])
    for n in range(20_000):
        ready_at = n if n % 2 else 10**15
        one = WaitingItem(item_id=str(n), process_id="p", priority=5, created_at=n, phone_id="A", ready_at=ready_at)
        line.put(one)
        line.ready(10**9)
        line.remove(one.item_id)
    assert line.leftovers < 5_000
    assert [item.item_id for item in line.ready(10**9)] == ["stuck"]
