"""Phones and their screens, the queue, capabilities, numbers."""

from __future__ import annotations

from fastapi import Request, Response

from phonefarm.core import registry
from phonefarm.errors import Conflict, DeviceError, NotAcceptable
from phonefarm.serve import examples, prometheus, screens
from phonefarm.serve import examples_more as more
from phonefarm.serve.auth import Scope
from phonefarm.serve.desk import desk_of, key_of, name_of, query_of
from phonefarm.serve.endpoint import Answer, Endpoint, Query
from phonefarm.serve.problems import json_response
from phonefarm.serve.query import CURSOR, LIMIT, limit_of, whole_number
from phonefarm.serve.schemas import CapabilityList, QueueList
from phonefarm.serve.schemas_farm import HostList, PhoneList, PhoneShape


async def list_phones(request: Request) -> Response:
    query_of(request)
    return json_response({"items": await desk_of(request).farm.list_phones(), "next_cursor": None})


async def get_phone(request: Request) -> Response:
    query_of(request)
    return json_response(await desk_of(request).farm.get_phone(_phone_id(request)))


def _phone_id(request: Request) -> str:
    return name_of(request, "phone_id", "unknown_phone")


async def get_screen(request: Request) -> Response:
    query = query_of(request, "width")
    width = whole_number(query, "width", *_WIDTHS, default=0) or None
    media_type = screens.wanted(request.headers.get("accept"))
    if media_type is None:
        raise NotAcceptable("not_acceptable", f"not_acceptable: a screen is {', '.join(screens.FORMATS)}")
    desk, phone_id = desk_of(request), _phone_id(request)
    await desk.farm.get_phone(phone_id)
    try:
        picture = await screens.rendered(await desk.screens.png(phone_id), media_type, width)
    except DeviceError as error:
        raise Conflict("phone_not_reachable", f"phone_not_reachable:{error.code}") from error
    return Response(picture, media_type=media_type, headers={"Cache-Control": "no-store"})


async def list_hosts(request: Request) -> Response:
    query_of(request)
    return json_response({"items": await desk_of(request).farm.list_hosts(), "next_cursor": None})


async def list_queue(request: Request) -> Response:
    query = query_of(request, "limit", "cursor")
    system = key_of(request).system
    return json_response(
        await desk_of(request).farm.queue(limit=limit_of(query), cursor=query.get("cursor"), system=system)
    )


async def list_capabilities(request: Request) -> Response:
    query_of(request)
    return json_response({"items": registry.as_json(), "next_cursor": None})


async def get_metrics(request: Request) -> Response:
    query_of(request)
    return Response(prometheus.text(await desk_of(request).farm.metrics()), media_type=prometheus.MEDIA_TYPE)


_WIDTHS = (16, 4_096)
_UNKNOWN_PHONE = {404: {"unknown_phone": examples.UNKNOWN_PHONE}}

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/phones",
        scope=Scope.READ,
        handler=list_phones,
        tag="farm",
        summary="The phones",
        answers={200: Answer(text="By id", model=PhoneList, examples={"phones": more.listed(more.PHONE)})},
        problems={422: {}},
    ),
    Endpoint(
        method="GET",
        path="/phones/{phone_id}",
        scope=Scope.READ,
        handler=get_phone,
        tag="farm",
        summary="A phone",
        answers={200: Answer(text="The phone", model=PhoneShape, examples={"phone": more.PHONE})},
        problems={**_UNKNOWN_PHONE, 422: {}},
    ),
    Endpoint(
        method="GET",
        path="/phones/{phone_id}/screen",
        scope=Scope.READ,
        handler=get_screen,
        tag="farm",
        summary="A phone's screen now",
        text="The format by `Accept`: PNG (default), JPEG or WebP.",
        query=(
            Query(
                name="width",
                schema={"type": "integer", "minimum": _WIDTHS[0], "maximum": _WIDTHS[1]},
                text="not wider than so many pixels",
            ),
        ),
        answers={200: Answer(text="The screen", media_type=screens.PNG, also=(screens.JPEG, screens.WEBP))},
        problems={
            **_UNKNOWN_PHONE,
            406: {},
            409: {"not_reachable": more.PHONE_NOT_REACHABLE},
            422: {},
        },
    ),
    Endpoint(
        method="GET",
        path="/hosts",
        scope=Scope.READ,
        handler=list_hosts,
        tag="farm",
        summary="The hosts and how their adb servers are",
        answers={200: Answer(text="By name", model=HostList, examples={"hosts": more.listed(more.HOST)})},
        problems={422: {}},
    ),
    Endpoint(
        method="GET",
        path="/queue",
        scope=Scope.READ,
        handler=list_queue,
        tag="farm",
        summary="What waits, in claim order, and why",
        query=(LIMIT, CURSOR),
        answers={200: Answer(text="Next first", model=QueueList, examples={"queue": more.listed(more.QUEUED)})},
        problems={422: {"bad_cursor": more.BAD_CURSOR}},
    ),
    Endpoint(
        method="GET",
        path="/capabilities",
        scope=Scope.READ,
        handler=list_capabilities,
        tag="farm",
        summary="What can be asked for: modes, routings, inputs, prompts and results of each capability",
        answers={200: Answer(text="The capability registry", model=CapabilityList)},
        problems={422: {}},
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        scope=Scope.READ,
        handler=get_metrics,
        tag="farm",
        summary="Numbers for Prometheus",
        answers={200: Answer(text="Exposition format", media_type="text/plain")},
        problems={422: {}},
    ),
)
