"""The arithmetic of the bench, pure: quantiles, ratios with their spread, and whether a cost grows like n log n."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0..1] of them do not exceed."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """A median, and how far single rounds were from it."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    return Spread(median=statistics.median(values), least=min(values), most=max(values))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Of the medians; ``least`` and ``most`` are of rounds, each of which divides readings of the same round."""
    if len(ours) != len(theirs):
        raise ValueError("a ratio needs the same rounds on both sides")
    rounds = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return Spread(median=statistics.median(ours) / statistics.median(theirs), least=min(rounds), most=max(rounds))


def growth(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The exponent p of seconds ~ (n log n)^p, by least squares over the logarithms: 1 is n log n, 0.9 is better."""
    if len(sizes) != len(seconds) or len(sizes) < 3:
        raise ValueError("a fit needs three sizes")
    xs = [math.log(n * math.log(n)) for n in sizes]
    ys = [math.log(value) for value in seconds]
    middle_x, middle_y = statistics.fmean(xs), statistics.fmean(ys)
    above = sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True))
    return above / sum((x - middle_x) ** 2 for x in xs)
