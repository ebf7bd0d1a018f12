"""The receiver of callbacks in a storm: writes down each delivery before it answers, and is sometimes rude."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

#: Share of deliveries that are answered 503, and of those that get no answer at all.
_REFUSED, _CUT = 0.02, 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Hook:
    """``file``: a line of JSON a delivery: at, status answered (0: none), body as it came."""

    url: str
    file: Path


@contextmanager
def hook(file: Path, *, seed: int) -> Iterator[Hook]:
    """A receiver on a free port of this machine."""
    chance, lock = random.Random(f"hook {seed}"), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                luck = chance.random()
                status = 503 if luck < _REFUSED else 0 if luck < _REFUSED + _CUT else 204
                line = {"at": time.time(), "status": status, "body": body.decode()}
                log.write(json.dumps(line) + "\n")
                log.flush()
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            return None

    with file.open("a", encoding="utf-8") as log:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield Hook(url=f"http://127.0.0.1:{server.server_port}/hook", file=file)
        finally:
            server.shutdown()
            server.server_close()
