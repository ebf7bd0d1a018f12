"""A farm in memory for the tests of HTTP: two phones, one account, idempotency, and nothing that runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from phonefarm.core import metrics, routing
from phonefarm.core.tally import Sample, Tally
from phonefarm.errors import Conflict, Fault, NotFound, PhoneFarmError, RequestError, ValidationFailed
from phonefarm.models.attention import Attention
from phonefarm.models.phone import AccountRow, PhoneRow
from phonefarm.models.process import (
    Accepted,
    AccountCommand,
    AccountPatch,
    ArtifactFile,
    CancelAnswer,
    CancelCommand,
    CancelStatus,
    KeyCommand,
    KeyRow,
    OperateCommand,
    Operation,
    OperationScope,
    ProcessQuery,
    Readiness,
    ReplayCommand,
    Submission,
    SubmitOutcome,
)
from phonefarm.models.reading import ProcessAsked, ProcessRead, body_of
from phonefarm.models.states import PhoneState, PublicStatus
from phonefarm.serve import examples, examples_more

AUTHORISED = {"authorized_by": "ops@example.com", "basis": "own account", "granted_at": "2026-11-01T00:00:00.000Z"}


def _phone(phone_id: str) -> PhoneRow:
    return PhoneRow(
        phone_id=phone_id, host="local", serial=phone_id, state=PhoneState.AVAILABLE, why=None, groups=("rack-1",)
    )


class FakeFarm:
    """Fulfils ``FarmPort``. ``error`` is raised by every call while set; ``gate`` holds submissions while cleared."""

    def __init__(self) -> None:
        account = AccountRow(account_id="acct-soup", phone_id="VP000001", active=True, authorization=AUTHORISED)
        self.directory = routing.Directory(
            phones={name: _phone(name) for name in ("VP000001", "VP000002")}, accounts={account.account_id: account}
        )
        self.processes: dict[str, Submission] = {}
        self.keys: dict[tuple[str, str, str], Submission] = {}
        self.accounts: dict[str, AccountCommand] = {}
        self.artifacts: dict[tuple[str, str], ArtifactFile] = {}
        self.batches: list[list[str]] = []
        self.reads: list[list[str]] = []
        self.cancels: list[CancelCommand] = []
        self.ended: set[str] = set()
        self.news = asyncio.Condition()
        self.waits: list[float] = []
        self.queries: list[ProcessQuery] = []
        self.operations: list[OperateCommand] = []
        self.states: dict[str, str] = {}
        self.api_keys: dict[str, KeyCommand] = {}
        self.revoked: set[str] = set()
        self.key_reads = 0
        self.commits = 1
        self.commit_waits = 0
        self.views: dict[str, dict[str, Any]] = {}
        self.history: dict[str, Any] = {"samples": [], "log": [], "sessions": []}
        self.ready = Readiness(parts={"manager": None, "storage": None, "router": None})
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def submit_many(self, batch: Sequence[Submission]) -> list[SubmitOutcome]:
        self._fail()
        self.batches.append([submission.request_id for submission in batch])
        await self.gate.wait()
        return [self._submit(submission) for submission in batch]

    def _submit(self, submission: Submission) -> SubmitOutcome:
        known = self.keys.get(submission.key)
        if known is not None and known.canonical() != submission.canonical():
            extra = {"process_id": known.process_id, "differs": ["inputs.keywords"]}
            return Conflict("idempotency_key_reused", "idempotency_key_reused:inputs.keywords", extra=extra)
        if known is None:
            resolved = routing.resolve(submission.target, self.directory)
            if isinstance(resolved, RequestError):
                return resolved
            self.keys[submission.key] = self.processes[submission.process_id] = submission
        first = known or submission
        return Accepted(
            process_id=first.process_id,
            request_id=submission.request_id,
            process_type=submission.capability.value,
            duplicate=known is not None,
            status=PublicStatus.QUEUED,
        )

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    def _process(self, process_id: str) -> Submission:
        self._fail()
        if process_id not in self.processes:
            raise NotFound("unknown_process", f"unknown_process:{process_id}")
        return self.processes[process_id]

    def _visible(self, process_id: str, system: str | None) -> Submission:
        found = self._process(process_id)
        if system not in (None, found.system):
            raise NotFound("unknown_process", f"unknown_process:{process_id}")
        return found

    async def get_process(self, process_id: str, *, system: str | None = None) -> dict[str, Any]:
        found = self._visible(process_id, system)
        status = "cancelled" if process_id in self.ended else "queued"
        return {
            **examples.PROCESS,
            "process_id": process_id,
            "process_type": found.capability.value,
            "request_id": found.request_id,
            "status": status,
            "mode": found.mode.value,
            "routing": found.target.routing.value,
            "requested_by": dict(found.requested_by),
            "callback": dict(found.callback),
            "items": [],
            "replay_of": found.replay_of,
        }

    async def read_processes(self, asked: Sequence[ProcessAsked]) -> list[ProcessRead]:
        self._fail()
        self.reads.append([one.process_id for one in asked])
        await self.gate.wait()
        return [await self._read(one) for one in asked]

    async def _read(self, asked: ProcessAsked) -> ProcessRead:
        try:
            view = await self.get_process(asked.process_id, system=asked.system)
        except NotFound as error:
            return error
        waiting = view.pop("waiting")
        body = body_of({**view, "waiting": None})
        return replace(body, idle=(asked.process_id,)) if waiting else body

    async def why_waiting(self, idle: Sequence[Sequence[str]]) -> list[dict[str, Any] | None]:
        self._fail()
        return [(await self.get_process(process_id))["waiting"] for (process_id,) in idle]

    async def await_status(
        self, process_id: str, *, seconds: float, known: str | None = None, system: str | None = None
    ) -> None:
        self._visible(process_id, system)
        self.waits.append(seconds)
        async with self.news:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait_for(lambda: process_id in self.ended), seconds)

    async def list_processes(self, query: ProcessQuery) -> dict[str, Any]:
        self._fail()
        self.queries.append(query)
        if query.cursor is not None:
            raise ValidationFailed([Fault(loc=("query", "cursor"), code="invalid_cursor", msg="is none of ours")])
        newest = sorted(self.processes, reverse=True)
        shown = [p for p in newest if query.system in (None, self.processes[p].system)][: query.limit]
        return {"items": [await self.get_process(p) for p in shown], "next_cursor": None}

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
        self._visible(process_id, system)
        if seconds and after >= 1 and process_id not in self.ended:
            async with self.news:
                await self.news.wait_for(lambda: process_id in self.ended)
        kinds = ["process.accepted", *(["process.cancelled"] if process_id in self.ended else [])]
        shown = examples_more.EVENTS["items"][0]
        events = [{**shown, "sequence": n, "kind": kind} for n, kind in enumerate(kinds, 1) if n > after]
        return {"items": events[:limit], "over": process_id in self.ended}

    async def process_actions(
        self, process_id: str, *, limit: int = 200, system: str | None = None
    ) -> list[dict[str, Any]]:
        self._visible(process_id, system)
        return []

    async def end(self, process_id: str) -> None:
        """The process is over; whoever waits hears of it."""
        async with self.news:
            self.ended.add(process_id)
            self.news.notify_all()

    async def replay(self, command: ReplayCommand, *, system: str | None = None) -> SubmitOutcome:
        source = self._visible(command.source_id, system)
        if command.source_id not in self.ended:
            raise Conflict("not_replayable", "not_replayable:queued")
        copy = replace(
            source,
            process_id=command.process_id,
            request_id=command.request_id,
            requested_by=command.requested_by,
            replay_of=command.source_id,
        )
        answer = self._submit(copy)
        return replace(answer, replay_of=command.source_id) if isinstance(answer, Accepted) else answer

    async def artifact(self, process_id: str, name: str, *, system: str | None = None) -> ArtifactFile:
        self._visible(process_id, system)
        if (process_id, name) not in self.artifacts:
            raise NotFound("unknown_artifact", f"unknown_artifact:{name}")
        return self.artifacts[process_id, name]

    async def cancel(self, command: CancelCommand, *, system: str | None = None) -> CancelAnswer:
        self._visible(command.process_id, system)
        self.cancels.append(command)
        over = command.process_id in self.ended
        await self.end(command.process_id)
        return CancelAnswer(
            status=CancelStatus.IGNORED if over else CancelStatus.REQUESTED,
            process_id=command.process_id,
            process_status=PublicStatus.CANCELLED,
        )

    async def list_phones(self) -> list[dict[str, Any]]:
        self._fail()
        return [await self.get_phone(phone_id) for phone_id in self.directory.phones]

    async def get_phone(self, phone_id: str) -> dict[str, Any]:
        self._fail()
        if phone_id not in self.directory.phones:
            raise NotFound("unknown_phone", f"unknown_phone:{phone_id}")
        told = {"phone_id": phone_id, "state": self.states.get(phone_id, "available")}
        return {**examples_more.PHONE, **told, **self.views.get(phone_id, {})}

    async def phone_history(self, phone_id: str, *, system: str | None = None) -> dict[str, Any]:
        await self.get_phone(phone_id)
        return self.history

    async def await_commit(self, known: int, *, seconds: float) -> int:
        self._fail()
        self.commit_waits += 1
        async with self.news:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait_for(lambda: self.commits != known), seconds)
        return self.commits

    async def commit(self, phone_id: str, **changes: Any) -> None:
        """A phone is now otherwise; whoever waits hears of it."""
        async with self.news:
            self.views[phone_id] = {**self.views.get(phone_id, {}), **changes}
            self.commits += 1
            self.news.notify_all()

    async def list_hosts(self) -> list[dict[str, Any]]:
        self._fail()
        return [examples_more.HOST]

    async def operate(self, command: OperateCommand) -> list[dict[str, Any]]:
        self._fail()
        self.operations.append(command)
        known = {
            OperationScope.PHONE: ("unknown_phone", {p: [p] for p in self.directory.phones}),
            OperationScope.HOST: ("unknown_host", {"local": list(self.directory.phones)}),
            OperationScope.GROUP: ("unknown_group", {"rack-1": list(self.directory.phones)}),
        }
        code, members = known[command.scope]
        if command.name not in members:
            raise NotFound(code, f"{code}:{command.name}")
        if command.operation is Operation.RELEASE:
            raise Conflict("operation_not_possible", "operation_not_possible:release:available")
        state = "available" if command.operation is Operation.RESUME else "paused"
        for phone_id in members[command.name]:
            self.states[phone_id] = state
        return [await self.get_phone(phone_id) for phone_id in members[command.name]]

    async def put_account(self, command: AccountCommand) -> dict[str, Any]:
        self._fail()
        if command.phone_id is not None:
            await self.get_phone(command.phone_id)
        self.accounts[command.account_id] = command
        return await self.get_account(command.account_id)

    async def get_account(self, account_id: str) -> dict[str, Any]:
        self._fail()
        if account_id not in self.accounts:
            raise NotFound("unknown_account", f"unknown_account:{account_id}")
        found = self.accounts[account_id]
        limits = found.daily_limits
        return {
            **examples_more.ACCOUNT,
            "account_id": account_id,
            "phone_id": found.phone_id,
            "group": found.group,
            "active": found.active,
            "authorization": found.authorization,
            "daily_limits": {"sessions": limits.get("sessions"), "minutes": limits.get("minutes")},
        }

    async def patch_account(self, patch: AccountPatch) -> dict[str, Any]:
        await self.get_account(patch.account_id)
        changed = replace(self.accounts[patch.account_id], **patch.changes)
        if changed.active and changed.authorization is None:
            msg = "an account is active only when somebody authorised its use"
            raise ValidationFailed([Fault(loc=("authorization",), code="authorization_required", msg=msg)])
        return await self.put_account(changed)

    async def list_accounts(self) -> list[dict[str, Any]]:
        self._fail()
        return [await self.get_account(account_id) for account_id in sorted(self.accounts)]

    async def list_callbacks(
        self,
        *,
        state: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        system: str | None = None,
        process_id: str | None = None,
    ) -> dict[str, Any]:
        self._fail()
        if cursor is not None:
            raise ValidationFailed([Fault(loc=("query", "cursor"), code="invalid_cursor", msg="is none of ours")])
        return examples_more.listed({**examples_more.CALLBACK, "state": state or "pending"})

    async def redeliver(self, event_id: str, *, system: str | None = None) -> dict[str, Any]:
        self._fail()
        if event_id != examples_more.CALLBACK["event_id"]:
            raise NotFound("unknown_callback", f"unknown_callback:{event_id}")
        return examples_more.CALLBACK

    async def queue(self, *, limit: int = 50, cursor: str | None = None, system: str | None = None) -> dict[str, Any]:
        self._fail()
        if cursor is not None:
            raise ValidationFailed([Fault(loc=("query", "cursor"), code="invalid_cursor", msg="is none of ours")])
        return examples_more.listed(examples_more.QUEUED)

    async def metrics(self) -> list[Sample]:
        self._fail()
        tally = Tally()
        tally.set(metrics.PHONES, 2, "available")
        tally.set(metrics.QUEUE_ITEMS, len(self.processes))
        tally.add(metrics.COMMITS, by=7)
        tally.observe(metrics.ACTION_SECONDS, 0.3, "watch", "finished")
        return tally.samples()

    async def key_rows(self) -> list[KeyRow]:
        self._fail()
        self.key_reads += 1
        return [
            KeyRow(name=name, digest=key.digest, scopes=key.scopes, system=key.system)
            for name, key in self.api_keys.items()
            if name not in self.revoked
        ]

    async def list_keys(self) -> list[dict[str, Any]]:
        self._fail()
        return [self._key(name) for name in sorted(self.api_keys)]

    def _key(self, name: str) -> dict[str, Any]:
        if name not in self.api_keys:
            raise NotFound("unknown_key", f"unknown_key:{name}")
        key, at = self.api_keys[name], examples_more.KEY["created_at"]
        revoked = at if name in self.revoked else None
        return {"name": name, "scopes": list(key.scopes), "system": key.system, "created_at": at, "revoked_at": revoked}

    async def create_key(self, command: KeyCommand) -> dict[str, Any]:
        self._fail()
        if command.name in self.api_keys:
            raise Conflict("key_exists", f"key_exists:{command.name}")
        self.api_keys[command.name] = command
        return self._key(command.name)

    async def revoke_key(self, name: str) -> dict[str, Any]:
        self._fail()
        if name in self.api_keys:
            self.revoked.add(name)
        return self._key(name)

    async def attention(self, *, system: str | None = None) -> Attention:
        self._fail()
        return Attention(now=0)

    async def readiness(self) -> Readiness:
        if isinstance(self.error, PhoneFarmError):
            raise self.error
        return self.ready
