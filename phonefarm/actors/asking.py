"""A session's thread asks the farm's judge, which lives on an event loop, without ever being held up by it.

The wait is cut into small steps with a look at the stop signal between them, so a hard cancel ends it; and it has an
end of its own. Whatever goes wrong is a verdict with ``judge_failed``. A verdict on a screen that seems to give orders
says so, whatever it is.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from phonefarm.actors.ports import JudgePort
from phonefarm.core.orders import ORDERS, gives_orders
from phonefarm.core.prompts import prompt_ref
from phonefarm.devices.ports import StopSignal
from phonefarm.errors import PhoneFarmError
from phonefarm.judge.lexical import FAILED
from phonefarm.models.action import Verdict
from phonefarm.models.video import VideoFacts

MOST_SECONDS = 45.0
STEP_SECONDS = 0.2


def ask(
    judge: JudgePort,
    loop: asyncio.AbstractEventLoop,
    stop: StopSignal,
    *,
    process_id: str,
    prompt: Mapping[str, Any] | None,
    facts: VideoFacts,
    interests: Sequence[str],
    most_seconds: float = MOST_SECONDS,
) -> Verdict:
    """The verdict, from a thread that is not ``loop``'s. Raises SessionStopped, nothing else."""
    asking = judge.judge(process_id=process_id, prompt=prompt, facts=facts, interests=interests)
    verdict = _answer(asking, loop, stop, prompt, most_seconds)
    flagged = gives_orders(facts.title, facts.author, *facts.tags, facts.screen_text)
    return replace(verdict, flagged=ORDERS) if flagged else verdict


def _answer(
    asking: Awaitable[Verdict],
    loop: asyncio.AbstractEventLoop,
    stop: StopSignal,
    prompt: Mapping[str, Any] | None,
    most_seconds: float,
) -> Verdict:
    future = asyncio.run_coroutine_threadsafe(_awaited(asking), loop)
    ends = time.monotonic() + most_seconds
    try:
        while time.monotonic() < ends:
            stop.check()
            try:
                return future.result(STEP_SECONDS)
            except concurrent.futures.TimeoutError:
                continue
            except (PhoneFarmError, concurrent.futures.CancelledError):
                return _failed(prompt, "judge_unavailable")
        return _failed(prompt, "judge_timeout")
    finally:
        future.cancel()


async def _awaited(asked: Any) -> Verdict:
    verdict: Verdict = await asked
    return verdict


def _failed(prompt: Mapping[str, Any] | None, reason: str) -> Verdict:
    ref = prompt_ref(prompt) if prompt else None
    return Verdict(relevant=None, reason=reason, judge="farm", prompt=ref, error=FAILED)
