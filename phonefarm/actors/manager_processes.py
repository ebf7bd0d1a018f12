"""The manager's desk for processes: accepting, reading, waiting for news, cancelling, replaying.

A submission: ask the router where it would run (unless any phone will do), look its key up and commit it in one
transaction, then tell the router and the callback sender. Where the router has called phones spare, that transaction
also grants what may run at once (ADR 15). Nobody is told anything before it is committed; a duplicate needs no router.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from phonefarm import tracing
from phonefarm.actors.manager_core import ManagerCore
from phonefarm.actors.ports import FarmChange
from phonefarm.core import planning, routing
from phonefarm.core.metrics import REQUESTS
from phonefarm.core.planning import plan
from phonefarm.errors import NotFound, RequestError, Unavailable
from phonefarm.models.clock import monotonic_moment, rfc3339
from phonefarm.models.outbox import nobody_listens
from phonefarm.models.process import (
    ArtifactFile,
    CancelAnswer,
    CancelCommand,
    ProcessQuery,
    ReplayCommand,
    Resolution,
    Submission,
    SubmitOutcome,
    Target,
)
from phonefarm.models.reading import ProcessAsked, ProcessRead, idle_items
from phonefarm.store import accept, at_once, attention, cancel, lists, process_views, replay, views
from phonefarm.store.artifacts import file_path

T = TypeVar("T")


class ProcessDesk(ManagerCore):
    """Part of ``ProcessManager``. ``system``: the only one whose processes may be seen, None for all."""

    # -- accepting --

    async def submit_many(self, batch: Sequence[Submission]) -> list[SubmitOutcome]:
        """Accept a batch; one answer each, after commit. Raises Unavailable for the whole batch."""
        return await self._detached(self._submit_many(batch))

    async def _submit_many(self, batch: Sequence[Submission]) -> list[SubmitOutcome]:
        try:
            resolved = await self._resolved([s.target for s in batch])
        except Unavailable:
            if (known := await self._known(batch)) is None:
                raise
            given = known
        else:
            asked = [_asked(s, r) for s, r in zip(batch, resolved, strict=True)]
            given = await self._answer(asked)
        self._count_others(batch, given)
        return given

    async def _resolved(self, targets: Sequence[Target]) -> list[Resolution]:
        """By the router, unless the target leaves nothing to be found out."""
        found = [routing.resolve_unaided(target) for target in targets]
        asked = [target for target, known in zip(targets, found, strict=True) if known is None]
        answers = iter(await self._router.resolve(asked) if asked else ())
        return [next(answers) if known is None else known for known in found]

    def _count_others(self, batch: Sequence[Submission], given: Sequence[SubmitOutcome]) -> None:
        """Those that were not accepted now; what was, is counted with its commit."""
        for submission, answer in zip(batch, given, strict=True):
            if isinstance(answer, RequestError):
                self._tally.add(REQUESTS, submission.capability.value, "refused")
            elif answer.duplicate:
                self._tally.add(REQUESTS, submission.capability.value, "duplicate")

    async def _known(self, batch: Sequence[Submission]) -> list[SubmitOutcome] | None:
        """The answers if all of them are duplicates."""
        known = await self._db.read(lambda c: accept.find_keys(c, [s.key for s in batch]))
        return None if any(s.key not in known for s in batch) else [accept.answer_known(s, known[s.key]) for s in batch]

    async def _answer(self, asked: Sequence[accept.Planned | accept.Refused]) -> list[SubmitOutcome]:
        """By a transaction if there may be something to write."""
        refused = [one for one in asked if isinstance(one, accept.Refused)]
        if len(refused) < len(asked):
            return await self._accept(asked)
        return await self._db.read(lambda c: accept.refuse(c, refused))

    async def _accept(self, asked: Sequence[accept.Planned | accept.Refused]) -> list[SubmitOutcome]:
        began, moment, spare = tracing.now(), monotonic_moment(), self._take_spare()
        terms = self._config.terms
        outcomes, waiting, jobs = await self._db.write(
            lambda tx: at_once.accept_and_grant(tx, asked, spare, plan=plan, terms=terms, new_id=self._new_id)
        )
        if tracing.on():
            for submission in (one.submission for one in asked if isinstance(one, accept.Planned)):
                tracing.record("process.accept", parent=submission.trace, began=began, process=submission.process_id)
        if waiting or jobs:
            self._note_grants(jobs, began)
            granted = (replace(job, lease=replace(job.lease, asked=moment)) for job in jobs)
            self._news(FarmChange(waiting=tuple(waiting), granted=tuple(granted)))
            if any(not nobody_listens(one.submission.callback["url"]) for one in asked):
                self._kick()
        return outcomes

    async def replay(self, command: ReplayCommand, *, system: str | None = None) -> SubmitOutcome:
        """Run again what did not finish of a failed process (contract section 6)."""
        return await self._detached(self._replay(command, system))

    async def _replay(self, command: ReplayCommand, system: str | None) -> SubmitOutcome:
        source = await self._db.read(lambda c: replay.load(c, command.source_id, system))
        submission = replace(replay.submission(command, source), trace=command.trace)
        known = await self._db.read(lambda c: accept.find_keys(c, [submission.key]))
        if submission.key in known:
            return accept.answer_known(submission, known[submission.key])
        replay.check(source)
        for answer in await self._router.resolve(replay.targets(source)):
            if isinstance(answer, RequestError):
                return answer
        (outcome,) = await self._accept([replay.planned(submission, source, planning.length)])
        return outcome

    # -- reading --

    async def get_process(self, process_id: str, *, system: str | None = None) -> dict[str, Any]:
        view = await self._db.read(lambda c: process_views.process(c, process_id, system))
        if idle := idle_items(view["items"]):
            (view["waiting"],) = await self.why_waiting([idle])
        return view

    async def read_processes(self, asked: Sequence[ProcessAsked]) -> list[ProcessRead]:
        return await self._db.read(lambda c: process_views.bodies(c, asked))

    async def why_waiting(self, idle: Sequence[Sequence[str]]) -> list[dict[str, Any] | None]:
        try:
            reasons = await self._router.waiting_reasons([item_id for item_ids in idle for item_id in item_ids])
        except Unavailable:
            return [None for _ in idle]
        return [_first_reason(item_ids, reasons) for item_ids in idle]

    async def list_processes(self, query: ProcessQuery) -> dict[str, Any]:
        return await self._db.read(lambda c: lists.processes_page(c, query))

    async def await_status(
        self, process_id: str, *, seconds: float, known: str | None = None, system: str | None = None
    ) -> None:
        """Return once the public status is another than ``known``, the process is over, or after ``seconds``."""
        first = known or (await self._db.read(lambda c: views.status(c, process_id, system))).status.value

        async def changed() -> bool:
            now = await self._db.read(lambda c: views.status(c, process_id, system))
            return now.over or now.status.value != first

        await self._wait_until(process_id, changed, seconds)

    async def process_events(
        self,
        process_id: str,
        *,
        after: int = 0,
        limit: int = 1_000,
        seconds: float = 0.0,
        system: str | None = None,
        tail: int = 0,
    ) -> dict[str, Any]:
        page: dict[str, Any] = {}

        async def some() -> bool:
            page.update(await self._db.read(lambda c: views.process_events(c, process_id, after, limit, system, tail)))
            return bool(page["items"]) or page["over"]

        await self._wait_until(process_id, some, seconds)
        return page

    async def process_actions(
        self, process_id: str, *, limit: int = 200, system: str | None = None
    ) -> list[dict[str, Any]]:
        return await self._db.read(lambda c: attention.process_actions(c, process_id, limit, system))

    async def _wait_until(self, process_id: str, holds: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Until ``holds``, asked at once and after every commit that touches the process; at most ``seconds``."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        with self._waiters.waiter(process_id) as news:
            while not await holds() and (left := ends - loop.time()) > 0 and not self._stopping:
                try:
                    async with asyncio.timeout(left):
                        await news.wait()
                except TimeoutError:
                    continue
                news.clear()

    async def artifact(self, process_id: str, name: str, *, system: str | None = None) -> ArtifactFile:
        media_type = await self._db.read(lambda c: views.artifact_type(c, process_id, name, system))
        path = file_path(self._config.artifact_dir, process_id, name)
        try:
            return ArtifactFile(media_type=media_type, data=await asyncio.to_thread(path.read_bytes))
        except FileNotFoundError as error:
            raise NotFound("unknown_artifact", f"unknown_artifact:{name}") from error

    # -- cancelling --

    async def cancel(self, command: CancelCommand, *, system: str | None = None) -> CancelAnswer:
        if system is not None:
            await self._db.read(lambda c: views.status(c, command.process_id, system))
        return await self._detached(self._cancel(command))

    async def _cancel(self, command: CancelCommand) -> CancelAnswer:
        answer, effects = await self._db.write(lambda tx: cancel.cancel(tx, command, self._new_id))
        if effects.orders or effects.gone:
            self._news(FarmChange(gone=tuple(effects.gone), cancels=tuple(effects.orders)))
        if effects.callbacks:
            self._kick()
        return answer


def _first_reason(item_ids: Sequence[str], reasons: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    for item_id in item_ids:
        if item_id in reasons:
            reason = dict(reasons[item_id])
            return {**reason, "next_attempt_at": rfc3339(reason.get("next_attempt_at"))}
    return None


def _asked(submission: Submission, answer: Resolution) -> accept.Planned | accept.Refused:
    if isinstance(answer, RequestError):
        return accept.Refused(submission=submission, error=answer)
    length = planning.length(submission.capability, submission.inputs)
    return accept.Planned(submission=submission, items=answer, actions_total=length)
