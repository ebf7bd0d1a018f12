"""What operators do to phones, one by one or all of a host or group."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request, Response

from phonefarm.errors import ValidationFailed
from phonefarm.models.process import OperateCommand, Operation, OperationScope
from phonefarm.models.requests import OperationBody
from phonefarm.serve import examples_more as more
from phonefarm.serve.auth import Scope
from phonefarm.serve.body import read_json
from phonefarm.serve.desk import desk_of, key_of, name_of, query_of
from phonefarm.serve.endpoint import Answer, Endpoint
from phonefarm.serve.faults import checked
from phonefarm.serve.problems import json_response
from phonefarm.serve.schemas_farm import PhoneList, PhoneShape

_TEXTS = {
    Operation.PAUSE: "Give it no new work; what runs goes on.",
    Operation.RESUME: "Undo pause and drain, through a check.",
    Operation.DRAIN: "Let what runs end, then pause.",
    Operation.QUARANTINE: "Take it out at once; what runs is broken off and goes elsewhere.",
    Operation.RELEASE: "Undo quarantine and retirement, through a check.",
    Operation.RETIRE: "Take it out for good; what is pinned to it is refused from now on.",
}
_PARAMETER = {
    OperationScope.PHONE: ("phones", "phone_id", "unknown_phone"),
    OperationScope.HOST: ("hosts", "host", "unknown_host"),
    OperationScope.GROUP: ("groups", "group", "unknown_group"),
}


def _handler(scope: OperationScope, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    _, parameter, unknown = _PARAMETER[scope]

    async def operate(request: Request) -> Response:
        desk = desk_of(request)
        raw = await read_json(request, desk.max_body)
        query_of(request)
        body, faults = checked(OperationBody, raw)
        if body is None:
            raise ValidationFailed(faults)
        command = OperateCommand(
            scope=scope,
            name=name_of(request, parameter, unknown),
            operation=operation,
            reason=body.reason,
            by=key_of(request).name,
        )
        phones = await desk.farm.operate(command)
        return json_response(_shown(scope, phones))

    operate.__name__ = f"{operation.value}_{scope.value}"
    return operate


def _shown(scope: OperationScope, phones: list[dict[str, Any]]) -> dict[str, Any]:
    return phones[0] if scope is OperationScope.PHONE else {"items": phones, "next_cursor": None}


def _endpoint(scope: OperationScope, operation: Operation) -> Endpoint:
    place, parameter, unknown = _PARAMETER[scope]
    one = scope is OperationScope.PHONE
    return Endpoint(
        method="POST",
        path=f"/{place}/{{{parameter}}}/{operation.value}",
        scope=Scope.OPERATE,
        handler=_handler(scope, operation),
        tag="operations",
        summary=f"{operation.value.capitalize()} {'a phone' if one else f'the phones of a {scope.value}'}",
        text=_TEXTS[operation],
        body=OperationBody,
        body_examples={"reason": {"reason": "new battery"}},
        answers={
            200: Answer(text="The phone as it now is", model=PhoneShape, examples={"phone": more.PHONE})
            if one
            else Answer(text="Its phones", model=PhoneList, examples={"phones": more.listed(more.PHONE)})
        },
        problems={
            404: {unknown: more.problem(404, "Not found", unknown, f"{unknown}:nobody")},
            **({409: {"not_possible": more.NOT_POSSIBLE}} if one else {}),
            413: {},
            415: {},
            422: {},
        },
    )


_OF_MANY = (Operation.DRAIN, Operation.RESUME)

ENDPOINTS = (
    *(_endpoint(OperationScope.PHONE, operation) for operation in Operation),
    *(_endpoint(scope, operation) for scope in (OperationScope.HOST, OperationScope.GROUP) for operation in _OF_MANY),
)
