"""Signing in with an API key, and out."""

from __future__ import annotations

import re

from fastapi import Request, Response

from phonefarm.serve.console import pages
from phonefarm.serve.console.forms import form_of
from phonefarm.serve.console.page import Page
from phonefarm.serve.console.session import Sessions, set_cookie
from phonefarm.serve.live_keys import LiveKeys

PATH = "/console/sign-in"
#: A path of this farm and nothing that a browser could take for another one.
_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,1000}")


async def show_sign_in(request: Request) -> Response:
    return pages.page(request, "signin.html", next=next_of(request.query_params.get("next")), wrong=False)


async def sign_in(request: Request) -> Response:
    form = form_of(request)
    keys: LiveKeys = request.app.state.keys
    sessions: Sessions = request.app.state.sessions
    secret = form.get("key", "").strip().encode()
    key = await keys.authenticate([(b"authorization", b"Bearer " + secret)]) if secret else None
    target = next_of(form.get("next"))
    if key is None:
        return pages.page(request, "signin.html", 401, next=target, wrong=True)
    cookie = set_cookie(sessions.cookie_for(key), secure=is_https(request))
    return pages.see_other(target, **{"Set-Cookie": cookie})


async def sign_out(request: Request) -> Response:
    return pages.see_other(PATH, **{"Set-Cookie": set_cookie("", secure=is_https(request))})


async def whoami(request: Request) -> Response:
    """Nothing, to whoever is signed in. A page that was opened from another site comes without its cookie
    (``SameSite=Strict``); it asks here, and goes on if there is one after all."""
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


def next_of(asked: str | None) -> str:
    """Where to go after signing in: a path of this farm, else the wall."""
    return asked if asked is not None and _PATH.fullmatch(asked) else "/"


def is_https(request: Request) -> bool:
    """Whether the browser speaks TLS, to us or to a proxy before us. A lie makes the cookie only stricter."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))


PAGES = (
    Page(method="GET", path=PATH, scope=None, handler=show_sign_in),
    Page(method="POST", path=PATH, scope=None, handler=sign_in),
    Page(method="POST", path="/console/sign-out", scope=None, handler=sign_out),
    Page(method="GET", path="/console/whoami", scope=None, handler=whoami, fragment=True),
)
