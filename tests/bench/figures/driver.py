"""(g) One command on one phone: our driver, plain adbutils, and a process of ``adb shell``.

A virtual phone without delays and a real adb server, all on this machine, so what is left is what the three of them
add. Each turn is a row of commands one after the other; the answer is checked.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import adbutils  # type: ignore[import-untyped]

from phonefarm.devices.adb_server import adb_binary
from tests.bench.lab import Lab
from tests.bench.stats import quantile
from tests.bench.values import Figure, Goal, Readings, Turn
from tests.integration.test_devices_rack import Rack, rack_of

COMMAND = ["getprop", "ro.product.model"]
MODEL = "Pixel 8"


def turn(command: Callable[[], str], count: int) -> Readings:
    took = []
    for _ in range(count):
        began = time.perf_counter()
        said = command()
        took.append(1000 * (time.perf_counter() - began))
        if said.strip() != MODEL:
            raise ValueError(f"the phone answered {said!r}")
    return {"p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99), "rate": 1000 * count / sum(took)}


def callers(rack: Rack) -> dict[str, Callable[[], str]]:
    phone = rack.phones[0]
    driver = phone.driver()
    plain = adbutils.AdbClient(host="127.0.0.1", port=rack.server.port).device(serial=phone.address)
    process = [str(adb_binary()), "-P", str(rack.server.port), "-s", phone.address, "shell", *COMMAND]

    def shell() -> str:
        return subprocess.run(process, capture_output=True, text=True, check=True).stdout

    return {
        "driver": lambda: driver.sh(COMMAND, timeout=10).stdout,
        "adbutils shell": lambda: str(plain.shell(COMMAND)),
        "adb shell process": shell,
    }


def _turn(command: Callable[[], str], count: int) -> Turn:
    return lambda _number: turn(command, count)


@contextmanager
def contestants(lab: Lab) -> Iterator[Mapping[str, Turn]]:
    count = lab.pick(200, 10)
    base = lab.directory / "g"
    base.mkdir()
    with rack_of(1, base) as rack:
        found = callers(rack)
        for command in found.values():
            turn(command, 5)
        yield {name: _turn(command, count) for name, command in found.items()}


def goal(text: str, peer: str, at_most: float) -> Goal:
    return Goal(
        letter="g", text=text, ours="driver", reading="p50_ms", peers=(peer,), at_most=at_most, unit="ms"
    )  # fmt: skip


FIGURE = Figure(
    name="driver",
    letters="g",
    title="one driver command, p50",
    goals=(
        goal("bare driver command, p50", "adbutils shell", 0.1),
        goal("bare driver command, p50", "adb shell process", 0.3),
    ),
    open=contestants,
)
