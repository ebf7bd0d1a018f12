"""(a, b, c) Durable enqueue over HTTP: 64 connections, each request with a key of its own, in requests a second.

Ours is a farm as ``phonefarm up`` starts it (two ingress replicas behind HAProxy), without phones, so that what was
accepted waits; its ``accepted`` callbacks go out meanwhile, to a server that does nothing. The peers get the same body
under uvicorn with one and with two workers. The no-op is an application on the same Serve of the same farm that reads
the body and answers as many bytes. ``generator`` is the load generator against a server that does nothing: what nobody
here can exceed. (c) holds the SQLite farm to its own no-op; the ratio to PostgreSQL is in the JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from tests.bench import peering
from tests.bench.bodies import ENQUEUE, NOOP_PATH, enqueue
from tests.bench.farms import Running, Wish, processes, with_noop
from tests.bench.lab import Lab, NotHere
from tests.bench.load import Order, run
from tests.bench.peering import Peer
from tests.bench.procfs import cpu_seconds, family, words
from tests.bench.programs import null_server
from tests.bench.values import Figure, Goal, Readings, Turn

POSTGRESQL, SQLITE = "phonefarm, PostgreSQL", "phonefarm, SQLite"
NOOP, NOOP_SQLITE = "no-op POST", "no-op POST (SQLite farm)"
ENQUEUE_PATH = "/capability-requests/enqueue"
FARMS = {"postgresql": Wish(name="enqueue-postgresql"), "sqlite": Wish(name="enqueue-sqlite", database="sqlite")}
PEERS: dict[str, Callable[[Lab, int], AbstractContextManager[Peer]]] = {
    "FastAPI + procrastinate": lambda lab, workers: peering.on_postgres(lab, "procrastinate_app", workers),
    "FastAPI + DBOS": lambda lab, workers: peering.on_postgres(lab, "dbos_app", workers),
    "FastAPI + Celery on Redis": peering.on_redis,
}
NAMES = tuple(f"{name}, {workers} worker{'s' * (workers > 1)}" for name in PEERS for workers in (1, 2))


def order(lab: Lab, port: int, path: str, **changes: object) -> Order:
    values = {"port": port, "path": path, "body": ENQUEUE, "seconds": lab.pick(8.0, 2.0), "warm": lab.pick(2.0, 0.5)}
    return Order(**{**values, **changes})  # type: ignore[arg-type]


def readings(order: Order, pids: Callable[[], Iterable[int]] = tuple) -> Readings:
    """``pids``: of who was asked, its database included; ``cpu_ms`` is their processor time a request, which,
    unlike the rate, depends little on what else the machine does; ``cpu_ms manager`` and so on are its parts."""
    asked = list(pids())
    before = {pid: (part_of(words(pid)), cpu_seconds(pid)) for pid in asked}
    came = run(order)
    used: dict[str, float] = {}
    for pid, (part, seconds) in before.items():
        used[part] = used.get(part, 0.0) + max(0.0, cpu_seconds(pid) - seconds)
    found = {"rate": came.rate, "p50_ms": came.p50_ms, "p99_ms": came.p99_ms, "generator_busy": came.busy}
    parts = {f"cpu_ms {part}": 1000 * seconds / came.sent for part, seconds in used.items()}
    return {**found, "cpu_ms": sum(parts.values()), **parts} if asked else found


#: Beginnings of a process's words, and the part of the farm that it is.
PARTS = (
    ("ray::ProcessManager", "manager"),
    ("ray::ServeReplica", "replicas"),
    ("ray::Router", "router"),
    ("ray::CallbackSender", "callbacks"),
    ("ray::", "rest of Ray"),
    ("postgres", "database"),
)


def part_of(words: str) -> str:
    """The part of the farm, or of a peer, that a process is."""
    if "haproxy" in words.partition(" ")[0]:
        return "HAProxy"
    if "/postgres " in f"{words} ":
        return "database"
    return next((part for begin, part in PARTS if words.startswith(begin)), "others")


def farm_pids(lab: Lab, farm: Running) -> Callable[[], list[int]]:
    """Of a farm and of its database's server."""
    server = lab.postgres_pid() if farm.db_url.startswith("postgresql") else None
    return lambda: [*processes(farm.file.cookie), *(family(server) if server else ())]


def farm_order(lab: Lab, farm: Running, prefix: str, **changes: object) -> Order:
    """Enqueue requests whose keys begin with ``prefix``; no two turns may share it."""
    body = json.dumps(enqueue(callback=farm.callbacks.url))
    return order(lab, farm.port, ENQUEUE_PATH, body=body, headers=farm.headers, prefix=prefix, **changes)


def ours(lab: Lab, farm: Running, label: str) -> Turn:
    def turn(number: int) -> Readings:
        found = readings(farm_order(lab, farm, f"{label}{number}-"), farm_pids(lab, farm))
        farm.rest()
        return found

    return turn


def noop(lab: Lab, farm: Running) -> Turn:
    pids = farm_pids(lab, farm)
    return lambda number: readings(order(lab, farm.port, f"{NOOP_PATH}/", prefix=f"noop{number}-"), pids)


def peer_turn(lab: Lab, peer: Peer) -> Turn:
    roots = [*peer.pids, *([lab.postgres_pid()] if peer.dsn.startswith("postgresql") else ())]

    def pids() -> list[int]:
        return [pid for root in roots for pid in family(root)]

    return lambda number: readings(order(lab, peer.port, peer.path, prefix=f"peer{number}-"), pids)


def peers(lab: Lab) -> dict[str, Turn]:
    """Those that are here; the others are said to be missing."""
    found: dict[str, Turn] = {}
    for name, make in PEERS.items():
        for workers in (1, 2):
            label = f"{name}, {workers} worker{'s' * (workers > 1)}"
            try:
                peer = lab.keep(f"peer:{label}", lambda make=make, workers=workers: make(lab, workers))  # type: ignore[misc]
            except NotHere as missing:
                lab.trouble.add(str(missing))
                continue
            found[label] = peer_turn(lab, peer)
    return found


@contextmanager
def contestants(lab: Lab) -> Iterator[Mapping[str, Turn]]:
    postgresql, sqlite = with_noop(lab, FARMS["postgresql"]), with_noop(lab, FARMS["sqlite"])
    nothing = lab.keep("nothing", null_server)
    yield {
        POSTGRESQL: ours(lab, postgresql, "a"),
        NOOP: noop(lab, postgresql),
        SQLITE: ours(lab, sqlite, "c"),
        NOOP_SQLITE: noop(lab, sqlite),
        **peers(lab),
        "generator": lambda _number: readings(order(lab, nothing.port, "/", expect=204)),
    }


FIGURE = Figure(
    name="enqueue", letters="abc",
    title="durable enqueue over HTTP, 64 connections",
    goals=(
        Goal(
            letter="a", text="durable enqueue over HTTP, PostgreSQL, 64 connections", ours=POSTGRESQL, reading="rate",
            peers=NAMES, at_least=2.0, unit="req/s",
        ),
        Goal(
            letter="b", text="the same", ours=POSTGRESQL, reading="rate", peers=(NOOP,), at_least=0.7, unit="req/s"
        ),
        Goal(
            letter="c", text="the same on SQLite", ours=SQLITE, reading="rate", peers=(NOOP_SQLITE,), at_least=0.7,
            unit="req/s",
        ),
    ),
    open=contestants,
)  # fmt: skip
