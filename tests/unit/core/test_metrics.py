"""The table of metrics keeps its own conventions, and numbers taken down come out as they went in."""

from __future__ import annotations

import re
import threading

import pytest

from phonefarm.core import metrics
from phonefarm.core.metrics import BY_NAME, METRICS, Kind, Metric, Where
from phonefarm.core.stopwatch import Stopwatch, missed
from phonefarm.core.tally import KEPT, Distribution, Tally, value_of

pytestmark = pytest.mark.timeout(30)

UNITS = ("_seconds", "_bytes", "_ratio", "_celsius")
#: Gauges and histograms that count things, and so have no unit.
COUNTS = {
    *("phonefarm_processes", "phonefarm_items", "phonefarm_queue_items", "phonefarm_phones", "phonefarm_callbacks"),
    *("phonefarm_host_up", "phonefarm_manager_epoch", "phonefarm_commit_changes"),
}
#: What there is without end is never a label.
ENDLESS = {"process", "process_id", "item", "item_id", "event_id", "request_id", "system", "url", "path", "le"}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_units_and_labels_follow_the_convention(metric: Metric) -> None:
    assert re.fullmatch(r"phonefarm_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    if metric.kind is not Kind.COUNTER:
        assert metric.name.endswith(UNITS) != (metric.name in COUNTS)
    assert metric.help
    assert not metric.help.endswith(".")
    assert not set(metric.label_names) & ENDLESS
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))


def test_each_name_is_there_once() -> None:
    assert len(BY_NAME) == len(METRICS) > 30


def test_counters_whose_labels_are_known_are_there_from_the_start_as_zero() -> None:
    samples = Tally().samples()
    assert value_of(samples, metrics.CALLBACK_ATTEMPTS, "dead") == 0
    assert value_of(samples, metrics.LEASES_EXPIRED) == 0
    empty = value_of(samples, metrics.CLAIM_WAIT)
    assert isinstance(empty, Distribution)
    assert empty.count == 0
    assert not [s for s in samples if s.metric.where is Where.RAY], "what a process alone knows is not the farm's"


def test_observations_fall_into_the_first_bucket_that_holds_them() -> None:
    tally = Tally()
    first, second = metrics.COMMIT_CHANGES.buckets[:2]
    for value in (first, second, second + 0.5, 10_000):
        tally.observe(metrics.COMMIT_CHANGES, value)
    found = tally.distributions[(metrics.COMMIT_CHANGES, ())]
    assert found.counts[:3] == [1, 1, 1]
    assert found.counts[-1] == 1
    assert found.sum == first + 2 * second + 0.5 + 10_000


def test_what_was_set_replaces_and_what_was_added_since_comes_on_top() -> None:
    farm, tx = Tally(), Tally()
    farm.add(metrics.CALLBACKS, "dead", by=7)
    tx.add(metrics.CALLBACKS, "dead", by=100)
    tx.set(metrics.CALLBACKS, 3, "dead")
    tx.add(metrics.CALLBACKS, "dead")
    tx.observe(metrics.CLAIM_WAIT, 1)
    farm.take(tx)
    more = Tally()
    more.add(metrics.CALLBACKS, "dead")
    more.observe(metrics.CLAIM_WAIT, 2)
    farm.take(more)
    assert value_of(farm.samples(), metrics.CALLBACKS, "dead") == 5
    assert farm.distributions[(metrics.CLAIM_WAIT, ())].sum == 3
    assert [value for _, _, value in farm.observed()] == [1, 2]
    assert farm.observed() == []


def test_observations_that_nobody_fetches_are_bounded() -> None:
    tally = Tally()
    for number in range(KEPT + 5):
        tally.observe(metrics.CLAIM_WAIT, number)
    kept = tally.observed()
    assert len(kept) == KEPT
    assert kept[-1][2] == KEPT + 4
    assert tally.distributions[(metrics.CLAIM_WAIT, ())].count == KEPT + 5


def test_no_thread_loses_a_count() -> None:
    tally = Tally()

    def count() -> None:
        for _ in range(20_000):
            tally.add(metrics.COMMITS)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert value_of(tally.samples(), metrics.COMMITS) == 80_000


def test_a_stopwatch_forgets_what_never_ends() -> None:
    watch = Stopwatch(size=2)
    for number, key in enumerate(("a", "b", "a", "c")):
        watch.start(key, number)
    assert watch.stop("b", 9) is None, "the oldest was forgotten"
    assert watch.stop("a", 9) == 7
    assert watch.stop("a", 9) is None, "it ends once"


@pytest.mark.parametrize(("silence", "expected"), [(0, 0), (10, 0), (14, 0), (16, 1), (30, 2), (61, 5)])
def test_signs_of_life_that_did_not_come(silence: float, expected: int) -> None:
    assert missed(silence, 10) == expected
