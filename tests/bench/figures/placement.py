"""(k) The placement of the router, pure: phones that are all free, ten waiting items for each, one pass.

Seven items of ten take any phone, two any of a group, one names its phone. ``whole`` is one pass over a line that the
router keeps as items come in; what it takes to line everything up from nothing, as a router does that was started
again, stands beside it (``lined up``). The growth over three sizes is that of both together: p of (n log n)^p. Its peer
is Python's own sort of the same items in claim order, n log n by its nature: what it shows above 1 is what more
objects cost in cache misses, and that is another number on every machine.
``waves`` is the worst case, news after every wave: a new pass over what is left for each ``WAVE`` assignments. Nothing
here waits for anything, so the clock is the thread's own processor time: what else the machine does is no part of it.
The garbage collector runs before each measure, so that nobody pays for what was made before, and stays on in it.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median

from phonefarm.actors.router import WAVE
from phonefarm.core.line import Line, claim_order
from phonefarm.core.placement import Farm, place
from phonefarm.models.phone import PhoneRow
from phonefarm.models.queue import WaitingItem
from phonefarm.models.states import PhoneState
from tests.bench.lab import Lab
from tests.bench.stats import growth
from tests.bench.values import Figure, Goal, Plot, Readings, Rounds, Turn

NOW = 1_764_000_000_000
SIZES = (25_000, 50_000, 100_000)
QUICK = (1_000, 2_000, 4_000)
TRIES = 3
OURS, SORT = "placement", "Python's sort of the same items"
#: Times the growth of the sort; both waver by some hundredths, and a quadratic pass would be at 1.5 or more.
TOLERANCE = 1.1


def phones(count: int) -> dict[str, PhoneRow]:
    return {
        f"P{n:06d}": PhoneRow(
            phone_id=f"P{n:06d}", host="h", serial=f"S{n}", state=PhoneState.AVAILABLE, groups=(f"g{n % 20}",)
        )
        for n in range(count)
    }


def items(count: int, phones: int, seed: int) -> dict[str, WaitingItem]:
    rng = random.Random(seed)
    found = {}
    for n in range(count):
        kind = rng.random()
        pinned = f"P{rng.randrange(phones):06d}" if kind > 0.9 else None
        group = f"g{rng.randrange(20)}" if 0.7 < kind <= 0.9 else None
        found[f"i{n:08d}"] = WaitingItem(
            item_id=f"i{n:08d}", process_id=f"p{n:08d}", priority=rng.randrange(10), phone_id=pinned, phone_group=group,
            created_at=NOW - rng.randrange(600_000), ready_at=0,
        )  # fmt: skip
    return found


def whole(size: int, seed: int) -> tuple[float, float, int]:
    """Seconds to line up, seconds of one pass, and how many assignments it made."""
    farm, waiting = Farm(phones=phones(size // 10)), items(size, size // 10, seed)
    gc.collect()
    began = time.thread_time()
    line = Line(waiting.values())
    line.ready(NOW)
    lining = time.thread_time() - began
    gc.collect()
    began = time.thread_time()
    made = len(place(line, farm, NOW))
    return lining, time.thread_time() - began, made


def turn(sizes: tuple[int, ...], number: int) -> Readings:
    """Each size ``TRIES`` times in turn: the middle of the rates, and the growth of the shortest times, for a single
    one of each wavers by more than what is looked for."""
    took: dict[int, list[tuple[float, float, int]]] = {size: [] for size in sizes}
    for one in range(TRIES):
        for size in sizes:
            took[size].append(whole(size, TRIES * number + one))
    times = [min(lining + seconds for lining, seconds, _ in took[size]) for size in sizes]
    return {
        "rate": median(made / seconds for _, seconds, made in took[sizes[-1]]),
        "lined up": median(sizes[-1] / lining for lining, _, _ in took[sizes[-1]]),
        "growth": growth(sizes, times),
        **_milliseconds(sizes, times),
    }


def sort(size: int, seed: int) -> float:
    """Seconds of the least that has to be done."""
    waiting = items(size, size // 10, seed)
    gc.collect()
    began = time.thread_time()
    sorted(waiting.values(), key=lambda item: claim_order(item, NOW))
    return time.thread_time() - began


def sort_turn(sizes: tuple[int, ...], number: int) -> Readings:
    """As ``turn``."""
    took: dict[int, list[float]] = {size: [] for size in sizes}
    for one in range(TRIES):
        for size in sizes:
            took[size].append(sort(size, TRIES * number + one))
    times = [min(took[size]) for size in sizes]
    return {"growth": growth(sizes, times), **_milliseconds(sizes, times)}


def _milliseconds(sizes: tuple[int, ...], times: list[float]) -> Readings:
    return {f"ms_{size}": 1000 * seconds for size, seconds in zip(sizes, times, strict=True)}


def waves(size: int, number: int) -> Readings:
    """As the router does it: pass after pass, until it has made eight waves."""
    free, line, busy = phones(size // 10), Line(items(size, size // 10, number).values()), set[str]()
    line.ready(NOW)
    gc.collect()
    began, made = time.thread_time(), 0
    for _ in range(8):
        found = place(line, Farm(phones=free, busy_phones=busy), NOW, limit=WAVE)
        for assignment in found:
            line.remove(assignment.item_id)
            busy.add(assignment.phone_id)
        made += len(found)
    return {"rate": made / (time.thread_time() - began)}


@contextmanager
def contestants(lab: Lab) -> Iterator[Mapping[str, Turn]]:
    sizes = lab.pick(SIZES, QUICK)
    gc.collect()
    gc.freeze()  # as an actor does with what it has loaded (hosted); else each collection looks through all of it again
    try:
        yield {
            OURS: lambda n: turn(sizes, n),
            SORT: lambda n: sort_turn(sizes, n),
            "placement in waves": lambda n: waves(sizes[-1], n),
        }
    finally:
        gc.unfreeze()


def plots(rounds: Rounds) -> list[Plot]:
    if not rounds.get(OURS):
        return []
    last = rounds[OURS][-1]
    points = [(float(name.removeprefix("ms_")), value) for name, value in last.items() if name.startswith("ms_")]
    return [
        Plot(
            name="k-placement", title="Placement: from nothing, ten waiting items a phone", x="waiting items",
            y="milliseconds", lines={"lining up and one pass": points},
        )
    ]  # fmt: skip


FIGURE = Figure(
    name="placement", letters="k",
    title="router placement, pure: 10,000 phones, 100,000 waiting items",
    goals=(
        Goal(
            letter="k", text="placement, 10,000 phones and 100,000 waiting items", ours=OURS, reading="rate",
            at_least=50_000, unit="assignments/s",
        ),
        Goal(
            letter="k", text="its growth over three sizes, 1 being n log n", ours=OURS, reading="growth", peers=(SORT,),
            at_most=TOLERANCE,
        ),
    ),
    open=contestants,
    plots=plots,
)  # fmt: skip
