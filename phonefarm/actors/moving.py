"""Where a phone's actor lives, and how a phone moves to another host.

Ray pins an actor to its host by a label for as long as it exists, and hands out the existing one whatever label is
asked for. So a host that sees a phone first asks the phone's actor where it lives. If that is another host, the other
host is asked whether it still has the phone (``HostPort.contest``); only if it has not, the old actor is retired and
ended, and a new one is made here. The phone's old attempt is interrupted by the new actor's start.

Never two actors for one phone that both touch it: either the old one has confirmed that it sends nothing more, or a
whole lease term passes between its end and the new one's start. An old actor that nobody can reach has stopped by its
own clock by then. A host that cannot be asked keeps its phones until the manager has given it up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from phonefarm import logs
from phonefarm.actors.ports import HostPort, ManagerPort, PhonePort
from phonefarm.core.presence import SILENT
from phonefarm.errors import ActorUnavailable, NotFound, PhoneFarmError
from phonefarm.models.phone import Claim

T = TypeVar("T")
log = logs.logger(__name__)

#: Seconds another actor may take for an answer, and a session to break off.
ASK_SECONDS, RETIRE_SECONDS = 8.0, 30.0
#: Seconds a new actor may take to start, and between two looks whether it has.
START_SECONDS, _PAUSE = 120.0, 0.25


class PhoneElsewhere(PhoneFarmError):
    """The phone's actor lives on another host, which has the phone or cannot be asked."""

    code = "phone_elsewhere"
    next_step = "none: it is asked again as long as the phone is seen here"


class Homes(Protocol):
    """What a host's actor needs: ``Moving``, or a fake."""

    async def here(self, phone_id: str, serial: str, body: str) -> PhonePort:
        """The actor of a phone seen here, living here: found, made, or taken over. Raises PhoneElsewhere."""

    async def mine(self, phone_id: str) -> PhonePort | None:
        """The actor of a phone if it lives here. Raises ActorUnavailable if it does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """How actors are reached and made. ``make``: on this host, if there is none anywhere, and whether there was
    none; ``end``: for good, returns when its name is free again."""

    manager: ManagerPort
    phone: Callable[[str], PhonePort]
    host: Callable[[str], HostPort]
    make: Callable[[str], Awaitable[bool]]
    end: Callable[[str], Awaitable[None]]


def starts_at_once(cores: int) -> int:
    """New actors of a host that start at the same time: a start is a second or more of a core. Ray starts as many
    processes as a node has cores, in the order in which they were asked for; behind a whole rack of phones the farm's
    HTTP server would not be up for minutes. Two at least, so that one that hangs does not stop the others."""
    return max(2, cores)


class Moving:
    """Fulfils ``Homes`` for the host ``name``, which has so many ``cores``."""

    def __init__(self, name: str, means: Means, *, lease_seconds: float, cores: int) -> None:
        self._name = name
        self._means = means
        self._lease_seconds = lease_seconds
        self._starting = asyncio.Semaphore(starts_at_once(cores))

    async def mine(self, phone_id: str) -> PhonePort | None:
        phone = self._means.phone(phone_id)
        return phone if await _answer(phone.home()) == self._name else None

    async def here(self, phone_id: str, serial: str, body: str) -> PhonePort:
        home = await self._made(phone_id)
        if home != self._name:
            await self._take_over(phone_id, home, serial, body)
            home = await self._made(phone_id)
        if home != self._name:
            raise PhoneElsewhere(f"{phone_id} is on {home} meanwhile")
        return self._means.phone(phone_id)

    async def _made(self, phone_id: str) -> str | None:
        """Make the actor if there is none. Where it lives, None if it does not say; a new one is waited for."""
        async with self._starting:
            tries = round(START_SECONDS / _PAUSE) if await self._means.make(phone_id) else 0
            for _ in range(tries):
                if (home := await self._said_home(phone_id)) is not None:
                    return home
                await asyncio.sleep(_PAUSE)
        return await self._said_home(phone_id)

    async def _said_home(self, phone_id: str) -> str | None:
        """Where the actor says it lives; None if it does not answer."""
        try:
            return await _answer(self._means.phone(phone_id).home())
        except PhoneFarmError:
            return None

    async def _take_over(self, phone_id: str, home: str | None, serial: str, body: str) -> None:
        """End the old actor, once its host has let go. Raises PhoneElsewhere, or ActorUnavailable while it starts."""
        other = home or await self._recorded(phone_id)
        if other is None or other == self._name:
            raise ActorUnavailable(f"the actor of {phone_id} does not answer yet")
        claim = await self._claim(other, phone_id, serial, body)
        if claim is None and (home is not None or not await self._given_up(other)):
            raise PhoneElsewhere(f"{phone_id} is known on {other}, which does not answer")
        if claim not in (None, Claim.FREE):
            raise PhoneElsewhere(f"{phone_id} is on {other} too: {claim}")
        confirmed = home is not None and await self._retired(phone_id)
        log.warning(
            "phone.moved",
            phone=phone_id,
            host=self._name,
            before=other,
            heard=confirmed,
            cause="it is plugged in here now",
            next_step="none: its old actor ends, a new one begins here",
        )
        await self._means.end(phone_id)
        if not confirmed:
            await asyncio.sleep(self._lease_seconds)

    async def _recorded(self, phone_id: str) -> str | None:
        try:
            found = await _answer(self._means.manager.get_phone(phone_id))
        except NotFound:
            return None
        return str(found["host"])

    async def _claim(self, other: str, phone_id: str, serial: str, body: str) -> Claim | None:
        try:
            return await _answer(self._means.host(other).contest(phone_id, f"{self._name}: {serial}", body))
        except PhoneFarmError as error:
            log.info("host.not_asked", host=other, phone=phone_id, error=error)
            return None

    async def _given_up(self, host: str) -> bool:
        listed = await _answer(self._means.manager.list_hosts())
        return any(h["host"] == host and str(h["why"] or "").startswith(SILENT) for h in listed)

    async def _retired(self, phone_id: str) -> bool:
        """Whether the old actor says that it sends nothing more."""
        try:
            await _answer(self._means.phone(phone_id).retire(f"the phone is at {self._name}"), RETIRE_SECONDS)
        except PhoneFarmError as error:
            log.warning("phone.retirement_unheard", phone=phone_id, error=error)
            return False
        return True


async def later(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do it after some seconds."""
    await asyncio.sleep(seconds)
    await work()


async def _answer(question: Awaitable[T], seconds: float = ASK_SECONDS) -> T:
    """An answer in time. Raises ActorUnavailable: over a cut link a call may hang much longer."""
    try:
        async with asyncio.timeout(seconds):
            return await question
    except TimeoutError as error:
        raise ActorUnavailable(f"no answer within {seconds:g} s") from error
