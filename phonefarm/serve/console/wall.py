"""The wall: every phone as a tile with its screen, live.

The page is rendered with all its tiles; then one stream of server-sent events for the whole page brings the tiles
that change (``watch``), and the page fetches pictures of the tiles that are in view (``shots``). A hidden tab fetches
nothing and has no stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from phonefarm.errors import PhoneFarmError, ValidationFailed
from phonefarm.models.reading import dump
from phonefarm.models.states import PhoneState
from phonefarm.serve.auth import Scope
from phonefarm.serve.console import pages, shots, tiles
from phonefarm.serve.console.looking import Looking, looking_of
from phonefarm.serve.console.page import Page
from phonefarm.serve.console.watch import Picture
from phonefarm.serve.desk import desk_of, name_of
from phonefarm.serve.query import fault, whole_number
from phonefarm.serve.routes.events import STREAM


async def show_wall(request: Request) -> Response:
    phones = sorted(await desk_of(request).farm.list_phones(), key=tiles.place)
    chosen = tiles.Filter.of(request.query_params)
    known = looking_of(request).tiles
    query = {name: value for name, value in request.query_params.items() if value}
    return pages.page(
        request,
        "wall.html",
        tiles=[pages.safe(known.of(phone)) for phone in phones if chosen.takes(phone)],
        any=bool(phones),
        counts=tiles.counted(phones, chosen),
        choices=tiles.choices(phones),
        states=[state.value for state in PhoneState],
        chosen=chosen,
        query=urlencode(query),
    )


# -- pictures --------------------------------------------------------------------------------------


async def get_shot(request: Request) -> Response:
    """A small picture of the screen, 304 when it is the one the browser has."""
    phone_id = name_of(request, "phone_id", "unknown_phone")
    width = whole_number(dict(request.query_params), "width", 1, max(shots.WIDTHS), default=shots.WIDTHS[0])
    if width not in shots.WIDTHS:
        raise _bad_width()
    looking = looking_of(request)
    if not looking.watch.knows(phone_id):
        await desk_of(request).farm.get_phone(phone_id)
    shot = await looking.shots.jpeg(phone_id, width)
    headers = {"ETag": shot.tag, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if request.headers.get("if-none-match") == shot.tag:
        return Response(status_code=304, headers=headers)
    return Response(shot.data, media_type=shots.MEDIA_TYPE, headers=headers)


def _bad_width() -> ValidationFailed:
    return fault("width", "invalid_choice", f"must be one of {', '.join(map(str, shots.WIDTHS))}")


# -- the stream ------------------------------------------------------------------------------------


async def stream_wall(request: Request) -> Response:
    looking = looking_of(request)
    with desk_of(request).waiting():
        pass  # refused here, while the answer can still say so
    chosen = tiles.Filter.of(request.query_params)
    return _streamed(_frames(request, looking, chosen))


def _streamed(frames: AsyncIterator[bytes]) -> Response:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(frames, media_type=STREAM, headers=headers)


async def _frames(request: Request, looking: Looking, chosen: tiles.Filter) -> AsyncIterator[bytes]:
    shown = _Shown(looking=looking, chosen=chosen)
    with desk_of(request).waiting():
        async for picture in looking.watch.pictures():
            if not await still_signed_in(request):
                return
            yield _frame("wall", change) if (change := shown.change(picture)) else b": nothing new\n\n"


async def still_signed_in(request: Request) -> bool:
    """Whether the session with which a stream began holds yet; while nobody can say, it does."""
    try:
        return await looking_of(request).sessions.of(request.scope["headers"]) is not None
    except PhoneFarmError:
        return True


def _frame(event: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event.encode(), dump(data))


@dataclass(kw_only=True, slots=True)
class _Shown:
    """What one page has, as far as it was sent: tiles by phone, and the numbers above them."""

    looking: Looking
    chosen: tiles.Filter
    sent: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    away: bool = False

    def change(self, picture: Picture) -> dict[str, Any] | None:
        """What the page lacks of a picture; None for nothing."""
        known = self.looking.tiles
        now = {name: known.of(phone) for name, phone in picture.phones.items() if self.chosen.takes(phone)}
        known.forget_others(picture.phones)
        summary = self._summary(picture.phones)
        change = {
            "tiles": {name: html for name, html in now.items() if self.sent.get(name) != html},
            "all": sorted(now),
            "summary": None if summary == self.summary else summary,
            "away": picture.away,
        }
        same = (change["tiles"], now.keys(), summary, picture.away) == ({}, self.sent.keys(), self.summary, self.away)
        self.sent, self.summary, self.away = now, summary, picture.away
        return None if same else change

    def _summary(self, phones: Mapping[str, dict[str, Any]]) -> str:
        counts = tiles.counted(phones.values(), self.chosen)
        return pages.environment().get_template("summary.html").render(counts=counts, chosen=self.chosen)


# -- one phone -------------------------------------------------------------------------------------


async def stream_phone(request: Request) -> Response:
    """A word whenever the phone has changed; the page then looks for itself."""
    phone_id = name_of(request, "phone_id", "unknown_phone")
    await desk_of(request).farm.get_phone(phone_id)
    with desk_of(request).waiting():
        pass
    return _streamed(_words(request, phone_id))


async def _words(request: Request, phone_id: str) -> AsyncIterator[bytes]:
    before: Any = None
    with desk_of(request).waiting():
        async for picture in looking_of(request).watch.pictures():
            if not await still_signed_in(request):
                return
            now = _without_lease(picture.phones.get(phone_id))
            if before is not None and now != before:
                yield _frame("message", {"changed": True})
            else:
                yield b": nothing new\n\n"
            before = now
            await asyncio.sleep(0)


def _without_lease(phone: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (phone or {}).items() if name != "lease"}


PAGES = (
    Page(method="GET", path="/", scope=Scope.READ, handler=show_wall, nav="Wall"),
    Page(method="GET", path="/console/events", scope=Scope.READ, handler=stream_wall, fragment=True),
    Page(method="GET", path="/console/events/{phone_id}", scope=Scope.READ, handler=stream_phone, fragment=True),
    Page(method="GET", path="/console/screens/{phone_id}", scope=Scope.READ, handler=get_shot, fragment=True),
)
