"""Reading processes: lists, one process with long polling, artifacts."""

from __future__ import annotations

import hashlib

from fastapi import Request, Response

from phonefarm.models.process import ProcessQuery
from phonefarm.models.states import Capability, PublicStatus
from phonefarm.serve import examples
from phonefarm.serve import examples_more as more
from phonefarm.serve.auth import Scope, wrong_system
from phonefarm.serve.desk import artifact_name_of, desk_of, key_of, process_id_of, query_of
from phonefarm.serve.endpoint import Answer, Endpoint, Query
from phonefarm.serve.problems import json_response
from phonefarm.serve.query import (
    CURSOR,
    LIMIT,
    choice_of,
    limit_of,
    name_filter,
    seconds_of,
    time_of,
)
from phonefarm.serve.reads import Seen
from phonefarm.serve.schemas import ProcessList, ProcessShape

LONGEST_WAIT = 60.0
_STATUSES = [status.value for status in PublicStatus]
_TYPES = [capability.value for capability in Capability]
_NAMES = ("system", "phone_id", "account_id", "request_id")
_TIMES = ("created_after", "created_before")
_FILTERS = ("status", "process_type", *_NAMES, *_TIMES)


async def list_processes(request: Request) -> Response:
    query = query_of(request, *_FILTERS, "limit", "cursor")
    status = choice_of(query, "status", _STATUSES)
    asked = ProcessQuery(
        status=PublicStatus(status) if status is not None else None,
        process_type=choice_of(query, "process_type", _TYPES),
        system=_system(request, name_filter(query, "system")),
        phone_id=name_filter(query, "phone_id"),
        account_id=name_filter(query, "account_id"),
        created_after=time_of(query, "created_after"),
        created_before=time_of(query, "created_before"),
        request_id=name_filter(query, "request_id"),
        limit=limit_of(query),
        cursor=query.get("cursor"),
    )
    return json_response(await desk_of(request).farm.list_processes(asked))


def _system(request: Request, asked: str | None) -> str | None:
    """The system whose processes may be listed. Raises Forbidden for a bound key that asks for another."""
    own = key_of(request).system
    if own is not None and asked not in (None, own):
        raise wrong_system()
    return own or asked


async def get_process(request: Request) -> Response:
    """With ``wait``: when the caller's ETag still holds, or it has none, wait for another status first."""
    wait = seconds_of(query_of(request, "wait"), "wait", LONGEST_WAIT)
    desk, process_id, system = desk_of(request), process_id_of(request), key_of(request).system
    known = request.headers.get("if-none-match")
    seen = await desk.reads.process(process_id, system=system)
    answer = _tagged(seen)
    if wait and (known is None or _matches(known, answer)):
        with desk.waiting():
            await desk.farm.await_status(process_id, seconds=wait, known=seen.status, system=system)
        answer = _tagged(await desk.reads.process(process_id, system=system))
    if known is not None and _matches(known, answer):
        return Response(status_code=304, headers={"ETag": answer.headers["etag"]})
    return answer


def _tagged(seen: Seen) -> Response:
    tag = hashlib.sha256(seen.body).hexdigest()[:32]
    return Response(seen.body, media_type="application/json", headers={"ETag": f'"{tag}"', "Cache-Control": "no-cache"})


def _matches(known: str, answer: Response) -> bool:
    """RFC 9110, 13.1.2: any of the tags, compared weakly, or ``*``."""
    tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
    return "*" in tags or answer.headers["etag"] in tags


async def get_artifact(request: Request) -> Response:
    """Made on phones from what strangers posted, so a browser shall neither guess its type nor run anything in it."""
    query_of(request)
    process_id, name = process_id_of(request), artifact_name_of(request)
    file = await desk_of(request).farm.artifact(process_id, name, system=key_of(request).system)
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": f'inline; filename="{name}"',
    }
    return Response(file.data, media_type=file.media_type, headers=headers)


_TEXT = {"type": "string", "minLength": 1, "maxLength": 200}
_QUERIES = (
    Query(name="status", schema={"type": "string", "enum": _STATUSES}),
    Query(name="process_type", schema={"type": "string", "enum": _TYPES}),
    Query(name="system", schema=_TEXT, text="`requested_by.system`"),
    Query(name="phone_id", schema=_TEXT, text="pinned to this phone, or last on it"),
    Query(name="account_id", schema=_TEXT),
    Query(
        name="request_id", schema=_TEXT, text="a part of it, in any case; a page may be short and still have a next one"
    ),
    Query(name="created_after", schema={"type": "string", "format": "date-time"}, text="from then on"),
    Query(name="created_before", schema={"type": "string", "format": "date-time"}, text="before then"),
    LIMIT,
    CURSOR,
)
_WAIT = Query(
    name="wait",
    schema={"type": "number", "minimum": 0, "maximum": LONGEST_WAIT},
    text="seconds to wait for another status; answers at once when it changes",
)
_IF_NONE_MATCH = Query(name="If-None-Match", schema={"type": "string"}, text="the ETag of the answer that is known")
_UNKNOWN = {404: {"unknown_process": examples.UNKNOWN_PROCESS}}

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/processes",
        scope=Scope.READ,
        handler=list_processes,
        tag="processes",
        summary="Processes, newest first",
        text="A key that is bound to a system sees that system's processes only, here and on every route below.",
        query=_QUERIES,
        answers={200: Answer(text="Without results", model=ProcessList)},
        problems={422: {"bad_cursor": more.BAD_CURSOR}},
    ),
    Endpoint(
        method="GET",
        path="/processes/{process_id}",
        scope=Scope.READ,
        handler=get_process,
        tag="processes",
        summary="A process, its items and its result",
        text="The source of truth. Poll it with `wait` and `If-None-Match`.",
        query=(_WAIT,),
        header=(_IF_NONE_MATCH,),
        answers={
            200: Answer(
                text="The process", model=ProcessShape, examples={"executing": examples.PROCESS}, headers=("ETag",)
            ),
            304: Answer(text="As the caller knows it", empty=True, headers=("ETag",)),
        },
        problems={**_UNKNOWN, 422: {}, 429: {}},
    ),
    Endpoint(
        method="GET",
        path="/processes/{process_id}/artifacts/{name}",
        scope=Scope.READ,
        handler=get_artifact,
        tag="processes",
        summary="A screenshot or diagnostics",
        answers={200: Answer(text="The file, with its own media type", media_type="*/*")},
        problems={404: {"unknown_artifact": more.UNKNOWN_ARTIFACT}, 422: {}},
    ),
)
