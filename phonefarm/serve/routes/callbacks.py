"""Callbacks: how their delivery stands, and sending one again."""

from __future__ import annotations

from fastapi import Request, Response

from phonefarm.models.outbox import CallbackState
from phonefarm.serve import examples_more as more
from phonefarm.serve.auth import Scope
from phonefarm.serve.desk import desk_of, key_of, query_of, uuid_of
from phonefarm.serve.endpoint import Answer, Endpoint, Query
from phonefarm.serve.problems import json_response
from phonefarm.serve.query import CURSOR, LIMIT, choice_of, limit_of, name_filter
from phonefarm.serve.schemas import CallbackEventShape, CallbackList

_STATES = [state.value for state in CallbackState]


async def list_callbacks(request: Request) -> Response:
    query = query_of(request, "state", "process_id", "limit", "cursor")
    page = await desk_of(request).farm.list_callbacks(
        state=choice_of(query, "state", _STATES),
        limit=limit_of(query),
        cursor=query.get("cursor"),
        system=key_of(request).system,
        process_id=name_filter(query, "process_id"),
    )
    return json_response(page)


async def redeliver_callback(request: Request) -> Response:
    query_of(request)
    event_id = uuid_of(request, "event_id", "unknown_callback")
    return json_response(await desk_of(request).farm.redeliver(event_id, system=key_of(request).system), 202)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/callbacks",
        scope=Scope.READ,
        handler=list_callbacks,
        tag="callbacks",
        summary="Callbacks and how their delivery stands",
        query=(
            Query(name="state", schema={"type": "string", "enum": _STATES}),
            Query(name="process_id", schema={"type": "string", "minLength": 1, "maxLength": 200}),
            LIMIT,
            CURSOR,
        ),
        answers={
            200: Answer(text="Newest first", model=CallbackList, examples={"callbacks": more.listed(more.CALLBACK)})
        },
        problems={422: {"bad_cursor": more.BAD_CURSOR}},
    ),
    Endpoint(
        method="POST",
        path="/callbacks/{event_id}/redeliver",
        scope=Scope.OPERATE,
        handler=redeliver_callback,
        tag="callbacks",
        summary="Send a callback again, from the first attempt on",
        text="Later events of its process wait for it again. Asking twice is harmless.",
        answers={202: Answer(text="Pending, due now", model=CallbackEventShape, examples={"callback": more.CALLBACK})},
        problems={404: {"unknown_callback": more.UNKNOWN_CALLBACK}, 422: {}},
    ),
)
