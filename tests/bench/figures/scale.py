"""(j) A hundred phones on this machine: how long until all are available, what a phone's actor takes of memory, what an
idle farm takes of the processor.

From the start of ``phonefarm up`` to the answer of ``GET /phones`` that has all of them available; the virtual phones
are up before. The peer is Ray itself (``bare_ray``): a head with its dashboard, Serve with a no-op application of two
replicas, and as many actors with nothing in them, from the start of the program to the answers of all. Memory is PSS,
the mean over the actors. Idle is the processor time of all of the farm's processes (the virtual phones are none of
them) while nothing is asked for, in shares of one core; the JSON has bare Ray's too.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import psutil

from tests.bench.farms import Running, Wish, alone, processes, running
from tests.bench.lab import Lab
from tests.bench.procfs import cpu_seconds, pss_mb, words
from tests.bench.programs import program, until
from tests.bench.values import Figure, Goal, Readings, Turn

OURS, BARE = "phonefarm", "bare Ray"
#: The checks of a farm that has nothing to do are part of its idling, so they are looked at for longer than one period.
IDLE_SECONDS = 40.0


@contextmanager
def phones(lab: Lab, count: int) -> Iterator[list[str]]:
    """Virtual phones without delays; their addresses."""
    ready = lab.directory / "j-phones.ready"
    command = [
        *(sys.executable, "-m", "phonefarm.vphone", "--phones", str(count), "--port-base", "0"),
        *("--ready-file", str(ready), "--serial-prefix", "J"),
    ]
    with program(command, log=lab.directory / "j-phones.log"):
        until(ready.exists, "the virtual phones")
        yield [f"127.0.0.1:{phone['port']}" for phone in json.loads(ready.read_text())["phones"]]


def idle(pids: Iterable[int], seconds: float) -> float:
    """Processor time of these processes over a while, in cores."""
    watched = list(pids)
    before, began = {pid: cpu_seconds(pid) for pid in watched}, time.monotonic()
    time.sleep(seconds)
    used = sum(max(0.0, cpu_seconds(pid) - before[pid]) for pid in watched)
    return used / (time.monotonic() - began)


def farm_turn(lab: Lab, count: int, addresses: list[str], number: int) -> Readings:
    wish = Wish(
        name=f"scale-{number}", database="sqlite", settings={"hosts": {"local": {"usb": False, "connect": addresses}}}
    )
    began = time.monotonic()
    with running(lab, wish) as found:
        until(lambda: _available(found) == count, f"{count} phones available", seconds=900, pause=0.25)
        seconds = time.monotonic() - began
        pids = processes(found.file.cookie)
        actors = [pid for pid in pids if re.match(r"ray::PhoneActor", words(pid))]
        if len(actors) != count:
            raise ValueError(f"{len(actors)} phone actors of {count}")
        time.sleep(5.0)
        memory = statistics.fmean(pss_mb(pid) for pid in actors)
        return {"seconds": seconds, "pss_mb": memory, "idle_cores": idle(pids, lab.pick(IDLE_SECONDS, 3.0))}


def _available(found: Running) -> int:
    return sum(phone["state"] == "available" for phone in found.farm.phones().values())


def bare_turn(lab: Lab, count: int) -> Readings:
    """``bare_ray`` says when it stands, and with which actors."""
    began, log = time.monotonic(), lab.directory / "bare-ray.json"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.bench.bare_ray", str(count), str(log)]
    with program(command, log=lab.directory / "bare-ray.log") as child:
        until(lambda: log.exists() or child.poll() is not None, "bare Ray", seconds=900, pause=0.1)
        seconds = time.monotonic() - began
        if not log.exists():
            raise RuntimeError((lab.directory / "bare-ray.log").read_text()[-1500:])
        actors = json.loads(log.read_text())
        time.sleep(5.0)
        family = [child.pid, *(one.pid for one in psutil.Process(child.pid).children(recursive=True))]
        memory = statistics.fmean(pss_mb(pid) for pid in actors)
        return {"seconds": seconds, "pss_mb": memory, "idle_cores": idle(family, lab.pick(IDLE_SECONDS, 3.0))}


@contextmanager
def contestants(lab: Lab) -> Iterator[Mapping[str, Turn]]:
    alone(lab)
    count = lab.pick(100, 4)
    with phones(lab, count) as addresses:
        yield {
            OURS: lambda number: farm_turn(lab, count, addresses, number),
            BARE: lambda _number: bare_turn(lab, count),
        }


FIGURE = Figure(
    name="scale", letters="j",
    title="100 phones on this machine",
    goals=(
        Goal(
            letter="j", text="100 phones available from `up`", ours=OURS, reading="seconds", peers=(BARE,),
            at_most=1.5, unit="s",
        ),
        Goal(
            letter="j", text="PSS of a PhoneActor", ours=OURS, reading="pss_mb", peers=(BARE,), at_most=1.25, unit="MB"
        ),
        Goal(letter="j", text="idle farm of 100 phones", ours=OURS, reading="idle_cores", at_most=0.2, unit="cores"),
    ),
    open=contestants,
)  # fmt: skip
