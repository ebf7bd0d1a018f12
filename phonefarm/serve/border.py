"""The outermost layer of the app: no request passes without a key, no fault of ours gets out as a stack trace.

A layer and not a dependency of each route, so that a new route cannot forget it, and an unknown one tells nothing
to whoever has no key. It never reads a body. Somebody signed in at the console has the key of the session there and on
routes that only read (``console.border``).
"""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phonefarm import logs
from phonefarm.errors import PhoneFarmError
from phonefarm.serve import problems
from phonefarm.serve.auth import ApiKey
from phonefarm.serve.console import border as console
from phonefarm.serve.console.forms import SESSION
from phonefarm.serve.console.session import Sessions
from phonefarm.serve.desk import KEY
from phonefarm.serve.live_keys import LiveKeys
from phonefarm.serve.watch import route_of

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
log = logs.logger(__name__)


class Border:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, keys: LiveKeys, sessions: Sessions) -> None:
        self._app = app
        self._keys = keys
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = _path(scope)
        if path not in OPEN_PATHS and not console.is_open(path):
            try:
                key = await self._key(scope, path)
            except PhoneFarmError as error:
                await problems.of_error(error)(scope, receive, send)
                return
            if key is None:
                await console.refusal(scope, path)(scope, receive, send)
                return
            scope[KEY] = key
        await self._guarded(scope, receive, send)

    async def _key(self, scope: Scope, path: str) -> ApiKey | None:
        """The caller's key: of the header, or of the session where that counts. A page takes only the session's."""
        if console.cookie_counts(scope, path):
            session = await self._sessions.of(scope["headers"])
            if session is not None:
                scope[SESSION] = session
                return session.key
        return None if console.is_page(path) else await self._keys.authenticate(scope["headers"])

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            log.debug("http.hung_up")
        except Exception:
            log.exception("http.failed", method=scope["method"], route=route_of(scope), next_step=logs.REPORT_IT)
            if started:
                raise
            await problems.internal_error()(scope, receive, send)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
