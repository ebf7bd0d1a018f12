"""Pages that name tests are held to the tests there are; nothing is run for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.faults import page
from tests.faultregister import NUMBERS, TESTS, all_tests, marks, named_in, register, worst

pytestmark = pytest.mark.timeout(60)

DOCS = TESTS.parent / "docs"
AGAIN = "pytest -m fault --fault-report faults.json && python -m scripts.faults faults.json"


def test_the_register_has_every_fault_once_and_in_order() -> None:
    rows = register()
    assert [row.number for row in rows] == list(NUMBERS)
    assert all(row.fault.strip() and row.expected.strip() for row in rows)
    assert len({row.fault for row in rows}) == len(rows)
    assert "|" not in "".join(row.fault + row.expected for row in rows), "it would break the table"


def test_marks_are_of_faults_that_there_are() -> None:
    assert set(marks()) <= set(NUMBERS)


def test_every_fault_has_a_test_but_those_that_are_said_to_have_none() -> None:
    """Whoever writes the first test of a fault takes ``missing`` off in faults.yaml."""
    missing = {row.number for row in register() if row.missing}
    assert set(NUMBERS) - set(marks()) == missing


def test_the_page_of_faults_names_exactly_the_tests_that_are_marked() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*)$", (DOCS / "faults.md").read_text("utf-8"), re.MULTILINE)
    named = {int(number): sorted(named_in(text)) for number, text in rows}
    shown = marks()
    assert named == {number: shown.get(number, []) for number in NUMBERS}, f"make the page again: {AGAIN}"


def test_the_page_of_faults_says_what_the_register_says() -> None:
    made = page(register(), marks(), {"day": "", "python": "", "tests": {}})
    kept = (DOCS / "faults.md").read_text("utf-8")
    for number in NUMBERS:
        assert _words(made, number) == _words(kept, number), f"make the page again: {AGAIN}"


def _words(text: str, number: int) -> list[str]:
    """Fault and expectation of a row, as the page has them."""
    (row,) = re.findall(rf"^\| {number} \| (.*)$", text, re.MULTILINE)
    return str(row).split(" | ")[:2]


@pytest.mark.parametrize("name", ["faults.md", "guarantees.md", "security.md"])
def test_every_test_that_a_page_names_exists(name: str) -> None:
    text = (DOCS / name).read_text("utf-8")
    named = named_in(text)
    assert len(named) > 20
    assert named <= all_tests(), f"{name} names tests that are not there: {sorted(named - all_tests())}"
    loose = re.findall(r"`(test_\w+)`", text)
    assert not loose, f"{name}: write the file too: {loose}"


def test_a_report_has_the_worst_outcome_of_a_test_s_cases() -> None:
    assert worst(["passed", "failed", "passed"], of=3) == "failed"
    assert worst(["passed", "skipped"], of=2) == "skipped"
    assert worst(["passed", "passed"], of=2) == "passed"
    assert worst(["passed"], of=2) == "not finished"


def test_a_run_writes_how_its_marked_tests_ended(tmp_path: Path) -> None:
    """A run of its own, of two tests: one that shows a fault, one that shows none."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tests.faultregister"]\n')
    marked = "@pytest.mark.fault(7)\n@pytest.mark.parametrize('n', [1, 2])\ndef test_marked(n): assert n < 2\n"
    (tmp_path / "test_two.py").write_text(f"import pytest\n{marked}def test_other(): pass\n")
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, f"--rootdir={tmp_path}", str(tmp_path)]
    done = subprocess.run(
        [*command, "--fault-report", str(report)], cwd=TESTS.parent, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert json.loads(report.read_text())["tests"] == {
        "test_two.py::test_marked": {"faults": [7], "outcome": "failed", "cases": 2}
    }
