"""A receiver of callbacks that outlives the farms that send to it, and remembers everything that arrived.

Each run has a path of its own. Some events are refused once, so that every run sees callbacks that are tried again.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.chaos.records import Delivery


class Sink:
    """What arrived, by the path it was sent to."""

    def __init__(self) -> None:
        self.base = ""
        self._arrived: dict[str, list[Delivery]] = {}
        self._lock = threading.Lock()

    def url(self, run: str) -> str:
        return f"{self.base}/{run}"

    def of(self, run: str) -> list[Delivery]:
        """Everything that arrived for a run, in the order in which it did."""
        with self._lock:
            return list(self._arrived.get(f"/{run}", ()))

    def take(self, path: str, event_id: str, body: bytes) -> int:
        """Remember one arrival; the status to answer. ``event_id``: of the header, so it is held against the body."""
        event = json.loads(body)
        with self._lock:
            earlier = self._arrived.setdefault(path, [])
            again = any(d.event_id == event_id for d in earlier)
            status = 503 if event["sequence"] % 3 == 2 and not again else 204
            earlier.append(
                Delivery(
                    process_id=event["process"]["process_id"],
                    sequence=event["sequence"],
                    event_id=event_id,
                    milestone=event["milestone"],
                    at=time.time(),
                    status=status,
                    body=body,
                )
            )
        return status


@contextmanager
def sink() -> Iterator[Sink]:
    """A sink on a free port of this machine."""
    found = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:  # whoever sent it was killed before it was whole
                return
            self.send_response(found.take(self.path, self.headers["webhook-id"], body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
