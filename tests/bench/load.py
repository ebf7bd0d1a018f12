"""The load generator, one for all contestants: keep-alive connections over raw sockets, in a process of its own.

    python -m tests.bench.load < order.json     prints what came of it as JSON

Closed loop: each connection sends its next request when the answer to the last one is complete. Open loop: requests are
due at a fixed rate, whatever becomes of the earlier ones, and a latency counts from when a request was due, so waiting
for a free connection is part of it. Answers other than those expected end the run: a refusal is no throughput.

Every request is its own: ``@KEY@`` in path or body becomes a number, as wide each time, that no other request of
the run has; ``@ID@`` the id of a process drawn by chance from ``rows``. One epoll loop and no HTTP library: a request
costs about 20 microseconds here, and ``busy`` in the answer is the share of a core that this process used, so a reading
near 1 is one of the generator and not of who was asked.
"""

from __future__ import annotations

import json
import random
import re
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.bench.lab import ROOT
from tests.bench.rows import process_id
from tests.bench.stats import quantile

KEY, ID = "@KEY@", "@ID@"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_DRAIN_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """``rate`` 0: closed loop. ``warm``: seconds before what counts. ``ids``: so many rows to draw ``@ID@`` from."""

    port: int
    path: str
    method: str = "POST"
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    expect: int = 202
    connections: int = 64
    seconds: float = 8.0
    warm: float = 2.0
    rate: float = 0.0
    prefix: str = ""
    ids: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Came:
    """``rate``: answers a second; ``sent`` counts those of the warm-up too."""

    rate: float
    p50_ms: float
    p99_ms: float
    sent: int
    busy: float


def run(order: Order) -> Came:
    """Have it done by a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.load"], input=json.dumps(asdict(order)), capture_output=True, text=True,
        cwd=ROOT, timeout=order.seconds + order.warm + 60,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"the load generator: {done.stderr.strip().splitlines()[-1:]}")
    return Came(**json.loads(done.stdout))


# -- the process -----------------------------------------------------------------------------------


def requests(order: Order) -> Callable[[], bytes]:
    """Gives the bytes of one request after the other."""
    lines = [f"{order.method} {order.path} HTTP/1.1", f"Host: 127.0.0.1:{order.port}"]
    lines += [f"{name}: {value}" for name, value in order.headers.items()]
    width = len(order.prefix) + 10
    if order.body:
        length = len(order.body.replace(KEY, "x" * width).encode())
        lines += ["Content-Type: application/json", f"Content-Length: {length}"]
    text = "\r\n".join(lines) + "\r\n\r\n" + order.body
    if KEY not in text and ID not in text:
        fixed = text.encode()
        return lambda: fixed
    parts = [part.encode() for part in text.split(KEY if KEY in text else ID)]
    rng, count = random.Random(order.prefix), iter(range(10**9))
    if KEY in text:
        return lambda: f"{order.prefix}{next(count):010d}".encode().join(parts)
    return lambda: process_id(rng.randrange(order.ids)).encode().join(parts)


class Line:
    """One connection. ``due``: when the request under way was due."""

    __slots__ = ("due", "got", "sock")

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.got = b""
        self.due = 0.0

    def send(self, data: bytes, due: float) -> None:
        self.due = due
        self.sock.sendall(data)

    def complete(self, expect: bytes) -> bool:
        """Read what is there; whether the answer is whole. Raises for one that was not expected."""
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the server hung up")
        self.got += data
        end = self.got.find(b"\r\n\r\n")
        if end < 0:
            return False
        found = _LENGTH.search(self.got, 0, end)
        if self.got[9:12] != expect or (found is None and expect != b"204"):
            raise ValueError(f"not expected: {self.got[:600]!r}")
        if len(self.got) < end + 4 + int(found[1] if found else 0):
            return False
        self.got = b""
        return True


class Generator:
    """The loop. ``took``: (when it ended, seconds it took) of every answer."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.took: list[tuple[float, float]] = []
        self._next = requests(order)
        self._expect = str(order.expect).encode()
        self._lines = {line.sock.fileno(): line for line in (Line(order.port) for _ in range(order.connections))}
        self._idle = deque(self._lines.values())
        self._epoll = select.epoll()
        for number in self._lines:
            self._epoll.register(number, select.EPOLLIN)

    def run(self) -> Came:
        began, used = time.perf_counter(), time.process_time()
        until = began + self.order.warm + self.order.seconds
        (self._open if self.order.rate else self._closed)(began, until)
        busy = (time.process_time() - used) / (time.perf_counter() - began)
        self._drain()
        counted = [took for at, took in self.took if began + self.order.warm <= at <= until]
        return Came(
            rate=len(counted) / self.order.seconds, p50_ms=1000 * quantile(counted, 0.5),
            p99_ms=1000 * quantile(counted, 0.99), sent=len(self.took), busy=busy,
        )  # fmt: skip

    def _closed(self, began: float, until: float) -> None:
        while self._idle:
            self._idle.popleft().send(self._next(), began)
        now = began
        while now < until:
            self._answers(1.0)
            now = time.perf_counter()
            while self._idle:
                self._idle.popleft().send(self._next(), now)

    def _open(self, began: float, until: float) -> None:
        step, due = 1.0 / self.order.rate, began
        while due < until:
            self._answers(max(0.0, due - time.perf_counter()) if self._idle else 0.05)
            while self._idle and due <= time.perf_counter() and due < until:
                self._idle.popleft().send(self._next(), due)
                due += step

    def _answers(self, timeout: float) -> None:
        for number, _ in self._epoll.poll(timeout):
            line = self._lines[number]
            if line.complete(self._expect):
                now = time.perf_counter()
                self.took.append((now, now - line.due))
                self._idle.append(line)

    def _drain(self) -> None:
        """Answers to what is under way, so that nothing of this turn is left for the next one."""
        until = time.perf_counter() + _DRAIN_SECONDS
        while len(self._idle) < len(self._lines) and time.perf_counter() < until:
            self._answers(0.1)


def main() -> None:
    order: dict[str, Any] = json.load(sys.stdin)
    sys.stdout.write(json.dumps(asdict(Generator(Order(**order)).run())))


if __name__ == "__main__":
    main()
