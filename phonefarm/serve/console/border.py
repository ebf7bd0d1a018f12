"""Which requests the console's cookie may make, and what a browser is told that has none."""

from __future__ import annotations

from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from phonefarm.serve import problems
from phonefarm.serve.console import assets, signin

_READS = frozenset({"GET", "HEAD"})


def is_open(path: str) -> bool:
    """Needs nobody to be signed in."""
    return path == signin.PATH or path.startswith(assets.PREFIX)


def is_page(path: str) -> bool:
    return path == "/" or path.startswith("/console/")


def cookie_counts(scope: Scope, path: str) -> bool:
    """On a page; on the API where it only reads, and not where a key was given, even a wrong one."""
    given = any(name == b"authorization" for name, _ in scope["headers"])
    return is_page(path) or (scope["method"] in _READS and not given)


def refusal(scope: Scope, path: str) -> Response:
    """For whoever is nobody: a person is sent to the page to sign in, a program gets 401."""
    accept = Headers(scope=scope).get("accept", "")
    if is_page(path) and scope["method"] in _READS and "text/html" in accept:
        query = scope["query_string"].decode("latin-1")
        wanted = path + (f"?{query}" if query else "")
        return RedirectResponse(f"{signin.PATH}?next={quote(wanted, safe='/')}", status_code=303)
    if is_page(path) and "text/html" in accept:
        return RedirectResponse(signin.PATH, status_code=303)
    return problems.unauthorized()
