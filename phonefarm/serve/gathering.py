"""Gathering questions: whatever was asked while the last batch was away goes together in one call.

A call to the manager costs both sides far more than what one question of it takes, so a busy ingress asks for many
processes at once. An idle one asks at once, so nobody waits for others to come. As a rule one batch is away at a time;
one that takes longer than ``slow`` holds the next one up no more, so a single huge answer delays only its own batch.

* A caller that hangs up leaves an answer nobody reads, and its batch goes on.
* What makes a farm unavailable is said to the whole batch.
* A batch that makes the farm fail in an unforeseen way is asked again one by one, so the fault stays with its question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from phonefarm.errors import PhoneFarmError, StaleWriter, Unavailable

Q = TypeVar("Q")
A = TypeVar("A")

#: At most this many questions a call.
BATCH = 64
#: At most this many calls at once; the manager has as many reading connections.
MOST_AWAY = 4
#: Seconds after which a batch no longer holds the next one up.
SLOW = 0.25


@dataclass(eq=False, slots=True)
class _Asked(Generic[Q, A]):
    question: Q
    answer: asyncio.Future[A]

    def settle(self, answer: A | Exception) -> None:
        """Answer, unless the caller has hung up."""
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class Gathering(Generic[Q, A]):
    """Must be used from one event loop. ``ask`` takes a batch and gives an answer, or the error, to each of it."""

    def __init__(
        self, ask: Callable[[Sequence[Q]], Awaitable[Sequence[A | PhoneFarmError]]], *, slow: float = SLOW
    ) -> None:
        self._ask = ask
        self._slow = slow
        self._waiting: list[_Asked[Q, A]] = []
        self._away: set[asyncio.Task[None]] = set()
        self._fresh: asyncio.Task[None] | None = None

    async def answer(self, question: Q) -> A:
        """The answer to one question. Raises what the farm says to it."""
        asked: _Asked[Q, A] = _Asked(question, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        self._send()
        return await asked.answer

    def _send(self) -> None:
        if self._waiting and self._fresh is None and len(self._away) < MOST_AWAY:
            task = self._fresh = asyncio.get_running_loop().create_task(self._carry())
            self._away.add(task)
            task.add_done_callback(self._back)

    def _back(self, task: asyncio.Task[None]) -> None:
        self._away.discard(task)
        self._let_pass(task)

    def _let_pass(self, task: asyncio.Task[None]) -> None:
        """The batch holds nobody up (any more)."""
        if self._fresh is task:
            self._fresh = None
        self._send()

    async def _carry(self) -> None:
        """One batch: all that waits when this begins."""
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        task = asyncio.current_task()
        assert task is not None
        late = asyncio.get_running_loop().call_later(self._slow, self._let_pass, task)
        try:
            await self._deliver([asked for asked in batch if not asked.answer.done()])
        finally:
            late.cancel()
            for asked in batch:
                asked.settle(Unavailable("the farm gave no answer"))

    async def _deliver(self, batch: list[_Asked[Q, A]]) -> None:
        if not batch:
            return
        try:
            answers = await self._ask([asked.question for asked in batch])
            pairs = list(zip(batch, answers, strict=True))
        except Exception as error:
            await self._failed(batch, error)
        else:
            for asked, answer in pairs:
                asked.settle(answer)

    async def _failed(self, batch: list[_Asked[Q, A]], error: Exception) -> None:
        if len(batch) == 1 or isinstance(error, Unavailable | StaleWriter):
            for asked in batch:
                asked.settle(error)
        else:
            await asyncio.gather(*(self._deliver([asked]) for asked in batch))
