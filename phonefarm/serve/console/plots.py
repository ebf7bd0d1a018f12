"""Plots of a phone's health as SVG: points, with gaps where nobody looked, and no style or script in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from phonefarm.serve.console.words import moment

WIDTH, HEIGHT = 400, 130
LEFT, RIGHT, TOP, BOTTOM = 34, 14, 8, 20
#: Samples further apart are not joined: nobody looked in between.
GAP_SECONDS = 1_200.0
_HOUR = 3_600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """``lines``: points of each stretch, as SVG takes them; ``ticks`` and ``hours``: (place, word)."""

    title: str
    label: str
    now: str
    lines: list[str] = field(default_factory=list)
    dots: list[tuple[float, float]] = field(default_factory=list)
    ticks: list[tuple[float, str]] = field(default_factory=list)
    hours: list[tuple[float, str]] = field(default_factory=list)


Point = tuple[float, float]


def plots(samples: Sequence[Mapping[str, Any]], *, now: float, hours: float) -> list[Plot]:
    """Battery, temperature and storage over the last ``hours``; ``now`` in Unix seconds."""
    begin = now - hours * _HOUR
    kept = [(at.timestamp(), s) for s in samples if (at := moment(s["at"])) is not None and at.timestamp() >= begin]
    return [
        _plot("Battery", "%", [(t, s["level"]) for t, s in kept], begin, now, floor=(0, 100)),
        _plot("Battery temperature", "°C", [(t, s["temperature"]) for t, s in kept], begin, now, floor=(20, 45)),
        _plot("Free storage", "GiB", [(t, _gib(s["storage_free"])) for t, s in kept], begin, now, floor=(0, 4)),
    ]


def _gib(value: float | None) -> float | None:
    return None if value is None else value / 2**30


def _plot(
    title: str,
    unit: str,
    points: Sequence[tuple[float, float | None]],
    begin: float,
    now: float,
    *,
    floor: tuple[float, float],
) -> Plot:
    """``floor``: the least that the axis shows, so that small changes do not look large."""
    known = [(at, value) for at, value in points if value is not None]
    if not known:
        return Plot(title=title, label=f"{title}: nothing known of this time", now="")
    values = [value for _, value in known]
    low, high = min(floor[0], *values), max(floor[1], *values)
    last = f"{values[-1]:.0f} {unit}" if unit == "%" else f"{values[-1]:.1f} {unit}"
    label = f"{title} between {min(values):.1f} and {max(values):.1f} {unit}, at last {last}"

    def x(at: float) -> float:
        return round(LEFT + (at - begin) / (now - begin) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    runs = _runs(known)
    return Plot(
        title=title,
        label=label,
        now=last,
        lines=[" ".join(f"{x(at)},{y(value)}" for at, value in run) for run in runs if len(run) > 1],
        dots=[(x(at), y(value)) for at, value in (run[-1] for run in (*[r for r in runs if len(r) == 1], runs[-1]))],
        ticks=[(y(value), f"{value:.0f}") for value in (low, (low + high) / 2, high)],
        hours=[(x(at), word) for at, word in _hours(begin, now)],
    )


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    runs: list[list[Point]] = [[points[0]]]
    for before, point in pairwise(points):
        if point[0] - before[0] > GAP_SECONDS:
            runs.append([])
        runs[-1].append(point)
    return runs


def _hours(begin: float, now: float) -> list[tuple[float, str]]:
    """A few round times to write below, in UTC: full hours, or days when it is days."""
    span = (now - begin) / _HOUR
    step = next(h for h in (1, 3, 6, 24, 48) if span / h <= 8) * _HOUR
    first = (begin // step + 1) * step
    times = [first + step * n for n in range(int((now - first) // step) + 1)]
    form = "%d %b" if step >= 24 * _HOUR else "%H:%M"
    return [(at, datetime.fromtimestamp(at, UTC).strftime(form)) for at in times if at - begin > step / 5]
