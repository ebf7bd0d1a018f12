"""Writes docs/metrics.md from the table of metrics, and the dashboard: ``python -m scripts.metrics``.

Tests hold both equal to what this writes.
"""

from __future__ import annotations

from pathlib import Path

from phonefarm.core.metrics import METRICS, Kind, Label, Metric, Where
from scripts import grafana

TARGET = Path(__file__).parent.parent / "docs" / "metrics.md"
_HEAD = """# Metrics

This page is made from `phonefarm/core/metrics.py` by `python -m scripts.metrics`.

`GET /metrics` (a key with the scope `read`) tells the numbers of the whole farm, whichever replica answers: they come
from the process manager, which sees every change, and from its database. They are read when somebody asks, at most
once a second. Counters begin at 0 with each start of the manager, as Prometheus expects; how many processes, items
and callbacks there are is counted in the database at its start and kept by counting since.

Ray's exporter, on each node (`ports.metrics` in farm.json, or `--metrics-export-port`), tells the same numbers about
every ten seconds, and those that only the process knows that did it (second table). Ray
writes `ray_` before each name, and adds labels of its own. It asks for no key: keep it behind a firewall.

- `deploy/prometheus/prometheus.yml` scrapes both, `deploy/prometheus/alerts.yml` has the alerts.
- `deploy/grafana/phonefarm.json` is a dashboard: import it and choose the Prometheus.

A phone's battery, temperature and storage are those of its last check, and are not told while it is away. An hour or
a day of a counter that has a label for errors misses the very first of each error, since Prometheus sees no step from
nothing to 1.
"""
_BETWEEN = """
## Through Ray's exporter alone

"""


def _row(metric: Metric) -> str:
    return f"| `{metric.name}` | {metric.kind.value} | {_labels(metric.labels)} | {_help(metric)} |"


def _labels(labels: tuple[Label, ...]) -> str:
    return "; ".join(f"`{label.name}`{': ' if label.values else ''}{', '.join(label.values)}" for label in labels)


def _help(metric: Metric) -> str:
    if metric.kind is not Kind.HISTOGRAM:
        return metric.help
    return f"{metric.help} (buckets up to {metric.buckets[-1]:g})"


def text() -> str:
    tables = {}
    for where in Where:
        rows = [_row(metric) for metric in METRICS if metric.where is where]
        tables[where] = "\n".join(["| name | kind | labels | what |", "|---|---|---|---|", *rows])
    return f"{_HEAD}\n## At /metrics\n\n{tables[Where.FARM]}\n{_BETWEEN}{tables[Where.RAY]}\n"


if __name__ == "__main__":
    TARGET.write_text(text())
    grafana.TARGET.write_text(grafana.text())
