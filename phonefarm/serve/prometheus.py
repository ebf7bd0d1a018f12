"""The farm's numbers as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Numbers(Collector):
    def __init__(self, numbers: Mapping[str, Any]) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        numbers = self._numbers
        yield _by(numbers["processes"], "phonefarm_processes", "Processes by public status", "status")
        yield _by(numbers["phones"], "phonefarm_phones", "Phones by state", "state")
        yield _by(numbers["callbacks"], "phonefarm_callbacks", "Callbacks by state of delivery", "state")
        yield GaugeMetricFamily("phonefarm_queue_items", "Items that wait for a phone", numbers["queue_items"])
        yield GaugeMetricFamily(
            "phonefarm_queue_oldest_seconds", "Age of the oldest item that waits", numbers["queue_oldest_seconds"]
        )
        yield CounterMetricFamily(
            "phonefarm_commits", "Transactions of the process manager since its start", numbers["commits"]
        )


def _by(counts: Mapping[str, int], name: str, text: str, label: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def text(numbers: Mapping[str, Any]) -> bytes:
    """The exposition text of ``FarmPort.metrics``."""
    registry = CollectorRegistry()
    registry.register(_Numbers(numbers))
    return generate_latest(registry)
