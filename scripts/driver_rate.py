"""The driver against plain adbutils: one phone, one command, both in the same run, in turns.

    .venv/bin/python -m scripts.driver_rate

Starts a virtual phone and an adb server of its own. Prints one JSON object: for the driver, adbutils' ``shell`` and
adbutils' ``shell2`` the commands a second one after the other and the latency p50 and p99 in ms, each the median of the
rounds; the ratio of the driver's p50 to that of ``shell``; and what 300 phones in one process take of memory, in MB.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import adbutils  # type: ignore[import-untyped]

from tests.integration.test_devices_rack import Rack, rack_of

_COMMAND = ["getprop", "ro.product.model"]
_MODEL = "Pixel 8"


def timed(command: Callable[[], str], count: int) -> list[float]:
    """Seconds of each call."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        said = command()
        took.append(time.perf_counter() - began)
        assert said.strip() == _MODEL, said
    return took


def callers(rack: Rack) -> dict[str, Callable[[], str]]:
    phone = rack.phones[0]
    driver = phone.driver()
    plain = adbutils.AdbClient(host="127.0.0.1", port=rack.server.port).device(serial=phone.address)
    return {
        "driver sh": lambda: driver.sh(_COMMAND, timeout=10).stdout,
        "adbutils shell": lambda: str(plain.shell(_COMMAND)),
        "adbutils shell2": lambda: str(plain.shell2(_COMMAND, v2=True).stdout),
    }


def measured(rounds: int, count: int) -> dict[str, dict[str, float]]:
    """Each caller in turn, ``rounds`` times ``count`` commands; medians of the rounds."""
    with tempfile.TemporaryDirectory() as base, rack_of(1, Path(base)) as rack:
        named = callers(rack)
        found: dict[str, list[list[float]]] = {name: [] for name in named}
        for command in named.values():
            timed(command, 20)
        for _ in range(rounds):
            for name, command in named.items():
                found[name].append(sorted(timed(command, count)))
    return {
        name: {
            "per_second": round(statistics.median(len(r) / sum(r) for r in took)),
            "p50_ms": round(1000 * statistics.median(r[len(r) // 2] for r in took), 3),
            "p99_ms": round(1000 * statistics.median(r[int(len(r) * 0.99)] for r in took), 3),
        }
        for name, took in found.items()
    }


def memory_mb(phones: int) -> float:
    """Resident memory of the phones' process once all are connected and one command was run on each."""
    with tempfile.TemporaryDirectory() as base, rack_of(phones, Path(base)) as rack:
        for phone in rack.phones:
            phone.driver().sh(_COMMAND, timeout=10)
        status = Path(f"/proc/{rack.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return round(int(line.split()[1]) / 1024, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    figures = measured(options.rounds, options.count)
    ratio = figures["driver sh"]["p50_ms"] / figures["adbutils shell"]["p50_ms"]
    whole = {**figures, "driver_to_shell_p50": round(ratio, 4), "mb_of_300_phones": memory_mb(300)}
    print(json.dumps(whole, indent=1))


if __name__ == "__main__":
    main()
