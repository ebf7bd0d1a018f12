"""One phone: its screen at large, how it was, what it did, and what an operator may do to it.

The operations are those of the API, with the same command; a reboot is a maintenance process like any other, so it
waits for what runs and is written down. Its request id (``order``) comes with the page, so a button that is pressed
twice makes one. It announces itself to nobody.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response

from phonefarm.core.operations import Step, decide, hold_of
from phonefarm.errors import Fault, RequestError, ValidationFailed
from phonefarm.models.outbox import NOBODY
from phonefarm.models.process import OperateCommand, Operation, OperationScope
from phonefarm.models.requests import OperationBody
from phonefarm.models.states import PhoneState
from phonefarm.serve.admission import admit_maintenance
from phonefarm.serve.auth import Scope
from phonefarm.serve.console import pages, plots, tiles, words
from phonefarm.serve.console.forms import form_of
from phonefarm.serve.console.page import Page
from phonefarm.serve.desk import desk_of, is_uuid, key_of, name_of
from phonefarm.serve.faults import checked

SYSTEM = "console"
RANGES = {"6h": 6, "24h": 24, "7d": 168}
#: What each operation is called on its button, and what it does.
BUTTONS: Mapping[Operation, tuple[str, str]] = {
    Operation.PAUSE: ("Pause", "Give it no new work; what runs goes on."),
    Operation.DRAIN: ("Drain", "Let what runs end, then pause."),
    Operation.RESUME: ("Resume", "Undo pause and drain, through a check."),
    Operation.QUARANTINE: ("Quarantine", "Take it out at once; what runs is broken off and goes elsewhere."),
    Operation.RELEASE: ("Release", "Undo quarantine and retirement, through a check."),
    Operation.RETIRE: ("Retire", "Take it out for good; what is pinned to it is refused."),
}
DONE = {
    **{operation.value: f"{label}: done." for operation, (label, _) in BUTTONS.items()},
    "reboot": "A reboot is on its way: it waits for what runs on the phone, then for its turn.",
}


async def show_phone(request: Request) -> Response:
    return await _page(request)


async def _page(request: Request, status: int = 200, trouble: dict[str, Any] | None = None) -> Response:
    farm, phone_id = desk_of(request).farm, _phone_id(request)
    phone = await farm.get_phone(phone_id)
    history = await farm.phone_history(phone_id, system=key_of(request).system)
    asked = request.query_params.get("range", "")
    chosen = asked if asked in RANGES else "24h"
    return pages.page(
        request,
        "phone.html",
        status,
        phone=phone,
        seen=phone["state"] not in tiles.UNSEEN,
        bad=tiles.looks_bad(phone),
        history=history,
        plots=plots.plots(history["samples"], now=time.time(), hours=RANGES[chosen]),
        ranges=list(RANGES),
        chosen=chosen,
        buttons=_buttons(phone),
        done=DONE.get(request.query_params.get("done", "")),
        trouble=trouble,
        reason=form_of(request).get("reason", "") if trouble is not None else "",
        order=desk_of(request).make_id(),
        box=plots,
    )


def _phone_id(request: Request) -> str:
    return name_of(request, "phone_id", "unknown_phone")


def _buttons(phone: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(operation, label, what it does) of what makes sense now."""
    wanted = phone["wanted"] and PhoneState(phone["wanted"]["state"])
    hold = hold_of(PhoneState(phone["state"]), wanted)
    possible = [operation for operation in BUTTONS if decide(operation, hold) in (Step.HOLD, Step.LIFT)]
    return [(operation.value, *BUTTONS[operation]) for operation in possible]


# -- doing -----------------------------------------------------------------------------------------


async def operate(request: Request) -> Response:
    name = request.path_params["operation"]
    if name not in set(Operation):
        return pages.see_other(_path(request))
    try:
        command = OperateCommand(
            scope=OperationScope.PHONE,
            name=_phone_id(request),
            operation=Operation(name),
            reason=_reason(request),
            by=key_of(request).name,
        )
        await desk_of(request).farm.operate(command)
    except RequestError as error:
        return await _refused(request, error)
    return pages.see_other(f"{_path(request)}?done={name}")


async def reboot(request: Request) -> Response:
    desk = desk_of(request)
    try:
        await desk.farm.get_phone(_phone_id(request))
        await desk.intake.submit(admit_maintenance(_reboot(request), desk.rules, process_id=desk.make_id()))
    except RequestError as error:
        return await _refused(request, error)
    return pages.see_other(f"{_path(request)}?done=reboot")


def _reboot(request: Request) -> dict[str, Any]:
    """As a caller of the API would ask for it."""
    key = key_of(request)
    return {
        "request_id": f"reboot-{_order(request)}",
        "phone_id": _phone_id(request),
        "inputs": {"steps": [{"action": "reboot"}], "metadata": {"reason": _reason(request)}},
        "options": {"priority": 9},
        "callback": {"url": NOBODY},
        "requested_by": {"system": key.system or SYSTEM, "user": key.name},
    }


def _order(request: Request) -> str:
    """Raises ValidationFailed for what no page of ours has given."""
    order = form_of(request).get("order", "")
    if not is_uuid(order):
        raise ValidationFailed([Fault(loc=("order",), code="invalid_format", msg="load the page again")])
    return order


def _reason(request: Request) -> str:
    """Raises ValidationFailed for none, or one that is too long."""
    body, faults = checked(OperationBody, {"reason": form_of(request).get("reason", "").strip()})
    if body is None:
        raise ValidationFailed(faults)
    return body.reason


async def _refused(request: Request, error: RequestError) -> Response:
    """The page again, with what was wrong and the reason that was typed."""
    return await _page(request, error.status, pages.said_of(error))


def _path(request: Request) -> str:
    return f"/console/phones/{words.segment(_phone_id(request))}"


_ONE = "/console/phones/{phone_id}"
PAGES = (
    Page(method="GET", path=_ONE, scope=Scope.READ, handler=show_phone),
    Page(method="POST", path=_ONE + "/reboot", scope=Scope.SUBMIT, handler=reboot),
    Page(method="POST", path=_ONE + "/{operation}", scope=Scope.OPERATE, handler=operate),
)
