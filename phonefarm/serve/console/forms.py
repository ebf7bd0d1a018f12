"""What a browser sends to change something, and the proof that a page of ours made it do so.

Two proofs, and both are needed. The browser says where the request comes from: ``Sec-Fetch-Site``, or on plain HTTP
``Origin``, and a request that says neither is refused. And the form carries the token of its session, which another
site cannot know. The cookie itself is ``SameSite=Strict`` besides.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request

from phonefarm.errors import Fault, Forbidden, UnsupportedMedia, ValidationFailed
from phonefarm.serve.body import read_body
from phonefarm.serve.console.session import Session

TYPE = "application/x-www-form-urlencoded"
TOKEN, TOKEN_HEADER = "csrf", "x-csrf-token"
_FORM, SESSION = "phonefarm.form", "phonefarm.session"
_MOST_FIELDS = 500


def session_of(request: Request) -> Session | None:
    """Who is signed in; somebody is on every page that needs a scope."""
    found: Session | None = request.scope.get(SESSION)
    return found


def form_of(request: Request) -> Mapping[str, str]:
    """The fields of the form that was sent; of one that was given twice, the last."""
    form: Mapping[str, str] = request.scope[_FORM]
    return form


async def accept(request: Request, limit: int) -> None:
    """Read a form of at most ``limit`` bytes and make sure that a page of ours sent it. Raises Forbidden
    ``cross_site``, PayloadTooLarge, UnsupportedMedia, ValidationFailed."""
    if not same_origin(request):
        raise _foreign()
    form = await _read(request, limit)
    session = session_of(request)
    token = request.headers.get(TOKEN_HEADER) or form.get(TOKEN, "")
    if session is not None and not hmac.compare_digest(token.encode(), session.token.encode()):
        raise _foreign()
    request.scope[_FORM] = form


def _foreign() -> Forbidden:
    return Forbidden("cross_site", "cross_site: this form is not of a page you have open here; load the page again")


def same_origin(request: Request) -> bool:
    """Whether the browser says that a page of this farm sent the request."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()


async def _read(request: Request, limit: int) -> Mapping[str, str]:
    raw = await read_body(request, limit)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != TYPE:
        raise UnsupportedMedia("unsupported_media_type", f"unsupported_media_type: send {TYPE}")
    try:
        pairs = parse_qsl(
            raw.decode(), keep_blank_values=True, strict_parsing=bool(raw), errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise ValidationFailed([Fault(loc=("body",), code="invalid_format", msg="must be a form in UTF-8")]) from None
    return dict(pairs)
