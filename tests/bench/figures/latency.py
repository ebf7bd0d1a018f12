"""(d) Enqueue latency at a fixed rate: half of what the farm took in a closed loop just before, PostgreSQL.

Open loop: requests are due at even distances whatever becomes of the earlier ones, over up to 64 connections, and a
latency counts from when a request was due. The no-op on the same ingress gets the same rate.
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
    peak = readings(farm_order(lab, farm, "peak-"))["rate"]
    farm.rest()
    rate = peak / 2
    lab.say(f"  peak {peak:.0f} requests/s")

    def ours(number: int) -> Readings:
        found = readings(farm_order(lab, farm, f"d{number}-", rate=rate))
        farm.rest()
        return {**found, "wanted_rate": rate}

    def noop(number: int) -> Readings:
        return readings(order(lab, farm.port, f"{NOOP_PATH}/", prefix=f"dn{number}-", rate=rate))

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
