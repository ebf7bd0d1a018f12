"""The documentation: readable at ``/docs``, for programs at ``/openapi.json``."""

from __future__ import annotations

from fastapi import Request, Response

from phonefarm.serve import docs
from phonefarm.serve.auth import Scope
from phonefarm.serve.desk import desk_of, query_of
from phonefarm.serve.endpoint import Answer, Endpoint
from phonefarm.serve.problems import json_response


async def get_docs(request: Request) -> Response:
    query_of(request)
    headers = {"Content-Security-Policy": docs.POLICY, "X-Content-Type-Options": "nosniff"}
    return Response(desk_of(request).docs(), media_type="text/html; charset=utf-8", headers=headers)


async def get_openapi(request: Request) -> Response:
    query_of(request)
    return json_response(request.app.openapi())


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/docs",
        scope=Scope.READ,
        handler=get_docs,
        tag="documentation",
        summary="This API for people",
        answers={200: Answer(text="One page, which loads nothing", media_type="text/html")},
        problems={422: {}},
    ),
    Endpoint(
        method="GET",
        path="/openapi.json",
        scope=Scope.READ,
        handler=get_openapi,
        tag="documentation",
        summary="This API for programs",
        answers={200: Answer(text="OpenAPI 3.1")},
        problems={422: {}},
    ),
)
