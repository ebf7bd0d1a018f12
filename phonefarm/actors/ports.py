"""What each actor answers, as protocols.

The plain classes fulfil them directly (tests, one process); ``gateway`` fulfils them over Ray. Nobody else
needs to know which of the two is behind. Requests go down and are answered; events go up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from phonefarm.core.tally import Sample
from phonefarm.models.action import Verdict
from phonefarm.models.attention import Attention
from phonefarm.models.outbox import Delivery, DuePage, Place
from phonefarm.models.phone import AccountRow, Claim, HostReport, PhoneReport, PhoneRow, RungReport
from phonefarm.models.process import (
    AccountCommand,
    AccountPatch,
    ArtifactFile,
    CancelAnswer,
    CancelCommand,
    KeyCommand,
    KeyRow,
    OperateCommand,
    ProcessQuery,
    Readiness,
    ReplayCommand,
    Resolution,
    Submission,
    SubmitOutcome,
    Target,
)
from phonefarm.models.queue import Assignment, QueueSnapshot, WaitingItem
from phonefarm.models.reading import ProcessAsked, ProcessRead
from phonefarm.models.session import CancelOrder, Job, Report, ReportReply
from phonefarm.models.video import VideoFacts


class FarmPort(Protocol):
    """What HTTP needs. Fulfilled by the manager. JSON views have the shapes of the contract.

    Raises ``NotFound`` and ``Conflict`` for what the caller did, ``Unavailable`` when the farm is away.
    """

    # -- processes; ``system``: the only one whose processes the caller may see, None for all (others are unknown)

    async def submit_many(self, batch: Sequence[Submission]) -> list[SubmitOutcome]: ...
    async def get_process(self, process_id: str, *, system: str | None = None) -> dict[str, Any]: ...
    async def read_processes(self, asked: Sequence[ProcessAsked]) -> list[ProcessRead]:
        """What ``get_process`` gives of each, ready to send, but for ``waiting``; never waits for the router."""

    async def why_waiting(self, idle: Sequence[Sequence[str]]) -> list[dict[str, Any] | None]:
        """For processes, by their items that wait: what ``waiting`` is, None where nobody knows."""

    async def await_status(
        self, process_id: str, *, seconds: float, known: str | None = None, system: str | None = None
    ) -> None:
        """Return once the public status is another than ``known`` (None: than at the call), the process is over, or
        after ``seconds``."""

    async def list_processes(self, query: ProcessQuery) -> dict[str, Any]:
        """``{"items", "next_cursor"}``. Raises ValidationFailed for a cursor that this farm did not give."""

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
        """Events with a sequence over ``after``, oldest first: ``{"items", "over"}``; ``over``: the process has ended,
        so but for callbacks nothing will follow. Without any, waits up to ``seconds`` for one. ``tail`` not 0: only
        the last so many of them."""

    async def process_actions(
        self, process_id: str, *, limit: int = 200, system: str | None = None
    ) -> list[dict[str, Any]]:
        """The last actions, newest first: ``queue_item_id, attempt, index, kind, status, phone_id, params, output,
        skipped, seconds, at``."""

    async def artifact(self, process_id: str, name: str, *, system: str | None = None) -> ArtifactFile: ...
    async def cancel(self, command: CancelCommand, *, system: str | None = None) -> CancelAnswer: ...
    async def replay(self, command: ReplayCommand, *, system: str | None = None) -> SubmitOutcome:
        """Accepted or a refusal, like a submission. Raises NotFound, and Conflict ``not_replayable``."""

    # -- farm

    async def list_phones(self) -> list[dict[str, Any]]: ...
    async def get_phone(self, phone_id: str) -> dict[str, Any]: ...
    async def phone_history(self, phone_id: str, *, system: str | None = None) -> dict[str, Any]:
        """``{"samples", "log", "sessions"}``: how the phone was, its states, what it did. Raises NotFound."""

    async def await_commit(self, known: int, *, seconds: float) -> int:
        """The number of the last commit, once it is another than ``known``, or after ``seconds``."""

    async def list_hosts(self) -> list[dict[str, Any]]: ...
    async def operate(self, command: OperateCommand) -> list[dict[str, Any]]:
        """The phones it was done to, as ``get_phone`` shows them. Raises NotFound and Conflict."""

    async def put_account(self, command: AccountCommand) -> dict[str, Any]: ...
    async def patch_account(self, patch: AccountPatch) -> dict[str, Any]: ...
    async def get_account(self, account_id: str) -> dict[str, Any]: ...
    async def list_accounts(self) -> list[dict[str, Any]]: ...
    async def list_callbacks(
        self,
        *,
        state: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
        system: str | None = None,
        process_id: str | None = None,
    ) -> dict[str, Any]:
        """``{"items", "next_cursor"}``, newest first."""

    async def redeliver(self, event_id: str, *, system: str | None = None) -> dict[str, Any]:
        """The callback as it now stands: pending, due at once. Raises NotFound ``unknown_callback``."""

    async def queue(self, *, limit: int = 50, cursor: str | None = None, system: str | None = None) -> dict[str, Any]:
        """``{"items", "next_cursor"}`` in claim order, each with the reason why it waits."""

    async def metrics(self) -> list[Sample]:
        """The farm's numbers as they stand, those of ``core.metrics`` that are told at /metrics."""

    async def attention(self, *, system: str | None = None) -> Attention:
        """What of the farm's work may need a person, and the disk of its state."""

    async def readiness(self) -> Readiness: ...

    # -- keys

    async def key_rows(self) -> list[KeyRow]:
        """Every key that may be used now."""

    async def list_keys(self) -> list[dict[str, Any]]:
        """``{name, scopes, system, created_at, revoked_at}``, never a digest."""

    async def create_key(self, command: KeyCommand) -> dict[str, Any]:
        """Raises Conflict ``key_exists`` for a name that was ever used."""

    async def revoke_key(self, name: str) -> dict[str, Any]:
        """Revoking twice is harmless. Raises NotFound ``unknown_key``."""


