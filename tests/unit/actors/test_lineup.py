"""Places in the queue are right when they are looked up anew, and looked up anew soon enough."""

from __future__ import annotations

import pytest

from phonefarm.actors.lineup import MOMENT_MS, LineUp
from phonefarm.models.queue import WaitingItem

pytestmark = pytest.mark.timeout(20)

NOW = 1_000_000


def item(name: str, *, priority: int = 5, created_at: int = 1) -> WaitingItem:
    return WaitingItem(item_id=name, process_id="p", priority=priority, created_at=created_at)


def test_places_are_those_of_the_last_look_and_new_items_stand_where_they_would_have() -> None:
    clock = [0.0]
    order = LineUp(lambda: clock[0])
    a, b, urgent = item("a", created_at=1), item("b", created_at=2), item("u", priority=9)
    assert [order.of([b, a], NOW).position(i) for i in (a, b, urgent)] == [1, 2, 1]
    assert order.of([b, a, urgent], NOW).position(b) == 2, "not looked again"
    clock[0] = 1.5
    assert [order.of([b, a, urgent], NOW).position(i) for i in (urgent, a, b)] == [1, 2, 3]


@pytest.mark.parametrize("jump", [MOMENT_MS, -MOMENT_MS])
def test_a_clock_that_was_set_makes_it_look_again(jump: int) -> None:
    order = LineUp(lambda: 0.0)
    a, b = item("a", created_at=1), item("b", created_at=2)
    order.of([b], NOW)
    assert order.of([a, b], NOW + jump).position(b) == 2
