"""The dashboard deploy/grafana/phonefarm.json: rows and panels as data, so that a changed metric is one changed line.

``python -m scripts.metrics`` writes it; a test holds the file equal to this, and every query to the table of metrics.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "deploy" / "grafana" / "phonefarm.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDE, HIGH = 24, 8

#: (title, unit of Grafana, [(query, legend)]); a "stat" shows one number, else it is a curve.
Panel = tuple[str, str, str, Sequence[tuple[str, str]]]


def _quantile(share: float, metric: str, by: str = "") -> str:
    return f"histogram_quantile({share}, sum by (le{by}) (rate({metric}_bucket[$__rate_interval])))"


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Farm",
        (
            ("Phones that can work", "stat", "none", [('sum(phonefarm_phones{state=~"available|busy"})', "phones")]),
            ("Waiting", "stat", "none", [("phonefarm_queue_items", "items")]),
            ("Hosts that are not well", "stat", "none", [("count(phonefarm_host_up == 0) or vector(0)", "hosts")]),
            ("Items given up, a day", "stat", "none", [("sum(increase(phonefarm_dead_letters_total[1d]))", "items")]),
            (
                "Submissions a second",
                "curve",
                "reqps",
                [("sum by (outcome) (rate(phonefarm_requests_total[$__rate_interval]))", "{{outcome}}")],
            ),
            ("Processes by status", "curve", "none", [("phonefarm_processes", "{{status}}")]),
            (
                "HTTP answers a second, by status (Ray's exporter)",
                "curve",
                "reqps",
                [("sum by (status) (rate(ray_phonefarm_http_requests_total[$__rate_interval]))", "{{status}}")],
            ),
            (
                "HTTP requests, 95 of 100 within (Ray's exporter)",
                "curve",
                "s",
                [(_quantile(0.95, "ray_phonefarm_http_request_seconds", ", route"), "{{route}}")],
            ),
        ),
    ),
    (
        "Queue and dispatch",
        (
            ("Items that wait", "curve", "none", [("phonefarm_queue_items", "waiting")]),
            ("Age of the oldest that waits", "curve", "s", [("phonefarm_queue_oldest_seconds", "oldest")]),
            (
                "From ready to a phone's claim",
                "curve",
                "s",
                [
                    (_quantile(0.5, "phonefarm_claim_wait_seconds"), "half"),
                    (_quantile(0.95, "phonefarm_claim_wait_seconds"), "95 of 100"),
                ],
            ),
            (
                "From claim to first command",
                "curve",
                "s",
                [
                    (_quantile(0.5, "phonefarm_first_command_seconds"), "half"),
                    (_quantile(0.95, "phonefarm_first_command_seconds"), "95 of 100"),
                ],
            ),
            (
                "Attempts that ended, a minute",
                "curve",
                "none",
                [("60 * sum by (outcome) (rate(phonefarm_attempts_total[$__rate_interval]))", "{{outcome}}")],
            ),
            (
                "Errors of attempts, an hour",
                "curve",
                "none",
                [("sum by (error) (increase(phonefarm_attempt_errors_total[1h]))", "{{error}}")],
            ),
            (
                "Actions, 95 of 100 within",
                "curve",
                "s",
                [(_quantile(0.95, "phonefarm_action_seconds", ", action"), "{{action}}")],
            ),
            ("Leases expired, an hour", "curve", "none", [("increase(phonefarm_leases_expired_total[1h])", "leases")]),
            ("Items by state", "curve", "none", [("phonefarm_items", "{{state}}")]),
        ),
    ),
    (
        "Phones",
        (
            ("Phones by state", "curve", "none", [("phonefarm_phones", "{{state}}")]),
            ("Battery", "curve", "percentunit", [("phonefarm_phone_battery_ratio", "{{phone}}")]),
            ("Temperature", "curve", "celsius", [("phonefarm_phone_temperature_celsius", "{{phone}}")]),
            ("Free storage", "curve", "bytes", [("phonefarm_phone_storage_free_bytes", "{{phone}}")]),
            (
                "Not heard of for",
                "curve",
                "s",
                [("topk(10, time() - phonefarm_phone_last_seen_timestamp_seconds)", "{{phone}}")],
            ),
            (
                "Hosts: not heard of for",
                "curve",
                "s",
                [("time() - phonefarm_host_last_seen_timestamp_seconds", "{{host}}")],
            ),
            (
                "Hosts: signs of life that did not come, an hour",
                "curve",
                "none",
                [
                    ("increase(phonefarm_heartbeats_missed_total[1h])", "{{host}} missed"),
                    ("increase(phonefarm_hosts_given_up_total[1h])", "{{host}} given up"),
                ],
            ),
        ),
    ),
    (
        "Callbacks",
        (
            ("Callbacks by state", "curve", "none", [("phonefarm_callbacks", "{{state}}")]),
            (
                "Attempts a minute",
                "curve",
                "none",
                [("60 * sum by (outcome) (rate(phonefarm_callback_attempts_total[$__rate_interval]))", "{{outcome}}")],
            ),
            (
                "From event to delivery",
                "curve",
                "s",
                [
                    (_quantile(0.5, "phonefarm_callback_delivery_seconds"), "half"),
                    (_quantile(0.95, "phonefarm_callback_delivery_seconds"), "95 of 100"),
                ],
            ),
        ),
    ),
    (
        "Database",
        (
            ("Commits a second", "curve", "none", [("rate(phonefarm_commits_total[$__rate_interval])", "commits")]),
            (
                "Time of a commit",
                "curve",
                "s",
                [
                    (_quantile(0.5, "phonefarm_commit_seconds"), "half"),
                    (_quantile(0.99, "phonefarm_commit_seconds"), "99 of 100"),
                ],
            ),
            (
                "Changes in a commit",
                "curve",
                "none",
                [
                    (
                        "rate(phonefarm_commit_changes_sum[$__rate_interval])"
                        " / rate(phonefarm_commit_changes_count[$__rate_interval])",
                        "mean",
                    )
                ],
            ),
            ("Size", "curve", "bytes", [("phonefarm_database_bytes", "bytes")]),
            ("Epoch of the manager", "curve", "none", [("phonefarm_manager_epoch", "epoch")]),
        ),
    ),
    (
        "adb",
        (
            (
                "Help for silent phones, a day",
                "curve",
                "none",
                [("sum by (rung, outcome) (increase(phonefarm_ladder_rungs_total[1d]))", "{{rung}} {{outcome}}")],
            ),
            (
                "Commands, 95 of 100 within (Ray's exporter)",
                "curve",
                "s",
                [(_quantile(0.95, "ray_phonefarm_adb_command_seconds", ", service"), "{{service}}")],
            ),
            (
                "Commands that failed, a minute (Ray's exporter)",
                "curve",
                "none",
                [
                    (
                        "60 * sum by (error) (rate(ray_phonefarm_adb_command_seconds_count"
                        '{error!="none"}[$__rate_interval]))',
                        "{{error}}",
                    )
                ],
            ),
            (
                "Reports that the manager did not answer, a minute (Ray's exporter)",
                "curve",
                "none",
                [("60 * rate(ray_phonefarm_reports_undelivered_total[$__rate_interval])", "{{phone}}")],
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"h": 1, "w": WIDE, "x": 0, "y": top},
            }
        )
        top += 1
        left = 0
        for panel in row:
            wide, high = (6, 4) if panel[1] == "stat" else (12, HIGH)
            if left + wide > WIDE:
                left, top = 0, top + high
            panels.append(_panel(panel, len(panels) + 1, {"h": high, "w": wide, "x": left, "y": top}))
            left += wide
            if left == WIDE:
                left, top = 0, top + high
        top += HIGH if left else 0
    return _around(panels)


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    title, kind, unit, queries = panel
    return {
        "id": number,
        "type": "stat" if kind == "stat" else "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(65 + at), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for at, (expr, legend) in enumerate(queries)
        ],
    }


def _around(panels: list[dict[str, Any]]) -> dict[str, Any]:
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "uid": "phonefarm",
        "title": "phonefarm",
        "tags": ["phonefarm"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }


def text() -> str:
    return json.dumps(dashboard(), indent=2) + "\n"
