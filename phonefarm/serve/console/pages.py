"""Templates to pages: everything escaped, an undefined name is an error, and a policy that lets nothing else in.

``page`` is what handlers call. Beside what a handler gives, every template knows ``session`` (who is signed in, or
None), ``csrf`` (the token for forms), ``nav``, ``here`` (the path) and ``asset(name)``.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from phonefarm.errors import PhoneFarmError, RequestError, ValidationFailed
from phonefarm.serve import problems
from phonefarm.serve.auth import Scope
from phonefarm.serve.console import assets, words
from phonefarm.serve.console.forms import session_of

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # not no-referrer: with that a browser hides the Origin of our own forms
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@functools.cache
def environment() -> Environment:
    """The templates' world."""
    made = Environment(
        loader=PackageLoader("phonefarm.serve.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(asset=assets.url, Scope=Scope)
    made.filters.update(words.FILTERS)
    return made


def render(request: Request, template: str, **context: Any) -> str:
    """The text of a template: a page, or a part of one."""
    session = session_of(request)
    known = {
        "session": session,
        "csrf": session.token if session is not None else "",
        "may": functools.partial(_may, session),
        "nav": request.app.state.nav,
        "here": request.url.path,
        "now": time.time(),
    }
    return environment().get_template(template).render({**known, **context})


def _may(session: Any, scope: str) -> bool:
    return session is not None and Scope(scope) in session.key.scopes


def safe(html: str) -> Markup:
    """Text that a template of ours made, to go into another as it is. Never for anything else."""
    return Markup(html)


def page(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A page, ready to send."""
    return HTMLResponse(render(request, template, **context), status_code=status, headers=dict(HEADERS))


def see_other(path: str, **headers: str) -> Response:
    """After a form: look there now."""
    return RedirectResponse(path, status_code=303, headers={**HEADERS, **headers})


def error_page(request: Request, error: Exception) -> Response:
    """What went wrong, in words, with the status that the API would answer."""
    answer = problems.of_error(error) if isinstance(error, PhoneFarmError) else problems.internal_error()
    shown = page(request, "error.html", answer.status_code, **said_of(error))
    if "retry-after" in answer.headers:
        shown.headers["Retry-After"] = answer.headers["retry-after"]
    return shown


def said_of(error: Exception) -> dict[str, Any]:
    """An error for people: ``title``, ``detail``, ``faults``. Of what went wrong inside, no more than the API says."""
    if isinstance(error, ValidationFailed):
        faults = [(".".join(str(part) for part in fault.loc), fault.msg) for fault in error.faults]
        return {"title": "This cannot be done as asked", "detail": error.problem_code, "faults": faults}
    if isinstance(error, RequestError):
        return {"title": words.TITLES.get(error.problem_code, error.title), "detail": error.detail, "faults": []}
    if isinstance(error, PhoneFarmError) and error.retryable:
        return {"title": "The farm is away for a moment", "detail": f"{error.code}: {error.next_step}", "faults": []}
    return {"title": "Something went wrong inside", "detail": "The farm's log holds the cause.", "faults": []}
