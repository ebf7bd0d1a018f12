"""(e) From a POST to the first adb command at an idle phone, one at a time, PostgreSQL.

The clock starts when the client sends (monotonic, the same for all processes of a machine) and stops when the virtual
phone notes the arrival of the first command. The request is for one ``health_check``, so that the phone is soon idle
again; the next one is sent when the process has completed and the phone is available. The peer is FastAPI with
procrastinate and a worker of its own that listens for jobs: it stops when the job's function is entered.

``parts`` are the steps on the way, each measured alone: a no-op POST over one connection, three calls to a bare actor
(submit, changed, run), one commit of one submission by the store, one command of the driver. Their sum
is what nobody who takes these steps one after the other can beat.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from phonefarm.core.planning import plan
from phonefarm.devices.driver import Driver
from phonefarm.models.clock import new_id
from phonefarm.models.process import ResolvedItem
from phonefarm.store import accept
from phonefarm.store.engine import open_engines
from phonefarm.store.migrate import upgrade
from phonefarm.store.writer import Writer
from tests.bench import peering
from tests.bench.bodies import NOOP_PATH, enqueue
from tests.bench.farms import Running, Wish, alone, with_noop
from tests.bench.lab import Lab
from tests.bench.programs import program, until
from tests.bench.stats import quantile
from tests.bench.values import Figure, Goal, Readings, Turn
from tests.farmtools import submission

OURS, PEER, PARTS = "phonefarm", "FastAPI + procrastinate, worker", "sum of the parts"
PHONE = "VP000001"
HOPS = 3
FARM = Wish(name="dispatch", phones=1, settings={"check_seconds": 3600.0})


def body(request_id: str, callback: str) -> bytes:
    work = {"capability": "maintenance", "inputs": {"steps": [{"action": "health_check"}]}}
    return json.dumps(enqueue(request_id, callback=callback, **work)).encode()


def post(client: http.client.HTTPConnection, path: str, data: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    client.request("POST", path, data, {"Content-Type": "application/json", **headers})
    answer = client.getresponse()
    read = answer.read()
    if answer.status != 202:
        raise ValueError(f"{answer.status}: {read!r}")
    found: dict[str, Any] = json.loads(read)
    return found


def fresh(client: http.client.HTTPConnection) -> None:
    """A connection that is open before the clock starts: servers close those that rest."""
    client.close()
    client.connect()


class Journal:
    """What a virtual phone writes down, read as it grows."""

    def __init__(self, path: Path) -> None:
        self._file = path.open()
        self.news()

    def close(self) -> None:
        self._file.close()

    def news(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file if line.endswith("\n")]


class Ours:
    """One request after the other to the farm."""

    def __init__(self, farm: Running) -> None:
        self._farm = farm
        self._client = http.client.HTTPConnection("127.0.0.1", farm.port, timeout=30)
        self._journal = Journal(farm.farm.state_dir / "vphone" / f"{PHONE}.jsonl")

    def close(self) -> None:
        self._client.close()
        self._journal.close()

    def one(self) -> float:
        """Milliseconds."""
        data = body(f"e-{uuid.uuid4().hex}", self._farm.callbacks.url)
        self._journal.news()
        fresh(self._client)
        sent = time.monotonic()
        process = post(self._client, "/capability-requests/enqueue", data, self._farm.headers)["process_id"]
        first = until(self._journal.news, "a command at the phone", pause=0.002)[0]
        self._farm.farm.wait_process(process, "completed")
        self._farm.farm.wait_phones(PHONE)
        return 1000 * (float(first["mono_start"]) - sent)


def timed(one: Any, count: int) -> Readings:
    took = [one() for _ in range(count)]
    return {"p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99)}


class Theirs:
    """One request after the other to procrastinate."""

    def __init__(self, port: int, entered: Path) -> None:
        self._client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        entered.touch()
        self._file = entered.open()

    def close(self) -> None:
        self._client.close()
        self._file.close()

    def one(self) -> float:
        name = f"e-{uuid.uuid4().hex}"
        data = body(name, "https://callbacks.example.com/phonefarm")
        fresh(self._client)
        sent = time.monotonic()
        post(self._client, "/enqueue", data, {})
        line = until(self._file.readline, "the worker's function", pause=0.002)
        found, at = line.split()
        if found != name:
            raise ValueError(f"{found} was run and not {name}")
        time.sleep(0.05)  # the worker listens again
        return 1000 * (float(at) - sent)


@contextmanager
def procrastinate(lab: Lab) -> Iterator[Theirs]:
    with peering.on_postgres(lab, "procrastinate_app", 1) as peer:
        entered = lab.directory / "procrastinate_app-1.entered"
        env = {"BENCH_DSN": peer.dsn, "BENCH_ENTERED": str(entered)}
        command = peering.worker_command(lab, "procrastinate_app")
        with program(command, env=env, log=lab.directory / "worker.log"), closing(Theirs(peer.port, entered)) as theirs:
            yield theirs


class Parts:
    """Each step alone, on the same farm and the same server."""

    def __init__(self, lab: Lab, farm: Running, count: int) -> None:
        self._farm, self._count = farm, count
        self._client = http.client.HTTPConnection("127.0.0.1", farm.port, timeout=30)
        self._engines = open_engines(lab.postgres().new_database())
        upgrade(self._engines)
        self._writer = Writer(self._engines, on_stale=lambda: None)
        self._writer.start()
        file = farm.file
        self._driver = Driver(port=file.ports["adb"], serial=f"127.0.0.1:{file.ports['sim']}")

    def close(self) -> None:
        self._client.close()
        self._writer.stop()
        self._engines.dispose()

    def turn(self, _number: int) -> Readings:
        hops = [float(line) for line in self._farm.serve_noop("hop", str(self._count)).split()]
        steps = {
            "noop": [self._noop() for _ in range(self._count)],
            "hop": hops,
            "commit": [self._commit() for _ in range(self._count)],
            "adb": [self._adb() for _ in range(self._count)],
        }
        found = {f"{name}_p50_ms": quantile(took, 0.5) for name, took in steps.items()}
        high = {f"{name}_p99_ms": quantile(took, 0.99) for name, took in steps.items()}
        return {**found, **high, "p50_ms": _sum(found, "p50"), "p99_ms": _sum(high, "p99")}

    def _noop(self) -> float:
        fresh(self._client)
        began = time.perf_counter()
        post(self._client, f"{NOOP_PATH}/", body("e", "http://127.0.0.1:1/"), {})
        return 1000 * (time.perf_counter() - began)

    def _commit(self) -> float:
        order = submission()
        total = len(plan(order.capability, order.inputs))
        planned = accept.Planned(submission=order, items=[ResolvedItem()], actions_total=total)
        began = time.perf_counter()
        self._writer.submit(lambda tx: accept.accept(tx, [planned], new_id)).result(30)
        return 1000 * (time.perf_counter() - began)

    def _adb(self) -> float:
        began = time.perf_counter()
        self._driver.sh(["true"], timeout=10)
        return 1000 * (time.perf_counter() - began)


def _sum(steps: Mapping[str, float], share: str) -> float:
    return sum(
        steps[f"{name}_{share}_ms"] * (HOPS if name == "hop" else 1) for name in ("noop", "hop", "commit", "adb")
    )


@contextmanager
def contestants(lab: Lab) -> Iterator[Mapping[str, Turn]]:
    alone(lab, [FARM.name])
    count = lab.pick(100, 10)
    farm = with_noop(lab, FARM)
    farm.farm.wait_phones(PHONE)
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(closing(Ours(farm)))
        theirs = stack.enter_context(procrastinate(lab))
        parts = stack.enter_context(closing(Parts(lab, farm, count)))
        for one in (ours.one, theirs.one):
            timed(one, 5)
        yield {
            OURS: lambda _number: timed(ours.one, count),
            PEER: lambda _number: timed(theirs.one, count),
            PARTS: parts.turn,
        }


def goal(share: str, peer: str, at_most: float) -> Goal:
    text = f"POST to the first adb command at an idle phone, {share}"
    return Goal(letter="e", text=text, ours=OURS, reading=f"{share}_ms", peers=(peer,), at_most=at_most, unit="ms")


FIGURE = Figure(
    name="dispatch",
    letters="e",
    title="POST to the first adb command",
    goals=(goal("p50", PEER, 1.0), goal("p99", PEER, 1.0), goal("p50", PARTS, 1.5), goal("p99", PARTS, 1.5)),
    open=contestants,
)
