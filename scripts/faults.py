"""Makes docs/faults.md from tests/faults.yaml, the marks of the tests and the outcomes of a run.

    pytest --fault-report faults.json && python -m scripts.faults faults.json

A run may be of marked tests alone (``-m fault``). Several reports may be given; a later one counts for what it ran.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faultregister import Fault, marks, register

PAGE = Path(__file__).parent.parent / "docs" / "faults.md"
_HEAD = """# Forty faults, and what happens

Made by `scripts/faults.py` from `tests/faults.yaml`, the marks of the tests, and the outcomes of {run}; do not edit.
A check in the suite fails when a row has no test, or when a test that is named here is gone or a new one is not named.

In every row: nothing that was accepted is lost, a process has one end, a phone is in a known state or set apart, and
what went wrong has a name. Names of tests are those below `tests/`. "(n cases)": one test over a table of n.

| # | fault | what must happen | shown by | outcome |
|---|---|---|---|---|
"""
NOT_RUN = "not in this run"
NO_TEST = "no test yet"


def merged(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several reports as one."""
    tests = {name: seen for report in reports for name, seen in report["tests"].items()}
    days = sorted({report["day"] for report in reports})
    pythons = sorted({report["python"] for report in reports})
    return {"day": " and ".join(days), "python": " and ".join(pythons), "tests": tests}


def page(rows: Sequence[Fault], shown_by: Mapping[int, Sequence[str]], report: Mapping[str, Any]) -> str:
    """The whole page."""
    run = f"a run of {report['day']} on Python {report['python']}" if report["tests"] else "no run"
    lines = [_row(row, shown_by.get(row.number, ()), report["tests"]) for row in rows]
    return _HEAD.format(run=run) + "\n".join(lines) + "\n"


def _row(row: Fault, names: Sequence[str], tests: Mapping[str, Any]) -> str:
    shown = "<br>".join(f"`{name}`" for name in names) or NO_TEST
    outcomes = "<br>".join(_outcome(tests.get(name)) for name in names) or NO_TEST
    return f"| {row.number} | {row.fault} | {row.expected} | {shown} | {outcomes} |"


def _outcome(seen: Mapping[str, Any] | None) -> str:
    if seen is None:
        return NOT_RUN
    cases = f" ({seen['cases']} cases)" if seen["cases"] > 1 else ""
    return f"{seen['outcome']}{cases}"


def main() -> None:
    reports = [json.loads(Path(name).read_text("utf-8")) for name in sys.argv[1:]]
    if not reports:
        sys.exit("name at least one report, made with: pytest --fault-report faults.json")
    PAGE.write_text(page(register(), marks(), merged(reports)), "utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
