"""Whether the process is up, and whether the farm can take work. Open to all, so they say little."""

from __future__ import annotations

from fastapi import Request, Response

from phonefarm.errors import PhoneFarmError
from phonefarm.models.process import Readiness
from phonefarm.serve.desk import desk_of
from phonefarm.serve.endpoint import Answer, Endpoint
from phonefarm.serve.problems import RETRY_AFTER, json_response, problem
from phonefarm.serve.schemas import HealthShape, ReadyShape


async def healthz(_: Request) -> Response:
    return json_response({"status": "ok"})


async def readyz(request: Request) -> Response:
    readiness = await _readiness(request)
    parts = {name: "ok" if trouble is None else "away" for name, trouble in readiness.parts.items()}
    if readiness.ready:
        return json_response({"status": "ready", "parts": parts})
    away = ",".join(sorted(name for name, state in parts.items() if state != "ok"))
    headers = {"Retry-After": str(RETRY_AFTER)}
    return problem(503, "not_ready", detail=f"not_ready:{away}", extra={"parts": parts}, headers=headers)


async def _readiness(request: Request) -> Readiness:
    try:
        return await desk_of(request).farm.readiness()
    except PhoneFarmError as error:
        return Readiness(parts={"manager": error.message})


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/healthz",
        scope=None,
        handler=healthz,
        tag="health",
        summary="The process is up",
        answers={200: Answer(text="Up", model=HealthShape, examples={"ok": {"status": "ok"}})},
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        scope=None,
        handler=readyz,
        tag="health",
        summary="Storage, manager and router answer",
        answers={200: Answer(text="Ready", model=ReadyShape)},
    ),
)
