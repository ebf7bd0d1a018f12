"""The form that makes a process. What is typed is checked by the API's own code, and shown as JSON and as a curl line.

Each form has a request id from the start, so pressing the button twice makes one process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from fastapi import Request, Response

from phonefarm.errors import Fault, PhoneFarmError, RequestError
from phonefarm.models.clock import new_id
from phonefarm.models.process import Submission
from phonefarm.serve import problems
from phonefarm.serve.admission import admit
from phonefarm.serve.auth import ApiKey, Scope
from phonefarm.serve.console import pages, schema_form, submit_form
from phonefarm.serve.console.forms import TOKEN, form_of
from phonefarm.serve.console.page import Page
from phonefarm.serve.console.processes import PATH as PROCESSES
from phonefarm.serve.console.submit_form import Draft, Names, Shown
from phonefarm.serve.desk import Desk, desk_of, key_of
from phonefarm.serve.jsontext import parse_object

PATH = "/console/submit"
_ACT = "act"


async def show_form(request: Request) -> Response:
    """A new form: with a request id of its own, for the system of the key."""
    key = key_of(request)
    values = {
        "request_id": f"console-{new_id()}",
        "requested_by.system": key.system or "console",
        "requested_by.user": key.name,
        **_asked(request),
    }
    shown = await _shown(request, submit_form.draft_of(values))
    return _page(request, shown)


def _asked(request: Request) -> dict[str, str]:
    """What a link to the form may fill in."""
    names = ("capability", "target.routing", "target.phone_id", "target.account_id", "target.phone_group")
    return {name: value for name in names if (value := request.query_params.get(name))}


async def take_form(request: Request) -> Response:
    """Check it, change its shape, or send it: as the button says."""
    form = form_of(request)
    act = form.get(_ACT, "check")
    draft = submit_form.draft_of(_values(form, act))
    shown = await _shown(request, draft)
    if act not in ("send", "check"):
        return _page(request, shown)
    try:
        submission, shown = _admitted(request, shown)
        if submission is None or act == "check":
            return _page(request, replace(shown, checked=True), 200 if act == "check" else 422)
        accepted = await desk_of(request).intake.submit(submission)
    except RequestError as error:
        return _page(request, _refused(shown, error), 200 if act == "check" else error.status)
    except PhoneFarmError as error:
        said = pages.said_of(error)
        away = replace(shown, others=[f"{said['title']}. {said['detail']}"], checked=True)
        return _page(request, away, problems.of_error(error).status_code)
    return pages.see_other(f"{PROCESSES}/{accepted.process_id}")


def _values(form: Mapping[str, str], act: str) -> dict[str, str]:
    """What was typed, with lines ended as they were typed: a browser sends them as CR LF. An entry of a list more or
    less, if the button says so."""
    values = {n: value.replace("\r\n", "\n") for n, value in form.items() if n not in (TOKEN, _ACT)}
    verb, _, place = act.partition(":")
    if verb == "add":
        return schema_form.added(values, place, True)
    return schema_form.dropped(values, place) if verb == "drop" else values


def _admitted(request: Request, shown: Shown) -> tuple[Submission | None, Shown]:
    """The submission, or None and what is wrong with JSON typed by hand. Raises RequestError as the API does."""
    desk, key = desk_of(request), key_of(request)
    body, faults = submit_form.body_of(shown.draft)
    try:
        body = parse_object(json.dumps(body).encode())
        key.require_system(body)
        submission = admit(body, desk.rules, process_id=desk.make_id())
    except RequestError as error:
        found = [*faults, *submit_form.faults_of(error, list(_paths(shown)))]
        return None, _with(shown, found)
    return (None, _with(shown, faults)) if faults else (submission, shown)


def _refused(shown: Shown, error: RequestError) -> Shown:
    return replace(_with(shown, submit_form.faults_of(error, list(_paths(shown)))), checked=True)


def _with(shown: Shown, faults: list[Fault]) -> Shown:
    fields = [field for section in shown.sections for field in section.fields]
    errors, others = schema_form.beside(fields, faults)
    return replace(shown, errors=errors, others=others)


def _paths(shown: Shown) -> list[str]:
    return list(schema_form.paths([field for section in shown.sections for field in section.fields]))


async def _shown(request: Request, draft: Draft) -> Shown:
    body, _ = submit_form.body_of(draft)
    return Shown(
        draft=draft,
        sections=submit_form.sections(draft, await _names(desk_of(request))),
        json=submit_form.shown(body),
        curl=submit_form.curl(body, str(request.base_url)),
    )


async def _names(desk: Desk) -> Names:
    """What there is to choose from; while the farm is away, nothing."""
    apps = tuple(sorted(desk.rules.apps))
    try:
        phones, accounts = await desk.farm.list_phones(), await desk.farm.list_accounts()
    except PhoneFarmError:
        return Names(apps=apps)
    return Names(
        phones=tuple(phone["phone_id"] for phone in phones if phone["state"] != "retired"),
        groups=tuple(sorted({group for phone in phones for group in phone["groups"]})),
        accounts=tuple(account["account_id"] for account in accounts if account["active"]),
        account_groups=tuple(sorted({account["group"] for account in accounts if account["group"]})),
        apps=apps,
    )


def _page(request: Request, shown: Shown, status: int = 200) -> Response:
    key: ApiKey = key_of(request)
    capabilities = submit_form.capabilities()
    return pages.page(request, "submit.html", status, shown=shown, capabilities=capabilities, bound=key.system)


PAGES = (
    Page(method="GET", path=PATH, scope=Scope.SUBMIT, handler=show_form, nav="Submit"),
    Page(method="POST", path=PATH, scope=Scope.SUBMIT, handler=take_form),
)
