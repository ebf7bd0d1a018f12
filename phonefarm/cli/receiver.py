"""A webhook receiver for the demo: keeps each callback and whether both of its signatures hold."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from phonefarm.client import BadSignature, verify_signature

LONGEST_BODY = 1_000_000
_HEX, _STANDARD = "x-phonefarm-signature", "webhook-signature"


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """One callback. ``verified``: both schemes signed it and both hold."""

    sequence: int | None
    milestone: str
    process_id: str
    verified: bool


def read_callback(*, secret: str, headers: Mapping[str, str], body: bytes, now: int) -> Received:
    """What a delivery says; ``now`` in Unix seconds. Raises ValueError if the body is not an event."""
    given = {name.lower() for name in headers}
    verified = {_HEX, _STANDARD} <= given and _holds(secret, headers, body, now)
    event: Any = json.loads(body)
    if not isinstance(event, dict) or not isinstance(event.get("process"), dict):
        raise ValueError("not an event")
    return Received(
        sequence=event.get("sequence"),
        milestone=str(event.get("milestone")),
        process_id=str(event["process"].get("process_id")),
        verified=verified,
    )


def _holds(secret: str, headers: Mapping[str, str], body: bytes, now: int) -> bool:
    try:
        verify_signature(secret, headers, body, now=now)
    except BadSignature:
        return False
    return True


class Receiver:
    """Listens on a free port of this machine. Use as a context manager."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._news = threading.Condition()
        self._received: list[Received] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/phonefarm"

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)

    def received(self) -> list[Received]:
        """All so far, each milestone once, in the order they came."""
        with self._news:
            return list(dict.fromkeys(self._received))

    def wait_for(self, process_id: str, milestones: frozenset[str], timeout: float) -> bool:
        """Wait until one of the milestones of a process has come; ``timeout`` in seconds."""

        def there() -> bool:
            return any(one.process_id == process_id and one.milestone in milestones for one in self._received)

        with self._news:
            return self._news.wait_for(there, timeout)

    def _take(self, headers: Mapping[str, str], body: bytes) -> int:
        try:
            one = read_callback(secret=self._secret, headers=headers, body=body, now=int(time.time()))
        except ValueError:
            return 400
        with self._news:
            self._received.append(one)
            self._news.notify_all()
        return 204

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        take = self._take

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                fits = length.isdigit() and int(length) <= LONGEST_BODY
                status = take(dict(self.headers.items()), self.rfile.read(int(length))) if fits else 413
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing: the demo prints what came."""

        return Handler
