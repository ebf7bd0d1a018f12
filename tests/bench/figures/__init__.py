"""The figures, in the order of their letters; each module's docstring says what is measured and how."""

from __future__ import annotations

from tests.bench.figures import claims, driver, enqueue, placement
from tests.bench.values import Figure

FIGURES: tuple[Figure, ...] = (enqueue.FIGURE, driver.FIGURE, claims.FIGURE, placement.FIGURE)
