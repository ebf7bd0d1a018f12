"""A receiver of traces for tests: OTLP over HTTP on loopback, as any collector speaks it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One span. ``code`` of an error, "" for none; ``began`` and ``ended`` in ns since the epoch."""

    name: str
    trace: str
    id: str
    parent: str
    code: str
    attributes: dict[str, Any]
    began: int = 0
    ended: int = 0


@dataclass(slots=True)
class Otlp:
    """``bodies``: what came, byte by byte; ``headers`` of each."""

    url: str
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def spans(self) -> list[Seen]:
        return [span for body in self.bodies for span in _spans(body)]

    def named(self, name: str) -> list[Seen]:
        return [span for span in self.spans() if span.name == name]


def _spans(body: bytes) -> Iterator[Seen]:
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Seen(
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    code=span.status.message,
                    attributes={a.key: getattr(a.value, str(a.value.WhichOneof("value"))) for a in span.attributes},
                    began=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                )


@contextmanager
def otlp_receiver() -> Iterator[Otlp]:
    """Takes what is sent to ``/v1/traces`` until the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known = self.path == "/v1/traces"
            if known:
                received.headers.append(dict(self.headers.items()))
                received.bodies.append(body)
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Otlp(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join(10)
