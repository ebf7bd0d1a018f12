"""What Ray's exporter is told: of counters what they have grown by, of gauges what they are, each observation once."""

from __future__ import annotations

from typing import Any

import pytest
from ray.util import metrics as ray_metrics

from phonefarm.actors.raymeter import RayMeter, RayMirror
from phonefarm.core import metrics
from phonefarm.core.metrics import METRICS, Metric
from phonefarm.core.tally import Tally

pytestmark = pytest.mark.timeout(60)


class Told(RayMeter):
    """Writes down instead of telling Ray."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, str, tuple[str, ...], float]] = []

    def add(self, metric: Metric, *labels: str, by: float = 1.0) -> None:
        self.told.append(("add", metric.name, labels, by))

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        self.told.append(("set", metric.name, labels, value))

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        self.told.append(("observe", metric.name, labels, value))


def test_the_mirror_tells_growth_once() -> None:
    told = Told()
    mirror, tally = RayMirror(told), Tally()
    tally.add(metrics.LEASES_EXPIRED, by=3)
    tally.set(metrics.PHONES, 2, "busy")
    tally.observe(metrics.CLAIM_WAIT, 0.5)
    mirror.take(tally.samples(), tally.observed())
    assert told.told == [
        ("add", "phonefarm_leases_expired_total", (), 3),
        ("set", "phonefarm_phones", ("busy",), 2),
        ("observe", "phonefarm_claim_wait_seconds", (), 0.5),
    ]
    told.told.clear()
    tally.add(metrics.LEASES_EXPIRED)
    mirror.take(tally.samples(), tally.observed())
    assert ("add", "phonefarm_leases_expired_total", (), 1) in told.told
    assert not [t for t in told.told if t[0] == "observe"]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_ray_takes_every_metric_of_the_table(metric: Metric) -> None:
    meter = RayMeter()
    labels = tuple("x" for _ in metric.labels)
    how: dict[str, Any] = {
        "counter": lambda: meter.add(metric, *labels),
        "gauge": lambda: meter.set(metric, 1.0, *labels),
        "histogram": lambda: meter.observe(metric, 1.0, *labels),
    }
    how[metric.kind]()
    made = meter._known[metric]
    assert isinstance(made, ray_metrics.Metric)
    assert made.info["tag_keys"] == metric.label_names
