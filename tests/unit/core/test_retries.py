"""Whether a failed attempt is tried again."""

from __future__ import annotations

from typing import Any

import pytest

from phonefarm.core.lifecycle import ItemEvent
from phonefarm.core.retries import BACKOFF_SECONDS, Decision, after_failure


def decide(**changes: Any) -> Decision:
    values = {"attempt": 1, "max_attempts": 3, "retryable": True, "cancel_requested": False}
    return after_failure(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ItemEvent.RETRY),
        ({"attempt": 3}, ItemEvent.BURY),
        ({"retryable": False}, ItemEvent.BURY),
        ({"action_open": True}, ItemEvent.BURY),
        ({"action_open": True, "cancel_requested": True}, ItemEvent.CANCEL),
        ({"attempt": 3, "cancel_requested": True}, ItemEvent.CANCEL),
    ],
)
def test_cancel_beats_all_and_what_was_started_once_is_not_tried_again(
    changes: dict[str, Any], expected: ItemEvent
) -> None:
    assert decide(**changes).event is expected


def test_the_pause_grows_and_the_last_one_repeats() -> None:
    pauses = [decide(attempt=n, max_attempts=99).delay for n in range(1, 7)]
    assert pauses == [*BACKOFF_SECONDS, BACKOFF_SECONDS[-1], BACKOFF_SECONDS[-1]]
