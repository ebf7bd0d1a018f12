"""A campaign as a value: which phones, which steps, and how far each phone is. Pure, and JSON in both directions.

The id of a phone's request is made of the campaign's name, the phone and the number of the try. The farm takes such an
id once, so a campaign that is run again, even without its state, asks for nothing twice. A further try, with the next
number, is made only for a phone that an earlier one did not touch (MISSED), or by ``retry_failed``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from phonefarm.cli.maintain.planner import Entry, Standing, Terms
from phonefarm.cli.maintain.selection import Phone

#: A phone in these states gets work as soon as it can; of any other, it is said what it is.
READY_STATES = frozenset({"available", "busy", "checking"})


class Outcome(StrEnum):
    """How a run of a campaign ended; ``EXITS`` has the exit codes."""

    DONE = "done"
    NOT_ALL_REACHED = "not_all_reached"
    SOME_FAILED = "some_failed"
    STOPPED = "stopped"
    PAUSED = "paused"


EXITS: Mapping[Outcome, int] = {
    Outcome.DONE: 0,
    Outcome.NOT_ALL_REACHED: 3,
    Outcome.SOME_FAILED: 4,
    Outcome.STOPPED: 5,
    Outcome.PAUSED: 6,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A phone of a campaign. ``number``: of its try, 0 before the first; ``wave``: 0 for canaries, None before that;
    ``why``: what went wrong, or why it was not reached."""

    phone_id: str
    host: str = ""
    model: str = ""
    standing: Standing = Standing.WAITING
    number: int = 0
    wave: int | None = None
    expires_at: str = ""
    process_id: str = ""
    why: str = ""

    @property
    def open(self) -> bool:
        return self.standing is Standing.SENT


@dataclass(frozen=True, kw_only=True, slots=True)
class Campaign:
    """``unknown``: phones of which it is not known whether the selection means them. ``ended``: the last run came to
    its end, and was not broken off."""

    name: str
    select: str
    steps: tuple[Mapping[str, Any], ...]
    terms: Terms = field(default_factory=Terms)
    records: tuple[Record, ...] = ()
    unknown: tuple[str, ...] = ()
    waves: int = 0
    ended: bool = False

    def with_record(self, record: Record) -> Campaign:
        records = tuple(record if one.phone_id == record.phone_id else one for one in self.records)
        return replace(self, records=records)

    def entries(self, away: Mapping[str, str]) -> list[Entry]:
        """For the planner. ``away``: phones that get no work now, and why."""
        return [
            Entry(phone_id=one.phone_id, standing=one.standing, ready=one.phone_id not in away) for one in self.records
        ]

    def counts(self) -> dict[str, int]:
        return {standing.value: sum(one.standing is standing for one in self.records) for standing in Standing}

    def open_records(self) -> list[Record]:
        return [record for record in self.records if record.open]


def begin(
    name: str, select: str, steps: Sequence[Mapping[str, Any]], phones: Sequence[Phone], unknown: Sequence[str] = ()
) -> Campaign:
    """A campaign over these phones, from now on these and no others, in the order in which they get their turn."""
    records = tuple(
        Record(phone_id=str(p["phone_id"]), host=str(p.get("host") or ""), model=str(p.get("model") or ""))
        for p in in_turn(phones)
    )
    return Campaign(name=name, select=select, steps=tuple(steps), records=records, unknown=tuple(unknown))


def in_turn(phones: Sequence[Phone]) -> list[Phone]:
    """Hosts and models take turns: canaries differ from each other, and no wave falls on one host alone."""
    seen: dict[tuple[Any, Any], int] = {}
    ranked = []
    for phone in sorted(phones, key=lambda one: str(one["phone_id"])):
        kind = (phone.get("host"), phone.get("model"))
        seen[kind] = seen.get(kind, 0) + 1
        ranked.append((seen[kind], str(phone["phone_id"]), phone))
    return [phone for _, _, phone in sorted(ranked, key=lambda one: one[:2])]


