"""Reading and cancelling processes."""

from __future__ import annotations

from fastapi import Request, Response

from phonefarm.errors import Fault, ValidationFailed
from phonefarm.models.process import CancelAnswer, CancelCommand, CancelStatus
from phonefarm.models.requests import CancelBody
from phonefarm.serve import examples
from phonefarm.serve.auth import Scope
from phonefarm.serve.body import read_json
from phonefarm.serve.desk import artifact_name_of, desk_of, key_of, process_id_of, query_of
from phonefarm.serve.endpoint import Answer, Endpoint, Query
from phonefarm.serve.faults import checked
from phonefarm.serve.problems import json_response
from phonefarm.serve.schemas import CancelShape, EventList, ProcessList, ProcessShape

_LIMIT = Query(name="limit", schema={"type": "integer", "minimum": 1, "maximum": 200, "default": 50})
_CURSOR = Query(name="cursor", schema={"type": "string"}, text="`next_cursor` of the answer before")


async def list_processes(request: Request) -> Response:
    query = query_of(request, "limit", "cursor")
    limit = _limit(query.get("limit", "50"))
    if "cursor" in query:
        raise _query_fault("cursor", "invalid_cursor", "is not a cursor this farm gave")
    return json_response({"items": await desk_of(request).farm.list_processes(limit=limit), "next_cursor": None})


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise _query_fault("limit", "wrong_type", "must be an integer")
    if len(text) > 9 or not 1 <= int(text) <= 200:
        raise _query_fault("limit", "out_of_range", "must be 1 to 200")
    return int(text)


def _query_fault(name: str, code: str, msg: str) -> ValidationFailed:
    return ValidationFailed([Fault(loc=("query", name), code=code, msg=msg)])


async def get_process(request: Request) -> Response:
    query_of(request)
    return json_response(await desk_of(request).farm.get_process(process_id_of(request)))


async def list_events(request: Request) -> Response:
    query_of(request)
    events = await desk_of(request).farm.process_events(process_id_of(request))
    return json_response({"items": events, "next_cursor": None})


async def get_artifact(request: Request) -> Response:
    """Made on phones from what strangers posted, so a browser shall neither guess its type nor run anything in it."""
    query_of(request)
    process_id, name = process_id_of(request), artifact_name_of(request)
    file = await desk_of(request).farm.artifact(process_id, name)
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": f'inline; filename="{name}"',
    }
    return Response(file.data, media_type=file.media_type, headers=headers)


async def cancel_process(request: Request) -> Response:
    desk = desk_of(request)
    raw = await read_json(request, desk.max_body)
    key_of(request).require_system(raw)
    body, faults = checked(CancelBody, raw)
    if body is None:
        raise ValidationFailed(faults)
    command = CancelCommand(
        process_id=process_id_of(request),
        reason=body.reason,
        requested_by=body.requested_by.model_dump(),
        strategy=body.strategy,
        force_after_seconds=body.force_after_seconds,
    )
    return _cancel_response(await desk.farm.cancel(command))


def _cancel_response(answer: CancelAnswer) -> Response:
    running = bool(answer.active_queue_item_ids)
    body = {
        "status": answer.status.value,
        "cancelled_queue_item_ids": list(answer.cancelled_queue_item_ids),
        "active_queue_item_ids": list(answer.active_queue_item_ids),
        "active_target": None if answer.active_target is None else dict(answer.active_target),
        "termination": {
            "process_id": answer.process_id,
            "status": "issued" if answer.terminate_issued else "pending" if running else "none",
            "terminate_issued": answer.terminate_issued,
            "container": None,
        },
        "process": {"process_id": answer.process_id, "status": answer.process_status.value},
    }
    return json_response(body, 200 if answer.status is CancelStatus.IGNORED else 202)


_UNKNOWN = {404: {"unknown_process": examples.UNKNOWN_PROCESS}}

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/processes",
        scope=Scope.READ,
        handler=list_processes,
        tag="processes",
        summary="The newest processes",
        query=(_LIMIT, _CURSOR),
        answers={200: Answer(text="Newest first, without results", model=ProcessList)},
        problems={422: {}},
    ),
    Endpoint(
        method="GET",
        path="/processes/{process_id}",
        scope=Scope.READ,
        handler=get_process,
        tag="processes",
        summary="A process, its items and its result",
        answers={200: Answer(text="The process", model=ProcessShape, examples={"executing": examples.PROCESS})},
        problems={**_UNKNOWN, 422: {}},
    ),
    Endpoint(
        method="GET",
        path="/processes/{process_id}/events",
        scope=Scope.READ,
        handler=list_events,
        tag="processes",
        summary="The append-only history of a process",
        answers={200: Answer(text="Oldest first", model=EventList)},
        problems={**_UNKNOWN, 422: {}},
    ),
    Endpoint(
        method="GET",
        path="/processes/{process_id}/artifacts/{name}",
        scope=Scope.READ,
        handler=get_artifact,
        tag="processes",
        summary="A screenshot or diagnostics",
        answers={200: Answer(text="The file, with its own media type", media_type="*/*")},
        problems={**_UNKNOWN, 422: {}},
    ),
    Endpoint(
        method="POST",
        path="/processes/{process_id}/cancel",
        scope=Scope.CANCEL,
        handler=cancel_process,
        tag="processes",
        summary="Cancel a process",
        text="`soft` stops before the next action, `hard` at once. Asking again is harmless.",
        body=CancelBody,
        body_examples={"cancel": examples.CANCEL_REQUEST},
        answers={
            202: Answer(text="Cancel requested", model=CancelShape, examples={"requested": examples.CANCEL}),
            200: Answer(text="Already over: ignored_terminal", model=CancelShape),
        },
        problems={**_UNKNOWN, 413: {}, 415: {}, 422: {}},
    ),
)
