"""What every desk of the manager stands on: the database, the others' ports, and how they are told things.

Calls that change something run in tasks of their own (``_detached``): a caller that hangs up cancels its wait, not the
work. News that does not arrive is caught up with: a router that missed some is told so until it hears it, and starts
from a snapshot; whoever is new does so anyway; for the callback sender timers do the rest. A new manager says so too:
the one before may have died between a commit and its news.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from phonefarm import logs, tracing
from phonefarm.actors.ports import FarmChange, RouterPort, SenderPort
from phonefarm.actors.waiters import Waiters
from phonefarm.core.leases import LeaseTerms
from phonefarm.core.presence import Presence, Starts
from phonefarm.core.stopwatch import Stopwatch
from phonefarm.core.tally import Mirror, Tally
from phonefarm.errors import PhoneFarmError
from phonefarm.models.clock import Clock, new_id, system_clock
from phonefarm.models.phone import HostReport, PhoneRow
from phonefarm.models.session import Job
from phonefarm.settings import Patience
from phonefarm.store import progress
from phonefarm.store.database import Database
from phonefarm.store.writer import AtCommit

T = TypeVar("T")
log = logs.logger(__name__)

_FIRST_PAUSE, _LAST_PAUSE = 0.1, 2.0
#: Seconds from one word to the callback sender to the next: each costs both of them a call.
_KICKS_APART = 0.025


@dataclass(frozen=True, kw_only=True, slots=True)
class ManagerConfig:
    """``run_id``: of this start of the farm; ``rescue_seconds``: how often expired leases and items are looked for;
    ``retention_days``: how long a process is kept after it ended; ``host_seconds``: how long a host may be silent;
    ``patience``: with phones' actors that end by themselves."""

    db_url: str
    artifact_dir: Path
    run_id: int = 0
    terms: LeaseTerms = field(default_factory=LeaseTerms)
    rescue_seconds: float = 2.0
    retention_days: float = 90.0
    hosts: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    host_seconds: float = 30.0
    patience: Patience = field(default_factory=Patience)


class ManagerCore:
    """``on_stale`` ends the process when another manager has taken over. ``at_commit`` is a seam for tests
    (``store.writer``). ``mirror`` takes the farm's numbers from time to time, to tell them elsewhere."""

    def __init__(
        self,
        config: ManagerConfig,
        *,
        router: RouterPort,
        sender: SenderPort,
        on_stale: Callable[[], None],
        clock: Clock | None = None,
        make_id: Callable[[], str] = new_id,
        at_commit: AtCommit = lambda _number, _phase: None,
        mirror: Mirror | None = None,
    ) -> None:
        self._config = config
        self._router = router
        self._sender = sender
        self._new_id = make_id
        self._clock = clock
        self._waiters = Waiters()
        self._tally = Tally()
        self._mirror = mirror
        self._claimed = Stopwatch()
        self._beats: dict[str, float] = {}
        self._counts_doubted = False
        self._db = Database(
            config.db_url,
            on_stale=on_stale,
            clock=clock,
            on_commit=self._waiters.wake,
            on_doubt=lambda: self._waiters.soon(self._catch_up_with_doubt),
            at_commit=at_commit,
            tally=self._tally,
        )
        self._presence = Presence(config.hosts, seconds=config.host_seconds, now=asyncio.get_running_loop().time())
        self._hosts_said: dict[str, HostReport] = {}
        self._starts = Starts(limit=config.patience.losses, seconds=config.patience.seconds)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self._missed: FarmChange | None = None
        self._spare: tuple[PhoneRow, ...] = ()
        self._stirs = 0
        self._to_kick = False
        self._kicks: asyncio.Task[None] | None = None

    def _now(self) -> int:
        return (self._clock or system_clock)()

    def _follow(self, effects: progress.Effects) -> None:
        if effects.waiting or effects.freed or effects.phones:
            change = FarmChange(
                waiting=tuple(effects.waiting),
                freed=tuple(effects.freed),
                phones=tuple(effects.phones),
                accounts=tuple(effects.accounts),
            )
            self._news(change)
        if effects.callbacks:
            self._kick()

    def _news(self, change: FarmChange) -> None:
        """Tell the router, soon."""
        self._background(self._tell_news(change, self._stir()))

    def _stir(self) -> int:
        """Something happens of which the router does not know yet: what it said to be spare may not be any more."""
        self._spare = ()
        self._stirs += 1
        return self._stirs

    def _take_spare(self) -> tuple[PhoneRow, ...]:
        """The phones that were spare when the router last heard everything; nobody else gets them meanwhile."""
        spare = self._spare
        self._stir()
        return spare

    async def _tell_news(self, change: FarmChange, stir: int) -> None:
        try:
            spare = await self._router.changed(change)
            if stir == self._stirs and self._missed is None:
                self._spare = tuple(spare)
        except PhoneFarmError as error:
            log.warning("router.missed_news", error=error, next_step="none: it is told until it hears it")
            catching_up = self._missed is not None
            self._missed = _with_missed(self._missed or FarmChange(), change)
            if not catching_up:
                await self._catch_up()

    async def _catch_up(self, pause: float = _FIRST_PAUSE) -> None:
        """Until the router has heard that it missed something. What a snapshot does not hold goes with it. ``pause``:
        seconds until the first try."""
        while self._missed is not None:
            await asyncio.sleep(pause)
            pause = min(max(pause * 2, _FIRST_PAUSE), _LAST_PAUSE)
            missed = self._missed
            try:
                await self._router.changed(missed)
            except PhoneFarmError:
                continue
            if self._missed is missed:  # else more was missed meanwhile
                self._missed = None

    def _catch_up_with_doubt(self) -> None:
        """A commit may have happened, and nobody was told: everybody looks for himself."""
        self._counts_doubted = True
        if not self._stopping:
            self._waiters.wake_all()
            self._news(FarmChange(missed=True))
            self._kick()

    def _note_grants(self, jobs: Sequence[Job], began: int) -> None:
        """For the figures: granted by a transaction that began at ``began`` (``tracing.now``)."""
        for job in jobs:
            self._claimed.start(job.lease.item_id, asyncio.get_running_loop().time())
            tracing.record("item.claim", parent=job.trace, began=began, **job.ids)

    def _kick(self) -> None:
        """Tell the callback sender that something is due: at once, or together with what becomes due in a moment."""
        self._to_kick = True
        if self._kicks is None or self._kicks.done():
            self._kicks = self._background(self._kick_while_asked())

    async def _kick_while_asked(self) -> None:
        while self._to_kick:
            self._to_kick = False
            await _quietly(self._sender.kick())
            await asyncio.sleep(_KICKS_APART)

    def _background(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _detached(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.shield(self._background(work))


def _with_missed(missed: FarmChange, change: FarmChange) -> FarmChange:
    """What is to be said after ``change`` did not arrive either."""
    return FarmChange(missed=True, cancels=missed.cancels + change.cancels, checks=missed.checks + change.checks)


async def _quietly(message: Awaitable[None]) -> None:
    """A message without which its receiver finds out by its own timers."""
    try:
        await message
    except PhoneFarmError as error:
        log.info("sender.not_told", error=error)
