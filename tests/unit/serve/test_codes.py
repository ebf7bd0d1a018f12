"""Every code that can be raised is explained."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from phonefarm.serve import codes, faults
from tests.contract.bad_requests import CASES

pytestmark = pytest.mark.timeout(60)

PROGRAM = Path(codes.__file__).parents[1]
ROOMS = ("serve", "store", "core", "models", "actors", "callbacks")
#: Calls whose first argument is a code, by name.
RAISED = {
    *("NotFound", "Conflict", "Forbidden", "TooManyRequests", "PayloadTooLarge", "UnsupportedMedia", "NotAcceptable"),
    "PydanticCustomError",
}
#: Of ``core.prompts``, given other names before they leave (``faults.same_codes``).
RENAMED = {"invalid_type", "empty_string"}


def written() -> Iterator[str]:
    """Codes that stand as texts in the program, up to a colon or to a part that is filled in."""
    for path in (path for room in ROOMS for path in (PROGRAM / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield from _codes_of(node)


def _codes_of(call: ast.Call) -> Iterator[str]:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    found = call.args[:1] if name in RAISED else []
    if name == "Fault":
        found = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    for node in found:
        first = node.values[0] if isinstance(node, ast.JoinedStr) else node
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value.partition(":")[0]


def test_every_code_in_the_program_is_explained() -> None:
    found = {code for code in written() if not code.endswith("_")} - RENAMED
    assert len(found) > 40
    assert found | set(faults._CODES.values()) <= set(codes.PROBLEMS)


def test_every_code_of_a_bad_request_is_explained() -> None:
    assert {case.code for case in CASES} <= set(codes.PROBLEMS)


def test_a_process_s_errors_say_what_to_do() -> None:
    found = codes.process_errors()
    assert {"device_lost", "app_missing", "install_refused", "interrupted", "expired"} <= set(found)
    assert all(found.values())
