"""(d) Enqueue latency at a fixed rate: half of what the farm took in a closed loop just before, PostgreSQL.

"Just before" is in every round, for a machine's speed may change within minutes, and half of a peak of another moment
may be all that the farm can do in this one. Open loop: requests are due at even distances whatever becomes of the
earlier ones, over up to 64 connections, and a latency counts from when a request was due. The no-op on the same ingress
gets the same rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.bench.bodies import NOOP_PATH
from tests.bench.farms import alone, with_noop
from tests.bench.figures.enqueue import FARMS, farm_order, order, readings
from tests.bench.lab import Lab
from tests.bench.values import Figure, Goal, Readings, Turn

OURS, NOOP = "phonefarm, half of its peak", "no-op POST, same rate"


@contextmanager
def contestants(lab: Lab) -> Iterator[Mapping[str, Turn]]:
    alone(lab, [FARMS["postgresql"].name])
    farm = with_noop(lab, FARMS["postgresql"])

    def peak(number: int) -> float:
        found = readings(farm_order(lab, farm, f"peak{number}-"))["rate"]
        farm.rest()
        return found

    half = {0: peak(0) / 2}

    def rate(number: int) -> float:
        """Whoever has the first turn of a round asks for it."""
        if number not in half:
            half[number] = peak(number) / 2
        return half[number]

    def ours(number: int) -> Readings:
        wanted = rate(number)
        found = readings(farm_order(lab, farm, f"d{number}-", rate=wanted))
        farm.rest()
        return {**found, "wanted_rate": wanted}

    def noop(number: int) -> Readings:
        return readings(order(lab, farm.port, f"{NOOP_PATH}/", prefix=f"dn{number}-", rate=rate(number)))

    yield {OURS: ours, NOOP: noop}


FIGURE = Figure(
    name="latency", letters="d",
    title="enqueue latency at half of the peak rate",
    goals=(
        Goal(
            letter="d", text="enqueue latency p99 at half of the peak rate", ours=OURS, reading="p99_ms", peers=(NOOP,),
            at_most=3.0, unit="ms",
        ),
    ),
    open=contestants,
)  # fmt: skip
