"""(i) ``GET /processes/{id}`` at 64 connections from a PostgreSQL database of a million ended processes.

The ids are drawn by chance, so the rows come from all over the table. The rows are copies of what the farm itself
writes (``rows``), written while the farm runs. The no-op is a GET on the same Serve of the same farm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy as sa

from tests.bench import rows
from tests.bench.bodies import NOOP_PATH
from tests.bench.farms import Wish, alone, with_noop
from tests.bench.figures.enqueue import farm_pids, order, readings
from tests.bench.lab import Lab
from tests.bench.values import Figure, Goal, Turn

OURS, NOOP = "GET /processes/{id}", "no-op GET"
FARM = Wish(name="enqueue-postgresql")


@contextmanager
def contestants(lab: Lab) -> Iterator[Mapping[str, Turn]]:
    alone(lab, [FARM.name])
    farm = with_noop(lab, FARM)
    count = lab.pick(1_000_000, 2_000)
    lab.keep(f"farm:{FARM.name}:rows", lambda: _filled(lab, farm.db_url, count))
    pids = farm_pids(lab, farm)
    get = {"method": "GET", "body": "", "expect": 200, "ids": count}

    def ours(number: int) -> Mapping[str, float]:
        path = "/processes/@ID@"
        return readings(order(lab, farm.port, path, headers=farm.headers, prefix=f"i{number}", **get), pids)

    def noop(number: int) -> Mapping[str, float]:
        return readings(order(lab, farm.port, f"{NOOP_PATH}/of/@ID@", prefix=f"in{number}", **get), pids)

    yield {OURS: ours, NOOP: noop}


@contextmanager
def _filled(lab: Lab, url: str, count: int) -> Iterator[None]:
    lab.say(f"  writing {count:,} ended processes")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        rows.ended(connection, count)
        connection.exec_driver_sql("ANALYZE")
    engine.dispose()
    yield


FIGURE = Figure(
    name="reads", letters="i",
    title="GET /processes/{id} with 1,000,000 rows",
    goals=(
        Goal(
            letter="i", text="GET /processes/{id}, 64 connections, 1,000,000 rows", ours=OURS, reading="rate",
            peers=(NOOP,), at_least=0.6, unit="req/s",
        ),
    ),
    open=contestants,
)  # fmt: skip
