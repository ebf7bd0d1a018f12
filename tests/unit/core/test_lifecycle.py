"""The transition tables: every state reachable, every arrow exercised, derived states as the contract says."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import combinations_with_replacement
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonefarm.core import lifecycle
from phonefarm.core.lifecycle import ITEM, ITEM_FINAL, PHONE, PROCESS, ItemEvent
from phonefarm.models.states import ItemState, Milestone, Outcome, PhoneState, ProcessState, PublicStatus

T = TypeVar("T")


def reachable(start: T, onward: Callable[[T], Iterable[T]]) -> set[T]:
    seen, todo = {start}, deque([start])
    while todo:
        for state in onward(todo.popleft()):
            if state not in seen:
                seen.add(state)
                todo.append(state)
    return seen


def test_every_item_state_is_reachable_and_final_ones_stay() -> None:
    def onward(state: ItemState) -> list[ItemState]:
        return [to for (at, _), to in ITEM.items() if at is state]

    assert reachable(ItemState.QUEUED, onward) == set(ItemState)
    assert {s for s in ItemState if not onward(s)} == set(ITEM_FINAL)


def test_every_process_state_is_reachable() -> None:
    assert reachable(ProcessState.QUEUED, lambda s: PROCESS[s]) == set(ProcessState)


def test_every_phone_state_is_reachable_and_only_a_check_leads_to_available() -> None:
    assert reachable(PhoneState.OFFLINE, lambda s: PHONE[s]) == set(PhoneState)
    assert {s for s, on in PHONE.items() if PhoneState.AVAILABLE in on} == {PhoneState.CHECKING, PhoneState.BUSY}


@pytest.mark.parametrize("event", list(ItemEvent))
def test_each_event_has_one_target_and_its_sources(event: ItemEvent) -> None:
    target = lifecycle.item_target(event)
    for state in ItemState:
        expected = target if state in lifecycle.item_sources(event) else None
        assert lifecycle.next_item_state(state, event) is expected


@given(st.lists(st.tuples(st.sampled_from(ItemState), st.integers(1, 3)), min_size=1, max_size=6))
def test_a_process_is_final_exactly_when_its_items_are(items: list[tuple[ItemState, int]]) -> None:
    state = lifecycle.process_state(items)
    assert (state in lifecycle.PROCESS_FINAL) == all(s in ITEM_FINAL for s, _ in items)


def test_every_step_of_items_is_an_arrow_of_the_process_table() -> None:
    """All pairs of items, all single steps: the process moves along PROCESS or stays; every arrow is taken."""
    taken: set[tuple[ProcessState, ProcessState]] = set()
    values = [(s, a) for s in ItemState for a in (1, 2)]
    for first, second in combinations_with_replacement(values, 2):
        for (at, event), to in ITEM.items():
            if at is not first[0]:
                continue
            attempt = first[1] + 1 if event is ItemEvent.CLAIM and at is ItemState.RETRYABLE else first[1]
            for others in ([], [second]):
                before = lifecycle.process_state([first, *others])
                after = lifecycle.process_state([(to, attempt), *others])
                if before is not after:
                    assert after in PROCESS[before], (first, second, event, before, after)
                    taken.add((before, after))
    assert taken == {(a, b) for a, onward in PROCESS.items() for b in onward}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["DONE", "DONE"], ProcessState.DONE),
        (["DONE", "DEAD_LETTER"], ProcessState.PARTIAL),
        (["DEAD_LETTER"], ProcessState.DEAD_LETTER),
        (["DONE", "CANCELLED"], ProcessState.CANCELLED),
        (["QUEUED", "QUEUED"], ProcessState.QUEUED),
        (["CLAIMED", "QUEUED"], ProcessState.PLANNED),
        (["DONE", "QUEUED"], ProcessState.EXECUTING),
        (["RETRYABLE", "DONE"], ProcessState.RETRYABLE),
        (["RETRYABLE", "EXECUTING"], ProcessState.EXECUTING),
    ],
)
def test_process_state_of_items(states: list[str], expected: ProcessState) -> None:
    assert lifecycle.process_state([(ItemState(s), 1) for s in states]) is expected


def test_outcomes() -> None:
    assert lifecycle.outcome(ProcessState.EXECUTING) is None
    assert lifecycle.outcome(ProcessState.DEAD_LETTER, ["expired", "expired"]) is Outcome.EXPIRED
    assert lifecycle.outcome(ProcessState.DEAD_LETTER, ["expired", "device_lost"]) is Outcome.FAILED
    assert lifecycle.outcome(ProcessState.DEAD_LETTER) is Outcome.FAILED


def test_milestones_are_announced_only_when_callers_see_a_change() -> None:
    assert lifecycle.milestone(ProcessState.QUEUED, ProcessState.PLANNED) is None
    assert lifecycle.milestone(ProcessState.PLANNED, ProcessState.EXECUTING) is Milestone.EXECUTING
    assert {lifecycle.public_status(s) for s in ProcessState} == set(PublicStatus)
