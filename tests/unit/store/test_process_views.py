"""Processes read together look as each does alone, and cost few queries however many they are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from phonefarm.core.planning import length
from phonefarm.errors import NotFound
from phonefarm.models.clock import new_id
from phonefarm.models.process import ReplayCommand, ResolvedItem, Target
from phonefarm.models.reading import ProcessAsked, ProcessBody, ProcessRead, dump
from phonefarm.models.session import Entry, EntryKind
from phonefarm.models.states import Routing
from phonefarm.store import accept, process_views, replay
from tests.farmtools import maintenance, submission
from tests.unit.store.desk import Desk, desk

pytestmark = pytest.mark.timeout(60)

BY: dict[str, Any] = {"system": "tests", "user": None, "metadata": {}}
PICTURE, HEALTH = {"action": "screenshot"}, {"action": "health_check"}


@pytest.fixture
def here(db_url: str) -> Iterator[Desk]:
    with desk(db_url) as made:
        yield made


def bodies(here: Desk, *ids: str, system: str | None = None) -> list[ProcessRead]:
    asked = [ProcessAsked(process_id=process_id, system=system) for process_id in ids]
    found: list[ProcessRead] = here.read(lambda c: process_views.bodies(c, asked))
    return found


def queries(here: Desk, *ids: str) -> int:
    """How many statements reading these together takes."""
    seen: list[str] = []
    engine = here.engines.reader

    def note(_conn: object, _cursor: object, statement: str, *_more: object) -> None:
        seen.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    bodies(here, *ids)
    sa.event.remove(engine, "before_cursor_execute", note)
    return len(seen)


def waits(here: Desk) -> str:
    order = submission()
    here.submit(order)
    return order.process_id


def group(here: Desk) -> str:
    """Three items, none of which has begun."""
    order = submission(Target(routing=Routing.GROUP, phone_ids=("A", "B", "C")))
    here.submit(order, [ResolvedItem(phone_id=name) for name in "ABC"])
    return order.process_id


def done(here: Desk) -> str:
    """Maintenance on A that is completed."""
    order = maintenance(HEALTH, PICTURE)
    job = here.start(order)
    for place in range(2):
        here.begin(job, place)
        here.finish(job, place)
    here.report(job, Entry(kind=EntryKind.FINISHED))
    return order.process_id


def failed(here: Desk) -> str:
    order = submission()
    here.fail(here.start(order), definite=True, retryable=False)
    return order.process_id


def again(here: Desk, source: str) -> str:
    command = ReplayCommand(process_id=new_id(), source_id=source, request_id=f"r-{new_id()}", requested_by=BY)
    found = here.read(lambda c: replay.load(c, source, None))
    planned = replay.planned(replay.submission(command, found), found, length)
    here.run(lambda tx: accept.accept(tx, [planned], new_id))
    return command.process_id


def parsed(read: ProcessRead) -> dict[str, object]:
    assert isinstance(read, ProcessBody)
    return dict(json.loads(read.body))


def test_together_they_look_as_alone(here: Desk) -> None:
    source = failed(here)
    ids = [waits(here), done(here), source, again(here, source), group(here)]
    running = submission()
    here.begin(here.start(running))
    ids.append(running.process_id)
    together = bodies(here, *ids, ids[0])
    assert together == [bodies(here, process_id)[0] for process_id in (*ids, ids[0])]
    assert [parsed(read) for read in together[:-1]] == [here.process(process_id) for process_id in ids]
    statuses = [read.status for read in together if isinstance(read, ProcessBody)]
    assert statuses == ["queued", "completed", "failed_terminal", "queued", "queued", "executing", "queued"]


def test_a_maintenance_shows_its_steps_and_a_warmup_the_same_without_its_inputs(here: Desk) -> None:
    view = here.process(done(here))
    assert [(step["action"], step["status"]) for step in view["result"]["steps"]] == [
        ("health_check", "done"),
        ("screenshot", "done"),
    ]
    assert here.process(failed(here))["result"] == {}


def test_replays_are_linked_in_the_order_they_were_made(here: Desk) -> None:
    source = failed(here)
    made = []
    for _ in range(3):
        here.now += 1
        made.append(again(here, source))
    assert here.process(source)["linked_ids"]["replayed_by"] == made


def test_items_stand_in_their_order(here: Desk) -> None:
    process_id = group(here)
    view = here.process(process_id)
    assert [item["phone_id"] for item in view["items"]] == ["A", "B", "C"]
    (read,) = bodies(here, process_id)
    assert isinstance(read, ProcessBody)
    assert list(read.idle) == [item["queue_item_id"] for item in view["items"]]


def test_what_is_unknown_or_another_system_s_hurts_no_neighbour(here: Desk) -> None:
    known, other = waits(here), submission(requested_by={**BY, "system": "other"})
    here.submit(other)
    missing = new_id()
    reads = bodies(here, missing, known, other.process_id, system="tests")
    assert [isinstance(read, NotFound) for read in reads] == [True, False, True]
    errors = [read.detail for read in reads if isinstance(read, NotFound)]
    assert errors == [f"unknown_process:{missing}", f"unknown_process:{other.process_id}"]
    assert parsed(reads[1])["process_id"] == known
    with pytest.raises(NotFound):
        here.process(missing)


@pytest.mark.parametrize("count", [1, 5])
def test_queries_do_not_grow_with_the_processes(here: Desk, count: int) -> None:
    ended = [done(here) for _ in range(count)]
    assert queries(here, *ended) == 4
    assert queries(here, *[waits(here) for _ in range(count)]) == 2
    assert queries(here, *[failed(here) for _ in range(count)], *ended) == 5
    assert queries(here, new_id()) == 1


def test_the_reason_to_wait_is_put_in_where_it_belongs(here: Desk) -> None:
    (read,) = bodies(here, waits(here))
    assert isinstance(read, ProcessBody)
    assert json.loads(read.waiting(None))["waiting"] is None
    reason = {"reason": "phones_busy", "position": 3, "next_attempt_at": None}
    assert json.loads(read.waiting(reason)) == {**parsed(read), "waiting": reason}


def test_a_text_that_is_no_unicode_is_sent_all_the_same() -> None:
    assert json.loads(dump({"title": "\ud800 é"})) == {"title": "? é"}


def test_while_an_item_runs_nobody_asks_why_the_others_wait(here: Desk) -> None:
    order = submission(Target(routing=Routing.GROUP, phone_ids=("A", "B")))
    items: Sequence[str] = here.submit(order, [ResolvedItem(phone_id="A"), ResolvedItem(phone_id="B")])
    (before,) = bodies(here, order.process_id)
    assert isinstance(before, ProcessBody)
    assert sorted(before.idle) == sorted(items)
    job = here.grant(items[0])
    assert job is not None
    here.report(job, Entry(kind=EntryKind.STARTED))
    (read,) = bodies(here, order.process_id)
    assert isinstance(read, ProcessBody)
    assert read.idle == ()
