"""schemathesis against any farm: what may be sent by the OpenAPI document is sent, and the answers are held to it.

Each operation gets its own share of examples, always the same ones (``derandomize``). Parts of a path are now and then
replaced by ids that the farm knows, or nothing but 404 would be seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]


@dataclass(slots=True)
class Fuzzed:
    """What was seen: cases and (operation, status) pairs."""

    cases: int = 0
    seen: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def summary(self) -> str:
        operations = {operation for operation, _ in self.seen}
        return f"{self.cases} cases, {len(operations)} operations, {len(self.seen)} operation-status pairs"


def fuzz(
    document: dict[str, Any],
    base_url: str,
    key: str,
    *,
    examples: int,
    known: Mapping[str, Sequence[str]],
    spared: frozenset[str] = frozenset(),
) -> Fuzzed:
    """Send ``examples`` cases to every operation but the ``spared`` (``POST /path``). Raises on the first bad answer.

    ``known``: values of path parameters that exist.
    """
    found = Fuzzed()
    schema = schemathesis.openapi.from_dict(document)
    for operation in _operations(schema):
        if operation.label not in spared:
            _fuzz_one(operation, base_url, key, examples, known, found)
    return found


def _operations(schema: Any) -> Iterator[Any]:
    for result in schema.get_all_operations():
        yield result.ok()


def _fuzz_one(
    operation: Any, base_url: str, key: str, examples: int, known: Mapping[str, Sequence[str]], found: Fuzzed
) -> None:
    headers = {"Authorization": f"Bearer {key}"}

    @settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), data=st.data())
    def run(case: Any, data: st.DataObject) -> None:
        for name in case.path_parameters or {}:
            if known.get(name) and data.draw(st.booleans()):
                case.path_parameters[name] = data.draw(st.sampled_from(list(known[name])))
        if "wait" in (case.query or {}):
            case.query["wait"] = 0.1
        response = case.call(base_url=base_url, headers=headers, timeout=60)
        case.validate_response(response, checks=CHECKS)
        found.cases += 1
        found.seen[operation.label, response.status_code] += 1

    run()
