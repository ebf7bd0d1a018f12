"""What a campaign tells: a table for people, one JSON object for programs. Pure but for rich."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.table import Table

from phonefarm.cli import views
from phonefarm.cli.maintain.campaign import EXITS, Campaign, Outcome, Record
from phonefarm.cli.maintain.planner import Standing, Terms, decide

#: In the table, what a person must look at stands first.
_RANK = {Standing.FAILED: 0, Standing.SENT: 1, Standing.MISSED: 2, Standing.WAITING: 3, Standing.DONE: 4}
_WORDS: Mapping[Outcome, str] = {
    Outcome.DONE: "every phone is done",
    Outcome.NOT_ALL_REACHED: "not every phone was reached; the same command tries those again",
    Outcome.SOME_FAILED: "some phones failed; --retry-failed tries them again",
    Outcome.STOPPED: "stopped; --retry-failed tries the phones that failed again, and goes on if they succeed",
    Outcome.PAUSED: "paused; it goes on with: phonefarm maintain resume",
}


def table(campaign: Campaign, away: Mapping[str, str]) -> Table:
    """A row a phone."""
    records = sorted(campaign.records, key=lambda one: _RANK[one.standing])
    rows = [
        (one.phone_id, one.host, one.model, _wave(one), one.standing.value, one.process_id, why_of(one, away))
        for one in records
    ]
    columns = ("phone", "host", "model", "wave", "state", "process", "why")
    return views.table(f"campaign {campaign.name}", columns, rows)


def plan_table(campaign: Campaign, away: Mapping[str, str]) -> Table:
    """What a run would do if no phone failed: its waves, and the phones it would not reach."""
    rows = [(*row, "") for row in _waves(campaign, away)]
    rows += [
        ("not now", record.phone_id, away[record.phone_id]) for record in campaign.records if record.phone_id in away
    ]
    return views.table(f"campaign {campaign.name}", ("wave", "phones", "why"), rows)


def _waves(campaign: Campaign, away: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """By the planner itself, every phone it sends being done at once."""
    found: list[tuple[str, str]] = []
    standings = {one.phone_id: one.standing for one in campaign.records}
    while True:
        now = [replace(one, standing=standings[one.phone_id]) for one in campaign.entries(away)]
        decision = decide(campaign.terms, now)
        if not decision.send:
            return found
        name = "canary" if decision.canary else f"wave {sum(row[0] != 'canary' for row in found) + 1}"
        found.append((name, ", ".join(decision.send)))
        standings |= dict.fromkeys(decision.send, Standing.DONE)


def why_of(record: Record, away: Mapping[str, str]) -> str:
    return record.why or away.get(record.phone_id, "")


def _wave(record: Record) -> str:
    return {None: "", 0: "canary"}.get(record.wave, str(record.wave))


def summary(campaign: Campaign, outcome: Outcome, why: str) -> str:
    """The last lines for people."""
    counts = ", ".join(f"{count} {name}" for name, count in campaign.counts().items() if count)
    unknown = ""
    if campaign.unknown:
        unknown = f"\nnot known whether the selection means them: {', '.join(campaign.unknown)}"
    return f"{counts} of {len(campaign.records)} phones: {why or _WORDS[outcome]}{unknown}"


def report(campaign: Campaign, outcome: Outcome, why: str, away: Mapping[str, str]) -> dict[str, Any]:
    """All of it, for programs. ``exit_code`` is that of the command."""
    return {
        "campaign": campaign.name,
        "outcome": outcome.value,
        "exit_code": EXITS[outcome],
        "why": why,
        "select": campaign.select,
        "steps": [dict(step) for step in campaign.steps],
        "terms": terms_json(campaign.terms),
        "waves": campaign.waves,
        "counts": campaign.counts(),
        "unknown": list(campaign.unknown),
        "phones": [phone_json(record, away) for record in campaign.records],
    }


def terms_json(terms: Terms) -> dict[str, int]:
    return {"canary": terms.canary, "wave": terms.wave, "max_failures": terms.max_failures}


def phone_json(record: Record, away: Mapping[str, str]) -> dict[str, Any]:
    return {
        "phone_id": record.phone_id,
        "host": record.host,
        "model": record.model,
        "state": record.standing.value,
        "wave": record.wave,
        "tries": record.number,
        "process_id": record.process_id or None,
        "why": why_of(record, away),
    }
