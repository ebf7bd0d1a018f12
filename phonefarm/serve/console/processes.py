"""Processes: the list, and one process while it runs and after.

The page of a process follows its history as a stream (``news``): each event makes the browser look at the page again,
at most once a second. The stream outlives the process for as long as callbacks are to be sent, then tells the browser
not to come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from phonefarm.errors import NotFound, PhoneFarmError, RequestError, ValidationFailed
from phonefarm.models.outbox import CallbackState
from phonefarm.models.process import CancelCommand, ProcessQuery, ReplayCommand
from phonefarm.models.requests import CancelBody, ReplayBody
from phonefarm.models.states import CancelStrategy, Capability, PublicStatus
from phonefarm.serve.auth import ApiKey, Scope, wrong_system
from phonefarm.serve.console import pages, phrases, process_view
from phonefarm.serve.console.forms import form_of
from phonefarm.serve.console.needs import place_of
from phonefarm.serve.console.page import Page
from phonefarm.serve.desk import Desk, desk_of, key_of, process_id_of, uuid_of
from phonefarm.serve.faults import checked
from phonefarm.serve.query import choice_of, name_filter
from phonefarm.serve.routes.events import HEARTBEAT_SECONDS, STREAM

PATH = "/console/processes"
_SHOWN, _EVENTS, _CALLBACKS = 50, 200, 50
_STATUSES = [status.value for status in PublicStatus]
_TYPES = [capability.value for capability in Capability]
_FILTERS = ("status", "process_type", "system", "phone_id", "account_id", "request_id")
#: Seconds between two looks at callbacks that are still to be sent, once a process is over.
_LOOK_SECONDS = 2.0


# -- the list --------------------------------------------------------------------------------------


async def show_processes(request: Request) -> Response:
    asked = {n: v.strip() for n, v in request.query_params.items() if v.strip() and n in (*_FILTERS, "cursor")}
    found = await desk_of(request).farm.list_processes(_query(key_of(request), asked))
    filters = {name: asked.get(name, "") for name in _FILTERS}
    following = {**asked, "cursor": found["next_cursor"]}
    return pages.page(
        request,
        "processes.html",
        rows=found["items"],
        filters=filters,
        filtered=any(filters.values()),
        statuses=_STATUSES,
        types=_TYPES,
        newest="cursor" not in asked,
        older=f"{PATH}?{urlencode(following)}" if found["next_cursor"] else None,
        words=phrases.STATUS,
    )


def _query(key: ApiKey, asked: dict[str, str]) -> ProcessQuery:
    status = choice_of(asked, "status", _STATUSES)
    system = name_filter(asked, "system")
    if key.system is not None and system not in (None, key.system):
        raise wrong_system()
    return ProcessQuery(
        status=PublicStatus(status) if status is not None else None,
        process_type=choice_of(asked, "process_type", _TYPES),
        system=key.system or system,
        phone_id=name_filter(asked, "phone_id"),
        account_id=name_filter(asked, "account_id"),
        request_id=name_filter(asked, "request_id"),
        limit=_SHOWN,
        cursor=asked.get("cursor"),
    )


# -- one process -----------------------------------------------------------------------------------


async def show_process(request: Request) -> Response:
    desk, process_id, system = desk_of(request), process_id_of(request), key_of(request).system
    process, events, actions, callbacks = await asyncio.gather(
        desk.farm.get_process(process_id, system=system),
        desk.farm.process_events(process_id, tail=_EVENTS, limit=_EVENTS, system=system),
        desk.farm.process_actions(process_id, limit=_EVENTS, system=system),
        desk.farm.list_callbacks(process_id=process_id, limit=_CALLBACKS, system=system),
    )
    last = events["items"][-1]["sequence"] if events["items"] else 0
    return pages.page(
        request,
        "process.html",
        process=process,
        over=process_view.is_over(process),
        why=process_view.why(process, events["items"]),
        lines=process_view.timeline(process, events["items"], actions),
        earlier=max(0, last - len(events["items"])),
        last=last,
        tables=process_view.tables(process["result"]),
        callbacks=[{**callback, "place": place_of(callback["url"])} for callback in callbacks["items"]],
        strategies=[strategy.value for strategy in CancelStrategy],
        again=_again(process),
        words=phrases.STATUS,
        actions=phrases.ACTION,
    )


def _again(process: dict[str, Any]) -> str:
    """A request id for the next replay: the same until there is one, so that a second click makes none."""
    ending = f"-again-{len(process['linked_ids']['replayed_by']) + 1}"
    return str(process["request_id"])[: 200 - len(ending)] + ending


async def follow_process(request: Request) -> Response:
    """News of a process as server-sent events, each the number of its last event."""
    desk, process_id, system = desk_of(request), process_id_of(request), key_of(request).system
    with desk.waiting():
        pass  # refused here, while the answer can still say so
    text = request.headers.get("last-event-id") or request.query_params.get("after", "0")
    after = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0
    await desk.farm.process_events(process_id, after=after, limit=1, system=system)
    frames = _news(desk, process_id, system, after)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(frames, media_type=STREAM, headers=headers)


async def _news(desk: Desk, process_id: str, system: str | None, after: int) -> AsyncIterator[bytes]:
    with desk.waiting():
        try:
            while True:
                page = await desk.farm.process_events(process_id, after=after, seconds=HEARTBEAT_SECONDS, system=system)
                if page["items"]:
                    after = page["items"][-1]["sequence"]
                    yield b"id: %d\ndata: %d\n\n" % (after, after)
                elif not page["over"]:
                    yield b": the process goes on\n\n"
                elif await _all_sent(desk, process_id, system):
                    yield b"event: end\ndata: end\n\n"
                    return
                else:
                    yield b"data: callbacks\n\n"
                    await asyncio.sleep(_LOOK_SECONDS)
        except (NotFound, PhoneFarmError):
            return  # forgotten, or away: the browser asks again and is told


async def _all_sent(desk: Desk, process_id: str, system: str | None) -> bool:
    pending = CallbackState.PENDING.value
    found = await desk.farm.list_callbacks(process_id=process_id, state=pending, limit=1, system=system)
    return not found["items"]


# -- what can be done to it ------------------------------------------------------------------------


def _by(key: ApiKey, system: str) -> dict[str, Any]:
    """Who asks, as the API is told: the key, for the system whose process it is."""
    return {"system": key.system or system, "user": key.name, "metadata": {"from": "console"}}


async def _system_of(request: Request) -> str:
    process = await desk_of(request).farm.get_process(process_id_of(request), system=key_of(request).system)
    return str(process["requested_by"]["system"])


async def cancel_process(request: Request) -> Response:
    form, key, process_id = form_of(request), key_of(request), process_id_of(request)
    raw = {
        "reason": form.get("reason", "").strip(),
        "strategy": form.get("strategy", CancelStrategy.SOFT_THEN_FORCE.value),
        "requested_by": _by(key, await _system_of(request)),
    }
    body, faults = checked(CancelBody, raw)
    if body is None:
        raise ValidationFailed(faults)
    command = CancelCommand(
        process_id=process_id,
        reason=body.reason,
        requested_by=body.requested_by.model_dump(),
        strategy=body.strategy,
        force_after_seconds=body.force_after_seconds,
    )
    await desk_of(request).farm.cancel(command, system=key.system)
    return pages.see_other(f"{PATH}/{process_id}")


async def replay_process(request: Request) -> Response:
    desk, key, source = desk_of(request), key_of(request), process_id_of(request)
    raw = {
        "request_id": form_of(request).get("request_id", ""),
        "requested_by": _by(key, await _system_of(request)),
    }
    body, faults = checked(ReplayBody, raw)
    if body is None:
        raise ValidationFailed(faults)
    command = ReplayCommand(
        process_id=desk.make_id(),
        source_id=source,
        request_id=body.request_id,
        requested_by=body.requested_by.model_dump(),
    )
    answer = await desk.farm.replay(command, system=key.system)
    if isinstance(answer, RequestError):
        raise answer
    return pages.see_other(f"{PATH}/{answer.process_id}")


async def redeliver_callback(request: Request) -> Response:
    event_id = uuid_of(request, "event_id", "unknown_callback")
    callback = await desk_of(request).farm.redeliver(event_id, system=key_of(request).system)
    return pages.see_other(f"{PATH}/{callback['process_id']}#callbacks")


_ONE = PATH + "/{process_id}"
PAGES = (
    Page(method="GET", path=PATH, scope=Scope.READ, handler=show_processes, nav="Processes"),
    Page(method="GET", path=_ONE, scope=Scope.READ, handler=show_process),
    Page(method="GET", path=_ONE + "/news", scope=Scope.READ, handler=follow_process, fragment=True),
    Page(method="POST", path=_ONE + "/cancel", scope=Scope.CANCEL, handler=cancel_process),
    Page(method="POST", path=_ONE + "/replay", scope=Scope.SUBMIT, handler=replay_process),
    Page(
        method="POST",
        path="/console/callbacks/{event_id}/redeliver",
        scope=Scope.OPERATE,
        handler=redeliver_callback,
    ),
)
