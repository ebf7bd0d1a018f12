"""Phones, accounts, callbacks, capabilities."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from phonefarm.core import registry
from phonefarm.errors import Fault, ValidationFailed
from phonefarm.models.outbox import CallbackState
from phonefarm.models.process import AccountCommand
from phonefarm.models.requests import AccountBody
from phonefarm.serve import examples
from phonefarm.serve.auth import Scope
from phonefarm.serve.body import read_json
from phonefarm.serve.desk import desk_of, name_of, query_of
from phonefarm.serve.endpoint import Answer, Endpoint, Query
from phonefarm.serve.faults import checked
from phonefarm.serve.problems import json_response
from phonefarm.serve.schemas import (
    AccountList,
    AccountShape,
    CallbackList,
    CapabilityList,
    PhoneList,
    PhoneShape,
)

_STATES = [state.value for state in CallbackState]


def _list(items: list[dict[str, Any]]) -> Response:
    return json_response({"items": items, "next_cursor": None})


async def list_phones(request: Request) -> Response:
    query_of(request)
    return _list(await desk_of(request).farm.list_phones())


async def get_phone(request: Request) -> Response:
    query_of(request)
    return json_response(await desk_of(request).farm.get_phone(name_of(request, "phone_id", "unknown_phone")))


async def list_accounts(request: Request) -> Response:
    query_of(request)
    return _list(await desk_of(request).farm.list_accounts())


async def get_account(request: Request) -> Response:
    query_of(request)
    return json_response(await desk_of(request).farm.get_account(name_of(request, "account_id", "unknown_account")))


async def put_account(request: Request) -> Response:
    desk = desk_of(request)
    raw = await read_json(request, desk.max_body)
    body, faults = checked(AccountBody, raw)
    if raw.get("active") is True and raw.get("authorization") is None:
        msg = "an account is active only when somebody authorised its use; give authorization"
        faults.append(Fault(loc=("authorization",), code="authorization_required", msg=msg))
    if faults or body is None:
        raise ValidationFailed(faults)
    command = AccountCommand(
        account_id=name_of(request, "account_id", "unknown_account"),
        phone_id=body.phone_id,
        group=body.group,
        active=body.active,
        authorization=body.authorization.model_dump() if body.authorization is not None else None,
        daily_limits=body.daily_limits.model_dump(),
    )
    return json_response(await desk.farm.put_account(command))


async def list_callbacks(request: Request) -> Response:
    state = query_of(request, "state").get("state")
    if state is not None and state not in _STATES:
        msg = f"must be one of {', '.join(_STATES)}"
        raise ValidationFailed([Fault(loc=("query", "state"), code="invalid_choice", msg=msg)])
    return _list(await desk_of(request).farm.list_callbacks(state=state))


async def list_capabilities(request: Request) -> Response:
    query_of(request)
    return _list(registry.as_json())


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/phones",
        scope=Scope.READ,
        handler=list_phones,
        tag="farm",
        summary="The phones",
        answers={200: Answer(text="By id", model=PhoneList)},
        problems={422: {}},
    ),
    Endpoint(
        method="GET",
        path="/phones/{phone_id}",
        scope=Scope.READ,
        handler=get_phone,
        tag="farm",
        summary="A phone",
        answers={200: Answer(text="The phone", model=PhoneShape)},
        problems={404: {"unknown_phone": examples.UNKNOWN_PHONE}, 422: {}},
    ),
    Endpoint(
        method="GET",
        path="/accounts",
        scope=Scope.READ,
        handler=list_accounts,
        tag="farm",
        summary="The accounts",
        answers={200: Answer(text="By id", model=AccountList)},
        problems={422: {}},
    ),
    Endpoint(
        method="GET",
        path="/accounts/{account_id}",
        scope=Scope.READ,
        handler=get_account,
        tag="farm",
        summary="An account",
        answers={200: Answer(text="The account", model=AccountShape)},
        problems={404: {}, 422: {}},
    ),
    Endpoint(
        method="PUT",
        path="/accounts/{account_id}",
        scope=Scope.ADMIN,
        handler=put_account,
        tag="farm",
        summary="Create or replace an account",
        text="An account without authorization is inactive: somebody must answer for its use.",
        body=AccountBody,
        body_examples={"account": examples.ACCOUNT_REQUEST},
        answers={200: Answer(text="The account", model=AccountShape)},
        problems={404: {"unknown_phone": examples.UNKNOWN_PHONE}, 413: {}, 415: {}, 422: {}},
    ),
    Endpoint(
        method="GET",
        path="/callbacks",
        scope=Scope.READ,
        handler=list_callbacks,
        tag="farm",
        summary="Callbacks and how their delivery stands",
        query=(Query(name="state", schema={"type": "string", "enum": _STATES}),),
        answers={200: Answer(text="Newest first", model=CallbackList)},
        problems={422: {}},
    ),
    Endpoint(
        method="GET",
        path="/capabilities",
        scope=Scope.READ,
        handler=list_capabilities,
        tag="farm",
        summary="What can be asked for: modes, routings, inputs and prompts of each capability",
        answers={200: Answer(text="The capability registry", model=CapabilityList)},
        problems={422: {}},
    ),
)
