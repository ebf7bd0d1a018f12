"""The course of a storm: world, clients, blows and weather at once, then calm, then the end."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.reading import Lines
from tests.chaos.storm.blows import BLOWS, FELLING, Site, Struck, fall
from tests.chaos.storm.clients import Clients
from tests.chaos.storm.databases import Database, database
from tests.chaos.storm.hook import Hook, hook
from tests.chaos.storm.orders import Order, orders
from tests.chaos.storm.rack import Rack, rack
from tests.chaos.storm.weather import Weather
from tests.e2e.farm import KEY, Farm, until, with_cookie

LEASE = 10.0
_ACCOUNTS = 8
_AUTHORISED = {"authorized_by": "ops@example.com", "basis": "own account", "granted_at": "2026-11-01T00:00:00.000Z"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How long (``minutes``), how much (``phones``, ``processes``), over which database (``db``), by which seed.

    ``felling``: how many of the blows fell the whole Ray head. ``calm_seconds``: how long the farm may take to end what
    it accepted, once the storm is over.
    """

    seed: int
    minutes: float
    db: str
    phones: int = 30
    processes: int = 2_000
    felling: int = 3
    calm_seconds: float = 1_200.0


@dataclass(kw_only=True, slots=True)
class Logbook:
    """What was done to the farm, and how it stood at the end."""

    struck: list[Struck] = field(default_factory=list)
    weather: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    calm: float = 0.0
    answered: int = 0
    unanswered: list[str] = field(default_factory=list)
    phones: list[dict[str, Any]] = field(default_factory=list)
    open_processes: list[str] = field(default_factory=list)
    pending_callbacks: int = 0
    left_behind: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


Say = Callable[[str], None]


@contextmanager
def storm(plan: Plan, directory: Path, say: Say) -> Iterator[tuple[Logbook, Rack, Database, Hook]]:
    """Run all of it; what it gives is over and can be read."""
    with (
        database(plan.db, directory) as base,
        rack(directory, phones=plan.phones, seed=plan.seed) as phones,
        hook(directory / "callbacks.jsonl", seed=plan.seed) as receiver,
    ):
        book = asyncio.run(_Course(plan, directory, base, phones, receiver, say).run())
        yield book, phones, base, receiver


