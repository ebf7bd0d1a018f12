"""The verdict over a storm, and how it is shown: a table for people, JSON for programs."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from tests.chaos import reading
from tests.chaos.checker import check
from tests.chaos.records import Delivery, Records, Rows, Violation
from tests.chaos.storm.blows import Struck
from tests.chaos.storm.course import Logbook, Plan
from tests.chaos.storm.hook import Hook
from tests.chaos.storm.rack import Rack
from tests.chaos.storm.witness import sightings, touches

#: The questions of a storm, each with the rules of the checker that answer it.
QUESTIONS = {
    "acknowledged processes lost": ("R1",),
    "keys with two processes": ("keys",),
    "overlaps on a phone or an account, stale attempts": ("R3", "accounts"),
    "non-repeatable actions run twice": ("R4",),
    "changes after a final state": ("R2",),
    "history, state and outbox that disagree": ("R5",),
    "unbounded attempts, cancels not kept": ("R7", "R8"),
    "callbacks missing or out of order": ("callbacks",),
}
#: A phone may end in one of these, the others need a person.
KNOWN = frozenset({"available"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """``troubles``: what is wrong though no rule of the checker names it."""

    plan: Plan
    book: Logbook
    violations: list[Violation]
    troubles: list[str]
    numbers: dict[str, Any]
    kinds: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return not self.violations and not self.troubles


def judge(plan: Plan, directory: Path, book: Logbook, *, rack: Rack, url: str, hook: Hook) -> Verdict:
    """Read the three records and compare them."""
    rows = reading.rows(url)
    seen = [sighting for phone in rack.phones for sighting in sightings(rack.journals, phone)]
    requests = reading.requests(directory / "clients.jsonl")
    records = Records(
        rows=rows,
        requests=requests,
        touches=touches(seen, rows),
        deliveries=list(_deliveries(hook.file)),
        touches_complete=False,
    )
    numbers = {
        "requests sent": len(requests),
        "answered": sum(r.status is not None for r in requests),
        "accepted (202)": sum(r.status == 202 for r in requests),
        "processes": len(rows.processes),
        "items": len(rows.items),
        "attempts": sum(item["attempt"] for item in rows.items),
        "actions": len(rows.actions),
        "interrupted for good": sum(a["status"] == "interrupted" for a in rows.actions),
        "callbacks": len(rows.outbox),
        "deliveries": len(records.deliveries),
        "videos seen by phones": sum(t.kind == "watch" for t in records.touches),
        "reboots seen by phones": sum(t.kind == "reboot" for t in records.touches),
    }
    return Verdict(
        plan=plan,
        book=book,
        violations=check(records),
        troubles=list(_troubles(book)),
        numbers=numbers,
        kinds=_ends(rows),
    )


def _deliveries(file: Path) -> Iterable[Delivery]:
    for text in file.read_text("utf-8").splitlines():
        line = json.loads(text)
        event = json.loads(line["body"])
        yield Delivery(
            process_id=event["process"]["process_id"],
            sequence=event["sequence"],
            event_id=event["event_id"],
            milestone=event["milestone"],
            at=line["at"],
            status=line["status"] or None,
            body=line["body"].encode(),
        )


def _troubles(book: Logbook) -> Iterable[str]:
    if book.unanswered:
        yield f"{len(book.unanswered)} orders were never answered, such as {book.unanswered[0]}"
    if book.open_processes:
        yield f"{len(book.open_processes)} processes have not ended, such as {book.open_processes[0]}"
    if book.pending_callbacks:
        yield f"{book.pending_callbacks} callbacks are still to be delivered"
    for phone in book.phones:
        if phone["state"] not in KNOWN:
            yield f"phone {phone['phone_id']} is {phone['state']}: {phone['why']}"
    if book.left_behind:
        yield f"processes left behind: {book.left_behind}"


def _ends(rows: Rows) -> dict[str, int]:
    """How items ended, by state and error code."""
    words = (f"{item['state']} {(item['error'] or {}).get('code', '')}".strip() for item in rows.items)
    return dict(Counter(words).most_common())


def recoveries(struck: Iterable[Struck]) -> list[tuple[str, int, float, float]]:
    """(blow, times, median and worst seconds until all worked again)."""
    found: dict[str, list[float]] = {}
    for blow in struck:
        found.setdefault(blow.name, []).append(blow.seconds)
    return [(name, len(all_), statistics.median(all_), max(all_)) for name, all_ in sorted(found.items())]


def write(verdict: Verdict, path: Path, out: TextIO) -> None:
    """The table to ``out``, all of it as JSON to ``path``."""
    body = {
        "plan": asdict(verdict.plan),
        "good": verdict.good,
        "numbers": verdict.numbers,
        "ends": verdict.kinds,
        "book": asdict(verdict.book),
        "violations": [asdict(violation) for violation in verdict.violations],
        "troubles": verdict.troubles,
    }
    path.write_text(json.dumps(body, indent=1, default=str))
    out.write("\n".join(_table(verdict)) + "\n")


def _table(verdict: Verdict) -> Iterable[str]:
    plan, book = verdict.plan, verdict.book
    yield f"\nstorm: seed {plan.seed}, {plan.minutes:g} minutes, {plan.db}, {plan.phones} phones; {book.seconds:.0f} s"
    yield from (f"  {name:<40} {number}" for name, number in verdict.numbers.items())
    yield "how items ended"
    yield from (f"  {name:<40} {number}" for name, number in verdict.kinds.items())
    yield "weather"
    yield from (f"  {name:<40} {number}" for name, number in sorted(book.weather.items()))
    yield f"{'blow':<30} {'times':>5} {'median':>8} {'worst':>8}  seconds until all worked again"
    for name, times, median, worst in recoveries(book.struck):
        yield f"{name:<30} {times:>5} {median:>8.1f} {worst:>8.1f}"
    yield "checker"
    for question, rules in QUESTIONS.items():
        yield f"  {question:<55} {sum(v.rule in rules for v in verdict.violations)}"
    yield from (f"  violation: {violation}" for violation in verdict.violations[:40])
    yield from (f"  trouble: {trouble}" for trouble in verdict.troubles)
    yield from (f"  note: {note}" for note in book.notes)
    yield "good" if verdict.good else "NOT GOOD"
