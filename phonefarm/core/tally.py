"""Numbers taken down in memory: what a process has counted, or what one transaction would count if it commits.

A transaction has a tally of its own, which is added to the manager's once it is durable (``store.writer``): what is
rolled back, or tried again alone, was never counted. Gauges that are kept by such steps (how many processes have a
status) begin with a count of the database (``set``), so ``take`` obeys the order: what was set replaces, what was added
since comes on top.

What is told elsewhere too (``Mirror``) is told as a whole from time to time; of histograms the observations themselves,
as far as they were kept.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from phonefarm.core.metrics import BY_NAME, METRICS, Kind, Metric, Where

Series = tuple[Metric, tuple[str, ...]]
Observation = tuple[Metric, tuple[str, ...], float]
#: Observations kept for whoever is told of them one by one; older ones are dropped.
KEPT = 20_000


@dataclass(slots=True)
class Distribution:
    """``counts``: observations up to each bucket's bound, each in the first that holds it; the last is infinity."""

    counts: list[int]
    sum: float = 0.0

    @classmethod
    def empty(cls, metric: Metric) -> Distribution:
        return cls(counts=[0] * (len(metric.buckets) + 1))

    def observe(self, metric: Metric, value: float) -> None:
        self.counts[bisect_left(metric.buckets, value)] += 1
        self.sum += value

    def take(self, other: Distribution) -> None:
        self.counts = [mine + more for mine, more in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum

    @property
    def count(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One series as it stands, fit to be sent to another process. ``name`` is that of the table."""

    name: str
    labels: tuple[str, ...]
    value: float | Distribution

    @property
    def metric(self) -> Metric:
        return BY_NAME[self.name]


class Mirror(Protocol):
    """Tells the numbers of a ``Tally`` elsewhere."""

    def take(self, samples: Sequence[Sample], observed: Sequence[Observation]) -> None:
        """All series as they stand, and what was observed since the last time."""


@dataclass(slots=True)
class Tally:
    """Fulfils ``Meter``."""

    numbers: dict[Series, float] = field(default_factory=dict)
    distributions: dict[Series, Distribution] = field(default_factory=dict)
    _replaced: set[Series] = field(default_factory=set)
    _observed: deque[Observation] = field(default_factory=lambda: deque(maxlen=KEPT))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, metric: Metric, *labels: str, by: float = 1.0) -> None:
        key = (metric, labels)
        with self._lock:
            self.numbers[key] = self.numbers.get(key, 0.0) + by

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        key = (metric, labels)
        with self._lock:
            self.numbers[key] = value
            self._replaced.add(key)

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        key = (metric, labels)
        with self._lock:
            if key not in self.distributions:
                self.distributions[key] = Distribution.empty(metric)
            self.distributions[key].observe(metric, value)
            self._observed.append((metric, labels, value))

    def take(self, other: Tally) -> None:
        """Add what ``other`` has taken down; it is not used any more."""
        with self._lock:
            for key, value in other.numbers.items():
                before = 0.0 if key in other._replaced else self.numbers.get(key, 0.0)
                self.numbers[key] = before + value
            for key, found in other.distributions.items():
                if key in self.distributions:
                    self.distributions[key].take(found)
                else:
                    self.distributions[key] = found
            self._observed.extend(other._observed)

    def observed(self) -> list[Observation]:
        """What was observed since the last call, the newest ``KEPT`` of it."""
        with self._lock:
            found = list(self._observed)
            self._observed.clear()
        return found

    def samples(self) -> list[Sample]:
        """Every series as it stands; those that can be named beforehand are there from the start, as 0."""
        with self._lock:
            numbers = dict.fromkeys(_FROM_THE_START, 0.0) | self.numbers
            distributions = {key: Distribution(list(d.counts), d.sum) for key, d in self.distributions.items()}
        found = [Sample(name=metric.name, labels=labels, value=value) for (metric, labels), value in numbers.items()]
        for metric in METRICS:
            if metric.kind is Kind.HISTOGRAM and metric.where is Where.FARM and not metric.labels:
                distributions.setdefault((metric, ()), Distribution.empty(metric))
        return found + [
            Sample(name=metric.name, labels=labels, value=value) for (metric, labels), value in distributions.items()
        ]


_FROM_THE_START: tuple[Series, ...] = tuple(
    (metric, values)
    for metric in METRICS
    if metric.kind is Kind.COUNTER and metric.where is Where.FARM
    for values in metric.all_values()
)


def value_of(samples: Iterable[Sample], metric: Metric, *labels: str) -> float | Distribution | None:
    """The series' value among ``samples``, None if it is not there."""
    return next((s.value for s in samples if s.name == metric.name and s.labels == labels), None)
