"""Which callbacks are due, page by page, and what is noted of them in their process's history. On both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from phonefarm.errors import StaleWriter
from phonefarm.models.clock import new_id
from phonefarm.models.outbox import CallbackState, Delivery, DueCallback
from phonefarm.models.session import Entry, EntryKind
from phonefarm.store import epoch, outbox, tables
from phonefarm.store.notes import Note, note
from tests.farmtools import submission
from tests.unit.store.desk import Desk, desk

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def here(db_url: str) -> Iterator[Desk]:
    with desk(db_url) as made:
        yield made


def settle(here: Desk, *settled: DueCallback, state: CallbackState = CallbackState.DELIVERED) -> None:
    retry_in = 60.0 if state is CallbackState.PENDING else None
    found = [
        Delivery(event_id=d.event_id, process_id=d.process_id, state=state, attempts=d.attempts, retry_in=retry_in)
        for d in settled
    ]
    here.run(lambda tx: outbox.done(tx, found, new_id))


def history(here: Desk, process_id: str) -> list[tuple[int, str]]:
    query = sa.select(tables.events.c.sequence, tables.events.c.kind).where(tables.events.c.process_id == process_id)
    rows = here.read(lambda c: c.execute(query.order_by(tables.events.c.sequence)).all())
    return [(row.sequence, row.kind) for row in rows]


def test_pages_hold_everything_once_in_order_even_what_became_due_at_one_time(here: Desk) -> None:
    sent = []
    for number in range(7):
        here.now += number % 2
        order = submission()
        here.submit(order)
        sent.append(order.process_id)
    found: list[DueCallback] = []
    page = here.due(2)
    while page.after is not None:
        assert (len(page.callbacks), page.next_in) == (2, None)
        found += page.callbacks
        page = here.due(2, page.after)
    found += page.callbacks
    assert sorted(one.process_id for one in found) == sorted(sent)
    assert [one.process_id for one in here.due(50).callbacks] == [one.process_id for one in found]
    assert here.due(7).after is not None, "a full page may have one behind it"


def test_only_the_first_of_a_process_is_due_and_the_next_one_when_it_is_settled(here: Desk) -> None:
    here.phone("A")
    order = submission()
    job = here.start(order)
    here.report(job, Entry(kind=EntryKind.FINISHED))
    seen = []
    while callbacks := here.due(10).callbacks:
        (one,) = callbacks
        seen.append(one.sequence)
        if one.sequence == 2 and not one.attempts:
            settle(here, one, state=CallbackState.PENDING)
            assert here.due(10).callbacks == (), "those behind it wait too"
            assert here.due(10).next_in == 60.0
            here.now += 60_000
        else:
            settle(here, one)
    assert seen == [1, 2, 2, 3]


def test_a_manager_that_was_replaced_gives_out_none(here: Desk) -> None:
    here.submit(submission())
    assert here.due(10).callbacks
    epoch.take(here.engines.writer)
    with pytest.raises(StaleWriter):
        here.due(10)


def test_notes_are_numbered_like_the_rest_of_the_history(here: Desk) -> None:
    first, second = submission(), submission()
    here.submit(first)
    here.submit(second)
    kinds = [(first.process_id, "x"), (second.process_id, "y"), (first.process_id, "z"), (new_id(), "nobody's")]
    notes = [Note(process_id=process_id, kind=kind, data={}) for process_id, kind in kinds]
    here.run(lambda tx: note(tx, notes, new_id))
    settle(here, *here.due(10).callbacks)
    told = [(1, "process.accepted"), (2, "x"), (3, "z"), (4, "callback.delivered")]
    assert history(here, first.process_id) == told
    assert history(here, second.process_id) == [(1, "process.accepted"), (2, "y"), (3, "callback.delivered")]
    here.run(lambda tx: note(tx, [], new_id))


def test_a_delivery_that_is_reported_twice_counts_once(here: Desk) -> None:
    order = submission()
    here.submit(order)
    (due,) = here.due(10).callbacks
    settle(here, due)
    settle(here, due)
    assert history(here, order.process_id) == [(1, "process.accepted"), (2, "callback.delivered")]
