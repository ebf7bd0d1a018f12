"""The scenario as a program of its own: ``python -m tests.chaos.scenario`` with the fields of ``Place`` as JSON, and
``crash``, such as ``["commit", 7, "before"]``.

With ``crash`` it kills itself by SIGKILL, so nothing is flushed and nobody says goodbye: at commit number n, before it
is issued or after it returned (``commit``), or at the n-th callback, before it is sent or after it was answered and
before that is written down (``send``). Without, it runs until everything is over; so a second start on the same
database and directory recovers from the first.
"""

from __future__ import annotations

import asyncio
import faulthandler
import itertools
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from phonefarm.actors.callback_sender import DeliveryPort
from phonefarm.models.outbox import Delivery, DueCallback
from tests.chaos.farm import Farm, Place, play, shorten

Phase = Literal["before", "after"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """Where to die. ``kind``: ``commit`` or ``send``."""

    kind: str
    number: int
    phase: Phase

    def __str__(self) -> str:
        return f"{self.phase} {self.kind} {self.number}"

    def die_at(self, kind: str, number: int, phase: Phase) -> None:
        """Ends this process if that is where."""
        if (kind, number, phase) == (self.kind, self.number, self.phase):
            os.kill(os.getpid(), signal.SIGKILL)


NOWHERE = Point(kind="nowhere", number=0, phase="before")


class MortalHttp:
    """Sends, and says when it does."""

    def __init__(self, real: DeliveryPort, here: Callable[[str, int, Phase], None]) -> None:
        self._real = real
        self._here = here
        self._numbers = itertools.count(1)

    async def deliver(self, due: DueCallback) -> Delivery:
        number = next(self._numbers)
        self._here("send", number, "before")
        delivery = await self._real.deliver(due)
        self._here("send", number, "after")
        return delivery

    async def aclose(self) -> None:
        await self._real.aclose()


def main(argument: str) -> None:
    """Play once. At its end it writes how many commits and callbacks there were."""
    order: dict[str, Any] = json.loads(argument)
    crash = order.pop("crash", None)
    seconds = order.pop("seconds", 60.0)
    point = Point(kind=crash[0], number=crash[1], phase=crash[2]) if crash else NOWHERE
    place = Place(**{**order, "directory": Path(order["directory"])})
    logging.basicConfig(
        filename=place.directory / "farm.log",
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    faulthandler.enable()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.info("begins, to die %s", point)
    shorten()
    asyncio.run(_play(place, point, seconds))


async def _play(place: Place, point: Point, seconds: float) -> None:
    count = {"commit": 0, "send": 0}

    def here(kind: str, number: int, phase: Phase) -> None:
        count[kind] = number
        point.die_at(kind, number, phase)

    farm = Farm(place, at_commit=partial(here, "commit"), http=lambda real: MortalHttp(real, here))
    await play(farm, place, seconds)
    counted(place.directory).write_text(json.dumps(count))


def counted(directory: Path) -> Path:
    """Where a run that came to its end writes how many points it passed, by kind."""
    return directory / "counted.json"


if __name__ == "__main__":
    main(sys.argv[1])
