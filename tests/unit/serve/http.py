"""Speaking to an app without a server."""

from __future__ import annotations

import httpx
from fastapi import FastAPI

from phonefarm.actors.ports import FarmPort
from phonefarm.serve.app import ServeConfig, create_app
from phonefarm.serve.auth import KeyRing, Scope, make_key
from tests.contract.bad_requests import BOUND_KEY, BOUND_SYSTEM, KEY, READER_KEY

LOOPBACK = ("127.0.0.0/8",)


def key_ring() -> KeyRing:
    return KeyRing(
        [
            make_key(KEY, name="all"),
            make_key(READER_KEY, name="reader", scopes={Scope.READ}),
            make_key(BOUND_KEY, name="bound", system=BOUND_SYSTEM),
        ]
    )


def build(farm: FarmPort, config: ServeConfig | None = None) -> FastAPI:
    """The app under test; callbacks may reach loopback, as on a simulated farm."""
    return create_app(farm, keys=key_ring(), config=config or ServeConfig(callbacks_allow=LOOPBACK))


def connect(farm: FarmPort, *, key: str | None = None, config: ServeConfig | None = None) -> httpx.AsyncClient:
    """A client to a new app. An exception that the app lets out would fail the test."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    transport = httpx.ASGITransport(build(farm, config))
    return httpx.AsyncClient(transport=transport, base_url="http://farm.test", headers=headers)
