"""A farm in memory for the tests of HTTP: two phones, one account, idempotency, and nothing that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from phonefarm.core import routing
from phonefarm.errors import Conflict, NotFound, PhoneFarmError, RequestError
from phonefarm.models.phone import AccountRow, PhoneRow
from phonefarm.models.process import (
    Accepted,
    AccountCommand,
    ArtifactFile,
    CancelAnswer,
    CancelCommand,
    CancelStatus,
    Readiness,
    Submission,
    SubmitOutcome,
)
from phonefarm.models.states import PhoneState, PublicStatus

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
        self.cancels: list[CancelCommand] = []
        self.ended: set[str] = set()
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

    async def get_process(self, process_id: str) -> dict[str, Any]:
        found = self._process(process_id)
        return {"process_id": found.process_id, "request_id": found.request_id, "status": "queued"}

    async def list_processes(self, *, limit: int = 50) -> list[dict[str, Any]]:
        self._fail()
        newest = sorted(self.processes, reverse=True)[:limit]
        return [await self.get_process(process_id) for process_id in newest]

    async def process_events(self, process_id: str) -> list[dict[str, Any]]:
        self._process(process_id)
        return [{"sequence": 1, "kind": "process.accepted"}]

    async def artifact(self, process_id: str, name: str) -> ArtifactFile:
        self._process(process_id)
        if (process_id, name) not in self.artifacts:
            raise NotFound("unknown_artifact", f"unknown_artifact:{name}")
        return self.artifacts[process_id, name]

    async def cancel(self, command: CancelCommand) -> CancelAnswer:
        self._process(command.process_id)
        self.cancels.append(command)
        over = command.process_id in self.ended
        self.ended.add(command.process_id)
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
        return {"phone_id": phone_id, "state": "available"}

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
        return {"account_id": account_id, "phone_id": found.phone_id, "active": found.active}

    async def list_accounts(self) -> list[dict[str, Any]]:
        self._fail()
        return [await self.get_account(account_id) for account_id in sorted(self.accounts)]

    async def list_callbacks(self, *, state: str | None = None) -> list[dict[str, Any]]:
        self._fail()
        return [{"event_id": "e-1", "state": state or "pending"}]

    async def readiness(self) -> Readiness:
        if isinstance(self.error, PhoneFarmError):
            raise self.error
        return self.ready
