"""How many requests a second a running farm accepts: distinct keys, keep-alive connections, each answer checked.

    .venv/bin/python scripts/enqueue_rate.py --url http://127.0.0.1:8000 --key-file .phonefarm/api_key

Prints one JSON object: connections, requests, seconds, rate (accepted a second), latency p50 and p99 in ms. The items
do not start (``not_before`` lies far ahead), so the phones do not disturb the figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit


def body(run: str, number: int) -> bytes:
    return json.dumps(
        {
            "request_id": f"rate-{run}-{number}",
            "capability": "keyword_warmup",
            "mode": "manual",
            "target": {"routing": "queue"},
            "inputs": {"keywords": ["sourdough"], "videos_per_keyword": 3},
            "options": {"not_before": "2099-01-01T00:00:00Z"},
            "callback": {"url": "http://127.0.0.1:9/nobody"},
            "requested_by": {"system": "enqueue-rate"},
        }
    ).encode()


async def connection(host: str, port: int, key: str, run: str, numbers: list[int], took: list[float]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    head = f"POST /capability-requests/enqueue HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: "
    for number in numbers:
        sent = time.perf_counter()
        payload = body(run, number)
        writer.write(f"{head}{len(payload)}\r\n\r\n".encode() + payload)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 202"):
            raise SystemExit(f"not accepted: {answer.decode()}")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        took.append(time.perf_counter() - sent)
    writer.close()


async def measure(url: str, key: str, connections: int, requests: int) -> dict[str, float]:
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    took: list[float] = []
    run = uuid.uuid4().hex[:8]
    shares = [list(range(first, requests, connections)) for first in range(connections)]
    began = time.perf_counter()
    await asyncio.gather(*(connection(host, port, key, run, share, took) for share in shares))
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
