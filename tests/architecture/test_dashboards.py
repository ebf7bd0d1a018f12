"""Every query of the dashboard and of the alerts names metrics that are told, with labels and values that they have;
the pages made from the table of metrics are those that it makes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from phonefarm.core.metrics import BY_NAME, METRICS, Kind, Metric, Where
from scripts import grafana, metrics
from tests.promql import Query, Selector, parse

pytestmark = pytest.mark.timeout(30)

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "phonefarm.json").read_text())
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
SCRAPES = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
#: What Prometheus itself gives to every series.
OF_PROMETHEUS = {"job", "instance"}
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def targets() -> Iterator[tuple[str, dict[str, Any]]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target


QUERIES = [*((title, target["expr"]) for title, target in targets()), *((r["alert"], r["expr"]) for r in RULES)]


def metric_of(name: str) -> Metric | None:
    """The metric that tells a series of this name, None for Prometheus's own ``up``. Raises KeyError."""
    if name == "up":
        return None
    bare = name.removeprefix("ray_")
    metric = BY_NAME.get(bare)
    if metric is None or metric.kind is Kind.HISTOGRAM:
        metric = BY_NAME[re.sub("_(bucket|sum|count)$", "", bare)]
        assert metric.name != bare, f"{name} is a histogram: it has _bucket, _sum and _count"
    assert name.startswith("ray_") == (metric.where is Where.RAY), f"{name} is not told there"
    return metric


def labels_of(selector: Selector) -> set[str]:
    metric = metric_of(selector.name)
    own = set(metric.label_names) if metric else set()
    return own | OF_PROMETHEUS | ({"le"} if selector.name.endswith("_bucket") else set())


def check(query: Query) -> None:
    for selector in query.selectors:
        known, metric = labels_of(selector), metric_of(selector.name)
        for label, operator, value in selector.matchers:
            assert label in known, (selector, label)
            allowed = next((one.values for one in metric.labels if one.name == label), ()) if metric else ()
            wanted = value.split("|") if operator in ("=~", "!~") else [value]
            assert not allowed or set(wanted) <= set(allowed), (selector, value)
        assert query.labels <= known, (selector, query.labels)


@pytest.mark.parametrize(("title", "text"), QUERIES, ids=[title for title, _ in QUERIES])
def test_a_query_names_what_is_told(title: str, text: str) -> None:
    check(parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "phonefarm_no_such_thing",
        "phonefarm_phones{color='x'}".replace("'", '"'),
        'phonefarm_phones{state="flying"}',
        'phonefarm_phones{state=~"busy|flying"}',
        "sum by (rack) (phonefarm_phones)",
        "rate(phonefarm_claim_wait_seconds[5m])",
        "rate(phonefarm_adb_command_seconds_count[5m])",
        "ray_phonefarm_phones",
        "sum by (le) (phonefarm_queue_items)",
        "sum(phonefarm_phones",
        "phonefarm_phones ? 1",
    ],
)
def test_a_query_that_names_something_else_is_found(text: str) -> None:
    with pytest.raises((AssertionError, KeyError, ValueError)):
        check(parse(text))


def test_every_metric_is_shown_somewhere() -> None:
    named = {metric_of(s.name) for _, text in QUERIES for s in parse(text).selectors}
    assert {m.name for m in METRICS} == {m.name for m in named if m is not None}


def test_what_legends_and_alerts_say_is_there_to_say() -> None:
    for title, target in targets():
        wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        _has(parse(target["expr"]), wanted, title)
    for rule in RULES:
        words = " ".join(rule["annotations"].values())
        _has(parse(rule["expr"]), set(re.findall(r"\$labels\.(\w+)", words)), rule["alert"])
        assert set(rule["annotations"]) == {"summary", "next_step"}, rule["alert"]
        assert rule["labels"]["severity"] in ("page", "look")
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def _has(query: Query, wanted: set[str], title: str) -> None:
    """What is aggregated has only the labels it is aggregated by."""
    aggregated = query.functions & {"sum", "topk", "count", "max", "min"} - {"topk"}
    known = query.labels - {"le"} if aggregated else labels_of(query.selectors[0])
    assert wanted <= known, (title, wanted, known)


def test_the_dashboard_is_well_formed() -> None:
    panels = DASHBOARD["panels"]
    assert [p["title"] for p in panels if p["type"] == "row"] == [title for title, _ in grafana.ROWS]
    assert len({p["id"] for p in panels}) == len(panels)
    (source,) = DASHBOARD["templating"]["list"]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies on another panel"
        assert place["x"] + place["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"]


def test_prometheus_scrapes_what_the_queries_need() -> None:
    farm, ray = SCRAPES["scrape_configs"]
    assert farm["metrics_path"] == "/metrics"
    assert farm["authorization"]["type"] == "Bearer"
    assert SCRAPES["rule_files"] == ["alerts.yml"]
    (keep,) = ray["metric_relabel_configs"]
    for metric in METRICS:
        kept = re.fullmatch(keep["regex"], f"ray_{metric.name}") is not None
        assert kept == (metric.where is Where.RAY), metric.name


def test_the_pages_made_from_the_table_are_up_to_date() -> None:
    again = "python -m scripts.metrics"
    assert metrics.TARGET.read_text() == metrics.text(), again
    assert grafana.TARGET.read_text() == grafana.text(), again
