"""A farm's HTTP face with answers made beforehand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "pf_test"
Answer = tuple[int, Any]


@dataclass
class FakeFarm:
    """``answers``: for "METHOD /path", given in turn, the last one again and again. ``asked`` keeps what came."""

    url: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def answer(self, line: str, body: Any) -> Answer:
        self.asked.append((line, body))
        left = self.answers.get(line.partition("?")[0])
        if not left:
            return 404, {"title": "Not found", "status": 404, "code": "unknown_route", "detail": "unknown_route"}
        return left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def fake_farm() -> Iterator[FakeFarm]:
    farm = FakeFarm()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(farm))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    farm.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield farm
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)


def _handler(farm: FakeFarm) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if self.headers.get("Authorization") == f"Bearer {KEY}":
                status, value = farm.answer(f"{self.command} {self.path}", body)
            else:
                status, value = 401, {"title": "Unauthorized", "status": 401, "code": "unauthorized", "detail": "no"}
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            kind = "application/json" if status < 400 else "application/problem+json"
            kind = "image/png" if isinstance(value, bytes) and value.startswith(b"\x89PNG") else kind
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = _serve
        do_DELETE = _serve
        do_POST = _serve

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    return Handler
