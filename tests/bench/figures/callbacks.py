"""(l) Callbacks delivered a second to a receiver on this machine, ordered for each process.

A farm on PostgreSQL finds the callbacks of ended processes due in its outbox, written behind its back; one request
wakes its sender. The clock runs at the receiver, from the first to the last of them. The farm signs nothing here, opens
a connection for each, as it always does, has at most four under way to one endpoint, and writes down what came of each.
The peer is a bare loop of httpx over kept-alive connections that posts the same bodies and writes nothing: one after
the other, or four at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx
import sqlalchemy as sa

from phonefarm.store import tables
from tests.bench import rows
from tests.bench.bodies import enqueue
from tests.bench.farms import Running, Wish, alone, farm
from tests.bench.lab import Lab
from tests.bench.programs import until
from tests.bench.values import Figure, Goal, Readings, Turn

OURS = "phonefarm"
BARE = {"httpx loop": 1, "httpx loop, four at once": 4}
EACH = 4
FARM = Wish(name="callbacks")


def delivered(found: Running, processes: int) -> Readings:
    """One turn: fill, wake, wait; the rows are removed afterwards."""
    engine, receiver = sa.create_engine(found.db_url), found.callbacks
    with engine.begin() as connection:
        rows.callbacks(connection, processes, EACH, receiver.url)
    receiver.reset()
    answer = found.farm.client.post("/capability-requests/enqueue", json=enqueue(_name(), callback=receiver.url))
    answer.raise_for_status()
    total = processes * EACH
    until(lambda: receiver.count() >= total + 1, "all callbacks", seconds=600, pause=0.25)
    receiver.quiet()
    seen = receiver.seen()
    with engine.begin() as connection:
        if seen["count"] > total + 1:
            raise ValueError(f"{seen['count']} deliveries of {total + 1} callbacks")
        connection.execute(sa.delete(tables.processes))
    engine.dispose()
    return {"rate": total / (seen["last"] - seen["first"])}


def _name() -> str:
    return f"l-{time.time_ns()}"


async def bare(url: str, body: bytes, total: int, at_once: int) -> Readings:
    async with httpx.AsyncClient() as client:

        async def some(count: int) -> None:
            for _ in range(count):
                answer = await client.post(url, content=body, headers={"Content-Type": "application/json"})
                answer.raise_for_status()

        began = time.perf_counter()
        await asyncio.gather(*(some(total // at_once) for _ in range(at_once)))
        return {"rate": total / (time.perf_counter() - began)}


def _bare_turn(url: str, total: int, at_once: int) -> Turn:
    body = b'{"event_type":"process.updated","milestone":"completed","process":{"status":"completed"}}' + b" " * 300
    return lambda _number: asyncio.run(bare(url, body, total, at_once))


@contextmanager
def contestants(lab: Lab) -> Iterator[Mapping[str, Turn]]:
    alone(lab, [FARM.name])
    found = farm(lab, FARM)
    processes = lab.pick(500, 20)
    url, total = found.callbacks.url, processes * EACH
    bares = {name: _bare_turn(url, total, at_once) for name, at_once in BARE.items()}
    yield {OURS: lambda _number: delivered(found, processes), **bares}


FIGURE = Figure(
    name="callbacks", letters="l",
    title="callbacks delivered",
    goals=(
        Goal(
            letter="l", text="callbacks delivered to a local receiver, ordered per process", ours=OURS, reading="rate",
            peers=tuple(BARE), at_least=0.7, unit="/s",
        ),
    ),
    open=contestants,
)  # fmt: skip
