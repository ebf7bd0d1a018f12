"""How many requests a second a running farm accepts: distinct keys, keep-alive connections, each answer checked.

    .venv/bin/python scripts/enqueue_rate.py --url http://127.0.0.1:8000 --key-file .phonefarm/api_key

Prints one JSON object: connections, requests, seconds, rate (accepted a second), latency p50 and p99 in ms. The items
do not start (``not_before`` lies far ahead), so the phones do not disturb the figure. The callers are phonefarm's own
client in this one process, so its cost is part of the figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
import uuid
from pathlib import Path
from typing import Any

from phonefarm.client import AsyncFarm


def body(run: str, number: int) -> dict[str, Any]:
    return {
        "request_id": f"rate-{run}-{number}",
        "capability": "keyword_warmup",
        "mode": "manual",
        "target": {"routing": "queue"},
        "inputs": {"keywords": ["sourdough"], "videos_per_keyword": 3},
        "options": {"not_before": "2099-01-01T00:00:00Z"},
        "callback": {"url": "http://127.0.0.1:9/nobody"},
        "requested_by": {"system": "enqueue-rate"},
    }


async def connection(url: str, key: str, run: str, numbers: list[int], took: list[float]) -> None:
    """One caller: a request after the other over its own client. Any refusal ends the run."""
    async with AsyncFarm(url, key, patience=0.0) as farm:
        for number in numbers:
            sent = time.perf_counter()
            accepted = await farm.submit(body(run, number))
            took.append(time.perf_counter() - sent)
            if accepted.duplicate:
                raise SystemExit(f"not new: {accepted.process_id}")


async def measure(url: str, key: str, connections: int, requests: int) -> dict[str, float]:
    took: list[float] = []
    run = uuid.uuid4().hex[:8]
    shares = [list(range(first, requests, connections)) for first in range(connections)]
    began = time.perf_counter()
    await asyncio.gather(*(connection(url, key, run, share, took) for share in shares))
    seconds = time.perf_counter() - began
    took.sort()
    return {
        "connections": connections,
        "requests": requests,
        "seconds": round(seconds, 2),
        "rate": round(requests / seconds, 1),
        "p50_ms": round(statistics.median(took) * 1000, 1),
        "p99_ms": round(took[int(len(took) * 0.99) - 1] * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    key = options.key_file.read_text().strip()
    print(json.dumps(asyncio.run(measure(options.url, key, options.connections, options.requests))))


if __name__ == "__main__":
    main()
