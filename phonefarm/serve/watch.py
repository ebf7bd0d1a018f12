"""What is seen of each HTTP request from outside: how long it took and how it ended, by its route; its id in the log;
and the begin of its trace, if it changes something and the farm traces.

The outermost layer, so that refusals count too. A route is known by its pattern; what matches none is ``none``, so that
nobody can make labels by asking for paths. ``X-Request-ID`` stands in the log as ``http_request``, if it is a short
plain word, and goes back with the answer; where the server below sends it back itself (Ray Serve), only once.
"""

from __future__ import annotations

import re
import time
from contextlib import nullcontext

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phonefarm import logs, tracing
from phonefarm.core.metrics import HTTP_REQUESTS, HTTP_SECONDS, Meter

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_ID = b"x-request-id"
_PLAIN = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Watch:
    """ASGI middleware. ``echo``: the request's id is sent back from here."""

    def __init__(self, app: ASGIApp, *, meter: Meter, echo: bool = True) -> None:
        self._app = app
        self._meter = meter
        self._echo = echo

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, request_id = time.monotonic(), _request_id(scope)
        traced = tracing.on() and scope["method"] not in _READS
        parent = _header(scope, tracing.TRACEPARENT.encode()) if traced else None
        named = logs.bound(http_request=request_id) if request_id is not None else nullcontext()
        with named, tracing.span("request", parent=parent, root=traced) as span:

            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._count(scope, message["status"], time.monotonic() - began)
                    if self._echo and request_id is not None:
                        message = {**message, "headers": [*message["headers"], (_ID, request_id.encode())]}
                    span.rename(f"{scope['method']} {route_of(scope)}")
                    span.set(**{"http.response.status_code": message["status"], "http.route": route_of(scope)})
                await send(message)

            await self._app(scope, receive, watched)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._meter.add(HTTP_REQUESTS, route, method, str(status))
        self._meter.observe(HTTP_SECONDS, seconds, route)


def route_of(scope: Scope) -> str:
    """The pattern of the request's route, such as ``/phones/{phone_id}``."""
    return str(getattr(scope.get("route"), "path", "none"))


def _request_id(scope: Scope) -> str | None:
    found = _header(scope, _ID)
    return found if found is not None and _PLAIN.fullmatch(found) else None


def _header(scope: Scope, name: bytes) -> str | None:
    value = next((value for key, value in scope["headers"] if key == name), None)
    return value.decode("latin-1") if value is not None else None
