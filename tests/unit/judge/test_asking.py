"""A session's thread that asks the farm's judge: an answer, a judge that is away, one that hangs, a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from phonefarm.actors.asking import ask
from phonefarm.actors.session import Stop
from phonefarm.errors import ActorUnavailable, SessionStopped
from phonefarm.models.action import Verdict
from phonefarm.models.video import VideoFacts

pytestmark = pytest.mark.timeout(60)
FACTS = VideoFacts(keyword="", title="t", author="a")


class Judge:
    """Fulfils ``JudgePort``: answers, raises ``error``, or hangs until its wait is cancelled."""

    def __init__(self, error: Exception | None = None, *, hangs: bool = False) -> None:
        self.error = error
        self.hangs = hangs
        self.asked = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def judge(
        self, *, process_id: str, prompt: Mapping[str, Any] | None, facts: VideoFacts, interests: Sequence[str] = ()
    ) -> Verdict:
        self.asked.set()
        if self.error is not None:
            raise self.error
        if self.hangs:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        return Verdict(relevant=True, judge="test", reason=",".join(interests))


async def asking(judge: Judge, stop: Stop | None = None, *, most: float = 45.0) -> Verdict:
    loop = asyncio.get_running_loop()
    return await asyncio.to_thread(
        lambda: ask(
            judge,
            loop,
            stop or Stop(lambda: None),
            process_id="p",
            prompt=None,
            facts=FACTS,
            interests=("a", "b"),
            most_seconds=most,
        )
    )


async def test_an_answer() -> None:
    assert (await asking(Judge())).reason == "a,b"


async def test_a_judge_that_is_away_is_a_verdict() -> None:
    verdict = await asking(Judge(ActorUnavailable("away")))
    assert (verdict.relevant, verdict.error, verdict.reason) == (None, "judge_failed", "judge_unavailable")


async def test_a_judge_that_hangs_is_a_verdict_and_is_asked_no_more() -> None:
    judge = Judge(hangs=True)
    verdict = await asking(judge, most=0.3)
    assert (verdict.error, verdict.reason) == ("judge_failed", "judge_timeout")
    await judge.cancelled.wait()


async def test_a_hard_stop_ends_the_wait() -> None:
    judge, stop = Judge(hangs=True), Stop(lambda: None)
    waiting = asyncio.create_task(asking(judge, stop))
    await judge.asked.wait()
    stop.hard("cancelled")
    with pytest.raises(SessionStopped):
        await waiting
    await judge.cancelled.wait()
