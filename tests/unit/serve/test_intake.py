"""Batching: together, in order, and nobody hurts anybody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from phonefarm.errors import (
    ActorUnavailable,
    NotFound,
    PhoneFarmError,
    StorageUnavailable,
    TooManyRequests,
    Unavailable,
)
from phonefarm.models.process import Accepted, Submission, SubmitOutcome
from phonefarm.serve.intake import Intake, IntakeLimits
from tests.farmtools import submission

pytestmark = [pytest.mark.timeout(60), pytest.mark.asyncio]


def accepted(one: Submission) -> Accepted:
    return Accepted(process_id=one.process_id, request_id=one.request_id, process_type=one.capability.value)


class Script:
    """A farm that does what the test says: ``steps`` are used up one a call, then every call is accepted."""

    def __init__(self, *steps: Callable[[Sequence[Submission]], Awaitable[list[SubmitOutcome]]] | Exception) -> None:
        self.steps = list(steps)
        self.batches: list[list[Submission]] = []
        self.called = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def submit_many(self, batch: Sequence[Submission]) -> list[SubmitOutcome]:
        self.batches.append(list(batch))
        self.called.set()
        await self.gate.wait()
        step = self.steps.pop(0) if self.steps else None
        if isinstance(step, Exception):
            raise step
        return await step(batch) if step else [accepted(one) for one in batch]

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


class Clock:
    """Time that moves only while somebody pauses."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


def start(intake: Intake, count: int) -> list[asyncio.Task[Accepted]]:
    return [asyncio.ensure_future(intake.submit(submission(request_id=f"r{number}"))) for number in range(count)]


async def held(farm: Script, intake: Intake) -> asyncio.Task[Accepted]:
    """One submission on its way, held by the farm."""
    farm.gate.clear()
    (first,) = start(intake, 1)
    await farm.called.wait()
    return first


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_idle_intake_sends_at_once() -> None:
    farm = Script()
    one = submission()
    answer = await Intake(farm).submit(one)
    assert answer.process_id == one.process_id
    assert farm.sizes == [1]


async def test_what_arrives_meanwhile_goes_together_in_order() -> None:
    farm = Script()
    intake = Intake(farm)
    first = await held(farm, intake)
    others = start(intake, 50)
    await settle()
    farm.gate.set()
    answers = await asyncio.gather(first, *others)
    assert farm.sizes == [1, 50]
    assert [one.request_id for one in farm.batches[1]] == [f"r{number}" for number in range(50)]
    assert [answer.request_id for answer in answers] == ["r0", *(f"r{number}" for number in range(50))]


async def test_a_batch_has_a_size() -> None:
    farm = Script()
    answers = await asyncio.gather(*start(Intake(farm, limits=IntakeLimits(batch=4)), 10))
    assert farm.sizes == [4, 4, 2]
    assert len(answers) == 10


async def test_a_refusal_hurts_only_its_own() -> None:
    async def refuse_second(batch: Sequence[Submission]) -> list[SubmitOutcome]:
        return [accepted(batch[0]), NotFound("unknown_phone"), accepted(batch[2])]

    farm = Script(refuse_second)
    good, bad, also = await asyncio.gather(*start(Intake(farm), 3), return_exceptions=True)
    assert isinstance(good, Accepted)
    assert isinstance(bad, NotFound)
    assert isinstance(also, Accepted)


@pytest.mark.fault(3)
async def test_a_caller_that_hangs_up_hurts_nobody() -> None:
    """One whose batch is away, one whose batch still waits; the intake goes on for all the others and later ones."""
    farm = Script()
    intake = Intake(farm)
    away = await held(farm, intake)
    waiting, patient = start(intake, 2)
    await settle()
    away.cancel()
    waiting.cancel()
    await settle()
    farm.gate.set()
    assert (await patient).request_id == "r1"
    assert farm.sizes == [1, 1]
    assert (await intake.submit(submission(request_id="later"))).request_id == "later"
    assert away.cancelled()
    assert waiting.cancelled()


async def test_everybody_hangs_up() -> None:
    farm = Script()
    intake = Intake(farm)
    tasks = [await held(farm, intake), *start(intake, 3)]
    await settle()
    for task in tasks:
        task.cancel()
    await settle()
    farm.gate.set()
    assert (await intake.submit(submission(request_id="later"))).request_id == "later"


async def test_a_manager_that_is_away_gets_the_same_batch_again() -> None:
    clock = Clock()
    farm = Script(ActorUnavailable("away"), Unavailable("the router is still loading"))
    intake = Intake(farm, sleep=clock.sleep, now=clock.now)
    answers = await asyncio.gather(*start(intake, 3))
    assert farm.sizes == [3, 3, 3]
    assert farm.batches[0] == farm.batches[1] == farm.batches[2]
    assert [answer.process_id for answer in answers] == [one.process_id for one in farm.batches[0]]


async def test_away_for_too_long_is_unavailable_for_each() -> None:
    clock = Clock()
    farm = Script(*[ActorUnavailable("away") for _ in range(1_000)])
    intake = Intake(farm, limits=IntakeLimits(seconds=1.0, pause=0.25), sleep=clock.sleep, now=clock.now)
    answers = await asyncio.gather(*start(intake, 3), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ActorUnavailable] * 3
    assert farm.sizes == [3, 3, 3, 3]
    farm.steps.clear()
    assert await intake.submit(submission())


@pytest.mark.fault(4)
async def test_a_farm_that_never_answers_is_unavailable() -> None:
    farm = Script()
    farm.gate.clear()
    intake = Intake(farm, limits=IntakeLimits(seconds=0.01))
    with pytest.raises(Unavailable):
        await intake.submit(submission())


async def test_storage_away_is_said_at_once() -> None:
    farm = Script(StorageUnavailable("disk full"))
    answers = await asyncio.gather(*start(Intake(farm), 2), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StorageUnavailable] * 2
    assert farm.sizes == [2]


async def test_one_submission_that_makes_the_farm_fail_stands_alone() -> None:
    class Poisoned(Script):
        async def submit_many(self, batch: Sequence[Submission]) -> list[SubmitOutcome]:
            if any(one.request_id == "r5" for one in batch):
                raise ZeroDivisionError
            return await super().submit_many(batch)

    farm = Poisoned()
    intake = Intake(farm)
    answers = await asyncio.gather(*start(intake, 8), return_exceptions=True)
    wrong: list[Any] = [answer for answer in answers if not isinstance(answer, Accepted)]
    assert [type(answer) for answer in wrong] == [PhoneFarmError]
    assert answers.index(wrong[0]) == 5
    assert await intake.submit(submission())


async def test_an_answer_too_few_is_a_failure_not_a_hang() -> None:
    async def nothing(batch: Sequence[Submission]) -> list[SubmitOutcome]:
        return []

    with pytest.raises(PhoneFarmError):
        await Intake(Script(nothing)).submit(submission())


async def test_a_full_intake_refuses() -> None:
    farm = Script()
    intake = Intake(farm, limits=IntakeLimits(waiting=2))
    first = await held(farm, intake)
    others = start(intake, 2)
    await settle()
    with pytest.raises(TooManyRequests):
        await intake.submit(submission())
    farm.gate.set()
    assert len(await asyncio.gather(first, *others)) == 3


async def test_stopping_leaves_nobody_waiting() -> None:
    farm = Script()
    intake = Intake(farm)
    tasks = [await held(farm, intake), *start(intake, 2)]
    await settle()
    assert intake._drain is not None
    intake._drain.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 3
