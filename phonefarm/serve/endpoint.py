"""An endpoint as data: where it is, who may use it, what it takes and answers. Routing and OpenAPI are made of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from phonefarm.serve.auth import Scope
from phonefarm.serve.desk import key_of

Handler = Callable[[Request], Awaitable[Response]]
JSON = "application/json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A good answer. ``model`` None: no JSON, or JSON of no fixed shape. ``empty``: no body; ``also``: other media
    types it may have; ``headers``: those it has beside the usual ones."""

    text: str
    model: type[BaseModel] | None = None
    examples: Mapping[str, Any] = field(default_factory=dict)
    media_type: str = JSON
    location: bool = False
    empty: bool = False
    also: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """A query parameter and its JSON Schema."""

    name: str
    schema: Mapping[str, Any]
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """``scope`` None: open to all. ``problems``: status to examples, beside those every route may answer."""

    method: str
    path: str
    scope: Scope | None
    handler: Handler
    tag: str
    summary: str
    answers: Mapping[int, Answer]
    text: str = ""
    body: type[BaseModel] | None = None
    body_examples: Mapping[str, Any] = field(default_factory=dict)
    query: tuple[Query, ...] = ()
    header: tuple[Query, ...] = ()
    problems: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


def register(app: FastAPI, endpoint: Endpoint) -> None:
    """Put an endpoint into the app. ``openapi`` says what it takes and answers."""
    app.add_api_route(
        endpoint.path,
        _scoped(endpoint),
        methods=[endpoint.method],
        name=endpoint.handler.__name__,
        operation_id=endpoint.handler.__name__,
        summary=endpoint.summary,
        description=endpoint.text,
        tags=[endpoint.tag],
        status_code=min(endpoint.answers),
        response_model=None,
        response_class=Response,
    )


def _scoped(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    scope, handler = endpoint.scope, endpoint.handler

    async def call(request: Request) -> Response:
        if scope is not None:
            key_of(request).require(scope)
        return await handler(request)

    return call
