"""What happens beside the blows, to phones and to the database, each drawn by a seed and taken back by itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.chaos.storm.databases import Database
from tests.chaos.storm.rack import Rack


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """Of a phone: what is done, for how long at most (0: it ends by itself), and what takes it back."""

    weight: int
    do: Mapping[str, Any]
    seconds: float = 0.0
    undo: Mapping[str, Any] | None = None


def _fault(name: str, value: object, weight: int, seconds: float) -> Trouble:
    fault = {"do": "set_fault", "fault": name}
    return Trouble(weight=weight, do={**fault, "value": value}, seconds=seconds, undo={**fault, "value": False})


TROUBLES: Mapping[str, Trouble] = {
    "drop": Trouble(weight=6, do={"do": "drop"}),
    "reset": Trouble(weight=4, do={"do": "reset"}),
    "dead": Trouble(weight=3, do={"do": "kill"}, seconds=6.0, undo={"do": "revive"}),
    "hangs": Trouble(weight=3, do={"do": "hang"}, seconds=12.0, undo={"do": "unhang"}),
    "not greeted": Trouble(weight=2, do={"do": "offline"}, seconds=5.0, undo={"do": "online"}),
    "app crash": Trouble(weight=6, do={"do": "crash"}),
    "popup": _fault("popup", "A system dialog", 6, 20.0),
    "locked": _fault("locked", True, 4, 30.0),
    "no idle state": _fault("no_idle", True, 5, 1.5),
    "null root": _fault("null_root", True, 3, 1.0),
    "slow": _fault("slow_ms", 150, 4, 6.0),
    "low battery": Trouble(
        weight=1,
        do={"do": "set_battery", "level": 5, "plugged": True},
        seconds=8.0,
        undo={"do": "set_battery", "level": 85, "plugged": True},
    ),
}


class Weather:
    """``every``: mean seconds between two troubles of the rack; ``storage``: between two of the database."""

    def __init__(self, rack: Rack, database: Database, *, seed: int, every: float, storage: float) -> None:
        self._rack = rack
        self._database = database
        self._seed = seed
        self._every = every
        self._storage = storage
        self._ends: set[asyncio.Task[None]] = set()
        self.seen: dict[str, int] = {}

    async def phones(self) -> None:
        """Until cancelled."""
        chance = random.Random(f"phones {self._seed}")
        names = list(TROUBLES)
        weights = [TROUBLES[name].weight for name in names]
        while True:
            await asyncio.sleep(chance.expovariate(1 / self._every))
            (name,) = chance.choices(names, weights)
            phone, trouble = chance.choice(sorted(self._rack.phones)), TROUBLES[name]
            await self._do(phone, trouble.do)
            self._count(name)
            if trouble.undo is not None:
                task = asyncio.create_task(self._end(phone, trouble, chance.uniform(0.3, 1.0) * trouble.seconds))
                self._ends.add(task)
                task.add_done_callback(self._ends.discard)

    async def storage(self) -> None:
        """Until cancelled; one that is under way is waited for."""
        chance = random.Random(f"storage {self._seed}")
        while True:
            await asyncio.sleep(chance.uniform(0.5, 1.5) * self._storage)
            said = await asyncio.shield(asyncio.create_task(asyncio.to_thread(self._database.trouble, chance)))
            self._count(said.partition(" for ")[0].partition(", away")[0])

    async def calm(self) -> None:
        """Take everything back."""
        for task in list(self._ends):
            task.cancel()
        for phone in self._rack.phones:
            for body in (
                {"do": "clear_faults"},
                {"do": "unhang"},
                {"do": "online"},
                {"do": "revive"},
                {"do": "set_battery", "level": 85, "plugged": True},
            ):
                await self._do(phone, body)

    async def _end(self, phone: str, trouble: Trouble, seconds: float) -> None:
        await asyncio.sleep(seconds)
        assert trouble.undo is not None
        await self._do(phone, trouble.undo)

    async def _do(self, phone: str, body: Mapping[str, Any]) -> None:
        more = {name: value for name, value in body.items() if name != "do"}
        await asyncio.to_thread(self._rack.do, phone, str(body["do"]), **more)

    def _count(self, name: str) -> None:
        self.seen[name] = self.seen.get(name, 0) + 1
