"""The farm's numbers as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import core as prometheus
from prometheus_client.registry import Collector

from phonefarm.core.metrics import METRICS, Kind, Metric
from phonefarm.core.tally import Distribution, Sample

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Numbers(Collector):
    def __init__(self, samples: Iterable[Sample]) -> None:
        self._by_name: dict[str, list[Sample]] = {}
        for sample in samples:
            self._by_name.setdefault(sample.name, []).append(sample)

    def collect(self) -> Iterator[prometheus.Metric]:
        for metric in METRICS:
            if metric.name in self._by_name:
                yield _family(metric, self._by_name[metric.name])


def _family(metric: Metric, samples: Iterable[Sample]) -> prometheus.Metric:
    labels = metric.label_names
    histogram = prometheus.HistogramMetricFamily(metric.name, metric.help, labels=labels)
    kinds = {Kind.COUNTER: prometheus.CounterMetricFamily, Kind.GAUGE: prometheus.GaugeMetricFamily}
    number = None if metric.kind is Kind.HISTOGRAM else kinds[metric.kind](metric.name, metric.help, labels=labels)
    for sample in samples:
        if isinstance(sample.value, Distribution):
            histogram.add_metric(sample.labels, _buckets(metric, sample.value), sample.value.sum)
        elif number is not None:
            number.add_metric(sample.labels, sample.value)
    return histogram if number is None else number


def _buckets(metric: Metric, found: Distribution) -> list[tuple[str, float]]:
    """Prometheus's buckets hold all that is at most their bound."""
    bounds = [*(str(float(bound)) for bound in metric.buckets), "+Inf"]
    return list(zip(bounds, accumulate(found.counts), strict=True))


def text(samples: Iterable[Sample]) -> bytes:
    """The exposition text of ``FarmPort.metrics``."""
    registry = CollectorRegistry()
    registry.register(_Numbers(samples))
    return generate_latest(registry)