class _Course:
    def __init__(self, plan: Plan, directory: Path, base: Database, phones: Rack, receiver: Hook, say: Say) -> None:
        self._plan = plan
        self._base = base
        self._rack = phones
        self._hook = receiver
        self._say = say
        self._directory = directory
        self._farm = Farm(directory / "state")
        self._book = Logbook()
        chance = random.Random(f"blows {plan.seed}")
        up = ("--config", str(self._config()), "--db", base.url)
        self._site = Site(farm=self._farm, phones=sorted(phones.phones), up=up, lease=LEASE, chance=chance)

    async def run(self) -> Logbook:
        began = time.monotonic()
        try:
            await asyncio.to_thread(self._begin)
            self._say(f"the farm is up with {self._plan.phones} phones after {time.monotonic() - began:.0f} s")
            await self._weather()
            await self._calm()
        finally:
            await asyncio.to_thread(self._end)
        self._book.seconds = time.monotonic() - began
        return self._book

    # -- the world --

    def _config(self) -> Path:
        path = self._directory / "farm.yaml"
        config = {
            "hosts": {"local": {"connect": list(self._rack.phones.values()), "groups": ["storm"], "usb": False}},
            "callbacks": {"allow": ["127.0.0.0/8"]},
            "health": {"reboot": False, "flapping": {"losses": 20, "seconds": 60, "clean": 2}},
            "lease_seconds": LEASE,
            "delivery_seconds": LEASE,
            "check_seconds": 5,
            "rescue_seconds": 1,
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def _begin(self) -> None:
        self._farm.up(*self._site.up)
        until(lambda: self._site.working() == self._plan.phones, "all phones work", 240)
        for number, phone in enumerate(self._site.phones[:_ACCOUNTS]):
            account = {"phone_id": phone, "active": True, "authorization": _AUTHORISED}
            answer = self._farm.client.put(f"/accounts/account-{number}", json=account)
            assert answer.status_code == 200, answer.text

    def _end(self) -> None:
        cookie = str(self._farm.file.get("cookie", ""))
        self._farm.down()
        self._farm.client.close()
        self._book.left_behind = with_cookie(cookie)

    # -- the storm --

    async def _weather(self) -> None:
        plan = self._plan
        seconds = plan.minutes * 60
        made = orders(
            seed=plan.seed,
            count=plan.processes,
            seconds=seconds,
            phones=self._site.phones,
            accounts=[f"account-{n}" for n in range(min(_ACCOUNTS, plan.phones))],
            hook=self._hook.url,
        )
        weather = Weather(self._rack, self._base, seed=plan.seed, every=12.0 / plan.phones, storage=30.0)
        background = [asyncio.create_task(work) for work in (weather.phones(), weather.storage())]
        blows = asyncio.create_task(self._blows(seconds))
        try:
            await self._clients(made)
        finally:
            await blows  # to the end whatever happened: a blow may be starting the farm just now
            for task in background:
                task.cancel()
            ended = await asyncio.gather(*background, return_exceptions=True)
        self._book.weather = weather.seen
        self._book.notes += [repr(e) for e in ended if not isinstance(e, asyncio.CancelledError)] + self._site.notes
        await weather.calm()

    async def _clients(self, made: list[Order]) -> None:
        notebook = Lines(self._directory / "clients.jsonl")
        clients = Clients(url=lambda: self._farm.file["url"], key=KEY, notebook=notebook, patience=600)
        began = asyncio.get_running_loop().time()
        try:
            await asyncio.gather(*(clients.serve(order, began) for order in made))
        finally:
            await clients.close()
            notebook.close()
            self._book.answered, self._book.unanswered = clients.answered, clients.unanswered
            self._book.notes += [
                f"{n} answers {status} were not the farm's own" for status, n in clients.strange.items()
            ]

    async def _blows(self, seconds: float) -> None:
        """One after the other until the time is over; those that fell the head at even distances."""
        chance, began = self._site.chance, time.monotonic()
        felling = random.Random(f"felling {self._plan.seed}").sample(sorted(FELLING), k=min(4, self._plan.felling))
        times = [seconds * (n + 1) / (len(felling) + 1) for n in range(len(felling))]
        while (spent := time.monotonic() - began) < seconds:
            if times and spent >= times[0]:
                times.pop(0)
                name = felling.pop(0)
            else:
                (name,) = chance.choices(list(BLOWS), [weight for weight, _ in BLOWS.values()])
            await self._strike(name)
            await asyncio.sleep(chance.uniform(0.0, 3.0))

    async def _strike(self, name: str) -> None:
        struck = await asyncio.to_thread(fall, self._site, name)
        self._book.struck.append(struck)
        self._say(f"{name}: over after {struck.seconds:.1f} s")

    # -- afterwards --

    async def _calm(self) -> None:
        """Until all that was accepted has ended, all callbacks are delivered, and the phones are at rest."""
        began = time.monotonic()
        self._say("calm; waiting for what was accepted")
        await asyncio.to_thread(self._release)
        await self._soon(lambda: not self._open(), "all processes have ended")
        await self._soon(lambda: self._pending() == 0, "all callbacks are delivered")
        await self._soon(lambda: self._site.working() == self._plan.phones, "all phones work")
        self._book.open_processes = await asyncio.to_thread(self._open)
        self._book.pending_callbacks = await asyncio.to_thread(self._pending)
        self._book.phones = list((await asyncio.to_thread(self._farm.phones)).values())
        self._book.calm = time.monotonic() - began

    async def _soon(self, condition: Callable[[], bool], what: str) -> None:
        def wait() -> None:
            try:
                until(condition, what, self._plan.calm_seconds)
            except AssertionError as error:
                self._book.notes.append(str(error))

        await asyncio.to_thread(wait)

    def _release(self) -> None:
        """As an operator would after a storm."""
        for phone_id, phone in self._farm.phones().items():
            if phone["state"] == "quarantined":
                self._farm.client.post(f"/phones/{phone_id}/release", json={"reason": "the storm is over"})

    def _open(self) -> list[str]:
        found: list[str] = []
        for status in ("queued", "executing", "retrying"):
            page = self._farm.get(f"/processes?status={status}&limit=200")
            found += [process["process_id"] for process in page["items"]]
        return found

    def _pending(self) -> int:
        return len(self._farm.get("/callbacks?state=pending&limit=200")["items"])
