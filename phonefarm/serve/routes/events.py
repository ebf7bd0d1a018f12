"""The history of a process: as JSON, or as a stream of Server-Sent Events that can be taken up again.

An event's id in the stream is its sequence, so a reader that comes back with ``Last-Event-ID`` misses nothing and gets
nothing twice. The stream ends when the process has; a reader that has everything then gets 204, which tells a browser's
EventSource not to come back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from phonefarm import logs
from phonefarm.errors import Fault, NotFound, PhoneFarmError, ValidationFailed
from phonefarm.models.reading import dump
from phonefarm.serve import examples
from phonefarm.serve import examples_more as more
from phonefarm.serve.auth import Scope
from phonefarm.serve.desk import Desk, desk_of, key_of, process_id_of, query_of
from phonefarm.serve.endpoint import Answer, Endpoint, Query
from phonefarm.serve.problems import json_response
from phonefarm.serve.schemas import EventList

STREAM = "text/event-stream"
#: Seconds without an event after which a comment is sent, so that nobody between takes the stream for dead.
HEARTBEAT_SECONDS = 15.0
_PAGE = 500
log = logs.logger(__name__)


async def list_events(request: Request) -> Response:
    query_of(request)
    desk, process_id, system = desk_of(request), process_id_of(request), key_of(request).system
    if STREAM in request.headers.get("accept", ""):
        return await _stream(request, desk, process_id, system)
    items: list[dict[str, Any]] = []
    while page := (await desk.farm.process_events(process_id, after=_last(items), limit=_PAGE, system=system))["items"]:
        items += page
        if len(page) < _PAGE:
            break
    return json_response({"items": items, "next_cursor": None})


def _last(items: list[dict[str, Any]], default: int = 0) -> int:
    return items[-1]["sequence"] if items else default


async def _stream(request: Request, desk: Desk, process_id: str, system: str | None) -> Response:
    after = _resume(request)
    with desk.waiting():
        pass  # refused here, while the answer can still say so
    first = await desk.farm.process_events(process_id, after=after, limit=_PAGE, system=system)
    if first["over"] and not first["items"]:
        return Response(status_code=204)
    frames = _frames(desk, process_id, system, first, after)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(frames, media_type=STREAM, headers=headers)


def _resume(request: Request) -> int:
    """The sequence after which the caller wants to go on. Raises ValidationFailed."""
    text = request.headers.get("last-event-id", "0").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        msg = "must be the id of an event of this stream"
        raise ValidationFailed([Fault(loc=("header", "Last-Event-ID"), code="invalid_event_id", msg=msg)])
    return int(text)


async def _frames(
    desk: Desk, process_id: str, system: str | None, page: dict[str, Any], after: int
) -> AsyncIterator[bytes]:
    with desk.waiting():
        try:
            while True:
                for event in page["items"]:
                    yield _frame(event)
                after = _last(page["items"], after)
                if page["over"]:
                    return
                if not page["items"]:
                    yield b": the process goes on\n\n"
                page = await desk.farm.process_events(
                    process_id, after=after, limit=_PAGE, seconds=HEARTBEAT_SECONDS, system=system
                )
        except NotFound:
            return  # forgotten meanwhile
        except PhoneFarmError as error:
            log.info("stream.ended", process=process_id, error=error)


def _frame(event: dict[str, Any]) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event["sequence"], event["kind"].encode(), dump(event))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/processes/{process_id}/events",
        scope=Scope.READ,
        handler=list_events,
        tag="processes",
        summary="The append-only history of a process",
        text="With `Accept: text/event-stream` a stream of Server-Sent Events, live until the process has ended.",
        header=(
            Query(
                name="Last-Event-ID",
                schema={"type": "string", "pattern": "^[0-9]{1,9}$"},
                text="id of the last event of the stream that was read",
            ),
        ),
        answers={
            200: Answer(text="Oldest first", model=EventList, examples={"events": more.EVENTS}, also=(STREAM,)),
            204: Answer(text="The process has ended and nothing is left to stream", empty=True),
        },
        problems={404: {"unknown_process": examples.UNKNOWN_PROCESS}, 422: {}, 429: {}},
    ),
)
