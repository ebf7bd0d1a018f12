"""Operators and phones: the table of decisions against the table of moves."""

from __future__ import annotations

from itertools import product

import pytest

from phonefarm.core.lifecycle import PHONE
from phonefarm.core.operations import HELD, TARGET, Step, decide, hold_of, lifted
from phonefarm.models.process import Operation
from phonefarm.models.states import PhoneState


@pytest.mark.parametrize(("operation", "state"), list(product(Operation, PhoneState)))
def test_what_an_operation_does_is_an_arrow_of_the_phone_table(operation: Operation, state: PhoneState) -> None:
    step = decide(operation, hold_of(state, None))
    if step is Step.HOLD:
        assert TARGET[operation] in PHONE[state]
    elif step is Step.LIFT:
        assert {lifted(seen) for seen in (None, *PhoneState)} <= PHONE[state]
    elif step is Step.NONE and operation in TARGET:
        assert state is TARGET[operation]


@pytest.mark.parametrize(("operation", "hold"), list(product(Operation, [None, *sorted(HELD)])))
def test_an_operation_that_was_done_can_be_repeated(operation: Operation, hold: PhoneState | None) -> None:
    if decide(operation, hold) is Step.HOLD:
        assert decide(operation, TARGET[operation]) is Step.NONE


@pytest.mark.parametrize(
    ("operation", "hold", "expected"),
    [
        (Operation.RELEASE, None, Step.IMPOSSIBLE),
        (Operation.RELEASE, PhoneState.PAUSED, Step.IMPOSSIBLE),
        (Operation.RELEASE, PhoneState.RETIRED, Step.LIFT),
        (Operation.RESUME, PhoneState.QUARANTINED, Step.IMPOSSIBLE),
        (Operation.RESUME, None, Step.NONE),
        (Operation.PAUSE, PhoneState.RETIRED, Step.IMPOSSIBLE),
        (Operation.QUARANTINE, PhoneState.PAUSED, Step.HOLD),
        (Operation.QUARANTINE, PhoneState.RETIRED, Step.IMPOSSIBLE),
        (Operation.RETIRE, PhoneState.QUARANTINED, Step.HOLD),
    ],
)
def test_what_makes_sense(operation: Operation, hold: PhoneState | None, expected: Step) -> None:
    assert decide(operation, hold) is expected


def test_a_wish_counts_as_the_hold_it_will_be() -> None:
    assert hold_of(PhoneState.BUSY, PhoneState.PAUSED) is PhoneState.PAUSED
    assert hold_of(PhoneState.BUSY, None) is None
    assert hold_of(PhoneState.RETIRED, None) is PhoneState.RETIRED


def test_only_a_check_leads_from_a_hold_to_work() -> None:
    assert lifted(PhoneState.AVAILABLE) is PhoneState.CHECKING
    assert lifted(None) is PhoneState.CHECKING
    assert lifted(PhoneState.OFFLINE) is PhoneState.OFFLINE
    assert lifted(PhoneState.UNAUTHORIZED) is PhoneState.UNAUTHORIZED
