"""The OpenAPI document, made of the endpoints and of the models' JSON Schemas.

The app parses bodies and writes answers itself, so FastAPI knows of neither; what it would guess is replaced by
what the endpoints say. Errors are problem+json throughout.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from phonefarm.serve import codes, examples
from phonefarm.serve.endpoint import JSON, Answer, Endpoint, Query
from phonefarm.serve.problems import MEDIA_TYPE
from phonefarm.serve.schemas import Problem

_REF = "#/components/schemas/{model}"
_PATH_NAME = re.compile(r"\{(\w+)\}")
#: What every route with a key may answer.
_COMMON: Mapping[int, Mapping[str, Any]] = {
    401: {"unauthorized": examples.UNAUTHORIZED},
    403: {"missing_scope": examples.MISSING_SCOPE},
    500: {"internal_error": examples.INTERNAL_ERROR},
    503: {"unavailable": examples.UNAVAILABLE},
}
_RETRY_AFTER = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
_HEADERS: Mapping[str, Any] = {
    "ETag": {"description": "of this body, for `If-None-Match`", "schema": {"type": "string"}},
}
_AUTHENTICATE = {"WWW-Authenticate": {"description": "how to sign in", "schema": {"type": "string"}}}
_LOCATION = {"Location": {"description": "the process", "schema": {"type": "string"}}}


def operation(endpoint: Endpoint) -> dict[str, Any]:
    """What an endpoint says of itself, as an OpenAPI operation."""
    return {
        **({"requestBody": _request_body(endpoint)} if endpoint.body is not None else {}),
        **({"parameters": parameters} if (parameters := list(_parameters(endpoint))) else {}),
        "responses": {str(status): response for status, response in _responses(endpoint)},
        "security": [] if endpoint.scope is None else [{"bearer": []}],
        **({} if endpoint.scope is None else {"x-scope": endpoint.scope.value}),
    }


def complete(document: dict[str, Any], endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """FastAPI's document with our operations, schemas and the way to sign in."""
    for endpoint in endpoints:
        document["paths"][endpoint.path][endpoint.method.lower()].update(operation(endpoint))
    document["components"] = {
        "schemas": _schemas(endpoints),
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
    }
    document["x-codes"] = dict(codes.PROBLEMS)
    document["x-process-error-codes"] = codes.process_errors()
    return document


def _schemas(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    bodies = {endpoint.body for endpoint in endpoints if endpoint.body is not None}
    answers = {a.model for endpoint in endpoints for a in endpoint.answers.values() if a.model is not None}
    validated = [(model, "validation") for model in _sorted({*bodies, *answers, Problem})]
    _, found = models_json_schema(validated, ref_template=_REF, by_alias=True)  # type: ignore[arg-type]
    schemas: dict[str, Any] = found["$defs"]
    return schemas


def _sorted(models: Iterable[type[BaseModel]]) -> list[type[BaseModel]]:
    return sorted(models, key=lambda model: model.__name__)


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _examples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"examples": {name: {"value": value} for name, value in values.items()}} if values else {}


def _request_body(endpoint: Endpoint) -> dict[str, Any]:
    assert endpoint.body is not None
    return {
        "required": True,
        "content": {JSON: {"schema": _ref(endpoint.body), **_examples(endpoint.body_examples)}},
    }


def _parameters(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    for name in _PATH_NAME.findall(endpoint.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    for place, queries in (("query", endpoint.query), ("header", endpoint.header)):
        for query in queries:
            yield _parameter(place, query)


def _parameter(place: str, query: Query) -> dict[str, Any]:
    shown = {"description": query.text} if query.text else {}
    return {"name": query.name, "in": place, "required": False, "schema": dict(query.schema), **shown}


def _responses(endpoint: Endpoint) -> Iterator[tuple[int, dict[str, Any]]]:
    for status, answer in endpoint.answers.items():
        yield status, _good(answer)
    common = _COMMON if endpoint.scope is not None else {500: {}, 503: {}}
    for status, shown in sorted({**common, **endpoint.problems}.items()):
        yield status, _bad(status, shown)


def _good(answer: Answer) -> dict[str, Any]:
    headers = {**(_LOCATION if answer.location else {}), **{name: _HEADERS[name] for name in answer.headers}}
    shown = {"description": answer.text, **({"headers": headers} if headers else {})}
    if answer.empty:
        return shown
    schema = _ref(answer.model) if answer.model is not None else _plain(answer.media_type)
    content = {answer.media_type: {"schema": schema, **_examples(answer.examples)}}
    return {**shown, "content": {**content, **{name: {"schema": _plain(name)} for name in answer.also}}}


def _plain(media_type: str) -> dict[str, str]:
    """The schema of what is no JSON."""
    if media_type == JSON:
        return {}
    return {"type": "string"} if media_type.startswith("text/") else {"type": "string", "format": "binary"}


def _bad(status: int, shown: Mapping[str, Any]) -> dict[str, Any]:
    named = {401: _AUTHENTICATE, 429: _RETRY_AFTER, 503: _RETRY_AFTER}.get(status)
    headers = {"headers": named} if named else {}
    content = {MEDIA_TYPE: {"schema": _ref(Problem), **_examples(shown)}}
    return {"description": HTTPStatus(status).phrase, **headers, "content": content}
