"""Errors as RFC 9457 ``application/problem+json``; the one place where an error becomes an answer.

What the caller did is said in full. What went wrong inside is not: it goes to the log, and the caller gets a code
and, if trying again helps, ``Retry-After``. Nothing of a request but the place of a fault is repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from phonefarm import logs
from phonefarm.errors import Fault, PhoneFarmError, RequestError, StaleWriter, Unavailable, ValidationFailed
from phonefarm.models.reading import dump

MEDIA_TYPE = "application/problem+json"
#: Seconds in ``Retry-After``.
RETRY_AFTER = 2
_LONGEST_NAME = 100
_MOST_FAULTS = 100
_TITLES: Mapping[str, str] = {"idempotency_key_reused": "Idempotency key reused"}
_ROUTING_CODES: Mapping[int, str] = {404: "unknown_route", 405: "method_not_allowed"}
log = logs.logger(__name__)


def json_response(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that is ready to send."""
    return Response(dump(data), status_code=status, headers=dict(headers or {}), media_type="application/json")


def problem(
    status: int,
    code: str,
    *,
    title: str = "",
    detail: str = "",
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem body. ``extra`` may add members, never replace these."""
    body = {
        **(extra or {}),
        "type": "about:blank",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or code,
        "code": code,
    }
    return Response(dump(body), status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def unauthorized() -> Response:
    """401, the same for a missing and for a wrong key."""
    headers = {"WWW-Authenticate": 'Bearer realm="phonefarm"'}
    return problem(401, "unauthorized", detail="unauthorized: send Authorization: Bearer KEY", headers=headers)


def internal_error() -> Response:
    return problem(500, "internal_error", detail="internal_error: the farm's log holds the cause")


def of_error(error: PhoneFarmError) -> Response:
    """The answer to one of our errors."""
    if isinstance(error, RequestError):
        return _refused(error)
    if isinstance(error, Unavailable | StaleWriter):
        code = error.code if isinstance(error, Unavailable) else Unavailable.code
        step = error.next_step if isinstance(error, Unavailable) else Unavailable.next_step
        detail = f"{code}: {step}"
        return problem(503, code, detail=detail, headers={"Retry-After": str(RETRY_AFTER)})
    log.error("http.failed", exc_info=error, error=error)
    return internal_error()


def _refused(error: RequestError) -> Response:
    extra = dict(error.extra)
    if isinstance(error, ValidationFailed):
        extra["errors"] = [_shown(fault) for fault in error.faults[:_MOST_FAULTS]]
    code = error.problem_code
    headers: dict[str, str] = {}
    if error.status == 429:
        headers["Retry-After"] = str(RETRY_AFTER)
    if error.status == 413:
        headers["Connection"] = "close"
    return problem(
        error.status, code, title=_TITLES.get(code, error.title), detail=error.detail, extra=extra, headers=headers
    )


def _shown(fault: Fault) -> dict[str, Any]:
    loc = [part[:_LONGEST_NAME] if isinstance(part, str) else part for part in fault.loc]
    return {"loc": loc, "code": fault.code.partition(":")[0], "msg": fault.msg}


def install(app: FastAPI) -> None:
    """Make every error of the app a problem. What is left, ``border`` turns into a 500."""

    async def ours(_: Request, error: Exception) -> Response:
        assert isinstance(error, PhoneFarmError)
        return of_error(error)

    async def routing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _ROUTING_CODES.get(error.status_code, "http_error")
        headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
        return problem(error.status_code, code, headers=headers)

    app.add_exception_handler(PhoneFarmError, ours)
    app.add_exception_handler(HTTPException, routing)


def _allowed(request: Request) -> str:
    """All methods of this path; the router itself names only those of the first route that matches."""
    methods: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return ", ".join(sorted(methods))
