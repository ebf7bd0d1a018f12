"""The register of faults: which test shows which of the forty faults a farm must survive, and how the tests ended.

A test that shows a fault carries ``@pytest.mark.fault(number)`` (several numbers are allowed; a whole module may carry
it in ``pytestmark``). ``faults.yaml`` says what each fault is and what must happen. From both, and from the outcomes
that a run writes with ``--fault-report PATH``, ``python -m scripts.faults PATH`` makes ``docs/faults.md``.

There are two ways to the marks, on purpose. A run takes them from pytest, with the outcome of every case. ``marks``
reads them from the source without importing anything, so that a check of the page costs no run; a mark must therefore
stand in plain sight: as a decorator, or in a module's ``pytestmark``.

This module is a pytest plugin, loaded by ``conftest.py``.
"""

from __future__ import annotations

import ast
import json
import platform
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

TESTS = Path(__file__).parent
REGISTER = TESTS / "faults.yaml"
NUMBERS = range(1, 41)
Test = ast.FunctionDef | ast.AsyncFunctionDef
#: How pages name a test: its file below ``tests/``, and its name.
NAMED = re.compile(r"\b((?:\w+/)*test_\w+\.py)::(test_\w+)")
_WORST_FIRST = ("failed", "skipped", "passed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """A row of the register. ``missing``: no test shows it yet, and we know."""

    number: int
    fault: str
    expected: str
    missing: bool = False


def register() -> list[Fault]:
    """The rows of ``faults.yaml`` as they stand there."""
    return [Fault(**row) for row in yaml.safe_load(REGISTER.read_text("utf-8"))["faults"]]


# -- reading the source ------------------------------------------------------------------------------------------


def marks() -> dict[int, list[str]]:
    """Fault to the tests that carry its mark, by name and in the order of names."""
    found: dict[int, set[str]] = defaultdict(set)
    for name, test, everywhere in _tests():
        for number in (*everywhere, *(n for mark in test.decorator_list for n in _numbers(mark))):
            found[number].add(name)
    return {number: sorted(names) for number, names in sorted(found.items())}


def all_tests() -> set[str]:
    """The name of every test there is."""
    return {name for name, _, _ in _tests()}


def named_in(text: str) -> set[str]:
    """The tests that a page names."""
    return {f"{file}::{test}" for file, test in NAMED.findall(text)}


@cache
def _tests() -> Sequence[tuple[str, Test, list[int]]]:
    """(name, the test, numbers of its whole module) of every test."""
    return tuple(_read())


def _read() -> Iterator[tuple[str, Test, list[int]]]:
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        everywhere = [number for node in tree.body for number in _of_module(node)]
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield f"{path.relative_to(TESTS).as_posix()}::{node.name}", node, everywhere


def _of_module(node: ast.stmt) -> Iterator[int]:
    if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "pytestmark" for to in node.targets):
        entries = node.value.elts if isinstance(node.value, ast.List) else [node.value]
        for entry in entries:
            yield from _numbers(entry)


def _numbers(mark: ast.expr) -> Iterator[int]:
    """Those of ``pytest.mark.fault(1, 2)``; none for any other expression."""
    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
        yield from (ast.literal_eval(number) for number in mark.args)


# -- the plugin --------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-report", metavar="PATH", help="write how the tests of each fault ended, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(*numbers): shows what happens at these faults of tests/faults.yaml")
    if path := config.getoption("--fault-report"):
        config.pluginmanager.register(Reporter(Path(path)), "fault-reporter")


class Reporter:
    """Gathers the worst outcome of each marked test over its cases; one whose cases did not all run is not finished.

    With workers side by side each of them collects all tests and tells, when it ends, what it knows of their marks; the
    outcomes come to the one who started the workers, who writes the report.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._faults: dict[str, list[int]] = {}
        self._cases: Counter[str] = Counter()
        self._outcomes: dict[str, list[str]] = defaultdict(list)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            numbers = sorted({number for mark in item.iter_markers("fault") for number in mark.args})
            if numbers:
                self._faults[_name(item.nodeid)] = numbers
                self._cases[_name(item.nodeid)] += 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self._outcomes[_name(report.nodeid)].append(report.outcome)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        known = getattr(node, "workeroutput", {}).get("faults", {})
        self._faults.update(known.get("faults", {}))
        self._cases.update({name: n for name, n in known.get("cases", {}).items() if name not in self._cases})

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["faults"] = {"faults": self._faults, "cases": dict(self._cases)}
            return
        self._path.write_text(json.dumps(self.as_json(), indent=2) + "\n", "utf-8")

    def as_json(self) -> dict[str, Any]:
        """``tests``: name to the faults it shows, its worst outcome and the number of its cases."""
        tests = {
            name: {
                "faults": self._faults[name],
                "outcome": worst(seen, of=self._cases[name]),
                "cases": self._cases[name],
            }
            for name, seen in sorted(self._outcomes.items())
            if name in self._faults
        }
        day = datetime.now(UTC).date().isoformat()
        return {"day": day, "python": platform.python_version(), "tests": tests}


def worst(outcomes: list[str], *, of: int) -> str:
    """The worst of several outcomes of pytest; ``of``: how many there should be."""
    found = min(outcomes, key=_WORST_FIRST.index)
    return found if found != "passed" or len(outcomes) >= of else "not finished"


def _name(nodeid: str) -> str:
    return nodeid.partition("[")[0].removeprefix("tests/")
