"""The line of what waits gives what a plain list would, whatever was done to it and however the clock went."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.core.line import Line
from phonefarm.models.queue import WaitingItem

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
