"""What is kept by counting is what a look at every row gives, and only what was committed is counted.

The state machine of the lifecycle holds the same of every order of its events; here stands what it does not do:
deliveries, pruning, changes that fail, and numbers that were wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from phonefarm.core import metrics
from phonefarm.core.lifecycle import public_status
from phonefarm.core.metrics import Metric
from phonefarm.core.tally import Distribution, value_of
from phonefarm.models.clock import new_id
from phonefarm.models.outbox import CallbackState, Delivery, DueCallback
from phonefarm.models.session import Entry, EntryKind
from phonefarm.models.states import ProcessState
from phonefarm.store import counting, outbox, prune, tables
from phonefarm.store import metrics as stored
from phonefarm.store.writer import Tx
from tests.farmtools import submission
from tests.unit.store.desk import DAY, Desk, desk

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def here(db_url: str) -> Iterator[Desk]:
    with desk(db_url) as made:
        yield made


def kept(here: Desk, metric: Metric) -> dict[str, float]:
    numbers = here.writer.tally.numbers.items()
    return {labels[0]: value for (found, labels), value in numbers if found is metric and value}


def holds(here: Desk) -> bool:
    """Whether the kept numbers are those of the tables."""

    def looked(connection: sa.Connection) -> list[Counter[str]]:
        states = [list(connection.execute(sa.select(t.c.state)).scalars()) for t in _TABLES]
        public = [public_status(ProcessState(state)).value for state in states[0]]
        return [Counter(public), Counter(states[1]), Counter(states[2])]

    wanted: list[Counter[str]] = here.read(looked)
    return [kept(here, m) for m in (metrics.PROCESSES, metrics.ITEMS, metrics.CALLBACKS)] == wanted


_TABLES = (tables.processes, tables.items, tables.outbox)


def due(here: Desk) -> list[DueCallback]:
    return list(here.due(10).callbacks)


def settle(here: Desk, callback: DueCallback, state: CallbackState, **more: Any) -> None:
    delivery = Delivery(
        event_id=callback.event_id, process_id=callback.process_id, state=state, attempts=callback.attempts, **more
    )
    here.run(lambda tx: outbox.done(tx, [delivery], new_id))


def test_deliveries_are_counted_once_however_often_they_are_reported(here: Desk) -> None:
    here.submit(submission())
    (first,) = due(here)
    for _ in range(2):
        settle(here, first, CallbackState.PENDING, retry_in=0.0)
    (again,) = due(here)
    here.now += 3_000
    for _ in range(2):
        settle(here, again, CallbackState.DELIVERED, http_status=200)
    assert holds(here)
    samples = here.writer.tally.samples()
    assert value_of(samples, metrics.CALLBACK_ATTEMPTS, "retrying") == 1
    assert value_of(samples, metrics.CALLBACK_ATTEMPTS, "delivered") == 1
    seconds = value_of(samples, metrics.CALLBACK_SECONDS)
    assert isinstance(seconds, Distribution)
    assert (seconds.count, seconds.sum) == (1, 3.0)
    here.run(lambda tx: outbox.redeliver(tx, first.event_id, new_id, system=None))
    assert holds(here)
    assert kept(here, metrics.CALLBACKS) == {"pending": 1}


def test_a_receiver_that_is_gone_takes_later_callbacks_with_it(here: Desk) -> None:
    job = here.start(submission())
    here.report(job, Entry(kind=EntryKind.FINISHED))
    (first, *_) = due(here)
    settle(here, first, CallbackState.DEAD, http_status=410, gone=True)
    assert holds(here)
    assert set(kept(here, metrics.CALLBACKS)) == {"dead"}


def test_an_action_is_timed_once_and_failures_have_their_codes(here: Desk) -> None:
    job = here.start(submission())
    here.begin(job)
    for _ in range(2):
        here.finish(job, seconds=4.0)
    here.fail(job, 1, retryable=False)
    samples = here.writer.tally.samples()
    found = value_of(samples, metrics.ACTION_SECONDS, job.actions[0].kind.value, "finished")
    assert isinstance(found, Distribution)
    assert (found.count, found.sum) == (1, 4.0)
    for metric in (metrics.ATTEMPT_ERRORS, metrics.DEAD_LETTERS):
        assert value_of(samples, metric, "boom") == 1
    assert value_of(samples, metrics.ATTEMPTS, "dead_letter") == 1
    assert holds(here)


def test_a_lease_that_expired_and_an_item_that_was_never_started(here: Desk) -> None:
    here.start(submission())
    here.now += 60_000
    here.rescue()
    samples = here.writer.tally.samples()
    assert value_of(samples, metrics.LEASES_EXPIRED) == 1
    assert value_of(samples, metrics.ATTEMPTS, "retrying") == 1
    assert holds(here)


def test_what_is_forgotten_is_not_counted_any_more(here: Desk) -> None:
    job = here.start(submission())
    here.report(job, Entry(kind=EntryKind.FINISHED))
    here.submit(submission())
    for callback in due(here):
        settle(here, callback, CallbackState.DEAD, http_status=410, gone=True)
    here.now += 10 * DAY
    assert here.run(lambda tx: prune.prune(tx, keep_days=1)) == [job.process_id]
    assert holds(here)
    assert kept(here, metrics.PROCESSES) == {"queued": 1}


def test_a_change_that_fails_has_counted_nothing(here: Desk) -> None:
    def broken(tx: Tx) -> None:
        tx.tally.add(metrics.LEASES_EXPIRED)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        here.run(broken)
    assert value_of(here.writer.tally.samples(), metrics.LEASES_EXPIRED) == 0


def test_wrong_numbers_are_put_right(here: Desk) -> None:
    here.submit(submission())
    here.writer.tally.add(metrics.PROCESSES, "completed", by=5)
    here.writer.tally.set(metrics.CALLBACKS, 9, "pending")
    assert not holds(here)
    here.run(counting.recount)
    assert holds(here)


def test_the_age_of_the_queue_is_that_of_the_oldest_item_that_waits(here: Desk) -> None:
    def age() -> Any:
        return value_of(here.read(lambda c: stored.read(c, here.now)), metrics.QUEUE_OLDEST)

    assert age() == 0
    job = here.start(submission())
    here.now += 5_000
    assert age() == 0, "it runs"
    here.submit(submission())
    here.now += 1_000
    assert age() == 1
    here.fail(job)
    assert age() == 6, "it waits again, and was accepted first"


def test_facts_of_a_phone_that_is_away_are_not_told(here: Desk) -> None:
    found = here.read(lambda c: stored.read(c, here.now))
    assert value_of(found, metrics.PHONES, "available") == 2
    assert value_of(found, metrics.PHONE_SEEN, "A") == here.now / 1000
