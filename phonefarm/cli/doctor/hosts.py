"""A program of its own that looks at every host of a farm on a Ray cluster, then ends.

The order comes on standard input, the answer goes to standard output, as with ``raydriver``. Each host is looked at by
a Ray task that needs the host's label, so a host that is away, or has another name, is found missing. Ray itself
refuses tasks to a machine that has another Ray or Python; that is an answer too.
"""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phonefarm.cli.doctor.facts import Machine
from phonefarm.cli.doctor.gather import machine
from phonefarm.cli.statedir import FarmFile, StateDir
from phonefarm.settings import NAMESPACE, child_environment

_SECONDS = 40.0
_WHOLE = 75.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What to look at. ``phones``: how many each host has."""

    address: str
    state_dir: Path
    farm: FarmFile
    phones: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Hosts by name: what is there, how far each clock is ahead of ours, and why the others cannot be looked at."""

    machines: Mapping[str, Machine] = field(default_factory=dict)
    ahead: Mapping[str, float] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


def look_at_hosts(order: Order) -> Answer:
    """Run the program; a cluster that cannot be reached is an answer in which every host is missing."""
    command = [sys.executable, "-c", "import sys; from phonefarm.cli.doctor.hosts import main; sys.exit(main())"]
    try:
        done = subprocess.run(
            command,
            input=pickle.dumps(order),
            capture_output=True,
            env=child_environment({}),
            timeout=_WHOLE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _all_missing(order, f"Ray at {order.address} did not answer within {_WHOLE:g} s")
    if done.returncode == 0:
        answer = pickle.loads(done.stdout[done.stdout.rindex(_MARK) + len(_MARK) :])
        assert isinstance(answer, Answer)
        return answer
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return _all_missing(order, f"Ray at {order.address}: {lines[-1][:200] if lines else 'no reason was given'}")


#: Ray may write to standard output before us.
_MARK = b"\n--- the hosts ---\n"


def _all_missing(order: Order, why: str) -> Answer:
    return Answer(missing=dict.fromkeys(order.farm.hosts, why))


def main() -> int:
    import ray

    order: Order = pickle.load(sys.stdin.buffer)
    ray.init(address=order.address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    answer = _ask(order)
    sys.stdout.buffer.write(_MARK + pickle.dumps(answer))
    sys.stdout.buffer.flush()
    ray.shutdown()
    return 0


def _ask(order: Order) -> Answer:
    import ray

    from phonefarm.actors.spawn import HOST_LABEL

    asked: dict[Any, str] = {}
    for name in order.farm.hosts:
        task = ray.remote(num_cpus=0, max_retries=0, label_selector={HOST_LABEL: name})(_look)
        asked[task.remote(order, name)] = name
    until, machines, missing = time.monotonic() + _SECONDS, {}, {}
    ahead: dict[str, float] = {}
    while asked and (left := until - time.monotonic()) > 0:
        for ref in ray.wait(list(asked), timeout=left)[0]:
            name, now = asked.pop(ref), time.time()
            try:
                machines[name] = ray.get(ref)
                ahead[name] = machines[name].now - now
            except ray.exceptions.RayError as error:
                missing[name] = " ".join(str(error).split())[:200]
    for ref, name in asked.items():
        ray.cancel(ref, force=True)
        missing[name] = f"no machine with the label {HOST_LABEL}={name} answered within {_SECONDS:g} s"
    return Answer(machines=machines, ahead=ahead, missing=missing)


def _look(order: Order, name: str) -> Machine:
    """On the host itself."""
    return machine(StateDir(order.state_dir), order.farm, host=name, phones=order.phones.get(name, 0))
