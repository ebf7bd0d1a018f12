"""Cancelling a process, and running again what failed."""

from __future__ import annotations

from fastapi import Request, Response

from phonefarm import tracing
from phonefarm.errors import RequestError, ValidationFailed
from phonefarm.models.process import CancelAnswer, CancelCommand, CancelStatus, ReplayCommand
from phonefarm.models.requests import CancelBody, ReplayBody
from phonefarm.serve import examples
from phonefarm.serve import examples_more as more
from phonefarm.serve.admission import header_faults
from phonefarm.serve.auth import Scope
from phonefarm.serve.body import read_json
from phonefarm.serve.desk import desk_of, key_of, process_id_of, query_of
from phonefarm.serve.endpoint import Answer, Endpoint
from phonefarm.serve.faults import checked
from phonefarm.serve.problems import json_response
from phonefarm.serve.routes.enqueue import IDEMPOTENCY_KEY, accepted_response, key_header
from phonefarm.serve.schemas import CancelShape, ReplayDuplicateShape, ReplayShape


async def cancel_process(request: Request) -> Response:
    desk = desk_of(request)
    raw = await read_json(request, desk.max_body)
    key_of(request).require_system(raw)
    query_of(request)
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
    return _cancel_response(await desk.farm.cancel(command, system=key_of(request).system))


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


async def replay_process(request: Request) -> Response:
    desk = desk_of(request)
    raw = await read_json(request, desk.max_body)
    key_of(request).require_system(raw)
    query_of(request)
    body, faults = checked(ReplayBody, raw)
    faults += header_faults(raw.get("request_id"), key_header(request))
    if faults or body is None:
        raise ValidationFailed(faults)
    command = ReplayCommand(
        process_id=desk.make_id(),
        source_id=process_id_of(request),
        request_id=body.request_id,
        requested_by=body.requested_by.model_dump(),
        trace=tracing.current(),
    )
    answer = await desk.farm.replay(command, system=key_of(request).system)
    if isinstance(answer, RequestError):
        raise answer
    return accepted_response(answer)


_UNKNOWN = {404: {"unknown_process": examples.UNKNOWN_PROCESS}}

ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/processes/{process_id}/cancel",
        scope=Scope.CANCEL,
        handler=cancel_process,
        tag="processes",
        summary="Cancel a process",
        text="`soft` stops before the next action, `hard` at once. Asking again is harmless. The phone is left at its "
        "home screen with the app closed.",
        body=CancelBody,
        body_examples={"cancel": examples.CANCEL_REQUEST},
        answers={
            202: Answer(text="Cancel requested", model=CancelShape, examples={"requested": examples.CANCEL}),
            200: Answer(
                text="Already over: ignored_terminal", model=CancelShape, examples={"ignored": more.CANCEL_IGNORED}
            ),
        },
        problems={**_UNKNOWN, 413: {}, 415: {}, 422: {}},
    ),
    Endpoint(
        method="POST",
        path="/processes/{process_id}/replay",
        scope=Scope.SUBMIT,
        handler=replay_process,
        tag="processes",
        summary="Run again what did not finish of a failed process",
        text="A new process with only the items that did not finish, linked both ways. Repeating it is safe.",
        body=ReplayBody,
        body_examples={"replay": more.REPLAY_REQUEST},
        header=(IDEMPOTENCY_KEY,),
        answers={
            202: Answer(
                text="Accepted and durable", model=ReplayShape, examples={"accepted": more.REPLAY}, location=True
            ),
            200: Answer(
                text="Accepted before",
                model=ReplayDuplicateShape,
                examples={"duplicate": more.REPLAY_DUPLICATE},
                location=True,
            ),
        },
        problems={**_UNKNOWN, 409: {"not_replayable": more.NOT_REPLAYABLE}, 413: {}, 415: {}, 422: {}},
    ),
)
