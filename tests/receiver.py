"""A webhook receiver for tests, and independent checks of what it got."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook


@dataclass(slots=True)
class Receiver:
    """Keeps (headers, body) of every delivery; ``status`` is what it answers."""

    url: str = ""
    status: int = 204
    deliveries: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def events(self, process_id: str) -> list[dict[str, Any]]:
        """The events of a process, in the order they came, each once."""
        found: dict[str, dict[str, Any]] = {}
        for _, body in list(self.deliveries):
            event = json.loads(body)
            if event["process"]["process_id"] == process_id:
                found.setdefault(event["event_id"], event)
        return list(found.values())

    def milestones(self, process_id: str) -> list[str]:
        return [event["milestone"] for event in self.events(process_id)]

    def wait_for(self, process_id: str, milestone: str, seconds: float = 30.0) -> list[str]:
        """The milestones of a process once ``milestone`` is among them."""
        with self.news:
            arrived = self.news.wait_for(lambda: milestone in self.milestones(process_id), seconds)
        assert arrived, f"no {milestone} within {seconds} s: {self.milestones(process_id)}"
        return self.milestones(process_id)


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver on a free port of this machine."""
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with state.news:
                state.deliveries.append(({k.lower(): v for k, v in self.headers.items()}, body))
                state.news.notify_all()
            self.send_response(state.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def assert_signed(headers: dict[str, str], body: bytes, secret: str) -> None:
    """Both header sets hold, by code that is not phonefarm's."""
    text = headers["x-phonefarm-timestamp"].encode() + b"." + body
    expected = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
    assert headers["x-phonefarm-signature"] == expected
    Webhook(secret.encode()).verify(body, headers)
    assert headers["user-agent"] == "phonefarm-callback/1.0"
    assert headers["content-type"] == "application/json"
