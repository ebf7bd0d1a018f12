"""What the phones of a storm wrote down, as ``Touch`` values for the checker. Pure.

A phone does not know for whom it works. But every keyword of a storm belongs to one order, so what filled a phone's
screen tells the process; and a reboot is the work of the item that had the phone at that moment. The attempt is the one
whose time, by the farm's history, holds the moment, else the last before it on that phone, so that what was done too
late is found to be too late; what was done on a phone that never had the process is of attempt 0, which nobody was
granted. A command that a phone has begun cannot be called back, and shows what it shows a moment later: even if the
connection is cut meanwhile, and the attempt over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.records import Row, Rows, Touch

_ENDS = frozenset({"item.finished", "item.interrupted", "item.failed", "item.cancelled"})
#: Of the command with which a session wakes a phone and opens its lock: what that shows is what was left on the screen.
_WAKES = re.compile(r"^\s*input keyevent KEYCODE_WAKEUP ;")
_REBOOT = re.compile(r"^\s*reboot\b|;\s*reboot\b")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sighting:
    """``query``: the keyword whose content filled the screen; None: the phone was told to reboot. ``woken``: by waking
    the phone. Seconds (epoch); content is of the moment in which the phone began the command that brought it up."""

    phone_id: str
    started: float
    ended: float
    query: str | None = None
    woken: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """A grant by the history: ``since`` and ``until`` in ms, ``until`` None while it runs."""

    item_id: str
    process_id: str
    attempt: int
    phone_id: str
    since: int
    until: int | None


def sightings(journals: Path, phone_id: str) -> list[Sighting]:
    """What a phone's two journals say."""
    lines = list(_lines(journals / f"{phone_id}.jsonl"))
    offset = next((_wall(line["at"]) - line["mono"] for line in lines), 0.0)
    found = [
        Sighting(phone_id=phone_id, started=line["mono_start"] + offset, ended=line["mono"] + offset)
        for line in lines
        if _REBOOT.search(str(line["command"]))
    ]
    for shown in _lines(journals / f"{phone_id}.shown.jsonl"):
        command = next((line for line in lines if line["mono_start"] <= shown["mono"] <= line["mono"]), None)
        woken = command is not None and _WAKES.search(str(command["command"])) is not None
        at = offset + (shown["mono"] if command is None else command["mono_start"])
        found.append(Sighting(phone_id=phone_id, started=at, ended=at, query=str(shown["query"]), woken=woken))
    return sorted(found, key=lambda sighting: sighting.started)


def touches(seen: Iterable[Sighting], rows: Rows) -> list[Touch]:
    """The sightings as the checker takes them; those of the feed, which has no keyword, are left out."""
    turns = list(_turns(rows.events))
    by_phone: dict[str, list[Turn]] = {}
    for turn in turns:
        by_phone.setdefault(turn.phone_id, []).append(turn)
    processes = _by_keyword(rows.processes)
    items = {row["process_id"]: row["id"] for row in rows.items}
    reboots = {(row["item_id"], row["attempt"]): row["idx"] for row in rows.actions if row["kind"] == "reboot"}
    found = []
    for sighting in seen:
        here = by_phone.get(sighting.phone_id, [])
        if sighting.query is None:
            found.append(_reboot(sighting, here, reboots))
        elif (process_id := processes.get(sighting.query)) is not None:
            mine = [turn for turn in here if turn.process_id == process_id]
            if sighting.woken and _of_another(here, process_id, sighting.started):
                continue
            found.append(_watch(sighting, mine, items[process_id]))
    return found


def _of_another(turns: Sequence[Turn], process_id: str, at: float) -> bool:
    """Whether another process has the phone then: it has woken the phone, and what was left there came up."""
    return any(
        turn.process_id != process_id and turn.since <= at * 1000 and (turn.until is None or at * 1000 <= turn.until)
        for turn in turns
    )


def _watch(sighting: Sighting, turns: Sequence[Turn], item_id: str) -> Touch:
    turn = _turn_at(turns, sighting.started)
    return Touch(
        phone_id=sighting.phone_id,
        kind="watch",
        started=sighting.started,
        ended=sighting.ended,
        item_id=turn.item_id if turn else item_id,
        attempt=turn.attempt if turn else 0,
    )


def _reboot(sighting: Sighting, turns: Sequence[Turn], reboots: Mapping[tuple[str, int], int]) -> Touch:
    turn = _turn_at(turns, sighting.started)
    index = reboots.get((turn.item_id, turn.attempt)) if turn else None
    return Touch(
        phone_id=sighting.phone_id,
        kind="reboot",
        started=sighting.started,
        ended=sighting.ended,
        item_id=turn.item_id if turn else None,
        attempt=turn.attempt if turn else 0,
        index=index,
        once=f"{turn.item_id if turn else sighting.phone_id}/reboot",
    )


def _turn_at(turns: Sequence[Turn], at: float) -> Turn | None:
    """The one that holds the moment, else the last before it."""
    before = [turn for turn in turns if turn.since <= at * 1000 + 1]
    return max(before, key=lambda turn: turn.since, default=None)


def _turns(events: Iterable[Row]) -> Iterable[Turn]:
    running: dict[str, Turn] = {}
    for event in sorted(events, key=lambda e: (e["process_id"], e["sequence"])):
        item_id = event["item_id"]
        if event["kind"] == "item.claimed":
            running[item_id] = Turn(
                item_id=item_id,
                process_id=event["process_id"],
                attempt=event["data"]["attempt"],
                phone_id=event["phone_id"],
                since=event["at"],
                until=None,
            )
        elif event["kind"] in _ENDS and item_id in running:
            turn = running.pop(item_id)
            yield Turn(
                item_id=turn.item_id, process_id=turn.process_id, attempt=turn.attempt, phone_id=turn.phone_id,
                since=turn.since, until=event["at"],
            )  # fmt: skip
    yield from running.values()


def _by_keyword(processes: Iterable[Row]) -> dict[str, str]:
    return {
        keyword: row["id"]
        for row in processes
        if row["process_type"] == "keyword_warmup"
        for keyword in row["inputs"]["keywords"]
    }


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    for text in path.read_text("utf-8").splitlines() if path.exists() else ():
        yield json.loads(text)


def _wall(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
