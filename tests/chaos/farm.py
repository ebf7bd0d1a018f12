"""A whole farm in one process for scenarios of crashes and lost replies: real actors, real HTTP to the receiver, phones
with journals of their own. ``tests.farmtools.LocalFarm`` is for tests that look inside; this one is looked at from
outside only.

Waiting times are shortened (retries, callbacks), the code that waits is the real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from phonefarm.actors.callback_sender import CallbackSender, DeliveryPort
from phonefarm.actors.phone import PhoneActor, PhoneConfig
from phonefarm.actors.ports import ManagerPort, PhonePort, RouterPort, SenderPort
from phonefarm.actors.process_manager import ManagerConfig, ProcessManager
from phonefarm.actors.router import Router
from phonefarm.callbacks import schedule
from phonefarm.callbacks.delivery import CallbackHttp
from phonefarm.core import retries
from phonefarm.core.leases import LeaseTerms
from phonefarm.store.writer import AtCommit
from tests.chaos.client import PHONES, Client, orders
from tests.chaos.phones import JournalledPhone
from tests.farmtools import NoHost

#: A port as ``who`` sees it of ``whom``; the identity, or something that loses replies.
Wrap = Callable[[str, str, Any], Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a scenario plays. ``began_ms``: when its client began the first time; ``run_id``: of this start."""

    db_url: str
    directory: Path
    callback_url: str
    began_ms: int
    run_id: int = 1


#: Back-offs of milliseconds instead of seconds: (module, name, value).
SHORT: tuple[tuple[ModuleType, str, tuple[float, ...]], ...] = (
    (retries, "BACKOFF_SECONDS", (0.05, 0.1)),
    (schedule, "SCHEDULE", (0.05, 0.1, *[0.2] * 20)),
)


def shorten() -> None:
    """Take the short back-offs, for good in this process."""
    for module, name, value in SHORT:
        setattr(module, name, value)


class Farm:
    """Manager, router, phones and callback sender. ``http`` may wrap what sends the callbacks."""

    def __init__(
        self,
        place: Place,
        *,
        at_commit: AtCommit = lambda _number, _phase: None,
        http: Callable[[DeliveryPort], DeliveryPort] = lambda real: real,
        wrap: Wrap = lambda _who, _whom, port: port,
        terms: LeaseTerms | None = None,
    ) -> None:
        config = ManagerConfig(
            db_url=place.db_url, artifact_dir=place.directory / "artifacts", run_id=place.run_id,
            terms=terms or LeaseTerms(seconds=4.0, delivery_seconds=4.0), rescue_seconds=0.3,
        )  # fmt: skip
        self._place = place
        self._wrap = wrap
        self.stale = asyncio.Event()
        self.manager = ProcessManager(
            config,
            router=cast(RouterPort, _Later(lambda: self._wrap("manager", "router", self.router))),
            sender=cast(SenderPort, _Later(lambda: self._wrap("manager", "sender", self.sender))),
            on_stale=self.stale.set,
            at_commit=at_commit,
        )
        self.phones = {phone_id: self._phone(phone_id) for phone_id in PHONES}
        self.router = Router(manager=self._manager("router"), phone=self._phone_port, delivery_seconds=4.0)
        real = CallbackHttp(allow=["127.0.0.0/8"])
        self.sender = CallbackSender(self._manager("sender"), http(real), rescue_seconds=0.5)

    def _manager(self, who: str) -> ManagerPort:
        return cast(ManagerPort, self._wrap(who, "manager", self.manager))

    def _phone_port(self, phone_id: str) -> PhonePort:
        return cast(PhonePort, self._wrap("router", f"phone {phone_id}", self.phones[phone_id]))

    def _phone(self, phone_id: str) -> PhoneActor:
        directory = self._place.directory
        return PhoneActor(
            PhoneConfig(phone_id=phone_id, host="local", groups=("rack",), check_seconds=0.5),
            manager=self._manager(f"phone {phone_id}"),
            host=self._wrap(f"phone {phone_id}", "host", NoHost()),
            device=lambda _serial, _port: JournalledPhone(phone_id, directory),
        )

    async def start(self) -> None:
        await self.manager.start()
        await self.router.start()
        await self.sender.start()
        for phone_id, phone in self.phones.items():
            await phone.start()
            await phone.attach(phone_id, 1)

    async def stop(self) -> None:
        for phone in self.phones.values():
            await phone.stop()
        await self.router.stop()
        await self.sender.stop()
        await self.manager.stop()


async def play(farm: Farm, place: Place, seconds: float) -> None:
    """From the start to the end of everything, within ``seconds``."""
    async with asyncio.timeout(seconds):
        await farm.start()
        client = Client(
            cast(Any, farm._wrap("client", "manager", farm.manager)),
            place.directory,
            orders(place.callback_url, place.began_ms),
        )
        await client.phones_known()
        await client.run()
        await farm.stop()


class _Later:
    """A port to somebody who is made later."""

    def __init__(self, current: Callable[[], Any]) -> None:
        self._current = current

    def __getattr__(self, name: str) -> Any:
        return getattr(self._current(), name)
