"""Accounts: who lives where, who authorised their use, and how much of a day they may be used."""

from __future__ import annotations

from fastapi import Request, Response

from phonefarm.errors import Fault, ValidationFailed
from phonefarm.models.process import AccountCommand, AccountPatch
from phonefarm.models.requests import AccountBody, AccountPatchBody
from phonefarm.serve import examples
from phonefarm.serve import examples_more as more
from phonefarm.serve.auth import Scope
from phonefarm.serve.body import read_json
from phonefarm.serve.desk import desk_of, name_of, query_of
from phonefarm.serve.endpoint import Answer, Endpoint
from phonefarm.serve.faults import checked
from phonefarm.serve.problems import json_response
from phonefarm.serve.schemas import AccountList, AccountShape


async def list_accounts(request: Request) -> Response:
    query_of(request)
    return json_response({"items": await desk_of(request).farm.list_accounts(), "next_cursor": None})


async def get_account(request: Request) -> Response:
    query_of(request)
    return json_response(await desk_of(request).farm.get_account(_account_id(request)))


def _account_id(request: Request) -> str:
    return name_of(request, "account_id", "unknown_account")


async def put_account(request: Request) -> Response:
    desk = desk_of(request)
    raw = await read_json(request, desk.max_body)
    query_of(request)
    body, faults = checked(AccountBody, raw)
    if raw.get("active") is True and raw.get("authorization") is None:
        msg = "an account is active only when somebody authorised its use; give authorization"
        faults.append(Fault(loc=("authorization",), code="authorization_required", msg=msg))
    if faults or body is None:
        raise ValidationFailed(faults)
    command = AccountCommand(
        account_id=_account_id(request),
        phone_id=body.phone_id,
        group=body.group,
        active=body.active,
        authorization=body.authorization.model_dump() if body.authorization is not None else None,
        daily_limits=body.daily_limits.model_dump(),
    )
    return json_response(await desk.farm.put_account(command))


async def patch_account(request: Request) -> Response:
    desk = desk_of(request)
    raw = await read_json(request, desk.max_body)
    query_of(request)
    body, faults = checked(AccountPatchBody, raw)
    if body is None:
        raise ValidationFailed(faults)
    changes = body.model_dump(exclude_unset=True)
    return json_response(await desk.farm.patch_account(AccountPatch(account_id=_account_id(request), changes=changes)))


_UNKNOWN = {404: {"unknown_account": more.UNKNOWN_ACCOUNT}}
_ANSWER = {200: Answer(text="The account", model=AccountShape, examples={"account": more.ACCOUNT})}
_BAD = {404: {"unknown_phone": examples.UNKNOWN_PHONE, **_UNKNOWN[404]}, 413: {}, 415: {}}

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/accounts",
        scope=Scope.READ,
        handler=list_accounts,
        tag="accounts",
        summary="The accounts",
        answers={200: Answer(text="By id", model=AccountList, examples={"accounts": more.listed(more.ACCOUNT)})},
        problems={422: {}},
    ),
    Endpoint(
        method="GET",
        path="/accounts/{account_id}",
        scope=Scope.READ,
        handler=get_account,
        tag="accounts",
        summary="An account",
        answers=_ANSWER,
        problems={**_UNKNOWN, 422: {}},
    ),
    Endpoint(
        method="PUT",
        path="/accounts/{account_id}",
        scope=Scope.ADMIN,
        handler=put_account,
        tag="accounts",
        summary="Create or replace an account",
        text="An account without authorization is inactive: somebody must answer for its use.",
        body=AccountBody,
        body_examples={"account": examples.ACCOUNT_REQUEST},
        answers=_ANSWER,
        problems={**_BAD, 422: {"authorization_required": more.AUTHORIZATION_REQUIRED}},
    ),
    Endpoint(
        method="PATCH",
        path="/accounts/{account_id}",
        scope=Scope.ADMIN,
        handler=patch_account,
        tag="accounts",
        summary="Change parts of an account",
        text="What is not named stays; null takes a value away. The account that results obeys the rules of PUT.",
        body=AccountPatchBody,
        body_examples={"limits": {"daily_limits": {"sessions": 6}}},
        answers=_ANSWER,
        problems={**_BAD, 422: {"authorization_required": more.AUTHORIZATION_REQUIRED}},
    ),
)