def again(campaign: Campaign, terms: Terms, *, retry_failed: bool) -> Campaign:
    """The campaign at the beginning of a further run. One that was broken off goes on as if it had not been; after one
    that came to its end, what was not reached waits again."""
    missed = {Standing.MISSED} if campaign.ended else set()
    tried = missed | ({Standing.FAILED} if retry_failed else set())
    records = tuple(
        replace(one, standing=Standing.WAITING, process_id="", why="") if one.standing in tried else one
        for one in campaign.records
    )
    return replace(campaign, records=records, terms=terms, ended=False)


def recover(campaign: Campaign, known: Mapping[str, str]) -> Campaign:
    """``known``: request id -> process id. The last try of each phone counts as sent."""
    tries: dict[str, tuple[int, str]] = {}
    for asked, process_id in known.items():
        name, _, rest = asked.partition(":")
        phone_id, _, number = rest.rpartition(":")
        if name == campaign.name and number.isdecimal():
            tries[phone_id] = max(tries.get(phone_id, (0, "")), (int(number), process_id))
    records = tuple(
        replace(one, standing=Standing.SENT, number=tries[one.phone_id][0], process_id=tries[one.phone_id][1])
        if one.phone_id in tries
        else one
        for one in campaign.records
    )
    return replace(campaign, records=records)


def request_id(campaign: str, record: Record) -> str:
    """The caller's part of the idempotency key."""
    return f"{campaign}:{record.phone_id}:{record.number}"


def default_name(select: str, steps: Sequence[Mapping[str, Any]]) -> str:
    """The same for the same command, so that running it again goes on where it was."""
    return f"{steps[0]['action']}-{digest([select, *steps])}"


def digest(value: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(list(value), sort_keys=True).encode()).hexdigest()[:8]


def away_of(campaign: Campaign, phones: Sequence[Phone]) -> dict[str, str]:
    """The campaign's phones that get no work now, and why."""
    now = {str(phone["phone_id"]): phone for phone in phones}
    said = {record.phone_id: _away(now.get(record.phone_id)) for record in campaign.records}
    return {phone_id: why for phone_id, why in said.items() if why}


def _away(phone: Phone | None) -> str:
    if phone is None:
        return "the farm does not know it any more"
    if phone.get("draining"):
        return "draining"
    state = str(phone.get("state"))
    if state in READY_STATES:
        return ""
    why = str(phone.get("why") or "")
    return why if why.startswith(state) else f"{state}: {why}".removesuffix(": ")


def standing_of(process: Mapping[str, Any]) -> tuple[Standing, str]:
    """What a process, as ``GET /processes/{id}`` shows it, says of its phone, and why.

    One that never spoke to the phone has missed it; one that was cancelled or expired after that has failed."""
    status, error = process.get("status"), process.get("error") or {}
    if status == "completed":
        return Standing.DONE, ""
    if status not in ("cancelled", "failed_terminal"):
        return Standing.SENT, ""
    code = str(error.get("code") or status)
    touched = (process.get("timestamps") or {}).get("first_action_at") is not None
    if not touched and code in ("cancelled", "expired"):
        return Standing.MISSED, "cancelled before it began" if code == "cancelled" else "had not started in time"
    message = str(error.get("message") or "")
    return Standing.FAILED, f"{code}: {message}" if message and message != code else code


def outcome_of(campaign: Campaign, *, stopped: bool, paused: bool) -> Outcome:
    """How the run ended."""
    counts = campaign.counts()
    if stopped:
        return Outcome.STOPPED
    if counts["done"] == len(campaign.records):
        return Outcome.DONE
    if paused:
        return Outcome.PAUSED
    return Outcome.SOME_FAILED if counts["failed"] else Outcome.NOT_ALL_REACHED


def as_json(campaign: Campaign) -> dict[str, Any]:
    return {"format": 1, **asdict(campaign)}


def from_json(raw: Mapping[str, Any]) -> Campaign:
    """Raises ValueError, KeyError or TypeError for what is none."""
    if raw["format"] != 1:
        raise ValueError(f"format {raw['format']} is of a later phonefarm")
    records = tuple(Record(**{**one, "standing": Standing(one["standing"])}) for one in raw["records"])
    return Campaign(
        name=str(raw["name"]),
        select=str(raw["select"]),
        steps=tuple(raw["steps"]),
        terms=Terms(**raw["terms"]),
        records=records,
        unknown=tuple(raw["unknown"]),
        waves=int(raw["waves"]),
        ended=bool(raw["ended"]),
    )
