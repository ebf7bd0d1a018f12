"""The wall: every phone as a tile."""

from __future__ import annotations

from fastapi import Request, Response

from phonefarm.serve.auth import Scope
from phonefarm.serve.console import pages
from phonefarm.serve.console.page import Page
from phonefarm.serve.desk import desk_of


async def show_wall(request: Request) -> Response:
    return pages.page(request, "wall.html", phones=await desk_of(request).farm.list_phones())


PAGES = (Page(method="GET", path="/", scope=Scope.READ, handler=show_wall, nav="Wall"),)
