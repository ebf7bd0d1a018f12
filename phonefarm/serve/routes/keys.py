"""API keys: made, listed, revoked. A secret is shown once, to whoever made it, and kept as its hash only."""

from __future__ import annotations

import secrets

from fastapi import Request, Response

from phonefarm.errors import ValidationFailed
from phonefarm.models.process import KeyCommand
from phonefarm.models.requests import KeyBody
from phonefarm.serve import examples_more as more
from phonefarm.serve.auth import Scope, digest_of
from phonefarm.serve.body import read_json
from phonefarm.serve.desk import desk_of, name_of, query_of
from phonefarm.serve.endpoint import Answer, Endpoint
from phonefarm.serve.faults import checked
from phonefarm.serve.problems import json_response
from phonefarm.serve.schemas import KeyList, KeyShape, NewKeyShape

#: So that a key is known for one wherever it is found.
PREFIX = "pf_"


async def list_keys(request: Request) -> Response:
    query_of(request)
    return json_response({"items": await desk_of(request).farm.list_keys(), "next_cursor": None})


async def create_key(request: Request) -> Response:
    desk = desk_of(request)
    raw = await read_json(request, desk.max_body)
    query_of(request)
    body, faults = checked(KeyBody, raw)
    if body is None:
        raise ValidationFailed(faults)
    secret = PREFIX + secrets.token_urlsafe(32)
    scopes = tuple(sorted(set(body.scopes)))
    command = KeyCommand(name=body.name, digest=digest_of(secret.encode()).hex(), scopes=scopes, system=body.system)
    made = await desk.farm.create_key(command)
    return json_response({**made, "secret": secret}, 201, {"Cache-Control": "no-store"})


async def revoke_key(request: Request) -> Response:
    query_of(request)
    return json_response(await desk_of(request).farm.revoke_key(name_of(request, "name", "unknown_key")))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/keys",
        scope=Scope.ADMIN,
        handler=list_keys,
        tag="keys",
        summary="The keys, revoked ones too",
        answers={200: Answer(text="By name", model=KeyList, examples={"keys": more.listed(more.KEY)})},
        problems={422: {}},
    ),
    Endpoint(
        method="POST",
        path="/keys",
        scope=Scope.ADMIN,
        handler=create_key,
        tag="keys",
        summary="Make a key",
        text="The secret is in this answer and nowhere else. A name can be used once.",
        body=KeyBody,
        body_examples={"key": more.KEY_REQUEST},
        answers={
            201: Answer(
                text="The key, with its secret",
                model=NewKeyShape,
                examples={"key": {**more.KEY, "secret": "pf_example"}},
            )
        },
        problems={409: {"key_exists": more.KEY_EXISTS}, 413: {}, 415: {}, 422: {}},
    ),
    Endpoint(
        method="DELETE",
        path="/keys/{name}",
        scope=Scope.ADMIN,
        handler=revoke_key,
        tag="keys",
        summary="Revoke a key",
        text="It stops working within two seconds. Again is harmless.",
        answers={200: Answer(text="The key", model=KeyShape, examples={"key": more.KEY})},
        problems={404: {"unknown_key": more.UNKNOWN_KEY}, 422: {}},
    ),
)
