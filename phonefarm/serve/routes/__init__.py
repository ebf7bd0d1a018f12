"""The routes, as endpoints; ``ENDPOINTS`` is all of them."""

from __future__ import annotations

from phonefarm.serve.endpoint import Endpoint
from phonefarm.serve.routes import enqueue, farm, health, processes

ENDPOINTS: tuple[Endpoint, ...] = (
    *enqueue.ENDPOINTS,
    *processes.ENDPOINTS,
    *farm.ENDPOINTS,
    *health.ENDPOINTS,
)
