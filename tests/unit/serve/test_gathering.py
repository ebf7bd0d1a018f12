"""Questions that come together go together, and nobody hurts or holds up anybody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from phonefarm.errors import ActorUnavailable, NotFound, PhoneFarmError, Unavailable
from phonefarm.serve.gathering import BATCH, MOST_AWAY, Gathering

pytestmark = [pytest.mark.timeout(60), pytest.mark.asyncio]

#: So slow that no batch of a test is.
NEVER = 3_600.0


class Oracle:
    """Answers each number by its double once ``gate`` is set; ``bad`` ones make it fail, of ``unknown`` it says so.
    What is in ``errors`` is raised first, one a call. ``short``: it forgets the last answer."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.called = asyncio.Condition()
        self.gate = asyncio.Event()
        self.gate.set()
        self.bad: set[int] = set()
        self.unknown: set[int] = set()
        self.errors: list[Exception] = []
        self.short = False

    async def ask(self, numbers: Sequence[int]) -> list[int | PhoneFarmError]:
        self.batches.append(list(numbers))
        async with self.called:
            self.called.notify_all()
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop()
        if self.bad & set(numbers):
            raise RuntimeError("unforeseen")
        answers: list[int | PhoneFarmError] = [NotFound("unknown") if n in self.unknown else 2 * n for n in numbers]
        return answers[:-1] if self.short else answers

    async def calls(self, count: int) -> None:
        async with self.called:
            await self.called.wait_for(lambda: len(self.batches) >= count)


def start(gathering: Gathering[int, int], *numbers: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(gathering.answer(number)) for number in numbers]


async def test_what_comes_while_a_batch_is_away_goes_together() -> None:
    oracle = Oracle()
    gathering: Gathering[int, int] = Gathering(oracle.ask, slow=NEVER)
    oracle.gate.clear()
    first = start(gathering, 1)
    await oracle.calls(1)
    others = []
    for number in (2, 3, 4):
        others += start(gathering, number)
        for _ in range(5):
            await asyncio.sleep(0)
    oracle.gate.set()
    assert await asyncio.gather(*first, *others) == [2, 4, 6, 8]
    assert oracle.batches == [[1], [2, 3, 4]]
    assert await gathering.answer(5) == 10


async def test_an_idle_one_asks_at_once_and_a_batch_has_a_size() -> None:
    oracle = Oracle()
    gathering: Gathering[int, int] = Gathering(oracle.ask, slow=NEVER)
    assert await asyncio.gather(*start(gathering, *range(BATCH + 3))) == [2 * n for n in range(BATCH + 3)]
    assert [len(batch) for batch in oracle.batches] == [BATCH, 3]


async def test_a_slow_batch_holds_nobody_up_but_only_some_are_away_at_once() -> None:
    oracle = Oracle()
    gathering: Gathering[int, int] = Gathering(oracle.ask, slow=0.0)
    oracle.gate.clear()
    asked = []
    for number in range(MOST_AWAY):
        asked += start(gathering, number)
        await oracle.calls(number + 1)
    asked += start(gathering, 50, 51)
    for _ in range(20):
        await asyncio.sleep(0)
    assert oracle.batches == [[number] for number in range(MOST_AWAY)]
    oracle.gate.set()
    assert await asyncio.gather(*asked) == [*(2 * n for n in range(MOST_AWAY)), 100, 102]
    assert oracle.batches[-1] == [50, 51]


async def test_each_gets_its_own_answer_or_error() -> None:
    oracle = Oracle()
    oracle.unknown = {2}
    answers = await asyncio.gather(*start(Gathering(oracle.ask), 1, 2, 3), return_exceptions=True)
    assert answers[0::2] == [2, 6]
    assert isinstance(answers[1], NotFound)
    assert oracle.batches == [[1, 2, 3]]


async def test_a_farm_that_is_away_says_so_to_all_and_is_asked_once() -> None:
    oracle = Oracle()
    oracle.errors = [ActorUnavailable("away")]
    gathering: Gathering[int, int] = Gathering(oracle.ask, slow=NEVER)
    answers = await asyncio.gather(*start(gathering, 1, 2), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ActorUnavailable, ActorUnavailable]
    assert oracle.batches == [[1, 2]]
    assert await gathering.answer(3) == 6


@pytest.mark.parametrize("error", [RuntimeError("unforeseen"), PhoneFarmError("process_manager failed: KeyError")])
async def test_a_fault_stays_with_its_question(error: Exception) -> None:
    oracle = Oracle()
    oracle.bad = {2}
    oracle.errors = [error]
    answers = await asyncio.gather(*start(Gathering(oracle.ask), 1, 2, 3), return_exceptions=True)
    assert answers[0::2] == [2, 6]
    assert isinstance(answers[1], RuntimeError)
    assert oracle.batches == [[1, 2, 3], [1], [2], [3]]


async def test_a_farm_that_forgets_an_answer_leaves_nobody_without_one() -> None:
    oracle = Oracle()
    oracle.short = True
    answers = await asyncio.gather(*start(Gathering(oracle.ask), 1, 2), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError, ValueError]


async def test_a_caller_that_hangs_up_hurts_nobody() -> None:
    oracle = Oracle()
    gathering: Gathering[int, int] = Gathering(oracle.ask, slow=NEVER)
    oracle.gate.clear()
    first = start(gathering, 1, 2)
    await oracle.calls(1)
    later = start(gathering, 3, 4)
    await asyncio.sleep(0)
    first[0].cancel()
    later[0].cancel()
    oracle.gate.set()
    assert await first[1] == 4
    assert await later[1] == 8
    assert oracle.batches == [[1, 2], [4]]
    assert await gathering.answer(5) == 10


async def test_nobody_is_left_waiting_when_the_loop_ends() -> None:
    oracle = Oracle()
    gathering: Gathering[int, int] = Gathering(oracle.ask, slow=NEVER)
    oracle.gate.clear()
    (asked,) = start(gathering, 1)
    await oracle.calls(1)
    for task in asyncio.all_tasks() - {asyncio.current_task(), asked}:
        task.cancel()
    with pytest.raises(Unavailable):
        await asked
