"""What is seen of each HTTP request from outside: how long it took and how it ended, by its route.

The outermost layer, so that refusals count too. A route is known by its pattern; what matches none is ``none``, so that
nobody can make labels by asking for paths.
"""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phonefarm.core.metrics import HTTP_REQUESTS, HTTP_SECONDS, Meter

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Watch:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, meter: Meter) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(scope, message["status"], time.monotonic() - began)
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
