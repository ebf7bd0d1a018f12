"""The OpenAPI document: every route, with models, errors and examples that are true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from phonefarm.serve.routes import ENDPOINTS
from tests.unit.serve.fake_farm import FakeFarm
from tests.unit.serve.http import build

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(build(FakeFarm()).openapi()))
    return found


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def _contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from part.get("content", {}).values()


def test_every_route_is_there(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert {name for name, _ in _operations(document)} == {f"{e.method} {e.path}" for e in ENDPOINTS}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    text = json.dumps(document)
    for part in text.split('"$ref": "')[1:]:
        reference = part.partition('"')[0]
        assert reference.removeprefix("#/components/schemas/") in schemas
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    count = 0
    for name, operation in _operations(document):
        for content in _contents(operation):
            schema = {**content["schema"], "components": document["components"]}
            for title, example in content.get("examples", {}).items():
                errors = [error.message for error in Draft202012Validator(schema).iter_errors(example["value"])]
                assert not errors, (name, title, errors)
                count += 1
    assert count > 40


def test_errors_are_problems_and_keys_are_asked_for(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        open_to_all = name in ("GET /healthz", "GET /readyz")
        assert operation["security"] == ([] if open_to_all else [{"bearer": []}])
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (name, status)
        assert open_to_all or {"401", "403", "500", "503"} <= set(operation["responses"])
    assert "HTTPValidationError" not in json.dumps(document)
