"""A page as data, and how it is put into the app.

What holds for every page is here: who may see it, that a form was sent by a page of ours, and that an error is said
in words on a page, not as JSON. Pages are no part of the API, so OpenAPI does not show them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from phonefarm import logs
from phonefarm.errors import PhoneFarmError
from phonefarm.serve import problems
from phonefarm.serve.auth import Scope
from phonefarm.serve.console import forms, pages
from phonefarm.serve.desk import desk_of, key_of

Handler = Callable[[Request], Awaitable[Response]]
log = logs.logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """``scope`` None: open to all. ``nav``: its word in the bar at the top, None for a page that is not there.
    ``fragment``: not for people's eyes (a picture, a stream), so its errors are problem+json."""

    method: str
    path: str
    scope: Scope | None
    handler: Handler
    nav: str | None = None
    fragment: bool = False


def register(app: FastAPI, page: Page) -> None:
    """Put a page into the app."""
    app.add_api_route(
        page.path,
        _guarded(page),
        methods=[page.method],
        name=f"console_{page.handler.__name__}",
        include_in_schema=False,
        response_model=None,
        response_class=Response,
    )


def _guarded(page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def call(request: Request) -> Response:
        try:
            return await _handle(page, request)
        except PhoneFarmError as error:
            return problems.of_error(error) if page.fragment else pages.error_page(request, error)
        except ClientDisconnect:
            raise
        except Exception as error:
            if page.fragment:
                raise
            log.exception("http.failed", method=page.method, route=page.path, next_step=logs.REPORT_IT)
            return pages.error_page(request, error)

    return call


async def _handle(page: Page, request: Request) -> Response:
    if page.method != "GET":
        await forms.accept(request, desk_of(request).max_body)
    if page.scope is not None:
        key_of(request).require(page.scope)
    return await page.handler(request)