class ManagerPort(FarmPort, Protocol):
    """What the other actors need of the manager."""

    async def snapshot(self) -> QueueSnapshot: ...
    async def claim(self, assignments: Sequence[Assignment]) -> list[Job]: ...
    async def report(self, report: Report) -> ReportReply: ...
    async def report_phones(self, reports: Sequence[PhoneReport]) -> None: ...
    async def report_host(self, report: HostReport) -> bool:
        """A host's sign of life. False: it had been given up, so its phones must be told of again."""

    async def rung_tried(self, report: RungReport) -> None:
        """Counted once a call: whoever gets no answer must not repeat it."""

    async def phone_started(
        self, phone_id: str, host: str, incarnation: str, running: Sequence[tuple[str, int]]
    ) -> None: ...
    async def due_callbacks(self, limit: int, after: Place | None = None) -> DuePage: ...
    async def callbacks_done(self, deliveries: Sequence[Delivery]) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class FarmChange:
    """News from the manager to the router, after commit.

    ``waiting``: items to place now or later. ``granted``: attempts to hand to their phones, granted with no wish of the
    router's but on phones that it called spare. ``gone``: items that wait no more. ``freed``: phones whose item ended.
    ``cancels``: (phone, item, attempt, order). ``checks``: phones to check again now. ``missed``: other news did not
    arrive, so start from a snapshot again.
    """

    waiting: tuple[WaitingItem, ...] = ()
    granted: tuple[Job, ...] = ()
    gone: tuple[str, ...] = ()
    freed: tuple[str, ...] = ()
    phones: tuple[PhoneRow, ...] = ()
    accounts: tuple[AccountRow, ...] = ()
    cancels: tuple[tuple[str, str, int, CancelOrder], ...] = ()
    checks: tuple[str, ...] = ()
    missed: bool = False


class RouterPort(Protocol):
    """Placement. ``resolve`` answers from memory alone, so the manager may wait for it."""

    async def resolve(self, targets: Sequence[Target]) -> list[Resolution]: ...
    async def changed(self, change: FarmChange) -> Sequence[PhoneRow]:
        """Take note. The answer: some phones that are spare, those first that have rested longest; none while anything
        waits."""

    async def waiting_reasons(self, item_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]: ...
    async def queue(self, *, offset: int, limit: int) -> list[dict[str, Any]]:
        """What waits, in claim order: ids, priority, times in ms and what ``waiting_reasons`` says of each."""

    async def ping(self) -> str: ...


class PhonePort(Protocol):
    """One phone. ``run`` returns once the job is taken, not when it is done; the same job twice is taken once."""

    async def home(self) -> str:
        """The host this actor lives on."""

    async def retire(self, why: str) -> None:
        """The phone has moved: break off what runs and touch it no more. Nothing is sent to it after this returned."""

    async def attach(self, serial: str, adb_port: int) -> None: ...
    async def detach(self, why: str) -> bool:
        """The phone is away. Gives whether its host may do something about it: not while its session reboots it."""

    async def distrust(self, why: str) -> None:
        """Set the phone apart until some checks in a row were clean, or an operator releases it."""

    async def run(self, job: Job) -> bool: ...
    async def cancel(self, item_id: str, attempt: int, order: CancelOrder) -> None: ...
    async def check(self) -> None:
        """Forget what spoke against the phone, check it now and tell the manager; returns at once."""

    async def screen(self) -> bytes:
        """The screen as PNG. Raises DeviceError; DeviceLost when the phone is not here."""


class HostPort(Protocol):
    """One host: its adb server and the phones on it."""

    async def whereis(self, phone_id: str) -> tuple[str, int] | None: ...
    async def contest(self, phone_id: str, by: str, body: str) -> Claim:
        """Another host (``by``: its name and the serial there) sees a phone that this one has, and says again while it
        does. ``body``: which phone that really is."""

    async def connect(self, address: str) -> None: ...
    async def mend(self, phone_id: str, why: str) -> None:
        """The phone is listed but does not answer: try what helps, one after the other. Returns at once."""

    async def status(self) -> dict[str, Any]: ...
    async def shutdown(self) -> None: ...


class JudgePort(Protocol):
    """The farm's judge: one place, so that its limits hold for all phones together."""

    async def judge(
        self, *, process_id: str, prompt: Mapping[str, Any] | None, facts: VideoFacts, interests: Sequence[str] = ()
    ) -> Verdict:
        """Never raises for what a judge did wrong: that is a verdict with ``error`` set."""


class SenderPort(Protocol):
    """The callback sender: told that something is due, it asks the manager for it."""

    async def kick(self) -> None: ...
