"""The figures; each module's docstring says what is measured and how. Those that share a farm follow each other."""

from __future__ import annotations

from tests.bench.figures import (
    callbacks,
    claims,
    dispatch,
    driver,
    enqueue,
    latency,
    placement,
    reads,
    scale,
    session,
    soak,
)
from tests.bench.values import Figure

FIGURES: tuple[Figure, ...] = (
    placement.FIGURE,
    driver.FIGURE,
    claims.FIGURE,
    enqueue.FIGURE,
    latency.FIGURE,
    reads.FIGURE,
    dispatch.FIGURE,
    callbacks.FIGURE,
    *session.FIGURES,
    scale.FIGURE,
    soak.FIGURE,
)
