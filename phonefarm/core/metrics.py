"""The farm's metrics: the one table of their names, kinds, units, labels and help.

Names are Prometheus's by convention: ``phonefarm_``, base units (seconds, bytes, ratio, celsius), ``_total`` for
counters. No label has values without end: phones, hosts, routes and error codes are few; processes and callers are many
and never a label. ``docs/metrics.md`` is made from this table, and the dashboard and the alerts are checked against it.

Where a number comes from decides who can tell it. The manager knows the farm, so what it counts is told at ``/metrics``
by whichever replica is asked, and through Ray's exporter too (``Where.FARM``). What only the process that did it knows,
an adb command, a refused request, is told by Ray's exporter alone, which is there on every node (``Where.RAY``).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from phonefarm.models.action import ActionKind
from phonefarm.models.outbox import CallbackState
from phonefarm.models.phone import Rung
from phonefarm.models.states import Capability, ItemState, PhoneState, PublicStatus

PREFIX = "phonefarm_"


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Where(StrEnum):
    """``FARM``: at /metrics and through Ray's exporter. ``RAY``: through Ray's exporter alone."""

    FARM = "farm"
    RAY = "ray"


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """``values``: all it can have, empty if the farm decides (its phones, hosts, routes, errors)."""

    name: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Metric:
    """``buckets``: upper bounds of a histogram, in its unit, without infinity."""

    name: str
    kind: Kind
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    where: Where = Where.FARM

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    def all_values(self) -> Iterator[tuple[str, ...]]:
        """Every combination of label values, if all are known beforehand; a number that is absent is not 0."""
        if all(label.values for label in self.labels):
            yield from itertools.product(*(label.values for label in self.labels))


class Meter(Protocol):
    """Takes numbers down. Cheap, and safe from any thread; ``labels`` in the order of the table."""

    def add(self, metric: Metric, *labels: str, by: float = 1.0) -> None:
        """Of a counter; of a gauge also by less than 0."""

    def set(self, metric: Metric, value: float, *labels: str) -> None: ...
    def observe(self, metric: Metric, value: float, *labels: str) -> None: ...


class NoMeter:
    """Fulfils ``Meter``; forgets everything."""

    def add(self, metric: Metric, *labels: str, by: float = 1.0) -> None:
        return None

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        return None

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        return None


NO_METER = NoMeter()


def _values(names: Iterable[StrEnum]) -> tuple[str, ...]:
    return tuple(name.value for name in names)


_PHONE, _HOST, _ERROR = Label(name="phone"), Label(name="host"), Label(name="error")
#: Seconds: of a command, of a wait in a queue, and of a callback that may be tried for a day.
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_LONG = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3_600.0)
_DAYS = (0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3_600.0, 21_600.0, 86_400.0)


def _counter(name: str, text: str, *labels: Label, where: Where = Where.FARM) -> Metric:
    return Metric(name=f"{PREFIX}{name}_total", kind=Kind.COUNTER, help=text, labels=labels, where=where)


def _gauge(name: str, text: str, *labels: Label) -> Metric:
    return Metric(name=PREFIX + name, kind=Kind.GAUGE, help=text, labels=labels)


def _histogram(name: str, text: str, *labels: Label, buckets: tuple[float, ...], where: Where = Where.FARM) -> Metric:
    return Metric(
        name=PREFIX + name, kind=Kind.HISTOGRAM, help=text, labels=labels, buckets=buckets, where=where
    )  # fmt: skip


# -- requests, processes, items ----------------------------------------------------------------------------------

REQUESTS = _counter(
    "requests",
    "Submissions that reached the manager, by what became of them",
    Label(name="capability", values=_values(Capability)),
    Label(name="outcome", values=("accepted", "duplicate", "refused")),
)
PROCESSES = _gauge(
    "processes",
    "Processes by public status, as long as they are kept",
    Label(name="status", values=_values(PublicStatus)),
)
ITEMS = _gauge("items", "Items by state, as long as they are kept", Label(name="state", values=_values(ItemState)))
QUEUE_ITEMS = _gauge("queue_items", "Items that wait for a phone")
QUEUE_OLDEST = _gauge(
    "queue_oldest_seconds", "Time since the oldest item that waits was accepted, whatever it waits for; 0 if none does"
)
CLAIM_WAIT = _histogram(
    "claim_wait_seconds",
    "From when an item could run (accepted, or its not_before or retry time) to its claim for a phone",
    buckets=_WAITS,
)
FIRST_COMMAND = _histogram(
    "first_command_seconds",
    "From the claim to the first action on the phone, as the manager hears of it",
    buckets=_WAITS,
)
ATTEMPTS = _counter(
    "attempts",
    "Attempts that ended, by how",
    Label(name="outcome", values=("finished", "retrying", "dead_letter", "cancelled")),
)
ATTEMPT_ERRORS = _counter("attempt_errors", "Attempts that ended with an error, by its code", _ERROR)
DEAD_LETTERS = _counter("dead_letters", "Items given up, by the code of the error", _ERROR)
LEASES_EXPIRED = _counter("leases_expired", "Attempts taken back since their phone was not heard of")
ACTION_SECONDS = _histogram(
    "action_seconds",
    "Time of an action on its phone",
    Label(name="action", values=_values(ActionKind)),
    Label(name="outcome", values=("finished", "skipped", "failed", "cancelled")),
    buckets=_LONG,
)

# -- phones and hosts --------------------------------------------------------------------------------------------

PHONES = _gauge("phones", "Phones by state", Label(name="state", values=_values(PhoneState)))
BATTERY = _gauge("phone_battery_ratio", "Charge of a phone's battery, 0 to 1, at its last check", _PHONE)
TEMPERATURE = _gauge("phone_temperature_celsius", "Temperature of a phone's battery at its last check", _PHONE)
STORAGE_FREE = _gauge("phone_storage_free_bytes", "Free storage of a phone at its last check", _PHONE)
PHONE_SEEN = _gauge("phone_last_seen_timestamp_seconds", "When a phone was last heard of, Unix time", _PHONE)
LADDER = _counter(
    "ladder_rungs",
    "What hosts did for phones that did not answer",
    _PHONE,
    Label(name="rung", values=_values(Rung)),
    Label(name="outcome", values=("helped", "failed")),
)
HOST_UP = _gauge("host_up", "1 if a host is heard of and well, else 0", _HOST)
HOST_SEEN = _gauge("host_last_seen_timestamp_seconds", "When a host was last heard of, Unix time", _HOST)
HEARTBEATS_MISSED = _counter(
    "heartbeats_missed", "Signs of life of a host that did not come, counted when one does", _HOST
)
HOSTS_GIVEN_UP = _counter("hosts_given_up", "Times a host was not heard of for a lease's term", _HOST)

# -- callbacks ---------------------------------------------------------------------------------------------------

CALLBACKS = _gauge(
    "callbacks", "Callbacks by state, as long as they are kept", Label(name="state", values=_values(CallbackState))
)
CALLBACK_ATTEMPTS = _counter(
    "callback_attempts",
    "Attempts to deliver a callback, by what came of them",
    Label(name="outcome", values=("delivered", "retrying", "dead")),
)
CALLBACK_SECONDS = _histogram(
    "callback_delivery_seconds", "From the event of a callback to its delivery", buckets=_DAYS
)

# -- the manager and its database --------------------------------------------------------------------------------

COMMITS = _counter("commits", "Transactions of the process manager since its start")
COMMIT_SECONDS = _histogram(
    "commit_seconds", "Time of a transaction, from its begin until it is durable", buckets=_QUICK
)
COMMIT_CHANGES = _histogram(
    "commit_changes", "Changes that shared a transaction", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
)
DATABASE_BYTES = _gauge("database_bytes", "Size of the database on its disk")
EPOCH = _gauge("manager_epoch", "Epoch of the process manager; each start has a higher one")

# -- what only the process that did it knows ---------------------------------------------------------------------

HTTP_REQUESTS = _counter(
    "http_requests",
    "HTTP requests by route, method and status",
    Label(name="route"),
    Label(name="method"),
    Label(name="status"),
    where=Where.RAY,
)
HTTP_SECONDS = _histogram(
    "http_request_seconds",
    "From an HTTP request to the begin of its answer",
    Label(name="route"),
    buckets=_QUICK,
    where=Where.RAY,
)
ADB_SECONDS = _histogram(
    "adb_command_seconds",
    "Time of an adb command, from its connection to its last byte; error is none or its code",
    Label(name="service", values=("shell", "sync", "reboot")),
    _ERROR,
    buckets=_QUICK,
    where=Where.RAY,
)
REPORTS_LOST = _counter(
    "reports_undelivered",
    "Reports and heartbeats of a session that the manager did not answer",
    _PHONE,
    where=Where.RAY,
)

METRICS: tuple[Metric, ...] = tuple(value for value in globals().values() if isinstance(value, Metric))
BY_NAME = {metric.name: metric for metric in METRICS}
