"""Creating a process: ``POST /capability-requests/enqueue``. The hot path."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import Request, Response

from phonefarm import logs, tracing
from phonefarm.models.process import Accepted, Submission
from phonefarm.models.requests import EnqueueBody, MaintenanceBody
from phonefarm.serve import examples
from phonefarm.serve import examples_more as more
from phonefarm.serve.admission import admit, admit_maintenance
from phonefarm.serve.auth import Scope
from phonefarm.serve.body import read_json
from phonefarm.serve.desk import desk_of, key_of, query_of
from phonefarm.serve.endpoint import Answer, Endpoint, Query
from phonefarm.serve.problems import json_response
from phonefarm.serve.schemas import AcceptedShape, DuplicateShape

log = logs.logger(__name__)


async def enqueue(request: Request) -> Response:
    desk = desk_of(request)
    body = await read_json(request, desk.max_body)
    key_of(request).require_system(body)
    query_of(request)
    submission = admit(body, desk.rules, process_id=desk.make_id(), key_header=key_header(request))
    return accepted_response(await desk.intake.submit(_traced(submission)))


async def request_maintenance(request: Request) -> Response:
    desk = desk_of(request)
    body = await read_json(request, desk.max_body)
    key_of(request).require_system(body)
    query_of(request)
    submission = admit_maintenance(body, desk.rules, process_id=desk.make_id(), key_header=key_header(request))
    return accepted_response(await desk.intake.submit(_traced(submission)))


def _traced(submission: Submission) -> Submission:
    """With the request's context, if the farm traces; lines of the log about it say its process."""
    log.debug("request.admitted", process=submission.process_id)
    return replace(submission, trace=tracing.current()) if tracing.on() else submission


def key_header(request: Request) -> bytes | None:
    """The ``Idempotency-Key`` as it was sent, None if it was not."""
    sent = [value for name, value in request.headers.raw if name == b"idempotency-key"]
    return b",".join(sent) if sent else None


def accepted_response(accepted: Accepted) -> Response:
    """202, or 200 for a duplicate; both say where the process is."""
    body: dict[str, Any] = {
        "status": "accepted",
        "process_id": accepted.process_id,
        "request_id": accepted.request_id,
        "process_type": accepted.process_type,
    }
    if accepted.replay_of is not None:
        body["replay_of"] = accepted.replay_of
    if accepted.duplicate:
        body |= {"duplicate": True, "process_status": accepted.status.value}
    headers = {"Location": f"/processes/{accepted.process_id}"}
    return json_response(body, 200 if accepted.duplicate else 202, headers)


IDEMPOTENCY_KEY = Query(name="Idempotency-Key", schema={"type": "string"}, text="must equal `request_id` when sent")
_ANSWERS = {
    202: Answer(
        text="Accepted and durable", model=AcceptedShape, examples={"accepted": examples.ACCEPTED}, location=True
    ),
    200: Answer(
        text="Accepted before", model=DuplicateShape, examples={"duplicate": examples.DUPLICATE}, location=True
    ),
}

ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/capability-requests/enqueue",
        scope=Scope.SUBMIT,
        handler=enqueue,
        tag="processes",
        summary="Create a process",
        text="Repeating a request with the same `request_id` and body is safe: it answers 200 with the same process.",
        body=EnqueueBody,
        body_examples=examples.ENQUEUE_REQUESTS,
        header=(IDEMPOTENCY_KEY,),
        answers=_ANSWERS,
        problems={
            404: {"unknown_phone": examples.UNKNOWN_PHONE},
            409: {"key_reused": examples.KEY_REUSED},
            413: {},
            415: {},
            422: {"missing_prompt": examples.MISSING_PROMPT, "unattended_fyp": examples.UNATTENDED_FYP},
            429: {},
        },
    ),
    Endpoint(
        method="POST",
        path="/maintenance/requests",
        scope=Scope.SUBMIT,
        handler=request_maintenance,
        tag="processes",
        summary="Ask for upkeep of an account or a phone",
        text="Equals an enqueue of `maintenance`, `manual`, routed by `queue`; both routes share their keys.",
        body=MaintenanceBody,
        body_examples={"account": more.MAINTENANCE},
        header=(IDEMPOTENCY_KEY,),
        answers=_ANSWERS,
        problems={
            404: {"unknown_account": more.UNKNOWN_ACCOUNT},
            409: {"key_reused": examples.KEY_REUSED},
            413: {},
            415: {},
            422: {},
            429: {},
        },
    ),
)
