"""The routes, as endpoints; ``ENDPOINTS`` is all of them."""

from __future__ import annotations

from phonefarm.serve.endpoint import Endpoint
from phonefarm.serve.routes import (
    accounts,
    callbacks,
    commands,
    docs,
    enqueue,
    events,
    farm,
    health,
    keys,
    operations,
    processes,
)

ENDPOINTS: tuple[Endpoint, ...] = (
    *enqueue.ENDPOINTS,
    *processes.ENDPOINTS,
    *events.ENDPOINTS,
    *commands.ENDPOINTS,
    *callbacks.ENDPOINTS,
    *farm.ENDPOINTS,
    *operations.ENDPOINTS,
    *accounts.ENDPOINTS,
    *keys.ENDPOINTS,
    *docs.ENDPOINTS,
    *health.ENDPOINTS,
)
