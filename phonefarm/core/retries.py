"""Whether a failed attempt is tried again, and when."""

from __future__ import annotations

from dataclasses import dataclass

from phonefarm.core.lifecycle import ItemEvent

#: Pause before attempt 2, 3, ... in seconds; the last one repeats.
BACKOFF_SECONDS: tuple[float, ...] = (1.0, 5.0, 30.0, 120.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """``delay`` in seconds, meaningful for RETRY."""

    event: ItemEvent
    delay: float = 0.0


def after_failure(
    *, attempt: int, max_attempts: int, retryable: bool, cancel_requested: bool, action_open: bool = False
) -> Decision:
    """What becomes of an item whose attempt number ``attempt`` (from 1) failed. Cancel beats retry (rule R8).

    ``action_open``: an action that must not be repeated was started and not finished, so nothing follows (rule R4).
    """
    if cancel_requested:
        return Decision(event=ItemEvent.CANCEL)
    if action_open or not retryable or attempt >= max_attempts:
        return Decision(event=ItemEvent.BURY)
    step = min(attempt, len(BACKOFF_SECONDS)) - 1
    return Decision(event=ItemEvent.RETRY, delay=BACKOFF_SECONDS[step])
