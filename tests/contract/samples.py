"""The samples of ``examples/``: requests and answers of the API, by where they belong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from phonefarm.serve.app import no_farm_document

FOLDER = Path(__file__).parent / "examples"
ENQUEUE, CANCEL = "POST /capability-requests/enqueue", "POST /processes/{process_id}/cancel"
#: Beginning of a file's name -> operation.
PLACES = {
    "accepted": ENQUEUE,
    "duplicate": ENQUEUE,
    "enqueue": ENQUEUE,
    "key-reused": ENQUEUE,
    "missing-prompt": ENQUEUE,
    "unattended-fyp": ENQUEUE,
    "cancel": CANCEL,
    "maintenance": "POST /maintenance/requests",
    "process": "GET /processes/{process_id}",
    "replay": "POST /processes/{process_id}/replay",
    "account": "PUT /accounts/{account_id}",
    "patch-account": "PATCH /accounts/{account_id}",
    "operation": "POST /phones/{phone_id}/{operation}",
    "key": "POST /keys",
    "queue": "GET /queue",
    "events": "GET /processes/{process_id}/events",
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """``status`` None: a request."""

    name: str
    operation: str
    status: int | None
    body: dict[str, Any]


def samples() -> Iterator[Sample]:
    """Every sample but those of callbacks, which no route answers."""
    for path in sorted(FOLDER.glob("*.json")):
        stem, kind, *status = path.name.removesuffix(".json").split(".")
        if kind == "event":
            continue
        place = next(PLACES[name] for name in sorted(PLACES, key=len, reverse=True) if stem.startswith(name))
        body = json.loads(path.read_text("utf-8"))
        yield Sample(name=path.name, operation=place, status=int(status[0]) if status else None, body=body)


@cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(no_farm_document()))
    return found


def faults(operation: str, status: int, body: Any) -> list[str]:
    """What is wrong with an answer by the OpenAPI document; nothing when it fits."""
    method, path = operation.split(" ")
    path = path.replace("{operation}", "pause")
    content = document()["paths"][path][method.lower()]["responses"][str(status)]["content"]
    schema = {**next(iter(content.values()))["schema"], "components": document()["components"]}
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(body)]


def same_shape(sample: Any, answer: Any, at: str = "$") -> list[str]:
    """Names that a sample has and an answer lacks; lists are compared by their first entries."""
    if isinstance(sample, dict):
        if not isinstance(answer, dict):
            return [f"{at} is no object"]
        missing = [f"{at}.{name} is missing" for name in sample if name not in answer]
        shared = [name for name in sample if name in answer]
        return missing + [fault for name in shared for fault in same_shape(sample[name], answer[name], f"{at}.{name}")]
    if isinstance(sample, list) and sample and isinstance(answer, list) and answer:
        return same_shape(sample[0], answer[0], f"{at}[0]")
    return []
