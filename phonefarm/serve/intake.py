"""Gathering submissions: whatever arrived while the last batch was away goes together in one call.

One batch is under way at a time. An idle intake sends at once, so batching adds no wait; a busy one lets the next
batch grow meanwhile, up to a size. What may go wrong stays where it belongs:

* a caller that hangs up leaves a future nobody reads, and its batch goes on;
* a manager or router that is away or still starting gets the same batch again, with the same proposed process ids,
  so what was already committed is recognised and not doubled; each submission waits until its own deadline, then
  is Unavailable; trouble with the storage is said at once;
* a batch that makes the farm fail in an unforeseen way is halved until the one that does it stands alone;
* a full queue refuses at once (429) instead of growing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from phonefarm import logs
from phonefarm.errors import (
    ActorUnavailable,
    PhoneFarmError,
    RequestError,
    StaleWriter,
    StorageUnavailable,
    TooManyRequests,
    Unavailable,
)
from phonefarm.models.process import Accepted, Submission, SubmitOutcome

log = logs.logger(__name__)


class Submitter(Protocol):
    """The part of ``FarmPort`` that is needed here."""

    async def submit_many(self, batch: Sequence[Submission]) -> list[SubmitOutcome]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class IntakeLimits:
    """``seconds``: how long a submission may wait for an answer; ``pause``: between two tries, in seconds."""

    batch: int = 512
    waiting: int = 8_192
    seconds: float = 15.0
    pause: float = 0.05


@dataclass(eq=False, slots=True)
class _Pending:
    submission: Submission
    answer: asyncio.Future[Accepted]
    deadline: float

    def settle(self, outcome: SubmitOutcome | PhoneFarmError) -> None:
        """Answer, unless the caller has hung up."""
        if self.answer.done():
            return
        if isinstance(outcome, Accepted):
            self.answer.set_result(outcome)
        else:
            self.answer.set_exception(outcome)


class Intake:
    """Must be used from one event loop. ``sleep`` and ``now`` (seconds, monotonic) are the loop's unless given."""

    def __init__(
        self,
        farm: Submitter,
        *,
        limits: IntakeLimits | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._farm = farm
        self._limits = limits or IntakeLimits()
        self._sleep = sleep
        self._clock = now
        self._waiting: deque[_Pending] = deque()
        self._drain: asyncio.Task[None] | None = None

    async def submit(self, submission: Submission) -> Accepted:
        """Hand in one submission. Raises RequestError as the farm refuses it, TooManyRequests, Unavailable."""
        if len(self._waiting) >= self._limits.waiting:
            raise TooManyRequests("too_many_requests", "too_many_requests: the farm is busy taking others in")
        answer: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Pending(submission, answer, self._now() + self._limits.seconds))
        if self._drain is None or self._drain.done():
            self._drain = asyncio.get_running_loop().create_task(self._drain_all())
        return await answer

    def _now(self) -> float:
        return self._clock() if self._clock is not None else asyncio.get_running_loop().time()

    async def _drain_all(self) -> None:
        try:
            while self._waiting:
                await self._deliver(self._next_batch())
        finally:
            self._drain = None
            for pending in self._waiting:
                pending.settle(Unavailable("the intake is stopping"))
            self._waiting.clear()

    def _next_batch(self) -> list[_Pending]:
        count = min(len(self._waiting), self._limits.batch)
        batch = [self._waiting.popleft() for _ in range(count)]
        return [pending for pending in batch if not pending.answer.done()]

    async def _deliver(self, batch: list[_Pending]) -> None:
        """Have every submission of a batch answered, whatever happens."""
        try:
            await self._send(batch)
        except Exception:
            log.exception("intake.broken", batch=len(batch), next_step=logs.REPORT_IT)
        finally:
            for pending in batch:
                pending.settle(Unavailable("the farm gave no answer"))

    async def _send(self, batch: list[_Pending]) -> None:
        while batch := self._in_time(batch):
            try:
                async with asyncio.timeout(max(pending.deadline for pending in batch) - self._now()):
                    outcomes = await self._farm.submit_many([pending.submission for pending in batch])
                answers = list(zip(batch, outcomes, strict=True))
            except (StorageUnavailable, RequestError) as error:
                return _settle_all(batch, error)
            except (Unavailable, StaleWriter, TimeoutError):
                await self._sleep(self._limits.pause)
            except Exception as error:
                return await self._halve(batch, error)
            else:
                for pending, outcome in answers:
                    pending.settle(outcome)
                return None
        return None

    def _in_time(self, batch: list[_Pending]) -> list[_Pending]:
        """Those that may be sent (again); the others get their answer."""
        now = self._now()
        for pending in batch:
            if pending.deadline <= now:
                pending.settle(ActorUnavailable("the process manager did not answer in time"))
        return [pending for pending in batch if pending.deadline > now]

    async def _halve(self, batch: list[_Pending], error: Exception) -> None:
        log.error("intake.batch_failed", batch=len(batch), exc_info=error, error=error)
        if len(batch) == 1:
            return batch[0].settle(PhoneFarmError("the submission made the farm fail"))
        middle = len(batch) // 2
        await self._send(batch[:middle])
        await self._send(batch[middle:])


def _settle_all(batch: list[_Pending], error: PhoneFarmError) -> None:
    for pending in batch:
        pending.settle(error)
