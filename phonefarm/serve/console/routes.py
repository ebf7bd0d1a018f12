"""The pages; ``PAGES`` is all of them."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from phonefarm.errors import NotFound
from phonefarm.serve.console import assets, looking, phone, processes, signin, submit, wall, work
from phonefarm.serve.console.page import Page, register


async def no_page(_request: Request) -> Response:
    """For every other address."""
    raise NotFound("unknown_route")


PAGES: tuple[Page, ...] = (
    *signin.PAGES,
    Page(method="GET", path=assets.PREFIX + "{name}", scope=None, handler=assets.get_asset, fragment=True),
    *wall.PAGES,
    *phone.PAGES,
    *processes.PAGES,
    *work.PAGES,
    *submit.PAGES,
    *work.ACCOUNTS,
)
#: Comes after all pages, since it takes every address below theirs. The border lets in who may be there.
LAST = Page(method="GET", path="/console/{path:path}", scope=None, handler=no_page)
#: What is in the bar at the top, in its order.
NAV = tuple((page.nav, page.path) for page in PAGES if page.nav is not None)


def install(app: FastAPI) -> None:
    """Put the console into the app, which has its desk, its keys and its sessions already."""
    app.state.nav = NAV
    looking.install(app)
    for page in (*PAGES, LAST):
        register(app, page)
