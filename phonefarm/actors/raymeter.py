"""The farm's numbers through Ray's own exporter, which each node has.

``RayMeter`` tells each number at once, for what happens some times a second at most and is known to this process
alone. ``RayMirror`` tells from time to time what the manager has counted, so that its hot path counts in memory only.
Ray writes ``ray_`` before the names, and adds up what the processes of a node tell under the same labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray.util import metrics as ray_metrics

from phonefarm.core.metrics import Kind, Metric
from phonefarm.core.tally import Distribution, Observation, Sample


class RayMeter:
    """Fulfils ``Meter``. Gauges can be set here, not added to."""

    def __init__(self) -> None:
        self._known: dict[Metric, Any] = {}

    def add(self, metric: Metric, *labels: str, by: float = 1.0) -> None:
        self._of(metric).inc(by, tags=dict(zip(metric.label_names, labels, strict=True)))

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        self._of(metric).set(value, tags=dict(zip(metric.label_names, labels, strict=True)))

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        self._of(metric).observe(value, tags=dict(zip(metric.label_names, labels, strict=True)))

    def _of(self, metric: Metric) -> Any:
        if metric not in self._known:
            self._known[metric] = _made(metric)
        return self._known[metric]


def _made(metric: Metric) -> Any:
    if metric.kind is Kind.COUNTER:  # Ray adds the ending itself
        return ray_metrics.Counter(metric.name.removesuffix("_total"), metric.help, metric.label_names)
    if metric.kind is Kind.GAUGE:
        return ray_metrics.Gauge(metric.name, metric.help, metric.label_names)
    return ray_metrics.Histogram(metric.name, metric.help, list(metric.buckets), metric.label_names)


class RayMirror:
    """Fulfils ``Mirror``: of a counter, what it has grown by; of a histogram, each observation."""

    def __init__(self, meter: RayMeter | None = None) -> None:
        self._meter = meter or RayMeter()
        self._told: dict[tuple[str, tuple[str, ...]], float] = {}

    def take(self, samples: Sequence[Sample], observed: Sequence[Observation]) -> None:
        for sample in samples:
            if isinstance(sample.value, Distribution):
                continue
            if sample.metric.kind is Kind.GAUGE:
                self._meter.set(sample.metric, sample.value, *sample.labels)
            else:
                self._grown(sample, sample.value)
        for metric, labels, value in observed:
            self._meter.observe(metric, value, *labels)

    def _grown(self, sample: Sample, value: float) -> None:
        key = (sample.name, sample.labels)
        more, self._told[key] = value - self._told.get(key, 0.0), value
        if more > 0:
            self._meter.add(sample.metric, *sample.labels, by=more)
